"""A tab that slept shows nothing private until it knows what happened meanwhile."""

from __future__ import annotations

import asyncio

from tests.e2e.line import Line
from tests.e2e.shop import EVERYTHING, KEPT, Tab, Visitor
from tests.site import Replica, token

# The clock of a page that slept for a minute: its timers stood still.
SLEPT = "{ const now = Date.now; Date.now = () => now() + 60_000; }"


async def set_frozen(tab: Tab, is_frozen: bool) -> None:
    """Freeze a tab as the browser does to save power, or wake it."""
    protocol = await tab.page.context.new_cdp_session(tab.page)
    state = "frozen" if is_frozen else "active"
    await protocol.send("Page.setWebLifecycleState", {"state": state})
    await protocol.detach()
    if not is_frozen:
        await tab.page.bring_to_front()


async def log_out_elsewhere(hub: Replica) -> None:
    """Log Ada out from her phone, and wait until nobody holds a socket any more."""
    answer = await hub.call("POST", "/logout?wait=5", token("ada", "phone"))
    assert answer.body["complete"] is True


async def test_a_frozen_tab_wakes_after_the_logout(ada: Visitor, hub: Replica) -> None:
    """It learns of the logout when it wakes, and shows nothing private before."""
    tab = await ada.tab()
    await set_frozen(tab, True)
    await log_out_elsewhere(hub)
    assert tab.diary.all("logout") == []
    tab.diary.entries.clear()
    await set_frozen(tab, False)
    await tab.reach_login("user")
    assert await tab.stored() == KEPT
    assert tab.diary.all("shown") == []


async def test_a_frozen_tab_wakes_and_all_is_well(ada: Visitor) -> None:
    """It hides what is private, asks, and shows it again."""
    tab = await ada.tab()
    await set_frozen(tab, True)
    tab.diary.entries.clear()
    await set_frozen(tab, False)
    await tab.diary.wait("shown")
    assert await tab.stored() == EVERYTHING


async def test_a_frozen_tab_that_wakes_late_undoes_no_fresh_login(
    ada: Visitor, hub: Replica
) -> None:
    """What it missed ends it alone: the login that came after it keeps its data and its socket."""
    late, beside = await ada.tab(), await ada.tab()
    await set_frozen(late, True)
    await beside.click_logout()
    await beside.reach_login("user")
    await ada.log_in("ada")
    await beside.enter()
    await set_frozen(late, False)
    await late.diary.wait("logout")
    await late.reach_login("user")
    assert late.diary.all("shown") == [None]
    assert await beside.stored() == EVERYTHING
    assert len(beside.diary.all("logout")) == 1
    assert await beside.page.evaluate("window.hub.state") == "connected"


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
    await asyncio.gather(tab.diary.wait("connected"), tab.diary.wait("shown"))
    assert await tab.stored() == EVERYTHING
