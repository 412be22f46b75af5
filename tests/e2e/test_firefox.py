"""In Firefox, too, a logout in one tab clears all tabs of that person and no others."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.e2e.firefox import Firefox, FirefoxTab, firefox
from tests.e2e.line import Line
from tests.e2e.shop import COOKIE, EVERYTHING, KEPT, STORED, Shop
from tests.realtime.raw import eventually
from tests.site import Replica, token

pytestmark = pytest.mark.asyncio(loop_scope="session")

CONNECTED = "window.hub?.state === 'connected'"
# What outlives both the page and its clearing.
DIARY = "() => { window.tell = (what) => { window.name += `${what} `; }; }"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def shared_browser(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Firefox]:
    """A real Firefox, whose start costs more than a test."""
    async with firefox(tmp_path_factory.mktemp("firefox")) as running_browser:
        yield running_browser


@pytest_asyncio.fixture(loop_scope="session")
async def browser(shared_browser: Firefox) -> AsyncIterator[Firefox]:
    """A Firefox without tabs of earlier visitors."""
    yield shared_browser
    await shared_browser.close_visitors()


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


SIGN_OUT = """fetch("/logout", {method: "POST"}).then((answer) => answer.status)"""


async def test_a_logout_takes_no_cookie_of_another_site(
    browser: Firefox, shop: Shop, hub: Replica, line: Line
) -> None:
    """Firefox, too, leaves the cookies of the hub's siblings alone, and clears the hub's own."""
    tab = await browser.tab(await browser.visitor())
    await tab.go(f"http://wiki.shop.localhost:{hub.port}/client.js")
    for pair in ("wiki=theirs", "consent=theirs; domain=shop.localhost"):
        await tab.evaluate(f"document.cookie = {json.dumps(pair)}")
    await tab.go(f"http://hub.shop.localhost:{hub.port}/client.js")
    for pair in ("theme=dark", f"{COOKIE}={token('ada')}"):
        await tab.evaluate(f"document.cookie = {json.dumps(pair)}")
    await tab.evaluate("localStorage.setItem('draft', 'private')")
    assert await tab.evaluate(SIGN_OUT) == 200
    await tab.wait("localStorage.length === 0")
    assert "theme=dark" in await tab.evaluate("document.cookie")
    assert COOKIE not in await tab.evaluate("document.cookie")
    await tab.go(f"http://wiki.shop.localhost:{hub.port}/client.js")
    kept = await tab.evaluate("document.cookie")
    assert sorted(kept.split("; ")) == ["consent=theirs", "wiki=theirs"]


async def test_who_logs_out_is_cleared_whatever_the_tokens_are_called(
    browser: Firefox, shop: Shop, line: Line
) -> None:
    """Two tabs of sessions of their own: a logout in one clears what they share."""
    visitor = await browser.visitor()
    tabs = [await browser.tab(visitor) for _ in range(2)]
    given = json.dumps([token("ada", f"s{number}") for number in range(12)])
    for number, tab in enumerate(tabs):
        await tab.go(f"{shop.url}/help")
        await tab.evaluate(
            f"""import("{shop.hub}/client.js").then(({{ createLogoutHub }}) => {{
              const given = {given}.slice({number * 6});
              const token = () => given.shift();
              const keep = ["theme", "fonts"];
              window.hub = createLogoutHub({{ url: "{shop.hub}", keep, token }});
            }})"""
        )
        await tab.wait(CONNECTED)
    await tabs[0].evaluate("import('/fill.mjs').then(() => null)")
    assert await tabs[0].evaluate(f"({STORED})()") == EVERYTHING
    await tabs[0].evaluate("window.hub.logout({ scope: 'session' })")
    assert await tabs[0].evaluate(f"({STORED})()") == KEPT
