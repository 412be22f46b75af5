"""Install the browsers and load balancers that tests need, from Debian if this is root.

Firefox and Chromium without windows are optional, also where all else is required (CI): without the
first, a test is skipped; without the second, all pages run in the whole browser, and take longer.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass

PATH = os.pathsep.join((os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin"))


@dataclass(frozen=True)
class Tool:
    """A program: its names, Debian's package, and the variable that may name it elsewhere."""

    names: tuple[str, ...]
    package: str
    variable: str = ""
    is_optional: bool = False
    without: str = "its tests are skipped"

    @property
    def is_here(self) -> bool:
        """Whether the tests will find it."""
        if self.variable and os.environ.get(self.variable):
            return True
        return any(shutil.which(name, path=PATH) for name in self.names)


TOOLS = (
    Tool(("chromium", "chromium-browser", "google-chrome", "chrome"), "chromium", "CHROMIUM"),
    Tool(
        ("chromium-headless-shell", "chrome-headless-shell"),
        "chromium-headless-shell",
        is_optional=True,
        without="tests of pages take longer",
    ),
    Tool(("firefox-esr", "firefox"), "firefox-esr", "FIREFOX", is_optional=True),
    Tool(("nginx",), "nginx"),
    Tool(("haproxy",), "haproxy"),
    Tool(("systemd-analyze",), "systemd"),
)


def missing() -> list[Tool]:
    """Return what is not there."""
    return [tool for tool in TOOLS if not tool.is_here]


def install(tools: list[Tool]) -> None:
    """Install packages with apt, one by one; failures show up in `missing` afterwards."""
    print("installing", ", ".join(tool.package for tool in tools), flush=True)
    packages = [["install", "--yes", "--no-install-recommends", tool.package] for tool in tools]
    for arguments in (["update"], *packages):
        subprocess.run(["apt-get", "-qq", *arguments], stdout=subprocess.DEVNULL)


def main() -> None:
    """Install what is missing, if this is root and there is apt; otherwise print what to do."""
    if missing() and os.geteuid() == 0 and shutil.which("apt-get"):
        install(missing())
    for tool in missing():
        where = f"set {tool.variable} to its path" if tool.variable else "put it on the path"
        print(
            f"{tool.names[0]} is missing, so {tool.without}: install it, or {where}",
            file=sys.stderr,
        )
    if os.environ.get("CI") and not all(tool.is_optional for tool in missing()):
        sys.exit(1)


if __name__ == "__main__":
    main()
