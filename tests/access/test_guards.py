"""Guards are sent the same bytes, in order, and are cut when they do not read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from hub.access import guards
from hub.access.guards import Guard, Guards, Moment, sum_up
from hub.core.event_stream import Piece
from hub.core.feed_position import FeedPosition
from tests.patience import PATIENCE
from tests.realtime.raw import eventually

POSITION = FeedPosition(b"8 bytes.", ("5-0",))


class Stream:
    """A response that keeps what it is sent; ``unsent`` is as if the client did not read."""

    def __init__(self) -> None:
        self.ended = asyncio.Event()
        self.is_too_slow = False
        self.unsent = 0
        self.pieces: list[Piece] = []

    def send(self, piece: Piece) -> None:
        """Keep it."""
        self.pieces.append(piece)

    async def drain(self) -> None:
        """Let others run."""
        await asyncio.sleep(0)

    def cut(self) -> None:
        """End."""
        self.is_too_slow = True
        self.ended.set()

    @property
    def text(self) -> bytes:
        """All that was sent."""
        return b"".join(piece.plain for piece in self.pieces)

    async def until(self, text: bytes) -> None:
        """Wait until it was sent a text."""
        await eventually(lambda: text in self.text)


@asynccontextmanager
async def running() -> AsyncIterator[Guards]:
    """Send what is published for the length of the context."""
    clock = asyncio.get_running_loop().time
    made = Guards(lambda: sum_up(POSITION, [clock()], lambda time: 1e9))
    task = asyncio.create_task(made.run())
    try:
        yield made
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_all_are_sent_the_same_bytes() -> None:
    """Encoded once, also compressed, however many guards there are."""
    streams = [Stream() for _ in range(3 * guards.AT_ONCE)]
    async with running() as made:
        for stream in streams:
            guard = Guard(stream, 0.0)
            made.add(guard)
            await made.go_live(guard)
        made.publish(b"one")
        made.publish(b"two")
        await streams[-1].until(b"two")
        await asyncio.gather(*(stream.until(b"event: confirmed") for stream in streams))
    sent = {id(piece) for stream in streams for piece in stream.pieces if b"two" in piece.plain}
    assert len(sent) == 1


async def test_what_is_published_waits_for_a_guard_that_is_not_live_yet() -> None:
    """It comes after what was in force, in order; then everything at once."""
    stream = Stream()
    async with running() as made:
        guard = Guard(stream, 0.0)
        made.add(guard)
        made.publish(b"one,")
        await asyncio.sleep(0.05)
        made.publish(b"two,")
        await asyncio.sleep(0.05)
        assert stream.text == b""
        await made.go_live(guard)
        made.publish(b"three,")
        await stream.until(b"three,")
        assert stream.text.startswith(b"one,two,")


@pytest.mark.parametrize("is_live", [True, False])
async def test_a_guard_that_does_not_read_is_cut(
    is_live: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At a bound of bytes, and nobody else is."""
    monkeypatch.setattr(guards, "MAX_WAITING", 100)
    slow, other = Stream(), Stream()
    slow.unsent = guards.MAX_UNSENT + 1
    async with running() as made:
        both = [Guard(slow, 0.0), Guard(other, 0.0)]
        for guard in both:
            made.add(guard)
        await made.go_live(both[1])
        if is_live:
            await made.go_live(both[0])
        made.publish(b"x" * 200)
        async with asyncio.timeout(PATIENCE):
            await slow.ended.wait()
        assert slow.is_too_slow
        await other.until(b"xx")
        assert len(made) == 1


def test_a_partition_that_is_behind_is_late() -> None:
    """The others are sure until the earliest of theirs, as counted from the guard's request."""
    moment = sum_up(POSITION, [10.0, 9.5, 3.0], lambda time: time + 1000)
    assert (moment.until, moment.at, moment.late) == (9.5, 1009.5, {2: 3.0})
    confirmed = moment.confirm(since=9.0)
    assert (confirmed.at, confirmed.elapsed, confirmed.late) == (1009.5, 0.5, {2: -6.0})
    assert Moment("id", 1.0, 2.0, {}).confirm(0.0).late == {}
