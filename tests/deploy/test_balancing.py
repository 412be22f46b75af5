"""Clients of every transport are spread over the replicas, and stay where they must."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest

from tests.deploy.balancers import Front
from tests.deploy.devices import DEFAULT, POLLING, WEBSOCKET, devices, javascript_device
from tests.deploy.raw import handshake
from tests.patience import PATIENCE
from tests.site import token

EVERY_KIND = [WEBSOCKET, WEBSOCKET, DEFAULT, DEFAULT, POLLING, POLLING]


@pytest.mark.parametrize(
    ("options", "transport"),
    [(WEBSOCKET, "websocket"), (POLLING, "polling"), (DEFAULT, "websocket")],
    ids=["websocket only", "polling only", "polling, then upgraded"],
)
async def test_clients_are_spread_and_stay(
    front: Front, http: aiohttp.ClientSession, options: dict[str, Any], transport: str
) -> None:
    """Both replicas get stock clients of each kind, and each client stays on its replica."""
    async with devices(front, http, *[options] * 6) as crowd:
        assert {device.homes[0] for device in crowd} == {"a", "b"}
        for device in crowd:
            answer = await device.io.call("refresh", {"token": device.token}, timeout=PATIENCE)
            assert answer["ok"] is True
            assert device.transport == transport
            assert len(device.homes) == 1


async def test_a_logout_reaches_every_client(front: Front, http: aiohttp.ClientSession) -> None:
    """A logout through the balancer notifies clients of every kind on both replicas."""
    async with devices(front, http, *EVERY_KIND) as crowd:
        assert {device.homes[0] for device in crowd} == {"a", "b"}
        headers = {"Authorization": f"Bearer {crowd[0].token}"}
        async with http.post("/logout", headers=headers) as answer:
            assert answer.status == 200
            receipt = await answer.json()
        assert [session["state"] for session in receipt["sessions"]] == ["notified"] * len(crowd)
        for device in crowd:
            assert (await device.wait_for_notice())["id"] == receipt["id"]


async def test_stock_javascript_clients_upgrade(
    front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Node's stock client polls, is upgraded, and is notified of a logout."""
    monkeypatch.setenv("NODE_EXTRA_CA_CERTS", str(front.certificate))
    user = f"grace of {front.name}"
    async with (
        javascript_device(front, token(user)) as one,
        javascript_device(front, token(user)) as two,
        javascript_device(front, token(user)) as three,
    ):
        for client in (one, two, three):
            assert await client.diary.wait("upgrade") == "websocket"
            await client.diary.wait("connect")
        assert (await one.emit("logout", {}))["ok"] is True
        for client in (one, two, three):
            assert (await client.diary.wait("notified"))["scope"] == "all"


async def test_an_unknown_session_is_refused_by_a_hub(
    front: Front, http: aiohttp.ClientSession
) -> None:
    """An unknown session id gets 400 from a hub, not from the balancer."""
    for sid in 2 * ("nobody.c", "nobody.a", "nobody", "", "."):
        query = {"EIO": "4", "transport": "polling", "sid": sid}
        async with http.get("/socket.io/", params=query) as answer:
            assert answer.status == 400
            assert await answer.json() == {"code": 1, "message": "Session ID unknown"}


async def test_a_session_id_ends_in_its_replicas_name(
    front: Front, http: aiohttp.ClientSession
) -> None:
    """New sessions are spread over the replicas, and their ids name the replica."""
    assert {(await handshake(http)).rpartition(".")[2] for _ in range(6)} == {"a", "b"}
