"""A computer that slept, or had no network, shows nothing private until the hub was asked."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from tests.e2e.line import Line
from tests.e2e.shop import EVERYTHING, KEPT, Visitor
from tests.site import Replica, token

pytestmark = pytest.mark.asyncio(loop_scope="session")

# The clock of a page that slept for a minute: its timers stood still.
SLEPT = "{ const now = Date.now; Date.now = () => now() + 60_000; }"


async def test_a_computer_wakes_without_a_network(ada: Visitor, hub: Replica, line: Line) -> None:
    """After sleep all stays hidden as long as the hub cannot be asked, then the logout counts."""
    tab = await ada.tab()
    tab.diary.entries.clear()
    line.cut()
    await tab.page.evaluate(SLEPT)
    await tab.diary.wait("hidden")
    assert (await hub.call("POST", "/logout", token("ada", "phone"))).status == 200
    line.mend()
    await tab.reach_login("user")
    assert tab.diary.all("shown") == []
    assert await tab.stored() == KEPT


async def test_a_tab_that_was_offline_during_the_logout(
    ada: Visitor, hub: Replica, line: Line
) -> None:
    """Back on the network it asks before it shows anything, and ends."""
    tab = await ada.tab()
    await ada.context.set_offline(True)
    line.cut()
    await tab.diary.wait("disconnected")
    assert (await hub.call("POST", "/logout", token("ada", "phone"))).status == 200
    line.mend()
    tab.diary.entries.clear()
    await ada.context.set_offline(False)
    await tab.reach_login("user")
    assert tab.diary.all("shown") == []
    assert await tab.stored() == KEPT


async def test_a_tab_that_was_offline_and_nothing_happened(ada: Visitor, line: Line) -> None:
    """Back on the network it is connected again and keeps everything."""
    tab = await ada.tab()
    await ada.context.set_offline(True)
    line.cut()
    await tab.diary.wait("disconnected")
    tab.diary.entries.clear()
    line.mend()
    await ada.context.set_offline(False)
    await tab.diary.wait("connected")
    # It may have been hidden for less than a frame.
    await expect(tab.page.get_by_role("main")).to_be_visible()
    assert await tab.stored() == EVERYTHING
