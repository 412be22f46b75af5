"""Limits the sockets that have not sent CONNECT yet, by closing the oldest if there are too many.

Their users are not known yet, so they are counted by address. Since ten thousand people of one
company may reconnect from one address at once, new sockets are always accepted. The oldest are
closed, once each has had a fair chance to send CONNECT: about a second in which the event loop ran.
An address may have as many more as it has connected sockets, and while valid tokens come from it,
it is not limited: there the time limit for CONNECT is enough.
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
"""Ticks for which a socket is not closed. A late tick counts as one."""

TRUSTED_TICKS = 20
"""Ticks for which an address is not limited after a valid token came from it."""

MAX_PER_TICK = 200
"""How many are closed in one tick, so that the loop is not blocked."""


class Waiting(Protocol):
    """A socket that has not sent CONNECT yet; ``source`` is the key of its address."""

    source: str

    def close_transport(self) -> None:
        """Close as a network failure would, so that a genuine client reconnects."""
        ...


class Unconnected:
    """The sockets of this replica without CONNECT, by address (`address_key`).

    ``max_per_address`` and ``max_total`` limit them. ``refused`` limits the failed attempts of an
    address: a socket that never sends CONNECT is one, and once an address has exceeded that limit,
    each of its sockets is closed after its fair chance.
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

    @property
    def has_room(self) -> bool:
        """Whether one more fits without closing another."""
        return self._count < self._max_total

    def make_room(self) -> None:
        """Make room for one more by closing the oldest socket of the address that has the most.

        It is not closed if it had no fair chance yet, or if valid tokens come from its address;
        for these cases the limit is exceeded, up to twice its value.

        Raises:
            RateLimited: if twice the limit is reached.
        """
        if self.has_room:
            return
        address = max(self._by_address, key=lambda key: len(self._by_address[key]))
        oldest, born = next(iter(self._by_address[address].items()))
        if self._ticks - born >= FAIR_TICKS and not self._is_trusted(address):
            self._refusals.note("pending_total", address)
            self._close(oldest)
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
        """Remove a socket, since CONNECT came or is no longer expected."""
        waiting = self._by_address.get(socket.source, {})
        if waiting.pop(socket, None) is None:
            return
        self._count -= 1
        if not waiting:
            del self._by_address[socket.source]

    def remove_failed(self, socket: Waiting) -> None:
        """Remove a socket that closed without CONNECT, and count that as a failed attempt."""
        if socket not in self._by_address.get(socket.source, {}):
            return
        self.remove(socket)
        try:
            self._refused.take(socket.source)
        except RateLimited:
            self._crowded[socket.source] = None

    def note_connected(self, address: str) -> None:
        """Count a socket of an address that was accepted."""
        self._connected[address] += 1
        self._trusted_at[address] = self._ticks

    def note_closed(self, address: str) -> None:
        """Count the end of an accepted socket."""
        self._connected[address] -= 1
        if not self._connected[address]:
            del self._connected[address], self._trusted_at[address]

    def _is_trusted(self, address: str) -> bool:
        trusted_at = self._trusted_at.get(address)
        return trusted_at is not None and self._ticks - trusted_at < TRUSTED_TICKS

    def _close(self, socket: Waiting) -> None:
        self.remove_failed(socket)
        socket.close_transport()

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
            self._close(socket)
        if len(waiting) <= self._max_per_address and not (waiting and is_spent):
            del self._crowded[address]
        return len(over)
