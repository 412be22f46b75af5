"""A shop, a hub that can be reached by a line, and a real Chromium."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest_asyncio
from playwright.async_api import Browser, BrowserContext

from tests.e2e.line import Line, line_to
from tests.e2e.people import chromium
from tests.e2e.shop import Shop, Visitor, hub_settings, open_shop, visit
from tests.patience import PATIENCE
from tests.site import Replica, running


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    """A real Chromium for the whole run."""
    async with chromium() as running_browser:
        yield running_browser


@pytest_asyncio.fixture(loop_scope="session")
async def shop() -> AsyncIterator[Shop]:
    """The app."""
    async with open_shop() as open_now:
        yield open_now


@pytest_asyncio.fixture(loop_scope="session")
async def hub(shop: Shop) -> AsyncIterator[Replica]:
    """The hub of the shop."""
    async with running(hub_settings(shop)) as replica:
        yield replica


@pytest_asyncio.fixture(loop_scope="session")
async def line(shop: Shop, hub: Replica) -> AsyncIterator[Line]:
    """How the shop's pages reach the hub; what is no browser asks the hub itself."""
    async with line_to(hub.port) as open_now:
        shop.hub = open_now.url
        yield open_now


@pytest_asyncio.fixture(loop_scope="session")
async def context(browser: Browser) -> AsyncIterator[BrowserContext]:
    """A part of the browser that nobody has used before."""
    yield await browser.new_context()
    async with asyncio.timeout(PATIENCE):
        for opened in browser.contexts:
            await opened.close()


@pytest_asyncio.fixture(loop_scope="session")
async def ada(context: BrowserContext, shop: Shop, line: Line) -> Visitor:
    """Ada, logged in."""
    visitor = await visit(context, shop)
    await visitor.log_in("ada")
    return visitor
