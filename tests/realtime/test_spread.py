"""Logouts that are spread over time, on several replicas."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import AsyncExitStack

import pytest

from hub.realtime.delivery import spread_evenly
from hub.realtime.rounds import LARGE
from tests.realtime.raw import RawSocket, raw_socket
from tests.site import ADMIN, running, settings, token

SOCKETS, SPREAD = 100, 6


@pytest.mark.parametrize("parts", [1, 16, 32, 100])
def test_many_small_parts_are_even_together(parts: int) -> None:
    """However a logout is divided, each tenth of its spread has about a tenth of the sockets."""
    tenths: Counter[int] = Counter()
    for _ in range(parts):
        sockets = list(range(3200 // parts))
        batches = spread_evenly(sockets, 200)
        assert sorted(item for batch in batches.values() for item in batch) == sockets
        for step, batch in batches.items():
            tenths[step // 20] += len(batch)
    # 320 are expected, and chance alone moves that by less than 20.
    assert max(tenths.values()) < 420
    assert min(tenths[tenth] for tenth in range(10)) > 220


async def test_a_spread_is_kept_over_replicas_and_partitions(redis_url: str) -> None:
    """100 sockets of 100 users on two replicas are notified evenly over the spread."""
    given = settings(redis_url=redis_url, notice_grace=0.2)
    loop = asyncio.get_running_loop()

    async def told_at(raw: RawSocket) -> float:
        assert "logoutNotification" in str(await asyncio.wait_for(raw.receive(), SPREAD + 9))
        return loop.time()

    async with AsyncExitStack() as stack:
        hubs = [await stack.enter_async_context(running(given)) for _ in range(2)]
        sockets = []
        for number in range(SOCKETS):
            raw = await stack.enter_async_context(raw_socket(hubs[number % 2]))
            await raw.connect(token(f"user-{number}", "s"))
            sockets.append(raw)
        waiting = [asyncio.create_task(told_at(raw)) for raw in sockets]
        began = loop.time()
        body = {"everyone": True, "reason": "policy", "spread_seconds": SPREAD}
        answer = await hubs[0].call("POST", "/admin/logout", ADMIN, json=body)
        assert answer.status == 200
        ages = sorted([at - began for at in await asyncio.gather(*waiting)])
    # A tenth of them belong into each tenth of the time.
    assert sum(age < SPREAD / 10 for age in ages) < 30
    assert 25 < sum(age < SPREAD / 2 for age in ages) < 75
    assert sum(age > 0.9 * SPREAD for age in ages) > 0


async def test_the_sockets_of_a_large_logout_are_cut_together_and_all_acknowledged() -> None:
    """Each socket is notified and cut, and the receipt says that each acknowledged."""
    count = 2 * LARGE
    async with AsyncExitStack() as stack:
        hub = await stack.enter_async_context(running(settings(notice_grace=30)))
        sockets = []
        for number in range(count):
            raw = await stack.enter_async_context(raw_socket(hub))
            await raw.connect(token(f"user-{number}", "s"))
            sockets.append(raw)
        body = {"everyone": True, "reason": "policy"}
        ended = await hub.call("POST", "/admin/logout", ADMIN, json=body)
        for raw in sockets:
            frame = str(await raw.receive())
            await raw.send(f"43{frame[2 : frame.index('[')]}[]")
        for raw in sockets:
            assert await raw.receive_all() == ["41"]
        address = f"/logouts/{ended.body['id']}?wait=10"
        receipt = await hub.call("GET", address, ADMIN)
    assert receipt.body["complete"]
    assert receipt.body["states"]["acknowledged"] == count
