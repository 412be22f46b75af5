"""A replica dies or is drained: its clients soon move to the other one, by themselves."""

from __future__ import annotations

import asyncio
import secrets
import signal
import time
from collections.abc import Callable

import aiohttp
import pytest

from tests.deploy.balancers import Front, run_haproxy
from tests.deploy.devices import (
    DEFAULT,
    POLLING,
    WEBSOCKET,
    Device,
    devices,
    javascript_device,
)
from tests.deploy.hubs import Hub, Hubs
from tests.deploy.raw import handshake
from tests.patience import PATIENCE
from tests.realtime.raw import eventually
from tests.redis_server import RedisServer
from tests.site import token

DRAIN_LIMIT = 25.0
CROWD = [WEBSOCKET, WEBSOCKET, DEFAULT, DEFAULT, POLLING, POLLING]


def bearer(given: str) -> dict[str, str]:
    """Return the headers of a request with a token."""
    return {"Authorization": f"Bearer {given}"}


def fresh() -> str:
    """Return a token of a new user."""
    return token(f"user-{secrets.token_hex(6)}")


async def all_on_b(crowd: list[Device]) -> None:
    """Wait until those who were on the first replica are on the second; the rest must have stayed.

    A client may need more than one try: what it saw last may still be the old replica.
    """
    moved = [device for device in crowd if device.homes[0] == "a"]
    assert 0 < len(moved) < len(crowd)
    for device in moved:
        while device.homes[-1] != "b":
            await device.wait_for_homes(len(device.homes) + 1)
    assert all(device.homes == ["b"] for device in crowd if device not in moved)


async def drain(hub: Hub) -> None:
    """Stop a replica with SIGTERM."""
    hub.signal(signal.SIGTERM)
    assert await asyncio.to_thread(hub.wait, DRAIN_LIMIT) == 0


async def until_new_clients(
    http: aiohttp.ClientSession, are_on: Callable[[set[str]], bool]
) -> None:
    """Wait until a statement about the replicas for new clients is true."""
    used: set[str] = set()
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        used = {(await handshake(http)).rpartition(".")[2] for _ in range(6)}
        if are_on(used):
            return
        await asyncio.sleep(0.2)
    raise AssertionError(f"new clients are sent to {used}")


async def is_alive(hub: Hub, given: str) -> bool:
    """Ask a replica directly whether a token is still accepted."""
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{hub.url}/session", headers=bearer(given)) as answer,
    ):
        return answer.status == 200


async def test_clients_of_a_killed_replica_move(front: Front, http: aiohttp.ClientSession) -> None:
    """Clients of every kind come back on the other replica after SIGKILL, and are logged out there.

    Nobody new is sent to the dead one: requests, logouts too, are answered all the time.
    """
    async with devices(front, http, *CROWD) as crowd:
        polled = next(device.io.eio.sid for device in crowd if device.homes[0] == "a")
        front.hubs.a.kill()
        for _ in range(4):
            assert (await handshake(http)).endswith(".b")
            async with http.get("/session", headers=bearer(fresh())) as answer:
                assert answer.status == 200
            async with http.post("/logout", headers=bearer(fresh())) as answer:
                assert answer.status == 200
        query = {"EIO": "4", "transport": "polling", "sid": polled}
        async with http.get("/socket.io/", params=query) as answer:
            assert (answer.status, (await answer.json())["code"]) == (400, 1)
        await all_on_b(crowd)
        async with http.post("/logout", headers=bearer(crowd[0].token)) as answer:
            assert answer.status == 200
        for device in crowd:
            await device.wait_for_notice()


