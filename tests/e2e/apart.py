"""A replica in a process of its own, which a test may kill."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator

from tests.ports import free_port
from tests.realtime.raw import eventually
from tests.site import SECRET, Replica


@contextlib.asynccontextmanager
async def running_apart(
    survivor: Replica, redis_url: str, **environ: str
) -> AsyncIterator[tuple[Replica, asyncio.subprocess.Process]]:
    """Run a replica beside ``survivor`` as `logout-hub serve` does, from when it is ready."""
    replica = survivor.beside(free_port())
    own = {
        "HUB_REDIS_URL": redis_url,
        "HUB_JWT_SECRET": SECRET,
        "HUB_PORT": str(replica.port),
        "HUB_REPLICA": "doomed",
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "hub", "serve"),
        env={**os.environ, **own, **environ},
        stderr=asyncio.subprocess.DEVNULL,
    )

    async def is_ready() -> bool:
        try:
            return (await replica.call("GET", "/readyz")).status == 200
        except OSError:
            return False

    try:
        await eventually(is_ready)
        yield replica, process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
