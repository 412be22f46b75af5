"""A logout on one device is a logout on every device, for real clients on real replicas."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import BrowserContext

from tests.e2e.people import (
    BrowserTab,
    PythonClient,
    StockClient,
    open_tab,
    python_client,
    stock_client,
)
from tests.site import ADMIN, Replica, running, settings, token

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(
    loop_scope="session", params=["two replicas on Redis", "one process in memory"]
)
async def replicas(request: pytest.FixtureRequest) -> AsyncIterator[tuple[Replica, Replica]]:
    """Two replicas that share a real Redis, or one process twice."""
    if request.param == "one process in memory":
        async with running(settings()) as one:
            yield one, one
        return
    url = request.getfixturevalue("redis_url")
    async with (
        running(settings(redis_url=url, replica="one")) as one,
        running(settings(redis_url=url, replica="two")) as two,
    ):
        yield one, two


@dataclass
class Crowd:
    """Ada on four devices of as many kinds, and Grace on one."""

    tab: BrowserTab
    other_tab: BrowserTab
    stock: StockClient
    python: PythonClient
    grace: PythonClient
    tokens: dict[str, str]

    async def notices(self) -> dict[str, list[Any]]:
        """Return the notifications that each of Ada's devices received so far."""
        return {
            "tab": await self.tab.told("notified"),
            "other tab": await self.other_tab.told("notified"),
            "stock": self.stock.diary.all("notified"),
            "python": self.python.diary.all("notified"),
        }


@pytest_asyncio.fixture(loop_scope="session")
async def crowd(replicas: tuple[Replica, Replica], context: BrowserContext) -> AsyncIterator[Crowd]:
    """Everybody is logged in."""
    one, two = replicas
    tokens = {name: token("ada", name) for name in ("tab", "other tab", "stock", "python")}
    tokens["grace"] = token("grace", "tab")
    async with contextlib.AsyncExitStack() as stack:
        enter = stack.enter_async_context
        tab = await open_tab(context, one, tokens["tab"])
        other_tab = await open_tab(context, two, tokens["other tab"])
        stock = await enter(stock_client(one, tokens["stock"]))
        python = await enter(python_client(two, tokens["python"]))
        grace = await enter(python_client(two, tokens["grace"]))
        await asyncio.gather(
            tab.wait("connected"),
            other_tab.wait("connected"),
            stock.diary.wait("connect"),
            python.diary.wait("connect"),
            grace.diary.wait("connect"),
        )
        yield Crowd(tab, other_tab, stock, python, grace, tokens)


async def refused_everywhere(replicas: tuple[Replica, Replica], spent: str, reason: str) -> None:
    """Check that a token is refused in every way, on every replica, with the right code."""
    for replica in replicas:
        for path in ("/session", "/sessions", "/verify"):
            answer = await replica.call("GET", path, spent)
            assert (answer.status, answer.code) == (401, "token_revoked")
            assert answer.body["reason"] == reason
        async with python_client(replica, spent) as again:
            refusal = await again.diary.wait("refused")
            assert refusal["message"] == "token_revoked"
            assert refusal["data"]["logout"]["reason"] == reason
            assert refusal["data"]["retryable"] is False


async def gone_everywhere(crowd: Crowd, reason: str) -> None:
    """Check that each of Ada's devices was notified once, cleared, and was cut."""
    await asyncio.gather(
        crowd.tab.wait("ended"),
        crowd.other_tab.wait("ended"),
        crowd.stock.diary.wait("disconnect"),
        crowd.python.diary.wait("disconnect"),
    )
    assert crowd.stock.diary.all("disconnect") == ["io server disconnect"]
    for device, notices in (await crowd.notices()).items():
        assert [notice["reason"] for notice in notices] == [reason], device
    kept = {"local": ["theme"], "session": ["given"]}
    if reason == "suspicious":
        # A device that may be in other hands keeps nothing.
        kept = {"local": [], "session": []}
    for tab in (crowd.tab, crowd.other_tab):
        assert await tab.storage() == kept


async def untouched(crowd: Crowd, replicas: tuple[Replica, Replica]) -> None:
    """Check that Grace was not notified and lost nothing."""
    assert crowd.grace.diary.entries == [("connect", None)]
    assert crowd.grace.io.connected
    for replica in replicas:
        assert (await replica.call("GET", "/verify", crowd.tokens["grace"])).status == 204


async def test_logout_of_all_reaches_every_device_once(
    replicas: tuple[Replica, Replica], crowd: Crowd
) -> None:
    """All four of Ada's devices are notified, clear, and are cut; Grace is not affected."""
    answer = await replicas[0].call("POST", "/logout", crowd.tokens["python"])
    assert answer.status == 200
    assert {s["sid"]: s["state"] for s in answer.body["sessions"]} == dict.fromkeys(
        ("tab", "other tab", "stock", "python"), "notified"
    )
    await gone_everywhere(crowd, "user")
    for name in ("tab", "other tab", "stock", "python"):
        await refused_everywhere(replicas, crowd.tokens[name], "user")
    await untouched(crowd, replicas)
    async with python_client(replicas[1], token("ada")) as fresh:
        await fresh.diary.wait("connect")


