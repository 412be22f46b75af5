"""A logout in one tab logs out every tab of that user, and of nobody else."""

from __future__ import annotations

import asyncio

import pytest
from playwright.async_api import Browser

from tests.e2e.line import Line, line_to
from tests.e2e.shop import EVERYTHING, KEPT, Shop, Visitor, visit
from tests.site import Replica, token

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_five_tabs_of_two_browsers_end_together(
    browser: Browser, shop: Shop, ada: Visitor
) -> None:
    """A click clears five tabs in two browsers; a person beside keeps everything.

    All five say why, and reach the login page.
    """
    phone = await visit(await browser.new_context(), shop)
    grace = await visit(await browser.new_context(), shop)
    await phone.log_in("ada")
    await grace.log_in("grace")
    tabs = [await ada.tab() for _ in range(3)] + [await phone.tab() for _ in range(2)]
    beside = await grace.tab()
    for tab in [*tabs, beside]:
        assert await tab.stored() == EVERYTHING
    beside.diary.entries.clear()
    await tabs[1].click_logout()
    ends = await asyncio.gather(*(tab.diary.wait("logout") for tab in tabs))
    for tab, end in zip(tabs, ends, strict=True):
        await tab.reach_login("user")
        assert await tab.stored() == KEPT
        assert end["words"] == "user"
    clicked = await tabs[1].diary.wait("clicked")
    last = max(end["at"] for end in ends) - clicked
    print(f"from the click to the last of five tabs: {last:.0f} ms")  # noqa: T201
    assert last < 5000
    assert await beside.stored() == EVERYTHING
    assert beside.diary.entries == []


async def test_a_page_without_code_ends_with_its_twin(ada: Visitor) -> None:
    """The script tag alone, with the hub's cookie, clears both tabs and ends at the login page."""
    tabs = [await ada.tab("/plain") for _ in range(2)]
    await tabs[0].click_logout()
    for tab in tabs:
        await tab.reach_login()
        assert await tab.stored() == KEPT


async def test_a_session_beside_another_in_one_browser(ada: Visitor, hub: Replica) -> None:
    """When the tab of an older login ends, the newer one goes on and keeps its data."""
    older = await ada.tab()
    await ada.log_in("ada")
    newer = await ada.tab()
    assert (await hub.call("DELETE", "/sessions/ada-1", token("ada", "phone"))).status == 200
    await older.reach_login("user")
    assert newer.diary.all("logout") == []
    assert await newer.page.evaluate("window.hub.state") == "connected"
    assert await newer.stored() == EVERYTHING


LOOK = "dispatchEvent(new Event('online'))"
"""Has a page confirm its session, as when it comes back into view."""


async def test_a_tab_of_an_older_login_follows_the_newer_one(ada: Visitor, hub: Replica) -> None:
    """A tab that has learned of the user's newer login ends with that one, and not before."""
    older = await ada.tab("/private?stay")
    await ada.log_in("ada")
    newer = await ada.tab("/private?stay")
    await older.page.evaluate(LOOK)
    await older.diary.wait("connected", 2)
    assert await older.page.evaluate("window.hub.session") == "ada-2"
    await newer.page.evaluate("window.hub.logout({ scope: 'others' })")
    assert (await hub.call("GET", "/verify", token("ada", "ada-1"))).status == 401
    assert await older.page.evaluate("window.hub.state") == "connected"
    assert await newer.stored() == EVERYTHING
    assert (await hub.call("DELETE", "/sessions/ada-2", token("ada", "phone"))).status == 200
    for tab in (older, newer):
        assert (await tab.diary.wait("logout"))["words"] == "user"
        assert await tab.stored() == KEPT


@pytest.mark.parametrize("whose", ["ada", "eve"])
async def test_a_tab_of_an_older_login_spares_the_newer_one_at_the_provider(
    ada: Visitor, whose: str
) -> None:
    """A tab that a newer login has replaced does not ask the provider to log people out."""
    older = await ada.tab("/private?sso=asked")
    await ada.log_in(whose)
    newer = await ada.tab()
    async with older.page.expect_request(lambda request: "/sso" in request.url) as led:
        if whose == "ada":
            await newer.page.evaluate("window.hub.logout({ scope: 'others' })")
        else:
            await older.page.evaluate(LOOK)
    assert (await led.value).url.endswith("/sso?reauthenticate=false")
    assert await newer.page.evaluate("window.hub.state") == "connected"
    assert "account" in (await newer.stored())["local"]


async def test_a_tab_without_the_network_hears_of_it_from_the_tab_beside(
    ada: Visitor, hub: Replica, shop: Shop, line: Line
) -> None:
    """A tab that cannot reach the hub ends with the others of its browser."""
    async with line_to(hub.port) as other:
        shop.hub = other.url
        alone = await ada.tab()
        shop.hub = line.url
        beside = await ada.tab()
        other.cut()
        await alone.diary.wait("disconnected")
        await beside.click_logout()
        for tab in (alone, beside):
            await tab.reach_login("user")
            assert await tab.stored() == KEPT
