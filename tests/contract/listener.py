"""Listens to a store's log, for tests."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

from hub.errors import Unavailable
from hub.store.base import Confirmed, Event, Gap, Heard, Store
from tests.patience import PATIENCE


class Listener:
    """What a store's `follow` yields, kept as it comes."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._came = asyncio.Condition()

    async def listen(self, store: Store) -> None:
        """Keep what comes; ends by being cancelled, or with the store's error."""
        try:
            async with contextlib.aclosing(store.follow()) as events:
                async for event in events:
                    await self._note(event)
        finally:
            await self._note()

    async def listen_on(self, store: Store) -> None:
        """Listen, and begin again after each interruption; ends by being cancelled."""
        while True:
            with contextlib.suppress(Unavailable):
                await self.listen(store)
            await asyncio.sleep(0.05)

    async def _note(self, *events: Event) -> None:
        async with self._came:
            self.events += events
            self._came.notify_all()

    async def until(self, is_enough: Callable[[], bool]) -> None:
        """Return once what came is enough."""
        async with asyncio.timeout(PATIENCE), self._came:
            await self._came.wait_for(is_enough)

    async def confirmed(self) -> None:
        """Return once the store has confirmed again that all was heard."""
        before = self.count(Confirmed)
        await self.until(lambda: self.count(Confirmed) > before)

    def count(self, kind: type[Event]) -> int:
        """Return how many events of a kind came."""
        return sum(isinstance(event, kind) for event in self.events)

    @property
    def heard(self) -> list[Heard]:
        """The logouts that came."""
        return [event for event in self.events if isinstance(event, Heard)]

    async def hear(self, count: int) -> list[Heard]:
        """Return the first so many logouts."""
        await self.until(lambda: len(self.heard) >= count)
        return self.heard[:count]


@contextlib.asynccontextmanager
async def listening(store: Store) -> AsyncIterator[Listener]:
    """Listen inside the context, which is entered once every later logout will be heard."""
    listener = Listener()
    task = asyncio.create_task(listener.listen_on(store))
    try:
        await listener.until(lambda: listener.count(Confirmed) > 0)
        assert isinstance(listener.events[0], Gap | Heard | Confirmed)
        yield listener
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