async def test_what_was_sent_is_repeated_only_when_it_is_safe(
    front: Front, http: aiohttp.ClientSession
) -> None:
    """When a replica dies over requests, GETs are answered by the other, logouts by an error.

    A logout that was sent may have been done; only its sender knows whether to repeat it. nginx
    takes DELETE for harmless to repeat, HAProxy does not.
    """

    async def ask(method: str, path: str, given: str) -> int:
        async with http.request(method, path, headers=bearer(given)) as answer:
            return answer.status

    async def ask_in_vain(method: str, path: str, tokens: list[str]) -> list[asyncio.Task[int]]:
        tasks = [asyncio.create_task(ask(method, path, given)) for given in tokens]
        _, waiting = await asyncio.wait(tasks, timeout=0.5)
        assert len(waiting) == len(tokens)
        return tasks

    a, b = front.hubs.a, front.hubs.b
    leavers = [fresh() for _ in range(4)]
    # While both are stopped, the balancer can only give each of them its share.
    a.signal(signal.SIGSTOP)
    b.signal(signal.SIGSTOP)
    try:
        reading = await ask_in_vain("GET", "/session", [fresh() for _ in range(4)])
        deleting = await ask_in_vain("DELETE", "/sessions/none", [fresh() for _ in range(4)])
        leaving = await ask_in_vain("POST", "/logout", leavers)
        a.kill()
    finally:
        b.signal(signal.SIGCONT)
    assert set(await asyncio.gather(*reading)) == {200}
    assert set(await asyncio.gather(*deleting)) == ({404} if front.name == "nginx" else {404, 502})
    statuses = await asyncio.gather(*leaving)
    assert set(statuses) == {200, 502}
    for given, status in zip(leavers, statuses, strict=True):
        assert await is_alive(b, given) is (status == 502)


async def test_a_replica_is_drained(front: Front, http: aiohttp.ClientSession) -> None:
    """After SIGTERM a replica's clients move to the other, it ends, and no request fails."""
    given, statuses = fresh(), []

    async def ask() -> None:
        while True:
            async with http.get("/session", headers=bearer(given)) as answer:
                statuses.append(answer.status)
            await handshake(http)
            await asyncio.sleep(0.02)

    async with devices(front, http, *[WEBSOCKET, DEFAULT] * 3) as crowd:
        asking = asyncio.create_task(ask())
        try:
            await drain(front.hubs.a)
            await all_on_b(crowd)
            await eventually(lambda: len(statuses) > 10 or asking.done())
            assert not asking.done()
        finally:
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
    assert set(statuses) == {200}


async def test_a_replica_that_is_not_ready_gets_nobody_new(
    hubs: Hubs, own_redis: RedisServer
) -> None:
    """HAProxy asks /readyz: a replica without its store gets no new clients."""
    cut_off = Hub("b", own_redis.url)
    cut_off.start()
    try:
        cut_off.wait_until_ready()
        with run_haproxy(Hubs(hubs.a, cut_off)) as front:
            async with front.client() as http:
                await until_new_clients(http, lambda used: "b" in used)
                own_redis.kill()
                await until_new_clients(http, lambda used: "b" not in used)
                own_redis.start()
                await until_new_clients(http, lambda used: "b" in used)
    finally:
        cut_off.kill()


# What is told to one who polls is the hub's matter, so one balancer is enough.
@pytest.mark.parametrize("front", ["haproxy"], indirect=True)
async def test_pythons_clients_that_poll_are_drained(
    front: Front, http: aiohttp.ClientSession
) -> None:
    """After SIGTERM python-socketio's clients that only poll move to the other replica."""
    async with devices(front, http, *[POLLING] * 4) as crowd:
        await drain(front.hubs.a)
        async with asyncio.timeout(PATIENCE):
            await all_on_b(crowd)


async def test_javascript_clients_come_back(
    front: Front, http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Node's stock clients reconnect by themselves after SIGTERM, and after SIGKILL."""
    monkeypatch.setenv("NODE_EXTRA_CA_CERTS", str(front.certificate))
    a, b = front.hubs.a, front.hubs.b
    b.kill()
    async with (
        javascript_device(front, fresh(), **DEFAULT) as upgraded,
        javascript_device(front, fresh(), **POLLING) as polling,
    ):
        both = (upgraded.diary, polling.diary)
        for diary in both:
            await diary.wait("connect", 1)
        await asyncio.to_thread(front.hubs.heal)
        await until_new_clients(http, lambda used: "b" in used)
        await drain(a)
        for diary in both:
            await diary.wait("connect", 2)
        await asyncio.to_thread(front.hubs.heal)
        await until_new_clients(http, lambda used: "a" in used)
        b.kill()
        for diary in both:
            await diary.wait("connect", 3)
            assert set(diary.all("disconnect")) <= {"transport close", "transport error"}