async def test_the_stock_client_learns_why_it_is_refused(
    replicas: tuple[Replica, Replica],
) -> None:
    """With default options (polling, then upgrade) a refusal comes with its code, and once."""
    spent = token("ada", "spent")
    await replicas[0].call("POST", "/logout", spent, json={"reason": "suspicious"})
    for options in ({}, {"transports": ["polling"]}, {"transports": ["websocket"]}):
        async with stock_client(replicas[1], spent, **options) as stock:
            refusal = await stock.diary.wait("refused")
            assert refusal["message"] == "token_revoked"
            assert refusal["data"]["logout"]["reason"] == "suspicious"
            assert refusal["active"] is False


async def test_logout_of_others_keeps_the_caller(
    replicas: tuple[Replica, Replica], crowd: Crowd
) -> None:
    """The device that asked stays connected and its token good; the others go."""
    body = {"scope": "others", "message": "Not me"}
    answer = await replicas[0].call("POST", "/logout", crowd.tokens["stock"], json=body)
    assert {s["sid"] for s in answer.body["sessions"]} == {"tab", "other tab", "python"}
    await asyncio.gather(
        crowd.tab.wait("ended"),
        crowd.other_tab.wait("ended"),
        crowd.python.diary.wait("disconnect"),
    )
    assert (await crowd.tab.told("notified"))[0]["message"] == "Not me"
    await refused_everywhere(replicas, crowd.tokens["tab"], "user")
    assert (await replicas[1].call("GET", "/verify", crowd.tokens["stock"])).status == 204
    assert crowd.stock.diary.all("notified") == crowd.stock.diary.all("disconnect") == []
    await untouched(crowd, replicas)


async def test_logout_of_one_session_by_its_id(
    replicas: tuple[Replica, Replica], crowd: Crowd
) -> None:
    """One device is ended from another one; everything else goes on."""
    answer = await replicas[1].call("DELETE", "/sessions/tab", crowd.tokens["python"])
    assert [s["sid"] for s in answer.body["sessions"]] == ["tab"]
    await crowd.tab.wait("ended")
    await refused_everywhere(replicas, crowd.tokens["tab"], "user")
    told = await crowd.notices()
    assert {device: len(notices) for device, notices in told.items()} == {
        "tab": 1,
        "other tab": 0,
        "stock": 0,
        "python": 0,
    }
    assert (await replicas[0].call("GET", "/verify", crowd.tokens["other tab"])).status == 204
    await untouched(crowd, replicas)


async def test_logout_over_the_socket_is_answered_before_the_cut(
    replicas: tuple[Replica, Replica], crowd: Crowd
) -> None:
    """The socket event does what the HTTP call does, and its caller gets the answer."""
    answer = await crowd.python.emit("logout", {"reason": "password_changed"})
    assert answer["ok"] is True
    assert answer["scope"] == "all"
    assert len(answer["sessions"]) == 4
    await gone_everywhere(crowd, "password_changed")
    await refused_everywhere(replicas, crowd.tokens["tab"], "password_changed")
    await untouched(crowd, replicas)


async def test_logout_in_the_browser_by_the_hubs_client(
    replicas: tuple[Replica, Replica], crowd: Crowd
) -> None:
    """A click in one tab ends all devices, and the promise of the client holds the answer."""
    answer = await crowd.tab.page.evaluate("window.hub.logout()")
    assert len(answer["sessions"]) == 4
    await gone_everywhere(crowd, "user")
    await untouched(crowd, replicas)


async def test_an_administrators_logout(replicas: tuple[Replica, Replica], crowd: Crowd) -> None:
    """An administrator ends all of a user's sessions, with words for the user."""
    body = {"user": "ada", "reason": "suspicious", "message": "Call us"}
    answer = await replicas[1].call("POST", "/admin/logout", ADMIN, json=body)
    assert len(answer.body["sessions"]) == 4
    await gone_everywhere(crowd, "suspicious")
    assert crowd.python.diary.all("notified")[0]["message"] == "Call us"
    await refused_everywhere(replicas, crowd.tokens["other tab"], "suspicious")
    await untouched(crowd, replicas)


async def test_a_logout_of_everyone(replicas: tuple[Replica, Replica], crowd: Crowd) -> None:
    """Everyone means everyone, and a new login right after works."""
    body = {"everyone": True, "reason": "policy"}
    answer = await replicas[0].call("POST", "/admin/logout", ADMIN, json=body)
    assert answer.body["everyone"] is True
    await gone_everywhere(crowd, "policy")
    await crowd.grace.diary.wait("disconnect")
    assert [n["reason"] for n in crowd.grace.diary.all("notified")] == ["policy"]
    for name in ("tab", "grace"):
        await refused_everywhere(replicas, crowd.tokens[name], "policy")
    for user in ("ada", "grace"):
        async with python_client(replicas[1], token(user)) as fresh:
            await fresh.diary.wait("connect")
