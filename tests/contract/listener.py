"""Listens to a store's log, for tests."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

from hub.errors import Unavailable
from hub.store.base import Store
from hub.store.values import Confirmed, Event, Gap, Interrupted, LogoutEvent
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

    async def confirmed(self, partitions: Iterable[int] = ()) -> None:
        """Return once the store has confirmed all partitions again, or some of them.

        Without any it is enough that something is confirmed.
        """
        wanted, start = set(partitions), len(self.events)

        def is_confirmed() -> bool:
            told = [event for event in self.events[start:] if isinstance(event, Confirmed)]
            return bool(told) and wanted <= set[int]().union(*(one.partitions for one in told))

        await self.until(is_confirmed)

    async def until_live(self, write: Callable[[], Awaitable[object]]) -> None:
        """Write logouts until one is received live; each is received."""
        async with asyncio.timeout(PATIENCE):
            while not (self.heard and self.heard[-1].is_live):
                count = len(self.heard)
                await write()
                await self.hear(count + 1)

    @property
    def gaps(self) -> Counter[int]:
        """How many gaps there were in each partition."""
        gaps = (event for event in self.events if isinstance(event, Gap))
        return Counter(number for gap in gaps for number in gap.partitions)

    def count(self, kind: type[Event]) -> int:
        """Return how many events of a kind came."""
        return sum(isinstance(event, kind) for event in self.events)

    @property
    def heard(self) -> list[LogoutEvent]:
        """The logouts that came."""
        return [event for event in self.events if isinstance(event, LogoutEvent)]

    async def hear(self, count: int) -> list[LogoutEvent]:
        """Return the first so many logouts."""
        await self.until(lambda: len(self.heard) >= count)
        return self.heard[:count]


@contextlib.asynccontextmanager
async def listening(store: Store) -> AsyncIterator[Listener]:
    """Listen inside the context, which is entered once every later logout will be received."""
    listener = Listener()
    task = asyncio.create_task(listener.listen_on(store))
    try:
        await listener.until(lambda: listener.count(Confirmed) > 0)
        assert isinstance(listener.events[0], Gap | LogoutEvent | Interrupted | Confirmed)
        yield listener
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
