"""The limit of open files, and so of connections, of this process."""

from __future__ import annotations

import contextlib
import sys

if sys.platform != "win32":
    import resource


def most_files() -> int:
    """Return how many file descriptors this process may have open."""
    if sys.platform == "win32":
        return 8192
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return sys.maxsize if soft == resource.RLIM_INFINITY else soft


def allow_many_files() -> None:
    """Raise the soft limit of file descriptors to the hard one."""
    if sys.platform != "win32":
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        with contextlib.suppress(OSError, ValueError):  # macOS refuses infinity
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
