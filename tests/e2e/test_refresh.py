"""A token that ends soon is replaced in time, and replacing it brings no session back."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Request, WebSocket

from tests.e2e.line import Line
from tests.e2e.shop import EVERYTHING, KEPT, Shop, Tab, Visitor
from tests.realtime.raw import eventually
from tests.site import Replica, token

pytestmark = pytest.mark.asyncio(loop_scope="session")

LIFETIME = 10.0
"""Seconds of a token, of which the last fifth is what a busy machine has for a refresh."""


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


def is_for_token(request: Request) -> bool:
    """Tell whether a page asks the app for a token."""
    return request.url.endswith("/token")


@pytest_asyncio.fixture(loop_scope="session")
async def tab(ada: Visitor, shop: Shop) -> Tab:
    """A tab whose tokens expire within seconds, and that stays after a logout."""
    shop.lifetime = LIFETIME
    return await ada.tab(None)


async def test_a_token_is_replaced_over_the_socket(tab: Tab, shop: Shop, hub: Replica) -> None:
    """The same socket outlives its first token, and is notified of a logout after that."""
    wire = Wire(tab)
    await tab.enter()
    first = await shop.diary.wait("token")
    await shop.diary.wait("token", 3)
    await eventually(lambda: wire.refreshes == 2)
    assert (await hub.call("GET", "/verify", first)).code == "token_expired"
    assert wire.sockets == 1
    assert await tab.stored() == EVERYTHING
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
    # What is left after a refresh that failed, a fifth of a fifth, must be enough for another.
    shop.lifetime = 25.0
    await tab.enter()
    shop.fails = 1
    await shop.diary.wait("token", 2)
    await eventually(lambda: wire.refreshes == 1)
    assert (wire.sockets, shop.fails) == (1, 0)
    assert tab.diary.all("logout") == []


async def test_a_token_that_ended_is_replaced(tab: Tab, shop: Shop) -> None:
    """When the newer token comes only after the end, the page connects again and keeps all."""
    wire = Wire(tab)
    shop.lifetime = 4.5  # what is left after a refresh that failed must not be worth another
    await tab.enter()
    shop.fails = 1
    await tab.diary.wait("connected", 2)
    assert (wire.sockets, wire.refreshes) == (2, 0)
    assert tab.diary.all("logout") == []
    assert await tab.stored() == EVERYTHING


@contextlib.asynccontextmanager
async def token_on_its_way(tab: Tab, shop: Shop) -> AsyncIterator[None]:
    """Have the page ask for a newer token, which comes when this ends."""
    async with tab.page.expect_request_finished(is_for_token):
        shop.gives_tokens.clear()
        async with tab.page.expect_request(is_for_token):
            pass
        yield
        shop.gives_tokens.set()


async def test_a_token_that_comes_while_a_logout_is_under_way(
    tab: Tab, shop: Shop, line: Line
) -> None:
    """While a logout is pending, a new token does not extend the session."""
    wire = Wire(tab)
    await tab.enter("/private?stay")
    before = wire.refreshes
    async with token_on_its_way(tab, shop):
        line.fall_silent()
        await tab.click_logout()
    await asyncio.sleep(LIFETIME / 4)  # its token has ended by now
    assert tab.diary.all("logout") == []
    assert wire.refreshes == before
    line.mend()
    assert (await tab.diary.wait("logout"))["words"] == "user"
    assert (await tab.diary.wait("answered"))["scope"] == "all"


async def test_a_logout_while_a_token_is_on_its_way(tab: Tab, shop: Shop, hub: Replica) -> None:
    """The newer token that comes after the click is not used, and brings nothing back."""
    wire = Wire(tab)
    await tab.enter("/private?stay")
    before = wire.refreshes
    async with token_on_its_way(tab, shop):
        await tab.click_logout()
        assert (await tab.diary.wait("logout"))["words"] == "user"
    # Whatever it would do with that token, it would do within its next steps.
    await asyncio.sleep(1)
    assert (wire.sockets, wire.refreshes) == (1, before)
    assert await tab.page.evaluate("window.hub.state") == "ended"
    assert await tab.stored() == KEPT
    late = shop.diary.all("token")[-1]
    assert (await hub.call("GET", "/verify", late)).code == "token_revoked"
