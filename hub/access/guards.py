"""The guards that read the feed: each is sent the same bytes, and a confirmation of its own.

What is published is sent at once, and what is published while that is being sent, together: the
more guards there are, the larger the batches, so that sending takes half of the replica's time at
most.
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
"""Guards that are sent something without a pause in between."""

LONGEST_PAUSE = 0.1
"""After each batch there is a pause as long as sending took, but not longer than this."""

MOST_UNSENT = 4 * 1024 * 1024
"""Bytes that a guard may leave unread; one that has read less far is cut."""

MOST_WAITING = 32 * 1024 * 1024
"""Bytes that may wait for a guard that is still being sent what was in force."""

LATE = 2.0
"""Seconds by which a partition is less sure than the others, so that it is named."""


class Stream(Protocol):
    """The response to a guard.

    ``ended`` is set when nothing more is to be sent. ``is_too_slow`` if that is because the guard
    did not read.
    """

    ended: asyncio.Event
    is_too_slow: bool

    @property
    def unsent(self) -> int:
        """The number of bytes that are waiting."""
        ...

    def send(self, piece: Piece) -> None:
        """Send events; does nothing once it has ended."""
        ...

    async def drain(self) -> None:
        """Wait until most of it is sent, or it has ended."""
        ...

    def cut(self) -> None:
        """Close it without sending what is waiting, since the guard does not read."""
        ...


class Guard:
    """A guard; ``since`` is the time of the loop when its request was received.

    What is published waits until the guard has all that was before, and is live.
    """

    __slots__ = ("is_live", "since", "stream", "waiting", "waiting_bytes")

    def __init__(self, stream: Stream, since: float) -> None:
        self.stream = stream
        self.since = since
        self.is_live = False
        self.waiting: deque[Piece] = deque()
        self.waiting_bytes = 0


class Moment(msgspec.Struct, frozen=True):
    """Up to where and when everything was sent.

    ``id`` is the text of the position, ``until`` is a time of the loop, ``at`` the store's then.
    ``late`` are the partitions of which less is sure, each with its own time of the loop.
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
    """Return the moment at a position, with the time until which each partition is sure.

    ``at`` returns the store's time at a time of the loop.
    """
    newest = max(sure)
    until = min(time for time in sure if time >= newest - LATE)
    late = {number: time for number, time in enumerate(sure) if time < until}
    return Moment(encode_position(position), until, round(at(until), 6), late)


class Guards:
    """The connected guards that are sent what is published.

    ``measure`` returns up to where and when everything was published by now.
    """

    def __init__(self, measure: Callable[[], Moment]) -> None:
        self._measure = measure
        self._guards: set[Guard] = set()
        self._pending: list[bytes] = []
        self._wake = asyncio.Event()
        self._moment: Moment | None = None

    @property
    def moment(self) -> Moment:
        """Up to where and when everything was sent to all of them, or waits for them."""
        if self._moment is None:
            raise RuntimeError("there was no guard yet")
        return self._moment

    def __len__(self) -> int:
        return len(self._guards)

    def add(self, guard: Guard) -> None:
        """Let what is published from now on wait for a guard, which then learns all before it."""
        if not self._guards:
            self._moment = self._measure()
        self._guards.add(guard)

    def discard(self, guard: Guard) -> None:
        """Send nothing more to a guard."""
        self._guards.discard(guard)

    def publish(self, events: bytes) -> None:
        """Send events to all of them, soon."""
        self._pending.append(events)
        self._wake.set()

    async def go_live(self, guard: Guard) -> None:
        """Send what has waited for a guard, which is sent everything else at once from now on."""
        while guard.waiting and not guard.stream.ended.is_set():
            piece = guard.waiting.popleft()
            guard.waiting_bytes -= len(piece.plain)
            guard.stream.send(piece)
            await guard.stream.drain()
        guard.is_live = True

    async def run(self) -> None:
        """Send what is published, and confirm it, until cancelled."""
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
        """Tell a guard up to where and when it has everything."""
        data = msgspec.json.encode(moment.confirm(guard.since))
        self._give(guard, Piece(encode_event("confirmed", data, moment.id)))

    async def _each(self) -> AsyncIterator[Guard]:
        """Yield those that are there now, with pauses for whatever else the replica does."""
        for number, guard in enumerate(list(self._guards), 1):
            if guard in self._guards:
                yield guard
            if number % AT_ONCE == 0:
                await asyncio.sleep(0)

    def _give(self, guard: Guard, piece: Piece) -> None:
        if guard.is_live:
            guard.stream.send(piece)
            is_slow = guard.stream.unsent > MOST_UNSENT
        else:
            guard.waiting.append(piece)
            guard.waiting_bytes += len(piece.plain)
            is_slow = guard.waiting_bytes > MOST_WAITING
        if is_slow:
            self.discard(guard)
            guard.stream.cut()
