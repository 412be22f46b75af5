"""The version of the hub."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version


def hub_version() -> str:
    """Return the version of the installed distribution, or 0 where none is installed."""
    try:
        return version("logout-hub")
    except PackageNotFoundError:
        return "0"
