"""See to it that a Chromium is there for the browser tests: installs Debian's where it may."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")


def main() -> None:
    """Install Chromium by apt when it is missing, this is root, and apt is here; else say so."""
    if os.environ.get("CHROMIUM") or any(shutil.which(name) for name in NAMES):
        return
    if os.geteuid() == 0 and shutil.which("apt-get"):
        print("installing Chromium", flush=True)
        for arguments in (["update"], ["install", "--yes", "--no-install-recommends", "chromium"]):
            done = subprocess.run(["apt-get", "-qq", *arguments], stdout=subprocess.DEVNULL)
            if done.returncode:
                break
        else:
            return
    print("Chromium is missing: install it, or set CHROMIUM to its path.", file=sys.stderr)
    if os.environ.get("CI"):
        sys.exit(1)
    print("The browser tests will be skipped.", file=sys.stderr)


if __name__ == "__main__":
    main()
