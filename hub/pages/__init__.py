"""What the hub serves to browsers."""

from __future__ import annotations

from importlib import resources

from hub.pages.client import read_client, read_elements

__all__ = ["read_client", "read_elements", "read_page"]


def read_page(name: str) -> str:
    """Return a file of this package."""
    return resources.files("hub.pages").joinpath(name).read_text(encoding="utf-8")
