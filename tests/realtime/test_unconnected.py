"""Which sockets without CONNECT are closed, with ticks that the test counts."""

from __future__ import annotations

import pytest

from hub.access.limits import Limiter, Refusals
from hub.core.rate import Rate
from hub.errors import RateLimited
from hub.metrics import Metrics
from hub.realtime.unconnected import FAIR_TICKS, TRUSTED_TICKS, Unconnected


class Socket:
    """A socket that records whether it was closed."""

    def __init__(self, source: str, ended: list[Socket]) -> None:
        self.source = source
        self.ended = ended

    def close_transport(self) -> None:
        """Record it."""
        self.ended.append(self)


class Table:
    """A table whose ticks are counted by hand."""

    def __init__(self, most: int, most_in_all: int, rate: Rate | None = None) -> None:
        refusals = Refusals(Metrics())
        limiter = Limiter("refused", rate, refusals)
        self.unconnected = Unconnected(most, most_in_all, limiter, refusals)
        self.ended: list[Socket] = []

    def open(self, address: str, count: int = 1) -> list[Socket]:
        """Add sockets of an address."""
        sockets = [Socket(address, self.ended) for _ in range(count)]
        for socket in sockets:
            self.unconnected.make_room()
            self.unconnected.add(socket)
        return sockets

    def tick(self, count: int) -> None:
        """Let time pass."""
        for _ in range(count):
            if self.unconnected._ticking is not None:
                self.unconnected._ticking.cancel()
                self.unconnected._tick()

    def is_empty(self) -> bool:
        """Tell whether nothing is kept."""
        table = self.unconnected
        kept = (table._by_address, len(table), table._connected, table._trusted_at)
        self.tick(1)
        return not any(kept) and not table._crowded and table._ticking is None


@pytest.fixture
def table() -> Table:
    """A table with limits of two per address and six in total."""
    return Table(2, 6)


async def test_the_oldest_give_way_after_a_fair_chance(table: Table) -> None:
    """The oldest are closed, not before their fair chance, and only as many as exceed the limit."""
    sockets = table.open("a", 4)
    table.tick(FAIR_TICKS - 1)
    assert table.ended == []
    table.open("b", 2)
    table.tick(1)
    assert table.ended == sockets[:2]
    for socket in list(table.unconnected):
        table.unconnected.remove(socket)
    assert table.is_empty()


async def test_accepted_sockets_make_room(table: Table) -> None:
    """An address with recent good tokens is not limited, and later has room for as many more."""
    table.open("a", 6)
    table.unconnected.note_connected("a")
    table.tick(TRUSTED_TICKS - 1)
    assert table.ended == []
    table.tick(1)
    assert len(table.ended) == 3
    table.unconnected.note_closed("a")
    table.tick(1)
    assert len(table.ended) == 4


async def test_in_all_the_fullest_gives_way_and_never_is_there_twice_as_much(table: Table) -> None:
    """New sockets are admitted up to twice the total limit, while none has had its fair chance."""
    table.open("a", 4)
    table.open("b", 2)
    table.tick(FAIR_TICKS - 1)
    table.open("c", 6)
    assert table.ended == []
    with pytest.raises(RateLimited):
        table.open("d")
    assert len(table.unconnected) == 12


async def test_silence_is_counted_and_leaves_no_room() -> None:
    """Sockets of an address that has used up its attempts are closed after their fair chance."""
    table = Table(2, 6, Rate(0.001, 1))
    for socket in table.open("a", 2):
        table.unconnected.remove_failed(socket)
    (last,) = table.open("a")
    table.tick(FAIR_TICKS)
    assert table.ended == [last]
    assert table.is_empty()
