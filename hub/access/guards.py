"""The guards that read the feed: all are sent the same events, and each its own confirmations.

Events are sent at once; those published while others are being sent form the next batch. The more
guards there are, the larger the batches, so that sending takes at most half of the replica's time.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Protocol

import msgspec

from hub.core.event_stream import Piece, encode_event
from hub.core.feed import Confirmation
from hub.core.feed_position import FeedPosition, encode_position

CONFIRM_EVERY = 1.0
"""Seconds between two confirmations."""

AT_ONCE = 50
"""Guards that are sent something without a pause."""

LONGEST_PAUSE = 0.1
"""After each batch comes a pause as long as sending took, but at most this long."""

MAX_UNSENT = 4 * 1024 * 1024
"""Bytes that a guard may leave unread before it is cut."""

MAX_WAITING = 32 * 1024 * 1024
"""Bytes that may wait for a guard that is still being brought up to date."""

LATE = 2.0
"""Seconds that a partition may be behind the newest before confirmations name it as late."""


class Stream(Protocol):
    """The response to a guard.

    ``ended`` is set when nothing more will be sent, ``is_too_slow`` says that this is because the
    guard did not read.
    """

    ended: asyncio.Event
    is_too_slow: bool

    @property
    def unsent(self) -> int:
        """The number of bytes in the write buffer."""
        ...

    def send(self, piece: Piece) -> None:
        """Send events; does nothing once the stream has ended."""
        ...

    async def drain(self) -> None:
        """Wait until most of the buffer is sent, or the stream has ended."""
        ...

    def cut(self) -> None:
        """Abort the connection, since the guard does not read."""
        ...


class Guard:
    """A guard; ``since`` is the time of the loop when its request was received.

    Until it is live, published events wait for it, while it is sent what was before them.
    """

    __slots__ = ("is_live", "since", "stream", "waiting", "waiting_bytes")

    def __init__(self, stream: Stream, since: float) -> None:
        self.stream = stream
        self.since = since
        self.is_live = False
        self.waiting: deque[Piece] = deque()
        self.waiting_bytes = 0


class Moment(msgspec.Struct, frozen=True):
    """The position and the time up to which everything was sent.

    ``id`` is the position as text, ``until`` a time of the loop, and ``at`` the store's time then.
    ``late`` has the partitions that are behind, each with its own time of the loop.
    """

    id: str
    until: float
    at: float
    late: dict[int, float]

    def confirm(self, since: float) -> Confirmation:
        """Return the confirmation for a guard whose request was received at ``since``."""
        late = {number: round(time - since, 6) for number, time in self.late.items()}
        return Confirmation(at=self.at, elapsed=round(self.until - since, 6), late=late)


def sum_up(position: FeedPosition, sure: list[float], at: Callable[[float], float]) -> Moment:
    """Return the moment at a position; ``sure`` has the time up to which each partition is known.

    ``at`` converts a time of the loop to the store's time.
    """
    newest = max(sure)
    until = min(time for time in sure if time >= newest - LATE)
    late = {number: time for number, time in enumerate(sure) if time < until}
    return Moment(encode_position(position), until, round(at(until), 6), late)


class Guards:
    """The connected guards.

    ``measure`` returns the moment up to which everything has been published.
    """

    def __init__(self, measure: Callable[[], Moment]) -> None:
        self._measure = measure
        self._guards: set[Guard] = set()
        self._pending: list[bytes] = []
        self._wake = asyncio.Event()
        self._moment: Moment | None = None

    @property
    def moment(self) -> Moment:
        """The moment up to which everything was sent to all of them, or waits for them."""
        if self._moment is None:
            raise RuntimeError("there was no guard yet")
        return self._moment

    def __len__(self) -> int:
        return len(self._guards)

    def add(self, guard: Guard) -> None:
        """Add a guard: what is published from now on waits until it is up to date."""
        if not self._guards:
            self._moment = self._measure()
        self._guards.add(guard)

    def discard(self, guard: Guard) -> None:
        """Send nothing more to a guard."""
        self._guards.discard(guard)

    def publish(self, events: bytes) -> None:
        """Send events to all guards, soon."""
        self._pending.append(events)
        self._wake.set()

    async def go_live(self, guard: Guard) -> None:
        """Send a guard what has waited for it; from now on, it is sent everything at once."""
        while guard.waiting and not guard.stream.ended.is_set():
            piece = guard.waiting.popleft()
            guard.waiting_bytes -= len(piece.plain)
            guard.stream.send(piece)
            await guard.stream.drain()
        guard.is_live = True

    async def run(self) -> None:
        """Send and confirm what is published, until cancelled."""
        clock = asyncio.get_running_loop().time
        due = clock()
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(due):
                    await self._wake.wait()
            self._wake.clear()
            began = clock()
            if self._guards:
                await self._send_pending()
            if began >= due:
                due = began + CONFIRM_EVERY
                await self._confirm()
            await asyncio.sleep(min(clock() - began, LONGEST_PAUSE))

    async def _send_pending(self) -> None:
        moment, events = self._measure(), self._pending
        self._pending = []
        if events:
            piece = Piece(b"".join(events))
            async for guard in self._each():
                self._give(guard, piece)
        self._moment = moment

    async def _confirm(self) -> None:
        if not self._guards:
            return
        moment = self.moment
        async for guard in self._each():
            if guard.is_live:
                self.confirm(guard, moment)

    def confirm(self, guard: Guard, moment: Moment) -> None:
        """Send a guard the confirmation that it has everything up to a moment."""
        data = msgspec.json.encode(moment.confirm(guard.since))
        self._give(guard, Piece(encode_event("confirmed", data, moment.id)))

    async def _each(self) -> AsyncIterator[Guard]:
        """Yield the guards that are connected now, pausing for other tasks."""
        for number, guard in enumerate(list(self._guards), 1):
            if guard in self._guards:
                yield guard
            if number % AT_ONCE == 0:
                await asyncio.sleep(0)

    def _give(self, guard: Guard, piece: Piece) -> None:
        if guard.is_live:
            guard.stream.send(piece)
            is_slow = guard.stream.unsent > MAX_UNSENT
        else:
            guard.waiting.append(piece)
            guard.waiting_bytes += len(piece.plain)
            is_slow = guard.waiting_bytes > MAX_WAITING
        if is_slow:
            self.discard(guard)
            guard.stream.cut()
