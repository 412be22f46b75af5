"""A token that ends soon is replaced in time, and replacing it brings no session back."""

from __future__ import annotations

import asyncio

import pytest
from playwright.async_api import WebSocket

from tests.e2e.shop import EVERYTHING, KEPT, Shop, Tab, Visitor
from tests.site import Replica, token

LIFETIME = 3.0


class Wire:
    """The WebSockets that a page opens, and the events that it sends over them."""

    def __init__(self, tab: Tab) -> None:
        self.sockets = 0
        self.sent: list[str] = []
        tab.page.on("websocket", self._on_socket)

    def _on_socket(self, socket: WebSocket) -> None:
        self.sockets += 1
        socket.on("framesent", lambda frame: self.sent.append(str(frame)))

    @property
    def refreshes(self) -> int:
        """How often a newer token was sent."""
        return sum('["refresh"' in frame for frame in self.sent)


@pytest.fixture
async def tab(ada: Visitor, shop: Shop) -> Tab:
    """A tab whose tokens live for seconds, and that stays after a logout."""
    shop.lifetime = LIFETIME
    return await ada.tab(None)


async def test_a_token_is_replaced_over_the_socket(tab: Tab, shop: Shop, hub: Replica) -> None:
    """The same socket outlives three tokens, and hears of the logout after that."""
    wire = Wire(tab)
    await tab.enter()
    while len(shop.given) < 4:
        await asyncio.sleep(0.1)
    assert (await hub.call("GET", "/verify", shop.given[0])).code == "token_expired"
    assert await tab.stored() == EVERYTHING
    assert (wire.sockets, wire.refreshes) == (1, 3)
    assert (await hub.call("POST", "/logout", token("ada", "phone"))).status == 200
    await tab.reach_login("user")


async def test_a_token_that_is_not_replaced_ends_the_session(tab: Tab, shop: Shop) -> None:
    """When the app gives no newer token, the page is cleared as the token ends, and says so."""
    await tab.enter()
    shop.refuses_tokens = True
    await tab.reach_login("expired")
    assert await tab.stored() == KEPT


async def test_a_refresh_that_failed_is_tried_again(tab: Tab, shop: Shop) -> None:
    """When the app cannot give a newer token for a moment, nobody is logged out."""
    wire = Wire(tab)
    await tab.enter()
    shop.fails = 1
    while len(shop.given) < 3:
        await asyncio.sleep(0.1)
    assert tab.diary.all("logout") == []
    assert (wire.sockets, shop.fails) == (1, 0)


async def test_a_logout_while_a_token_is_on_its_way(tab: Tab, shop: Shop, hub: Replica) -> None:
    """The newer token that comes after the click is not used, and brings nothing back."""
    wire = Wire(tab)
    await tab.enter("/private?stay")
    shop.gives_tokens.clear()
    await tab.page.wait_for_request("**/token")
    await tab.click_logout()
    await tab.diary.wait("logout")
    shop.gives_tokens.set()
    await tab.page.wait_for_event("requestfinished", lambda request: "/token" in request.url)
    # Whatever it would do with that token, it would do within its next steps.
    await asyncio.sleep(1)
    assert (wire.sockets, wire.refreshes) == (1, 0)
    assert await tab.page.evaluate("window.hub.state") == "ended"
    assert await tab.stored() == KEPT
    assert (await hub.call("GET", "/verify", shop.given[-1])).code == "token_revoked"
