"""The feed reads logouts that it has not received from the log, and publishes the new ones."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import msgspec
import pytest

from hub.access import feed_source
from hub.access.feed_source import FeedSource
from hub.core.feed_position import decode_position
from hub.core.model import SECOND, Logout, Position, Reason, Scope, user_key
from hub.errors import Unavailable
from hub.store.values import Confirmed, DataLoss, Gap, History, LogoutEvent, PositionLost
from tests.patience import PATIENCE
from tests.realtime.raw import eventually

ALL = frozenset({0, 1})


def event(number: int, partition: int = 0) -> LogoutEvent:
    """Return a logout of a user of its own."""
    logout = Logout(
        f"id{number}", user_key("", f"user-{number}"), Scope.ALL, Reason.USER, at=number * SECOND
    )
    return LogoutEvent(logout, lambda user: True, partition=partition, entry=f"{number}-0")


class Log:
    """A store of two partitions, of which only the log can be read, a few entries at a time."""

    partition_count = 2

    def __init__(self) -> None:
        self.epochs = ["a", "b"]
        self.events: list[list[LogoutEvent]] = [[], []]
        self.failing: set[int] = set()
        self.reads: list[tuple[int, Position | None]] = []

    async def history(self, number: int, after: Position | None = None) -> History:
        """Return the next two entries."""
        self.reads.append((number, after))
        await asyncio.sleep(0)
        if number in self.failing:
            raise Unavailable("a test")
        if after is not None and after.epoch != self.epochs[number]:
            raise PositionLost("a test")
        start = int(after.entry.partition("-")[0]) if after else 0
        left = [one for one in self.events[number] if int(one.entry.partition("-")[0]) > start]
        last = left[:2][-1].entry if left else after.entry if after else "0-0"
        return History(tuple(left[:2]), Position(self.epochs[number], last), len(left) <= 2)


class Audience:
    """Somebody who listens, and what was published."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def __len__(self) -> int:
        return 1

    def publish(self, events: bytes) -> None:
        """Keep it."""
        self.lines += events.decode().splitlines()

    @property
    def users(self) -> list[str]:
        """The users of the published logouts, in order."""
        data = [line.removeprefix("data: ") for line in self.lines if line.startswith("data: ")]
        return [msgspec.json.decode(one)["user"] for one in data]

    @property
    def ids(self) -> list[str]:
        """The positions that were published."""
        return [line.removeprefix("id: ") for line in self.lines if line.startswith("id: ")]


@pytest.fixture
def log() -> Log:
    """A log with three entries in one partition."""
    made = Log()
    made.events[0] = [event(1), event(2), event(3)]
    return made


@pytest.fixture
def audience() -> Audience:
    """Somebody who listens."""
    return Audience()


async def started(log: Log, audience: Audience) -> FeedSource:
    """Return a source that has read the log."""
    source = FeedSource(cast(Any, log), 100 * SECOND, audience)
    source.take(Gap("begin", ALL))
    source.start()
    assert await source.wait_until_settled(PATIENCE)
    return source


async def test_nothing_is_read_before_the_first_guard(log: Log, audience: Audience) -> None:
    """Nor kept: a hub without guards does no work for them."""
    source = FeedSource(cast(Any, log), 100 * SECOND, audience)
    source.take(Gap("begin", ALL))
    source.take(event(1))
    await asyncio.sleep(0.01)
    assert (log.reads, len(source.ledger), audience.lines) == ([], 0, [])


async def test_what_was_missed_is_read_and_published(log: Log, audience: Audience) -> None:
    """After a gap: what is new, in order, and from the position on."""
    source = await started(log, audience)
    assert len(source.ledger) == 3
    audience.lines.clear()
    log.reads.clear()
    log.events[0] += [event(4), event(5), event(6), event(7)]
    source.take(Gap("a test", frozenset({0})))
    await eventually(lambda: source.partitions[0].is_whole)
    assert audience.users == ["user-4", "user-5", "user-6", "user-7"]
    assert log.reads == [(0, Position("a", "3-0")), (0, Position("a", "5-0"))]
    assert source.position.entries == ("7-0", "0-0")
    await source.aclose()


async def test_a_position_covers_only_what_was_published(log: Log, audience: Audience) -> None:
    """A logout that arrives while an earlier one may be missing does not move the position."""
    source = await started(log, audience)
    audience.lines.clear()
    log.events[0] += [event(4), event(5)]
    source.take(Gap("a test", frozenset({0})))
    source.take(event(5))
    found = decode_position(audience.ids[0], 2)
    assert found is not None
    assert found.entries == ("3-0", "0-0")
    await eventually(lambda: source.partitions[0].is_whole)
    assert audience.users == ["user-5", "user-4"]
    last = decode_position(audience.ids[-1], 2)
    assert last is not None
    assert last.entries == ("5-0", "0-0")
    await source.aclose()


async def test_a_log_of_another_epoch_is_read_from_its_beginning(
    log: Log, audience: Audience
) -> None:
    """Of which only what is new is published; positions from before are another log's."""
    source = await started(log, audience)
    audience.lines.clear()
    before = source.position
    log.epochs[0] = "c"
    log.events[0] = [event(2), event(9)]
    source.take(DataLoss(0, "c lost"))
    await asyncio.sleep(0.02)
    assert not source.partitions[0].is_whole
    source.take(Confirmed(frozenset({0}), 5.0))
    await eventually(lambda: source.partitions[0].is_whole)
    assert audience.users == ["user-9"]
    assert source.position.epochs != before.epochs
    assert source.partitions[0].sure == 5.0
    await source.aclose()


async def test_a_partition_that_cannot_be_read_keeps_nobody_waiting(
    log: Log, audience: Audience, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is read as soon as that is possible, and what it has is news."""
    monkeypatch.setattr(feed_source, "RETRY", 0.01)
    log.failing.add(0)
    log.events[1] = [event(8, 1)]
    source = await started(log, audience)
    source.take(Confirmed(ALL, 5.0))
    assert [one.sure for one in source.partitions] == [None, 5.0]
    audience.lines.clear()
    log.failing.clear()
    await eventually(lambda: source.partitions[0].is_whole)
    assert audience.users == ["user-1", "user-2", "user-3"]
    assert source.partitions[0].sure == 5.0
    await source.aclose()


async def test_a_doubt_finds_a_recovery_that_nobody_told_of(log: Log, audience: Audience) -> None:
    """A replica that has missed nothing does not notice a new epoch by itself."""
    source = await started(log, audience)
    log.epochs[0] = "c"
    source.recheck()
    source.recheck()
    await eventually(lambda: source.is_settled)
    assert source.partitions[0].position == Position("c", "3-0")
    await source.aclose()
