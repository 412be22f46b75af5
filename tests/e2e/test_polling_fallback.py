"""Where no WebSocket gets through, a logout is noticed all the same."""

from __future__ import annotations

import time

import pytest

from tests.e2e.line import Line
from tests.e2e.shop import KEPT, Visitor
from tests.site import Replica, token

# What is promised: polling has taken over by then.
LIMIT = 20.0


@pytest.mark.parametrize("way", ["refused", "swallowed"])
async def test_polling_takes_over(ada: Visitor, hub: Replica, line: Line, way: str) -> None:
    """Polls take over within 20 s, whether WebSockets are refused or never answered; a logout is
    noticed by them."""
    line.block_sockets(swallow=way == "swallowed")
    tab = await ada.tab(None)
    began = time.monotonic()
    await tab.go("/private")
    await tab.diary.wait("polling", patience=2 * LIMIT)
    took = time.monotonic() - began
    await tab.diary.wait("filled")
    assert (await hub.call("POST", "/logout", token("ada", "phone"))).status == 200
    await tab.reach_login("user")
    assert await tab.stored() == KEPT
    assert took < LIMIT


async def test_a_socket_that_is_blocked_later(ada: Visitor, hub: Replica, line: Line) -> None:
    """A page that was connected goes on by polls, and keeps everything until the logout."""
    tab = await ada.tab()
    line.block_sockets()
    await tab.diary.wait("polling")
    assert tab.diary.all("logout") == []
    assert (await hub.call("POST", "/logout", token("ada", "phone"))).status == 200
    await tab.reach_login("user")
    assert await tab.stored() == KEPT
