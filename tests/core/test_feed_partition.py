"""A partition of the feed confirms no more than it has received, whatever is missed and when."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hub.core.feed_partition import FeedPartition
from hub.core.model import Position
from hub.core.position import order

EPOCH = "epoch"


class World:
    """A log, somebody who follows it, and the feed that hears of it; each step takes a second."""

    def __init__(self) -> None:
        self.partition = FeedPartition(3)
        self.log: list[tuple[int, str]] = []
        self.followed = 0
        self.heard: set[str] = set()
        self.time = 0
        self.reading = -1

    def write(self) -> None:
        """A logout is written."""
        self.log.append((self.time, f"{self.time}-0"))

    def hear(self) -> None:
        """The next logout is received live."""
        if self.followed < len(self.log):
            entry = self.log[self.followed][1]
            self.followed += 1
            self.heard.add(entry)
            self.partition.note_live(entry)

    def confirm(self) -> None:
        """The log was followed to its end."""
        while self.followed < len(self.log):
            self.hear()
        self.partition.confirm(self.time)

    def miss(self) -> None:
        """Whoever follows goes on at the end of the log, and says so."""
        self.followed = len(self.log)
        self.partition.break_off()

    def begin(self) -> None:
        """The feed begins to read the log."""
        self.reading = self.partition.breaks

    def read(self) -> None:
        """It has read the log to its end, if there was no break meanwhile."""
        partition = self.partition
        if self.reading == partition.breaks and not partition.is_whole:
            self.heard |= {entry for _, entry in self.log if self._is_after(entry)}
            last = self.log[-1][1] if self.log else "0-0"
            partition.position = Position(EPOCH, last)
            partition.settle()

    def _is_after(self, entry: str) -> bool:
        position = self.partition.position
        return position is None or order(entry) > order(position.entry)

    def check(self) -> None:
        """What is promised is true."""
        sure, position = self.partition.sure, self.partition.position
        if sure is not None:
            assert {entry for time, entry in self.log if time < sure} <= self.heard
        if position is not None and self.partition.is_whole:
            assert {one for _, one in self.log if not self._is_after(one)} <= self.heard


@given(st.lists(st.sampled_from(["write", "hear", "confirm", "miss", "begin", "read"])))
def test_what_is_promised_was_heard(steps: list[str]) -> None:
    """Everything until the time that is sure, and everything up to the position."""
    world = World()
    for step in steps:
        getattr(world, step)()
        world.check()
        world.time += 1


def facts(partition: FeedPartition) -> tuple[bool, bool, Position | None, float | None]:
    """Return whether it is lost, whether it is settled, up to where, and until when it is sure."""
    return partition.is_lost, partition.is_settled, partition.position, partition.sure


def test_a_loss_is_settled_only_by_a_confirmation_after_it() -> None:
    """Nothing in the log means anything until then; and what was sure stays so."""
    partition, first, second = FeedPartition(0), Position(EPOCH, "1-0"), Position("other", "5-0")
    partition.confirm(1.0)
    assert facts(partition) == (False, False, None, None)
    partition.position = first
    partition.settle()
    assert facts(partition) == (False, True, first, 1.0)
    partition.lose()
    assert facts(partition) == (True, True, None, 1.0)
    partition.confirm(2.0)
    assert facts(partition) == (False, True, None, 1.0)
    partition.position = second
    partition.settle()
    assert facts(partition) == (False, True, second, 2.0)


def test_the_log_may_be_read_further_than_it_was_heard() -> None:
    """The position never goes back."""
    partition = FeedPartition(0)
    partition.position = Position(EPOCH, "5-0")
    partition.settle()
    partition.note_live("4-0")
    assert partition.position == Position(EPOCH, "5-0")
    partition.note_live("5-1")
    assert partition.position == Position(EPOCH, "5-1")
