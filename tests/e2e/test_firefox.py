"""In Firefox, too, a logout in one tab clears all tabs of that person and no others."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.e2e.firefox import Firefox, FirefoxTab, firefox
from tests.e2e.line import Line
from tests.e2e.shop import EVERYTHING, KEPT, STORED, Shop
from tests.realtime.raw import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

CONNECTED = "window.hub?.state === 'connected'"


@pytest_asyncio.fixture(loop_scope="session")
async def browser(tmp_path: Path) -> AsyncIterator[Firefox]:
    """A real Firefox."""
    async with firefox(tmp_path) as running_browser:
        yield running_browser


async def enter(browser: Firefox, visitor: str, shop: Shop, user: str | None = None) -> FirefoxTab:
    """Open a tab at the private page, after a login if ``user`` is given, and wait for it."""
    tab = await browser.tab(visitor)
    if user is not None:
        await tab.go(f"{shop.url}/login")
        form = f"new URLSearchParams({json.dumps({'user': user})})"
        await tab.evaluate(f"fetch('/login', {{method: 'POST', body: {form}}}).then(() => null)")
    await tab.go(f"{shop.url}/private")
    await tab.wait(CONNECTED)

    async def is_filled() -> bool:
        return bool(await tab.evaluate(f"({STORED})()") == EVERYTHING)

    await eventually(is_filled)
    return tab


async def at_login(tab: FirefoxTab) -> str:
    """Return the words of the login page, once the tab is there."""
    there = "location.pathname === '/login' && document.querySelector('output').textContent"
    return str(await tab.wait(there))


async def test_five_tabs_of_two_browsers_end_together(
    browser: Firefox, shop: Shop, line: Line
) -> None:
    """A click clears five tabs in two browsers, all say why; a person beside keeps everything."""
    laptop, phone, other = [await browser.visitor() for _ in range(3)]
    tabs = [
        await enter(browser, laptop, shop, "ada"),
        await enter(browser, laptop, shop),
        await enter(browser, laptop, shop),
        await enter(browser, phone, shop, "ada"),
        await enter(browser, phone, shop),
    ]
    beside = await enter(browser, other, shop, "grace")
    await tabs[1].evaluate("document.querySelector('#logout').click()")
    for tab in tabs:
        assert await at_login(tab) == "user"
        assert await tab.evaluate(f"({STORED})()") == KEPT
    assert await beside.evaluate(f"({STORED})()") == EVERYTHING
    assert await beside.evaluate(CONNECTED)
