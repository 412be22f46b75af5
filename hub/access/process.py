"""Whether this process works at all, or has to be restarted: what liveness is answered from."""

from __future__ import annotations

import asyncio

import structlog

from hub.store.base import Store

log = structlog.get_logger(__name__)

CHECK_EVERY = 10.0


class ProcessCheck:
    """Checks the connections to the store every 10 s while `run` runs, however many ask here."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.is_stuck = False

    async def run(self) -> None:
        """Check again and again; ends by being cancelled."""
        while True:
            await asyncio.sleep(CHECK_EVERY)
            try:
                is_stuck = await self._store.is_stuck()
            except Exception:
                log.exception("the connections to the store could not be checked")
                continue
            if is_stuck and not self.is_stuck:
                log.error("the store answers others, but not this process: restart it")
            self.is_stuck = is_stuck
