"""Stalls of the machine, as the watcher of a fault run notes them."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Sequence

from tests.faults.history import History
from tests.faults.stalls import STALL, watch_stalls
from tests.realtime.raw import eventually
from tests.redis_server import RedisServer

PAUSE = 2.0


@contextlib.asynccontextmanager
async def watching(ports: Sequence[int]) -> AsyncIterator[History]:
    """Watch for stalls for the length of the context."""
    history = History(epoch=0.0)
    watch = asyncio.create_task(watch_stalls(ports, history))
    try:
        yield history
    finally:
        watch.cancel()
        await asyncio.gather(watch, return_exceptions=True)


async def test_a_redis_that_stands_still_is_a_stall(own_redis: RedisServer) -> None:
    """It lasts from the request that was not answered until the answer."""
    async with watching([own_redis.port]) as history:
        paused = time.monotonic()
        own_redis.pause()
        await asyncio.sleep(PAUSE)
        resumed = time.monotonic()
        own_redis.resume()
        await eventually(lambda: any(fault.end > resumed for fault in history.faults))
    longest = max(history.faults, key=lambda fault: fault.end - fault.start)
    assert (longest.kind, longest.target) == (STALL, None)
    assert longest.start < resumed
    assert longest.end > paused + PAUSE


async def test_a_process_that_stands_still_is_a_stall(redis_server: RedisServer) -> None:
    """The links to Redis belong to this process, so they stood still as well."""
    async with watching([redis_server.port]) as history:
        await asyncio.sleep(0)
        time.sleep(PAUSE)  # noqa: ASYNC251 - this is the fault
        await eventually(lambda: bool(history.faults))
    assert max(fault.end - fault.start for fault in history.faults) >= PAUSE


async def test_a_node_that_stands_still_beside_others_is_no_stall(
    own_redis: RedisServer, redis_server: RedisServer
) -> None:
    """While any node answers, the machine does not stand still."""
    async with watching([own_redis.port, redis_server.port]) as history:
        own_redis.pause()
        await asyncio.sleep(PAUSE)
        own_redis.resume()
    assert all(fault.end - fault.start < PAUSE for fault in history.faults)


async def test_a_redis_that_is_killed_is_no_stall(own_redis: RedisServer) -> None:
    """That it is away is said by the fault itself."""
    own_redis.kill()
    async with watching([own_redis.port]) as history:
        await asyncio.sleep(PAUSE)
    assert all(fault.end - fault.start < PAUSE for fault in history.faults)
