"""A logout clears the tabs of its user, pending logouts end the right session, no login loops."""

from __future__ import annotations

import json
import secrets
import time

import jwt
import pytest
from playwright.async_api import BrowserContext, Page

from tests.e2e.line import Line
from tests.e2e.people import until_true
from tests.e2e.shop import COOKIE, EVERYTHING, KEPT, STORED, Shop, Visitor
from tests.site import SECRET, Replica, token

pytestmark = pytest.mark.asyncio(loop_scope="session")

PENDING = "logout-hub:pending"
LOG_OUT = "async () => window.hub.logout(%s)"


async def open_page(context: BrowserContext, shop: Shop, options: str) -> Page:
    """Open a page of the shop with a client of its own making."""
    page = await context.new_page()
    await page.goto(f"{shop.url}/help")
    await make_client(page, shop, options)
    return page


async def make_client(page: Page, shop: Shop, options: str) -> None:
    """Make a client in a page."""
    await page.evaluate(
        f"""async () => {{
          const {{ createLogoutHub }} = await import("{shop.hub}/client.js");
          const keep = ["theme", "fonts"];
          window.hub = createLogoutHub({{ url: "{shop.hub}", keep, {options} }});
        }}"""
    )


async def reach(page: Page, state: str) -> None:
    """Wait for a state of the page's client."""
    await until_true(page, f"window.hub?.state === '{state}'")


@pytest.mark.parametrize("named", [True, False], ids=["another sid", "no sid"])
async def test_who_logs_out_is_cleared_whatever_the_tokens_are_called(
    context: BrowserContext, shop: Shop, line: Line, hub: Replica, named: bool
) -> None:
    """Two tabs whose every token is of another session: a logout in one of them clears it all."""

    def mint() -> str:
        if named:
            return token("ada", secrets.token_hex(4))
        now = time.time()
        claims = {"sub": "ada", "iat": now, "exp": now + 600, "jti": secrets.token_hex(4)}
        return jwt.encode(claims, SECRET)

    await context.expose_function("mint", mint)
    tabs = [await open_page(context, shop, "token: () => window.mint()") for _ in range(2)]
    for tab in tabs:
        await reach(tab, "connected")
    await tabs[0].evaluate("import('/fill.mjs').then(() => null)")
    assert await tabs[0].evaluate(STORED) == EVERYTHING
    await tabs[0].evaluate(LOG_OUT % '{ scope: "session" }')
    assert await tabs[0].evaluate(STORED) == KEPT


async def owe(context: BrowserContext, shop: Shop, line: Line, options: str) -> Page:
    """Open a page while the hub cannot be reached, and log out there."""
    page = await context.new_page()
    await page.goto(f"{shop.url}/help")
    # The hub's module is in the browser's cache, or a bundler put it into the app's own.
    await page.evaluate(f"import('{shop.hub}/client.js').then(() => null)")
    line.cut()
    await make_client(page, shop, options)
    assert (await page.evaluate(LOG_OUT % ""))["pending"] is True
    return page


async def show(context: BrowserContext, shop: Shop, given: str) -> None:
    """Give the browser a cookie for the hub."""
    await context.add_cookies([{"name": COOKIE, "value": given, "url": shop.url, "httpOnly": True}])


@pytest.mark.parametrize("by_cookie", [True, False])
@pytest.mark.parametrize("seen", [True, False])
async def test_a_logout_of_before_the_hub_was_there_ends_that_session(
    context: BrowserContext, shop: Shop, line: Line, hub: Replica, by_cookie: bool, seen: bool
) -> None:
    """A pending logout ends the session at the click, known to the hub or not."""
    old = token("ada", "old")
    if seen:
        assert (await hub.call("GET", "/session", old)).status == 200
    await show(context, shop, old if by_cookie else "")
    page = await owe(context, shop, line, "" if by_cookie else f"token: {json.dumps(old)}")
    line.mend()
    await until_true(page, f"!localStorage.getItem('{PENDING}')")
    assert (await hub.call("GET", "/verify", old)).status == 401
    assert await page.evaluate("window.hub.state") == "ended"


@pytest.mark.parametrize("by_cookie", [True, False])
async def test_a_login_of_after_the_click_lives(
    context: BrowserContext, shop: Shop, line: Line, hub: Replica, by_cookie: bool
) -> None:
    """A later login in this browser survives the pending logout."""
    old = token("ada", "old")
    await show(context, shop, old if by_cookie else "")
    page = await owe(context, shop, line, "" if by_cookie else f"token: {json.dumps(old)}")
    await page.close()
    fresh = token("ada", "fresh")
    await show(context, shop, fresh if by_cookie else "")
    line.mend()
    later = await open_page(context, shop, "" if by_cookie else f"token: {json.dumps(fresh)}")
    await reach(later, "connected")
    assert await later.evaluate(f"localStorage.getItem('{PENDING}')") is None
    assert (await hub.call("GET", "/verify", fresh)).status == 204
    if not by_cookie:
        assert (await hub.call("GET", "/verify", old)).status == 401


@pytest.mark.parametrize("way", ["sso", "sso=asked"])
@pytest.mark.parametrize("was_connected", [False, True])
async def test_a_login_that_leads_back_is_no_circle(
    ada: Visitor, shop: Shop, hub: Replica, way: str, was_connected: bool
) -> None:
    """If the provider returns with the same ended login, the page stops and says so."""
    given = token("ada", "ada-1")
    if not was_connected:
        assert (await hub.call("POST", "/logout", given)).status == 200
    tab = await ada.tab(None)
    led: list[str] = []
    tab.page.on("request", lambda asked: led.append(asked.url) if "/sso" in asked.url else None)
    await tab.go(f"/private?{way}")
    if was_connected:
        await tab.diary.wait("connected")
        assert (await hub.call("POST", "/logout", given)).status == 200
    error = await tab.diary.wait("error")
    assert error["code"] == "login_required"
    await tab.page.wait_for_timeout(1500)
    assert await tab.page.evaluate("window.hub.state") == "ended"
    assert len(tab.diary.all("error")) == 1
    assert 1 <= len(led) <= 2
    if way == "sso=asked":
        assert led[0] == f"{shop.url}/sso?reauthenticate=true"
