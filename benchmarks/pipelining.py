"""What the hub's pipeline saves beside redis-py's own client: ``python -m benchmarks.pipelining``.

Both run the same small script on the same Redis, in turn, from one process under uvloop: by one
caller after the other, and by many callers at once, as sockets that connect together do. redis-py
is given each of its own ways: a connection per caller from its pool, and explicit pipelines.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeAlias

import uvloop
from redis.asyncio import Redis

from hub.store.connection import connection_pool
from hub.store.pipeline import Pipeline
from hub.store.script import Script, pack_values
from tests.redis_server import RedisServer

CALLS = 20_000
ROUNDS = 5
AT_ONCE = 100
SCRIPT, KEYS, VALUES = Script("rows"), ["hub:{0}:rows:x"], {"some": "values"}

Round: TypeAlias = Callable[[int], Awaitable[object]]
"""Makes this many calls at once."""


async def measure(calls: Round, at_once: int) -> tuple[float, float]:
    """Return calls a second, and microseconds of CPU that a call takes in this process."""
    number = CALLS if at_once > 1 else CALLS // 10
    began, used = time.perf_counter(), time.process_time()
    for _ in range(number // at_once):
        await calls(at_once)
    passed, worked = time.perf_counter() - began, time.process_time() - used
    return number / passed, worked / number * 1e6


def ways(pipeline: Pipeline, client: Redis) -> dict[str, Round]:
    """Return the ways to call, by name."""

    async def ours(number: int) -> None:
        await asyncio.gather(*(pipeline.call(SCRIPT, KEYS, VALUES) for _ in range(number)))

    def one() -> Awaitable[Any]:
        return client.evalsha(SCRIPT.sha, 1, *KEYS, pack_values(VALUES))

    async def pool(number: int) -> None:
        await asyncio.gather(*(one() for _ in range(number)))

    async def batch(number: int) -> None:
        async with client.pipeline(transaction=False) as commands:
            for _ in range(number):
                commands.evalsha(SCRIPT.sha, 1, *KEYS, pack_values(VALUES))
            await commands.execute()

    return {"the hub's pipeline": ours, "redis-py, its pool": pool, "redis-py, a batch": batch}


async def compare(url: str) -> None:
    """Print each way's best round, and its ratio to the hub's."""
    pipeline, client = Pipeline(connection_pool(url)), Redis.from_url(url)
    await client.script_load(SCRIPT.text)
    for at_once in (1, AT_ONCE):
        made = ways(pipeline, client)
        best = {name: (0.0, float("inf")) for name in made}
        for _ in range(ROUNDS):
            for name, calls in made.items():
                rate, cpu = await measure(calls, at_once)
                best[name] = (max(best[name][0], rate), min(best[name][1], cpu))
        rate, cpu = best["the hub's pipeline"]
        print(f"\n{at_once} at once{'calls/s':>22}{'ratio':>8}{'CPU us/call':>14}{'ratio':>8}")
        for name, (other, its) in best.items():
            print(f"{name:20}{other:>11.0f}{other / rate:>8.2f}{its:>14.1f}{its / cpu:>8.2f}")
    await pipeline.close()
    await client.aclose()


def main() -> None:
    """Compare on a Redis of this command's own."""
    with tempfile.TemporaryDirectory() as folder:
        server = RedisServer(Path(folder))
        server.start()
        try:
            uvloop.run(compare(server.url))
        finally:
            server.kill()


if __name__ == "__main__":
    main()
