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

from benchmarks.attack.field import Field
from benchmarks.attack.floods import FLOODS


async def _flood(name: str, field: Field, seconds: float) -> None:
    flood = next(flood for flood in FLOODS if flood.name == name)
    if flood.prepare is not None:
        await flood.prepare(field)
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await flood.run(field)
    print(json.dumps(field.counts), flush=True)


def main() -> None:
    """Flood."""
    name, port, redis_port, seconds = sys.argv[1:]
    gc.disable()
    uvloop.run(_flood(name, Field(int(port), int(redis_port)), float(seconds)))


if __name__ == "__main__":
    main()
