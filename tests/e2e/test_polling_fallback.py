"""Where no WebSocket gets through, a logout is noticed all the same."""

from __future__ import annotations

import time

import pytest

from tests.e2e.line import line_to
from tests.e2e.shop import KEPT, Shop, Visitor
from tests.site import Replica, token

pytestmark = pytest.mark.asyncio(loop_scope="session")

# What is promised: polling has taken over by then, in seconds.
LIMIT = 20.0


async def test_polling_takes_over(ada: Visitor, hub: Replica, shop: Shop) -> None:
    """Within 20 s a page polls, even if WebSockets hang, and is notified of a logout."""
    async with line_to(hub.port) as refusing, line_to(hub.port) as silent, line_to(hub.port) as cut:
        shop.hub = cut.url
        connected = await ada.tab()
        cut.block_sockets()
        refusing.block_sockets()
        silent.block_sockets(swallow=True)
        tabs = [connected]
        began = time.monotonic()
        for line in (refusing, silent):
            shop.hub = line.url
            tabs.append(await ada.tab(None))
            await tabs[-1].go("/private")
        for tab in tabs:
            await tab.diary.wait("polling", patience=2 * LIMIT)
        took = time.monotonic() - began
        for tab in tabs:
            await tab.diary.wait("filled")
            assert tab.diary.all("logout") == []
        assert (await hub.call("POST", "/logout", token("ada", "phone"))).status == 200
        for tab in tabs:
            await tab.reach_login("user")
            assert await tab.stored() == KEPT
        assert took < LIMIT
