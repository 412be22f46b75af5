"""What a logout leaves in a browser, by profile, and what it says that it could not clear."""

from __future__ import annotations

import json

import pytest
from playwright.async_api import BrowserContext, WebSocket

from tests.e2e.line import Line
from tests.e2e.people import open_tab, until_true
from tests.e2e.shop import KEPT, NOTHING, Tab, Visitor
from tests.site import ADMIN, Replica, token

pytestmark = pytest.mark.asyncio(loop_scope="session")

# No push service can be reached from here: the browser's part of a subscription is played.
SUBSCRIBED = """PushManager.prototype.getSubscription = async () => ({
  unsubscribe: async () => window.tell("unsubscribed"),
});"""
# A page that does not let go of its database when it is asked to.
HOLD = """new Promise((resolve) => {
  const request = indexedDB.open("orders");
  request.onsuccess = () => resolve((window.held = request.result) && undefined);
})"""


@pytest.mark.parametrize(("reason", "left"), [("admin", KEPT), ("suspicious", NOTHING)])
async def test_a_lost_device_keeps_nothing(
    ada: Visitor, hub: Replica, reason: str, left: object
) -> None:
    """An ordinary logout spares the keep-list and the workers; a suspicious one spares nothing."""
    tab = await ada.tab(None)
    await tab.page.add_init_script(SUBSCRIBED)
    await tab.enter()
    body = {"user": "ada", "reason": reason, "message": "Call us"}
    await hub.call("POST", "/admin/logout", ADMIN, json=body)
    await tab.reach_login(f"{reason}: Call us")
    assert await tab.stored() == left
    assert tab.diary.all("unsubscribed") == [None]


def watch_acks(tab: Tab) -> list[object]:
    """Return a list that grows by each acknowledgement that the page sends."""
    acks: list[object] = []

    def on_frame(frame: str | bytes) -> None:
        if str(frame).startswith("43"):
            acks.append(json.loads(str(frame)[str(frame).index("[") :])[0])

    def on_socket(socket: WebSocket) -> None:
        socket.on("framesent", on_frame)

    tab.page.on("websocket", on_socket)
    return acks


async def test_what_could_not_be_cleared_is_named_to_the_hub(ada: Visitor, hub: Replica) -> None:
    """A database that a page keeps open is reported; it is deleted once the page closes it."""
    tab = await ada.tab(None)
    acks = watch_acks(tab)
    await tab.enter()
    await tab.page.evaluate(HOLD)
    assert (await hub.call("POST", "/logout", token("ada", "phone"))).status == 200
    await tab.reach_login("user")
    assert acks == [{"cleared": False, "failed": ["indexedDB"]}]
    await until_true(tab.page, "async () => (await indexedDB.databases()).length === 1")
    assert await tab.stored() == KEPT


async def test_clearing_by_the_browser_itself_spares_the_keep_list(
    context: BrowserContext, hub: Replica, line: Line
) -> None:
    """If Clear-Site-Data makes the browser clear all, the keep-list is restored."""
    line.block_sockets()
    tab = await open_tab(context, hub.beside(line.port), token("ada"))
    await tab.wait("polling")
    async with tab.page.expect_response("**/logout") as answered:
        await tab.page.evaluate("window.hub.logout()")
    assert "clear-site-data" in await (await answered.value).all_headers()
    assert await tab.storage() == {"local": ["theme"], "session": ["given"]}
