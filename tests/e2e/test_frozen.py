"""A tab that the browser froze shows nothing private until it knows what happened meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import BrowserContext, CDPSession, async_playwright, expect

from tests.e2e.line import Line
from tests.e2e.people import chromium
from tests.e2e.shop import EVERYTHING, KEPT, Tab, Visitor
from tests.ports import free_port
from tests.site import Replica, token

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(loop_scope="session")
async def context() -> AsyncIterator[BrowserContext]:
    """The windows of a browser that people use: a tab behind another is hidden, and may freeze."""
    port = free_port()
    async with (
        chromium(f"--remote-debugging-port={port}", with_windows=True),
        async_playwright() as playwright,
    ):
        address = f"http://127.0.0.1:{port}"
        browser = await playwright.chromium.connect_over_cdp(address, no_defaults=True)
        yield browser.contexts[0]


class Frozen:
    """A frozen tab."""

    def __init__(self, tab: Tab, protocol: CDPSession) -> None:
        self._tab = tab
        self._protocol = protocol

    async def wake(self) -> None:
        """Wake the tab, and look at it; its diary begins anew."""
        self._tab.diary.entries.clear()
        await self._protocol.send("Page.setWebLifecycleState", {"state": "active"})
        await self._tab.page.bring_to_front()


@contextlib.asynccontextmanager
async def frozen(tab: Tab, other: Tab) -> AsyncIterator[Frozen]:
    """Freeze a tab behind another one, as the browser does to save power."""
    await other.page.bring_to_front()
    protocol = await tab.page.context.new_cdp_session(tab.page)
    await protocol.send("Page.setWebLifecycleState", {"state": "frozen"})
    await tab.diary.wait("frozen")
    yield Frozen(tab, protocol)


async def test_a_frozen_tab_wakes_after_the_logout(ada: Visitor, hub: Replica) -> None:
    """A frozen tab is not notified, and shows nothing private until the hub has answered."""
    tab, beside = await ada.tab(), await ada.tab(None)
    async with frozen(tab, beside) as ice:
        answer = await hub.call("POST", "/logout?wait=6", token("ada", "phone"))
        assert answer.body["complete"] is True
        assert tab.diary.all("logout") == []
        await ice.wake()
    await tab.reach_login("user")
    assert tab.diary.all("resumed") == ["hidden"]
    assert await tab.stored() == KEPT
    assert tab.diary.all("shown") == []


async def test_a_frozen_tab_wakes_without_a_network(ada: Visitor, line: Line) -> None:
    """What is private stays hidden while the hub cannot be asked, and is shown when all is well."""
    tab, beside = await ada.tab(), await ada.tab(None)
    async with frozen(tab, beside) as ice:
        line.cut()
        await ice.wake()
        await tab.diary.wait("hidden")
    line.mend()
    await tab.diary.wait("shown")
    await expect(tab.page.locator("main")).to_be_visible()
    assert await tab.stored() == EVERYTHING


async def test_a_frozen_tab_that_wakes_late_undoes_no_fresh_login(ada: Visitor) -> None:
    """A late tab ends alone: a newer login keeps its data and its socket."""
    late, beside = await ada.tab(), await ada.tab()
    async with frozen(late, beside) as ice:
        await beside.click_logout()
        await beside.reach_login("user")
        await ada.log_in("ada")
        beside.diary.entries.clear()
        await beside.enter()
        # Whatever it had begun to wait for would be over by now.
        await asyncio.sleep(2)
        await ice.wake()
    await late.diary.wait("logout")
    await late.reach_login("user")
    assert late.diary.all("shown") == []
    assert beside.diary.all("logout") == []
    assert await beside.page.evaluate("window.hub.state") == "connected"
    assert await beside.stored() == EVERYTHING
