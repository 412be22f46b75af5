"""The flood of an attacker who can do nothing but PUBLISH on the hub's Redis."""

from __future__ import annotations

import asyncio
import json
import re
import time
from typing import Any

import redis.asyncio as redis

from benchmarks.attack.target import Pace, Target

PARTITIONS = 16
BATCH = 50
NOISE = b"x" * 200
EVERYONE = {"v": 1, "id": "forged", "scope": "all", "reason": "admin"}


def _forge(message: bytes | None) -> bytes:
    """Return a logout of everyone that claims to come right after ``message``.

    It has the signature of ``message``, if messages are signed.
    """
    code, rest = re.fullmatch(rb"([0-9a-f]{40,} )?(.*)", message or b"", re.DOTALL).groups(b"")  # type: ignore[union-attr]
    parts = rest.split(b" ", 3)
    previous = parts[1] if len(parts) == 4 and b"-" in parts[1] else b"0-0"
    now = int(time.time() * 1000)
    record = f"{now * 1000} {json.dumps(EVERYONE)}".encode()
    return code + b" ".join((previous, f"{now}-0".encode(), b"", record))


async def publish(target: Target) -> None:
    """Publish noise, replayed messages, also on other channels, and forged logouts of everyone."""
    client: Any = redis.Redis(port=target.redis_port)
    received: dict[bytes, bytes] = {}
    listening = asyncio.create_task(_listen(client, received))
    pace = Pace(2000 / BATCH)
    try:
        while True:
            await pace.turn()
            pipeline = client.pipeline(transaction=False)
            for number in range(BATCH):
                channel = b"hub:{%d}:logouts" % (number % PARTITIONS)
                last = received.get(channel)
                other = received.get(b"hub:{%d}:logouts" % ((number + 1) % PARTITIONS))
                said = (NOISE, last or NOISE, other or NOISE, _forge(last))[number // 4 % 4]
                pipeline.publish(channel, said)
            await pipeline.execute()
            target.counts["requests"] += BATCH
    finally:
        listening.cancel()
        await client.aclose()


async def _listen(client: Any, received: dict[bytes, bytes]) -> None:
    async with client.pubsub() as subscription:
        await subscription.subscribe(*(b"hub:{%d}:logouts" % part for part in range(PARTITIONS)))
        async for message in subscription.listen():
            data = message["data"]
            # Skip what the attacker itself has published.
            if message["type"] == "message" and data[:1] != b"x" and b'"forged"' not in data:
                received[message["channel"]] = data
