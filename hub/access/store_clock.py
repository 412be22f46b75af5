"""The store's time, without asking the store for it each time."""

from __future__ import annotations

import asyncio
import contextlib

from hub.core.model import Micros, seconds
from hub.errors import Unavailable
from hub.store.base import Store

EVERY = 1.0


class StoreClock:
    """The difference between the store's clock and the running loop's, measured each second."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._difference: float | None = None

    async def run(self) -> None:
        """Measure until cancelled; while the store does not answer, the last measure counts."""
        while True:
            with contextlib.suppress(Unavailable):
                await self.measure()
            await asyncio.sleep(EVERY)

    @property
    def is_known(self) -> bool:
        """Whether it was measured."""
        return self._difference is not None

    async def measure(self) -> None:
        """Ask the store. The time counts from the arrival of the answer, so it is never too late.

        Raises:
            Unavailable: if the store does not answer.
        """
        now: Micros = await self._store.now()
        self._difference = seconds(now) - asyncio.get_running_loop().time()

    def at(self, time: float) -> float:
        """Return the store's time, in NumericDate seconds, at a time of the loop."""
        if self._difference is None:
            raise RuntimeError("the store's clock was not measured")
        return time + self._difference
