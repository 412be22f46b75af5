"""Tokens that are early, wrong or many, as a page meets them."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import AsyncIterator

import jwt
import pytest
import pytest_asyncio
from playwright.async_api import BrowserContext, Page

from tests.e2e.line import Line, line_to
from tests.e2e.people import until_true
from tests.e2e.shop import Shop, hub_settings
from tests.site import SECRET, Replica, running, token

pytestmark = pytest.mark.asyncio(loop_scope="session")


def mint(**changes: object) -> str:
    """Return a token that names no login."""
    now = time.time()
    claims = {"sub": "ada", "iat": now, "exp": now + 600, "jti": secrets.token_hex(4), **changes}
    return jwt.encode({name: value for name, value in claims.items() if value}, SECRET)


BAD = {
    "opaque": "an-opaque-token",
    "encrypted": "a.b.c.d.e",
    "of nobody": mint(sub=None),
    "too long": mint(more="x" * 9000),
    "signed by another": mint()[:-8] + "AAAAAAAA",
}


async def open_page(context: BrowserContext, shop: Shop, options: str) -> Page:
    """Open a page of the shop with private content and a client of its own."""
    page = await context.new_page()
    await page.goto(f"{shop.url}/help")
    await page.evaluate(
        f"""async () => {{
          const {{ createLogoutHub }} = await import("{shop.hub}/client.js");
          document.body.innerHTML = "<main data-private>private</main>";
          window.errors = [];
          window.hub = createLogoutHub({{ url: "{shop.hub}", {options} }});
          window.hub.on("error", (error) => window.errors.push(error));
        }}"""
    )
    return page


@pytest.mark.parametrize("claim", ["iat", "nbf"])
async def test_an_issuer_whose_clock_is_ahead_is_waited_for(
    context: BrowserContext, shop: Shop, line: Line, claim: str
) -> None:
    """A token from three seconds ahead: the page waits, connects, and shows what it hid."""
    due = time.time() + 3
    early = json.dumps(mint(**{claim: due}))
    page = await open_page(context, shop, f"token: {early}")
    assert await page.evaluate("window.hub.state") != "ended"
    is_visible = await page.locator("main").is_visible()
    assert not is_visible or time.time() > due - 1  # the hub's times are whole seconds
    await until_true(page, "window.hub.state === 'connected'")
    assert await page.locator("main").is_visible()
    assert await page.evaluate("window.errors") == []


@pytest.mark.parametrize("name", BAD)
async def test_a_refusal_says_what_is_wrong_as_http_does(
    context: BrowserContext, shop: Shop, line: Line, hub: Replica, name: str
) -> None:
    """The `error` event of a page has the code and the detail of the answer over HTTP."""
    page = await open_page(context, shop, f"token: {json.dumps(BAD[name])}")
    await until_true(page, "window.errors.length > 0")
    [told] = await page.evaluate("window.errors")
    answer = await hub.call("GET", "/session", BAD[name])
    assert answer.status == 401
    assert told == {name: answer.body[name] for name in ("code", "title", "detail")}
    assert told["detail"] != told["title"]


@pytest_asyncio.fixture(loop_scope="session")
async def small(shop: Shop) -> AsyncIterator[Replica]:
    """A hub that remembers few sessions of a person, in the place of a thousand."""
    async with running(hub_settings(shop, max_sessions=4)) as replica, line_to(replica.port) as own:
        shop.hub = own.url
        yield replica


async def test_a_browser_with_a_new_session_at_each_load_locks_nobody_out(
    context: BrowserContext, shop: Shop, small: Replica
) -> None:
    """Far more page loads than a person may have sessions: all connect, and a phone stays."""
    phone = await open_page(context, shop, f"token: {json.dumps(token('ada', 'phone'))}")
    await until_true(phone, "window.hub.state === 'connected'")
    for _ in range(12):
        page = await open_page(context, shop, f"token: {json.dumps(mint())}")
        await until_true(page, "window.hub.state === 'connected'")
        assert await page.evaluate("window.errors") == []
        await page.close()
    assert await phone.evaluate("window.hub.state") == "connected"
    assert (await small.call("GET", "/verify", token("ada", "phone"))).status == 204


def listen(context: BrowserContext) -> list[str]:
    """Return a list that grows by each warning on a console of the browser."""
    said: list[str] = []
    context.on("console", lambda line: said.append(line.text) if line.type == "warning" else None)
    return said


async def test_a_client_that_stops_says_why_on_the_console(
    context: BrowserContext, shop: Shop, line: Line
) -> None:
    """A wrong token and none are each said once, with the detail and where to read on."""
    said = listen(context)
    for options in (f"token: {json.dumps(BAD['of nobody'])}", ""):
        page = await open_page(context, shop, options)
        await until_true(page, "window.errors.length > 0")
        [told] = await page.evaluate("window.errors")
        await page.wait_for_timeout(500)
        assert len(said) == 1
        assert told["code"] in said[0]
        assert (told["detail"] or told["title"]) in said[0]
        assert "docs/troubleshooting.md" in said.pop()


async def test_a_token_function_that_throws_is_said_once(
    context: BrowserContext, shop: Shop, line: Line
) -> None:
    """It is asked again after longer and longer pauses, and its error is on the console once."""
    said = listen(context)
    throws = 'token: () => { window.asked = (window.asked ?? 0) + 1; throw new Error("no seat"); }'
    page = await open_page(context, shop, throws)
    await page.wait_for_timeout(5000)
    assert 2 <= await page.evaluate("window.asked") <= 8
    assert len([text for text in said if "no seat" in text]) == 1
