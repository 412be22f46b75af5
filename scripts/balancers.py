"""See to it that nginx and HAProxy are there for the tests: installs Debian's where it may."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

NAMES = ("nginx", "haproxy")
PATH = os.pathsep.join((os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin"))


def missing() -> list[str]:
    """Return the names of those that are not there."""
    return [name for name in NAMES if shutil.which(name, path=PATH) is None]


def install(names: list[str]) -> None:
    """Install packages by apt; a failure is seen by what is missing afterwards."""
    print("installing", " and ".join(names), flush=True)
    for arguments in (["update"], ["install", "--yes", "--no-install-recommends", *names]):
        done = subprocess.run(["apt-get", "-qq", *arguments], stdout=subprocess.DEVNULL)
        if done.returncode:
            break


def main() -> None:
    """Install what is missing by apt when this is root and apt is here; else say so."""
    if missing() and os.geteuid() == 0 and shutil.which("apt-get"):
        install(missing())
    for name in missing():
        print(f"{name} is missing: install it, or put it on the path.", file=sys.stderr)
    if not missing():
        return
    if os.environ.get("CI"):
        sys.exit(1)
    print("The tests of deploy/ with it will be skipped.", file=sys.stderr)


if __name__ == "__main__":
    main()
