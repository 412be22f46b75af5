"""A replica dies: what it held is seen to be gone, and the others do its work."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator

import pytest

from tests.ports import free_port
from tests.realtime.raw import eventually, raw_socket
from tests.site import SECRET, running, settings, token

LEASE_AND_MARGIN = 30.0


@pytest.fixture
async def doomed(redis_url: str) -> AsyncIterator[tuple[int, asyncio.subprocess.Process]]:
    """A replica in a process of its own, as `logout-hub serve` runs it."""
    port = free_port()
    environ = {
        **os.environ,
        "HUB_REDIS_URL": redis_url,
        "HUB_JWT_SECRET": SECRET,
        "HUB_PORT": str(port),
        "HUB_REPLICA": "doomed",
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "hub", "serve", env=environ, stderr=asyncio.subprocess.DEVNULL
    )
    yield port, process
    if process.returncode is None:
        process.kill()
    await process.wait()


async def test_sessions_of_a_killed_replica_turn_offline(
    redis_url: str, doomed: tuple[int, asyncio.subprocess.Process]
) -> None:
    """A session is online while its replica lives, and offline soon after that was killed."""
    port, process = doomed
    async with running(settings(redis_url=redis_url, replica="survivor")) as survivor:
        other = survivor.beside(port)

        async def up() -> bool:
            try:
                return (await other.call("GET", "/readyz")).status == 200
            except OSError:
                return False

        async def online() -> list[bool]:
            listed = await survivor.call("GET", "/sessions", token("ada", "watcher"))
            return [s["online"] for s in listed.body["sessions"] if s["sid"] == "s1"]

        await eventually(up)
        async with raw_socket(other) as raw:
            await raw.connect(token("ada", "s1"))
            assert await online() == [True]
            process.send_signal(signal.SIGKILL)
            assert await raw.receive_all() == []

            async def offline() -> bool:
                return await online() == [False]

            await eventually(offline, patience=LEASE_AND_MARGIN)
        assert (await survivor.call("DELETE", "/sessions/s1", token("ada"))).status == 200
