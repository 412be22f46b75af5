"""After a replica was killed, its sessions turn offline, and the other replicas take over."""

from __future__ import annotations

import signal

from tests.e2e.apart import running_apart
from tests.realtime.raw import eventually, raw_socket
from tests.site import running, settings, token

LEASE_AND_MARGIN = 30.0


async def test_sessions_of_a_killed_replica_turn_offline(redis_url: str) -> None:
    """A session is online while its replica lives, and offline soon after that was killed."""
    async with (
        running(settings(redis_url=redis_url, replica="survivor")) as survivor,
        running_apart(survivor, redis_url) as (doomed, process),
    ):

        async def online() -> list[bool]:
            listed = await survivor.call("GET", "/sessions", token("ada", "watcher"))
            return [s["online"] for s in listed.body["sessions"] if s["sid"] == "s1"]

        async with raw_socket(doomed) as raw:
            await raw.connect(token("ada", "s1"))
            assert await online() == [True]
            process.send_signal(signal.SIGKILL)
            assert await raw.receive_all() == []

            async def offline() -> bool:
                return await online() == [False]

            await eventually(offline, patience=LEASE_AND_MARGIN)
        assert (await survivor.call("DELETE", "/sessions/s1", token("ada"))).status == 200
