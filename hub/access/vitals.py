"""Whether this process can do its work at all, or has to be started anew."""

from __future__ import annotations

import asyncio

import structlog

from hub.store.base import Store

log = structlog.get_logger(__name__)

LOOK_EVERY = 10.0


class Vitals:
    """Looks at the store's connections at its own pace, whoever asks, for as long as `run` runs."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.is_stuck = False

    async def run(self) -> None:
        """Look again and again; ends by being cancelled."""
        while True:
            await asyncio.sleep(LOOK_EVERY)
            try:
                is_stuck = await self._store.is_stuck()
            except Exception:
                log.exception("the store's connections could not be looked at")
                continue
            if is_stuck and not self.is_stuck:
                log.error("the store answers others, and not this process: it has to be restarted")
            self.is_stuck = is_stuck
