"""A logout without a network is true at once on this device, and later everywhere."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import pytest_asyncio

from tests.e2e.line import Line
from tests.e2e.people import python_client
from tests.e2e.shop import EVERYTHING, KEPT, Shop, Tab, Visitor
from tests.site import Replica, token

pytestmark = pytest.mark.asyncio(loop_scope="session")

PENDING = "logout-hub:pending"
OWED: dict[str, Any] = {**KEPT, "local": [PENDING, "theme"]}


async def lose_network(visitor: Visitor, line: Line) -> None:
    """Take the network away from all of a browser."""
    await visitor.context.set_offline(True)
    line.cut()


async def get_network(visitor: Visitor, line: Line) -> None:
    """Give it back."""
    line.mend()
    await visitor.context.set_offline(False)


async def log_out_offline(tab: Tab) -> None:
    """Log out in a tab without a network: it clears, and says how things stand."""
    await tab.click_logout()
    assert (await tab.diary.wait("logout"))["words"] == "user (not sent yet)"
    answer = await tab.diary.wait("answered")
    assert answer == {"pending": True, "scope": "all", "sessions": []}
    assert await tab.stored() == OWED


async def test_a_logout_without_a_network_is_sent_when_it_is_back(
    ada: Visitor, hub: Replica, line: Line
) -> None:
    """Two tabs clear at once and stay hidden; the phone goes on until the network is back."""
    tab, beside = await ada.tab("/private?stay"), await ada.tab("/private?stay")
    async with python_client(hub, token("ada", "phone")) as phone:
        await phone.diary.wait("connect")
        await lose_network(ada, line)
        await log_out_offline(tab)
        assert (await beside.diary.wait("logout"))["words"] == "user (not sent yet)"
        assert phone.diary.entries == [("connect", None)]
        tab.diary.entries.clear()
        await get_network(ada, line)
        # Either tab may be the first that is online again, and deliver it for both.
        waiting = [asyncio.create_task(one.diary.wait("delivered")) for one in (tab, beside)]
        (first, *_), others = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        assert (await first)["scope"] == "all"
        for other in others:
            other.cancel()
        await phone.diary.wait("notified")
    assert tab.diary.all("shown") == []
    assert await tab.stored() == await beside.stored() == KEPT


async def test_a_logout_over_a_socket_that_does_not_know_yet(ada: Visitor, line: Line) -> None:
    """If the network is down but the socket seems open, the page clears at once."""
    tab = await ada.tab("/private?stay")
    line.fall_silent()
    await ada.context.set_offline(True)
    assert tab.diary.all("disconnected") == []
    await log_out_offline(tab)
    took = tab.diary.all("logout")[0]["at"] - tab.diary.all("clicked")[0]
    assert took < 4500  # the answer over a socket is waited for longer


@pytest_asyncio.fixture(loop_scope="session")
async def owing(ada: Visitor, line: Line) -> Visitor:
    """Ada, whose browser has a logout yet to send, and no open tab."""
    tab = await ada.tab("/private?stay")
    await lose_network(ada, line)
    await log_out_offline(tab)
    await tab.page.close()
    await get_network(ada, line)
    return ada


async def test_a_logout_is_sent_by_a_tab_that_opens_later(owing: Visitor, hub: Replica) -> None:
    """The next page that is opened sends it first, shows nothing, and ends as well."""
    async with python_client(hub, token("ada", "phone")) as phone:
        await phone.diary.wait("connect")
        tab = await owing.tab(None)
        await tab.go("/private")
        await tab.reach_login("user")
        await phone.diary.wait("notified")
    assert tab.diary.all("shown") == []
    assert await tab.stored() == {**KEPT, "session": []}


async def test_a_logout_that_is_sent_late_undoes_no_fresh_login(
    owing: Visitor, hub: Replica
) -> None:
    """A new login of the same user stays; the devices from before are logged out."""
    async with python_client(hub, token("ada", "phone")) as phone:
        await phone.diary.wait("connect")
        await owing.log_in("ada")
        tab = await owing.tab()
        assert (await tab.diary.wait("delivered"))["scope"] == "others"
        await phone.diary.wait("notified")
    assert await tab.page.evaluate("window.hub.state") == "connected"
    assert tab.diary.all("logout") == []
    assert await tab.stored() == EVERYTHING
    assert (await hub.call("GET", "/verify", token("ada", "ada-1"))).status == 401
    assert (await hub.call("GET", "/verify", token("ada", "ada-2"))).status == 204


async def test_a_logout_that_is_sent_by_somebody_elses_tab(
    owing: Visitor, hub: Replica, shop: Shop
) -> None:
    """The next user of the computer keeps everything; the logout ends its owner's sessions."""
    await owing.log_in("grace")
    tab = await owing.tab()
    assert (await tab.diary.wait("delivered"))["scope"] == "all"
    assert await tab.page.evaluate("window.hub.state") == "connected"
    assert tab.diary.all("logout") == []
    assert await tab.stored() == EVERYTHING
    assert (await hub.call("GET", "/verify", token("ada", "ada-1"))).status == 401
    assert (await hub.call("GET", "/verify", token("grace", "grace-2"))).status == 204
