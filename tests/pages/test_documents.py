"""Documents: what is served, how, and that the reference says so."""

from __future__ import annotations

import re
from pathlib import Path

from hub.api.routes import ROUTES
from hub.app import create_app
from hub.pages.documents import KINDS, POLICY, read_page
from hub.settings import Settings
from tests.site import settings
from tests.test_docs import read, sections, table

PAGES = Path(__file__).parents[2] / "hub" / "pages"
SOCKETS = "/socket.io/"


def served(hub_settings: Settings, *, demo: bool = False) -> set[str]:
    """Return the addresses of a hub that are not of its API."""
    app = create_app(hub_settings, demo=demo)
    addresses = {resource.canonical for resource in app.router.resources()}
    return addresses - {route.path for route in ROUTES} - {SOCKETS}


def told(text: str) -> set[str]:
    """Return the addresses in the first table of a part of the reference."""
    return set(re.findall(r"/[^\s`,]*", " ".join(table(text, "address"))))


def test_every_address_is_documented_and_no_other() -> None:
    """The page about pages names what is served, without the demo and with it."""
    text = read("pages.md")
    assert told(text) == served(settings())
    assert told(text) | told(sections(text)["With the demo"]) == served(settings(), demo=True)


def test_the_policy_is_documented() -> None:
    """The policy in the reference is the one that is sent."""
    assert POLICY in read("pages.md")


def test_no_document_needs_what_the_policy_forbids() -> None:
    """No file has inline scripts, styles or handlers, or the address of another site."""
    names = [path.name for path in PAGES.iterdir() if path.suffix.lstrip(".") in KINDS]
    assert "devices.html" in names
    for name in names:
        text = read_page(name).replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?://|<style|\sstyle=|<script(?![^>]+src=)|\son\w+=\"", text), (
            name
        )
