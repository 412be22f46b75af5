"""The routes of pages and of the files they load; those of the demo are in `hub.pages.demo`."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web

from hub.access.authority import Authority
from hub.pages.devices import listing
from hub.pages.documents import serving
from hub.pages.signed_out import explaining
from hub.settings import Settings


def add_pages(
    app: web.Application,
    settings: Settings,
    authority: Authority,
    find_title: Callable[[str | None], str | None],
) -> None:
    """Serve the pages; ``find_title`` is as in `explaining`."""
    app.router.add_get("/devices", listing(settings, authority))
    app.router.add_get("/devices.js", serving("devices.js"))
    app.router.add_get("/signed-out", explaining(settings, find_title))
    app.router.add_get("/pages.css", serving("pages.css"))
