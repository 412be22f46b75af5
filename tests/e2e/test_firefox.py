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
from tests.site import Replica, token

pytestmark = pytest.mark.asyncio(loop_scope="session")

CONNECTED = "window.hub?.state === 'connected'"
# What outlives both the page and its clearing.
DIARY = "() => { window.tell = (what) => { window.name += `${what} `; }; }"


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


async def test_back_to_a_page_whose_session_ended_meanwhile(
    browser: Firefox, shop: Shop, hub: Replica, line: Line
) -> None:
    """A page that was left before the logout shows nothing private, and goes to the login page."""
    await browser.run_first(DIARY)
    tab = await enter(browser, await browser.visitor(), shop, "ada")
    await tab.go(f"{shop.url}/help")
    assert "shown" in await tab.evaluate("window.name")
    await tab.evaluate("window.name = ''")
    assert (await hub.call("POST", "/logout", token("ada", "phone"))).status == 200
    await tab.go_back()
    assert await at_login(tab) == "user"
    diary = await tab.evaluate("window.name")
    assert "arrived" in diary
    assert "shown" not in diary
    assert await tab.evaluate(f"({STORED})()") == KEPT
