"""Who gives way among transports that have not sent CONNECT, by beats of the table's own."""

from __future__ import annotations

import pytest

from hub.access.limits import Limiter, Refusals
from hub.core.rate import Rate
from hub.errors import RateLimited
from hub.metrics import Metrics
from hub.realtime.pending import FAIR, FLOWS, Pending


class Table:
    """A table whose beats are counted by hand."""

    def __init__(self, most: int, most_in_all: int, rate: Rate | None = None) -> None:
        refusals = Refusals(Metrics())
        self.pending = Pending(most, most_in_all, Limiter("refused", rate, refusals), refusals)
        self.pending.end = self.end
        self.ended: list[str] = []
        self.numbers = iter(range(10**6))

    def end(self, sid: str) -> None:
        """Note who gave way."""
        self.ended.append(sid)

    def open(self, address: str, count: int = 1) -> list[str]:
        """Take in transports of an address."""
        sids = [f"{address}.{next(self.numbers)}" for _ in range(count)]
        for sid in sids:
            self.pending.make_room()
            self.pending.add(sid, address)
        return sids

    def beat(self, count: int) -> None:
        """Let time pass."""
        for _ in range(count):
            if self.pending._turning is not None:
                self.pending._turning.cancel()
                self.pending._turn()

    def is_empty(self) -> bool:
        """Tell whether nothing is kept."""
        pending = self.pending
        kept = (pending._waiting, pending._address, pending._accepted, pending._good_at)
        self.beat(1)
        return not any(kept) and not pending._crowded and pending._turning is None


@pytest.fixture
def table() -> Table:
    """A table for two an address and six in all."""
    return Table(2, 6)


async def test_the_oldest_give_way_after_a_fair_chance(table: Table) -> None:
    """Not before, and only as many as are too many."""
    sids = table.open("a", 4)
    table.beat(FAIR - 1)
    assert table.ended == []
    table.open("b", 2)
    table.beat(1)
    assert table.ended == sids[:2]
    for sid in list(table.pending._address):
        table.pending.answered(sid)
    assert table.is_empty()


async def test_accepted_sockets_make_room(table: Table) -> None:
    """While good tokens come an address is left alone, and later it has room for as many more."""
    table.open("a", 6)
    table.pending.accepted("a")
    table.beat(FLOWS - 1)
    assert table.ended == []
    table.beat(1)
    assert len(table.ended) == 3
    table.pending.left("a")
    table.beat(1)
    assert len(table.ended) == 4


async def test_in_all_the_fullest_gives_way_and_never_is_there_twice_as_much(table: Table) -> None:
    """New ones get in until there are twice as many that had no fair chance yet."""
    table.open("a", 4)
    table.open("b", 2)
    table.beat(FAIR - 1)
    table.open("c", 6)
    assert table.ended == []
    with pytest.raises(RateLimited):
        table.open("d")
    assert len(table.pending) == 12


async def test_silence_is_counted_and_leaves_no_room() -> None:
    """Who has spent the attempts of its address has the fair chance and no more."""
    table = Table(2, 6, Rate(0.001, 1))
    for sid in table.open("a", 2):
        table.pending.unanswered(sid)
    (last,) = table.open("a")
    table.beat(FAIR)
    assert table.ended == [last]
    assert table.is_empty()
