"""Checks whether this process must be restarted, for the liveness probe."""

from __future__ import annotations

import asyncio

import structlog

from hub.store.base import Store

log = structlog.get_logger(__name__)

CHECK_EVERY = 10.0


class ProcessCheck:
    """Checks the connections to the store every 10 s while `run` runs."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.is_stuck = False

    async def run(self) -> None:
        """Check repeatedly, until cancelled."""
        while True:
            await asyncio.sleep(CHECK_EVERY)
            try:
                is_stuck = await self._store.is_stuck()
            except Exception:
                log.exception("the connections to the store could not be checked")
                continue
            if is_stuck and not self.is_stuck:
                log.error("the connection to the store is stuck: restart this process")
            self.is_stuck = is_stuck
