"""A guard that goes on where it stopped is sent all that it has missed, whatever else happens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest

from hub.access import feed as feed_module
from hub.access import feed_source
from hub.access.feed import Feed
from hub.core.feed_position import FeedPosition, digest_epochs, encode_position
from hub.core.model import SECOND, Micros
from hub.metrics import Metrics
from hub.store.values import Confirmed, Gap
from tests.access.test_feed_source import ALL, Log, event
from tests.access.test_guards import Stream
from tests.patience import PATIENCE
from tests.realtime.raw import eventually

PLACE = encode_position(FeedPosition(digest_epochs(["a", "b"]), ("3-0", "0-0")))


class Store(Log):
    """The log, and the time."""

    async def now(self) -> Micros:
        """Return a time."""
        return 1000 * SECOND


@pytest.fixture
def log() -> Store:
    """A log with three entries in one partition."""
    made = Store()
    made.events[0] = [event(1), event(2), event(3)]
    return made


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have no feed end because these tests confirm nothing for a while."""
    monkeypatch.setattr(feed_module, "LONGEST_SILENCE", 600.0)


@asynccontextmanager
async def running(log: Store) -> AsyncIterator[Feed]:
    """Run a feed that has read the log."""
    feed = Feed(cast(Any, log), Metrics(), 10_000 * SECOND, 10, is_wanted=True)
    feed.take(Gap("begin", ALL))
    task = asyncio.create_task(feed.run())
    await feed.check_room(PLACE)
    feed.take(Confirmed(ALL, asyncio.get_running_loop().time()))
    try:
        yield feed
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def serving(feed: Feed, place: str) -> AsyncIterator[Stream]:
    """Serve a guard that goes on from a place."""
    stream = Stream()
    task = asyncio.create_task(feed.serve(stream, asyncio.get_running_loop().time(), place))
    try:
        yield stream
    finally:
        stream.ended.set()
        await task


async def test_what_was_heard_while_the_log_could_not_be_read_is_sent(
    log: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A guard that connects meanwhile gets it too, before its first confirmation."""
    monkeypatch.setattr(feed_source, "RETRY", 0.2)
    async with running(log) as feed:
        log.failing.add(0)
        feed.take(Gap("a test", frozenset({0})))
        log.events[0].append(event(4))
        feed.take(event(4))
        async with serving(feed, PLACE) as stream:
            await stream.until(b"event: confirmed\n")
            log.failing.clear()
            feed.take(Confirmed(ALL, asyncio.get_running_loop().time()))
            await eventually(lambda: stream.text.count(b"event: confirmed\n") > 2)
            assert b"user-4" in stream.text


async def test_what_could_not_be_published_is_sent_to_those_who_come_again(
    log: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The guards that were connected have missed it, and are made to come again."""
    async with running(log) as feed:
        async with serving(feed, PLACE) as stream:
            await stream.until(b"event: confirmed\n")
            log.events[0].append(event(4))
            with monkeypatch.context() as broken:
                broken.setattr(feed_source, "encode_logouts", lambda *_: 1 / 0)
                feed.take(event(4))
            async with asyncio.timeout(PATIENCE):
                await stream.ended.wait()
        async with serving(feed, PLACE) as stream:
            await stream.until(b"event: confirmed\n")
            assert b"user-4" in stream.text
