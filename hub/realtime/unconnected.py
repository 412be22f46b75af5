"""Sockets that have not sent CONNECT yet: how many, and which give way when they are too many.

Nobody knows yet whose they are, so they are counted by address; and since ten thousand people of
one company may come back from one address at once, the newest are always let in. The oldest give
way, once each has had a fair chance to send CONNECT: a second in which the loop turned. An address
has room for as many more as it has connected sockets, and while good tokens come from it, it is
left alone: there the time for CONNECT is bound enough.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from typing import Protocol

from hub.access.limits import Limiter, Refusals
from hub.errors import RateLimited

TICK = 0.25
FAIR_TICKS = 5
"""Ticks for which a socket is left alone. A tick that comes late counts as one."""

TRUSTED_TICKS = 20
"""Ticks for which an address is left alone after a good token came from it."""

MAX_PER_TICK = 200
"""How many give way at once, so that their ends hold up nobody."""


class Waiting(Protocol):
    """A socket that has not sent CONNECT yet; ``source`` is the key of its address."""

    source: str

    def give_way(self) -> None:
        """Close, so that the client connects again if it is one."""
        ...


class Unconnected:
    """Those of this replica, by address (`address_key`).

    ``max_per_address`` and ``max_total`` are how many there may be. ``refused`` is the limit of
    attempts of an address: a socket that never sends CONNECT is one, and an address that has spent
    them has no room beyond the fair chance.
    """

    def __init__(
        self, max_per_address: int, max_total: int, refused: Limiter, refusals: Refusals
    ) -> None:
        self._max_per_address = max_per_address
        self._max_total = max_total
        self._refused = refused
        self._refusals = refusals
        self._by_address: dict[str, dict[Waiting, int]] = {}
        self._count = 0
        self._connected: Counter[str] = Counter()
        self._trusted_at: dict[str, int] = {}
        self._crowded: dict[str, None] = {}
        self._ticks = 0
        self._ticking: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Waiting]:
        return (socket for sockets in list(self._by_address.values()) for socket in list(sockets))

    def make_room(self) -> None:
        """See to it that one more can be added: the oldest of the fullest address gives way.

        One that had no fair chance yet does not, nor does one of an address from which good tokens
        come; for their sake there may be twice as many.

        Raises:
            RateLimited: when there are twice as many.
        """
        if self._count < self._max_total:
            return
        address = max(self._by_address, key=lambda key: len(self._by_address[key]))
        oldest, born = next(iter(self._by_address[address].items()))
        if self._ticks - born >= FAIR_TICKS and not self._is_trusted(address):
            self._refusals.note("pending_total", address)
            self._give_way(oldest)
        elif self._count >= 2 * self._max_total:
            self._refusals.note("pending_total", address)
            raise RateLimited("too many transports wait for CONNECT", retry_after=1)

    def add(self, socket: Waiting) -> None:
        """Add a socket."""
        waiting = self._by_address.setdefault(socket.source, {})
        waiting[socket] = self._ticks
        self._count += 1
        if len(waiting) > self._max_per_address:
            self._crowded[socket.source] = None
        if self._ticking is None:
            self._tick_later()

    def remove(self, socket: Waiting) -> None:
        """Note that CONNECT came, or that none needs to come any more."""
        waiting = self._by_address.get(socket.source, {})
        if waiting.pop(socket, None) is None:
            return
        self._count -= 1
        if not waiting:
            del self._by_address[socket.source]

    def give_up(self, socket: Waiting) -> None:
        """Note that a socket is gone that never sent CONNECT."""
        if socket not in self._by_address.get(socket.source, {}):
            return
        self.remove(socket)
        try:
            self._refused.take(socket.source)
        except RateLimited:
            self._crowded[socket.source] = None

    def note_connected(self, address: str) -> None:
        """Note that a socket from an address was accepted."""
        self._connected[address] += 1
        self._trusted_at[address] = self._ticks

    def note_gone(self, address: str) -> None:
        """Note that such a socket is gone."""
        self._connected[address] -= 1
        if not self._connected[address]:
            del self._connected[address], self._trusted_at[address]

    def _is_trusted(self, address: str) -> bool:
        trusted_at = self._trusted_at.get(address)
        return trusted_at is not None and self._ticks - trusted_at < TRUSTED_TICKS

    def _give_way(self, socket: Waiting) -> None:
        self.give_up(socket)
        socket.give_way()

    def _tick_later(self) -> None:
        self._ticking = asyncio.get_running_loop().call_later(TICK, self._tick)

    def _tick(self) -> None:
        self._ticks += 1
        self._ticking = None
        left = MAX_PER_TICK
        for address in list(self._crowded):
            left -= self._thin_out(address, left)
        if self._count:
            self._tick_later()

    def _thin_out(self, address: str, most: int) -> int:
        if self._is_trusted(address):
            return 0
        waiting = self._by_address.get(address, {})
        is_spent = self._refused.is_spent(address)
        room = self._connected[address] + (0 if is_spent else self._max_per_address)
        oldest = islice(waiting.items(), max(0, min(most, len(waiting) - room)))
        over = [socket for socket, born in oldest if self._ticks - born >= FAIR_TICKS]
        for socket in over:
            self._refusals.note("pending", address)
            self._give_way(socket)
        if len(waiting) <= self._max_per_address and not (waiting and is_spent):
            del self._crowded[address]
        return len(over)
