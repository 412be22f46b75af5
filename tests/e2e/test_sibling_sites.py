"""A logout over HTTP takes what the hub stored, and nothing of the sites beside it."""

from __future__ import annotations

import pytest
from playwright.async_api import BrowserContext

from tests.e2e.line import Line
from tests.e2e.people import until_true
from tests.e2e.shop import COOKIE
from tests.site import Replica, token

pytestmark = pytest.mark.asyncio(loop_scope="session")

# Browsers look up no name below `localhost`, and trust it as they trust https.
HUB, WIKI, WHOLE = "hub.shop.localhost", "wiki.shop.localhost", ".shop.localhost"
SIGN_OUT = """async () => {
  localStorage.setItem("draft", "private");
  return (await fetch("/logout", { method: "POST" })).status;
}"""


async def test_a_logout_takes_no_cookie_of_another_site(
    context: BrowserContext, hub: Replica, line: Line
) -> None:
    """The hub deletes its own cookie and its own storage; its siblings' cookies stay."""
    kept = [(WIKI, "wiki"), (WHOLE, "consent"), (HUB, "theme")]
    for domain, name in [*kept, (HUB, COOKIE)]:
        value = token("ada") if name == COOKIE else "theirs"
        await context.add_cookies([{"name": name, "value": value, "domain": domain, "path": "/"}])
    page = await context.new_page()
    await page.goto(f"http://{HUB}:{hub.port}/healthz")
    assert await page.evaluate(SIGN_OUT) == 200
    # The browser's process has cleared it by now; the page's learns of that a moment later.
    await until_true(page, "localStorage.length === 0")
    left = [(cookie["domain"], cookie["name"]) for cookie in await context.cookies()]
    assert sorted(left) == sorted(kept)
