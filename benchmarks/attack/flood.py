"""The attacker's process: ``python -m benchmarks.attack.flood NAME PORT REDIS_PORT SECONDS``.

Prepares, says ``ready``, waits for a line, floods, and prints what it counted as JSON.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import sys

import uvloop

from benchmarks.attack.floods import FLOODS
from benchmarks.attack.target import Target


async def _flood(name: str, target: Target, seconds: float) -> None:
    flood = next(flood for flood in FLOODS if flood.name == name)
    if flood.prepare is not None:
        await flood.prepare(target)
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await flood.run(target)
    print(json.dumps(target.counts), flush=True)


def main() -> None:
    """Flood."""
    name, port, redis_port, seconds = sys.argv[1:]
    gc.disable()
    uvloop.run(_flood(name, Target(int(port), int(redis_port)), float(seconds)))


if __name__ == "__main__":
    main()
