"""A replica in a process of its own, which a test may kill."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from tests.apart import hub_process
from tests.commands import Running
from tests.ports import free_port
from tests.site import Replica


@contextlib.asynccontextmanager
async def running_apart(
    survivor: Replica, redis_url: str, **environ: str
) -> AsyncIterator[tuple[Replica, Running]]:
    """Run a replica beside ``survivor`` as `logout-hub serve` does, from when it is ready."""
    replica = survivor.beside(free_port())
    own = {"HUB_REDIS_URL": redis_url, "HUB_REPLICA": "doomed", **environ}
    async with hub_process(replica.port, replica.is_ready, **own) as process:
        yield replica, process
