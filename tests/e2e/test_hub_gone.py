"""A restart of the hub, or the death of a replica, logs nobody out."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.e2e.apart import running_apart
from tests.e2e.line import Line, line_to
from tests.e2e.shop import COOKIE, EVERYTHING, KEPT, Shop, Tab, Visitor, hub_settings
from tests.site import Replica, running, token

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(loop_scope="session")
async def hub(shop: Shop, redis_url: str) -> AsyncIterator[Replica]:
    """A replica that runs until the end."""
    async with running(hub_settings(shop, redis_url=redis_url, replica="survivor")) as replica:
        yield replica


@pytest_asyncio.fixture(loop_scope="session")
async def line(shop: Shop, hub: Replica) -> AsyncIterator[Line]:
    """The connection from pages to the hub, at first to nothing."""
    async with line_to(0) as open_now:
        shop.hub = open_now.url
        yield open_now


async def follow(tab: Tab, line: Line, hub: Replica) -> None:
    """Redirect a tab to the surviving replica, where it is notified of a logout."""
    await tab.diary.wait("disconnected")
    line.target = hub.port
    await tab.diary.wait("connected")
    assert tab.diary.all("logout") == tab.diary.all("hidden") == []
    assert await tab.stored() == EVERYTHING
    assert (await hub.call("POST", "/logout", token("ada", "phone"))).status == 200
    await tab.reach_login("user")
    assert await tab.stored() == KEPT


async def test_the_hub_is_restarted(
    ada: Visitor, hub: Replica, shop: Shop, redis_url: str, line: Line
) -> None:
    """A page reconnects after a restart, has lost nothing, and is notified of the next logout."""
    async with running(hub_settings(shop, redis_url=redis_url, replica="before")) as before:
        line.target = before.port
        tab = await ada.tab()
        tab.diary.entries.clear()
    await follow(tab, line, hub)


async def test_a_replica_is_killed(
    ada: Visitor, hub: Replica, shop: Shop, redis_url: str, line: Line
) -> None:
    """A page reconnects to the other replica, and is notified of the next logout."""
    environ = {"HUB_ALLOWED_ORIGINS": shop.url, "HUB_COOKIE_NAME": COOKIE}
    async with running_apart(hub, redis_url, **environ) as (doomed, process):
        line.target = doomed.port
        tab = await ada.tab()
        tab.diary.entries.clear()
        process.send_signal(signal.SIGKILL)
        await follow(tab, line, hub)
