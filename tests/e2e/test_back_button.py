"""After a logout the Back button shows nothing, whatever the browser kept of the page."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from tests.e2e.people import chromium
from tests.e2e.shop import EVERYTHING, KEPT, Tab, Visitor
from tests.site import Replica, token

pytestmark = pytest.mark.asyncio(loop_scope="session")

# What Playwright tells Chromium by default.
NO_CACHE = "--disable-back-forward-cache"


@pytest_asyncio.fixture(scope="module", loop_scope="session", params=["kept whole", "loaded again"])
async def browser(request: pytest.FixtureRequest, browser: Browser) -> AsyncIterator[Browser]:
    """A Chromium with its back/forward cache, and one without."""
    if request.param == "loaded again":
        yield browser
        return
    async with chromium(with_windows=True, ignore_default_args=[NO_CACHE]) as running_browser:
        yield running_browser


@pytest.fixture
def is_kept(request: pytest.FixtureRequest, browser: Browser) -> bool:
    """Whether the browser keeps pages whole for the Back button."""
    return bool(request.node.callspec.params["browser"] == "kept whole")


async def go(tab: Tab, direction: str) -> None:
    """Press Back or Forward; the diary begins anew, and the new page is there."""
    tab.diary.entries.clear()
    await tab.page.evaluate(f"setTimeout(() => history.{direction}())")


@pytest.mark.parametrize("direction", ["back", "forward"])
async def test_to_a_page_whose_session_ended_meanwhile(
    ada: Visitor, hub: Replica, direction: str, is_kept: bool
) -> None:
    """A page that was left before the logout never shows what is private, and goes to the login."""
    tab = await ada.tab(None)
    await tab.go("/help")
    await tab.enter()
    if direction == "back":
        await tab.go("/help")
    else:
        await go(tab, "back")
        await tab.page.wait_for_url("**/help")
    assert (await hub.call("POST", "/logout", token("ada", "phone"))).status == 200
    await go(tab, direction)
    assert (await tab.diary.wait("arrived"))["persisted"] is is_kept
    assert tab.diary.all("resumed") == (["hidden"] if is_kept else [])
    await tab.reach_login("user")
    assert await tab.stored() == KEPT
    assert tab.diary.all("shown") == []


async def test_back_after_the_logout_of_this_very_tab(ada: Visitor, is_kept: bool) -> None:
    """The page before the one with the button shows nothing either, and goes to the login page."""
    tab = await ada.tab()
    await tab.go("/private?second")
    await tab.diary.wait("shown", 2)
    await tab.click_logout()
    await tab.reach_login("user")
    await go(tab, "back")
    await tab.diary.wait("arrived")
    await tab.reach_login("user")
    assert await tab.stored() == KEPT
    assert tab.diary.all("shown") == []


async def test_back_while_logged_in_shows_the_page_once_it_is_confirmed(
    ada: Visitor, is_kept: bool
) -> None:
    """A page that comes back is hidden at first, and shown when the hub says that all is well."""
    tab = await ada.tab()
    await tab.go("/help")
    await go(tab, "back")
    await tab.diary.wait("shown")
    kinds = [what for what, _ in tab.diary.entries if what in ("arrived", "hidden", "shown")]
    assert kinds[-1] == "shown"
    assert kinds.count("shown") == 1
    assert (await tab.diary.wait("arrived"))["persisted"] is is_kept
    assert await tab.stored() == EVERYTHING
