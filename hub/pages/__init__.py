"""What the hub serves to browsers."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

CHECKOUT = Path(__file__).parents[2] / "client_js" / "client.js"


def read_page(name: str) -> str:
    """Return a file of this package."""
    return resources.files("hub.pages").joinpath(name).read_text(encoding="utf-8")


def read_client() -> str:
    """Return the browser client: the wheel's copy, or the checkout's own file."""
    packaged = resources.files("hub.pages").joinpath("client.js")
    if packaged.is_file():
        return packaged.read_text(encoding="utf-8")
    return CHECKOUT.read_text(encoding="utf-8")
