"""Transports that have not sent CONNECT yet: how many, and who gives way when they are too many.

Nobody knows yet whose they are, so they are counted by address; and since ten thousand people of
one company may come back from one address at once, the newest are always let in. The oldest give
way, once each has had a fair chance to send CONNECT: a second in which the loop turned. An address
has room for as many more as it has accepted sockets, and while good tokens come from it, it is left
alone: there the time for CONNECT is bound enough.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from itertools import islice

from hub.access.limits import Limiter, Refusals
from hub.errors import RateLimited

BEAT = 0.25
FAIR = 5
"""Beats for which a transport is left alone. A beat that comes late counts as one."""

FLOWS = 20
"""Beats for which an address is left alone after a good token came from it."""

MOST_A_BEAT = 200
"""How many give way at once, so that their ends hold up nobody."""


class Pending:
    """Those of this replica, by address (`address_key`).

    ``refused`` is the limit of attempts of an address: a transport that never sends CONNECT is
    one, and who has spent them has no room beyond the fair chance.
    """

    def __init__(self, most: int, most_in_all: int, refused: Limiter, refusals: Refusals) -> None:
        self.end: Callable[[str], None] = lambda sid: None
        self._most = most
        self._most_in_all = most_in_all
        self._refused = refused
        self._refusals = refusals
        self._waiting: dict[str, dict[str, int]] = {}
        self._address: dict[str, str] = {}
        self._accepted: Counter[str] = Counter()
        self._good_at: dict[str, int] = {}
        self._crowded: dict[str, None] = {}
        self._beats = 0
        self._turning: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._address)

    def make_room(self) -> None:
        """See to it that one more can be taken in: the oldest of the fullest address gives way.

        One that had no fair chance yet does not, nor does one of an address from which good tokens
        come; for their sake there may be twice as many.

        Raises:
            RateLimited: when there are twice as many.
        """
        if len(self._address) < self._most_in_all:
            return
        address = max(self._waiting, key=lambda key: len(self._waiting[key]))
        sid, born = next(iter(self._waiting[address].items()))
        if self._beats - born >= FAIR and not self._flows(address):
            self._refusals.note("pending_total", address)
            self._give_way(sid)
        elif len(self._address) >= 2 * self._most_in_all:
            self._refusals.note("pending_total", address)
            raise RateLimited("too many transports wait for CONNECT", retry_after=1)

    def add(self, sid: str, address: str) -> None:
        """Take in a transport."""
        waiting = self._waiting.setdefault(address, {})
        waiting[sid] = self._beats
        self._address[sid] = address
        if len(waiting) > self._most:
            self._crowded[address] = None
        if self._turning is None:
            self._turn_later()

    def answered(self, sid: str) -> None:
        """Note that CONNECT came."""
        address = self._address.pop(sid, None)
        if address is not None:
            waiting = self._waiting[address]
            del waiting[sid]
            if not waiting:
                del self._waiting[address]

    def unanswered(self, sid: str) -> None:
        """Note that a transport is gone that never sent CONNECT."""
        address = self._address.get(sid)
        self.answered(sid)
        if address is None:
            return
        try:
            self._refused.take(address)
        except RateLimited:
            self._crowded[address] = None

    def accepted(self, address: str) -> None:
        """Note that a socket from an address was accepted."""
        self._accepted[address] += 1
        self._good_at[address] = self._beats

    def left(self, address: str) -> None:
        """Note that such a socket is gone."""
        self._accepted[address] -= 1
        if not self._accepted[address]:
            del self._accepted[address], self._good_at[address]

    def _flows(self, address: str) -> bool:
        good_at = self._good_at.get(address)
        return good_at is not None and self._beats - good_at < FLOWS

    def _give_way(self, sid: str) -> None:
        self.unanswered(sid)
        self.end(sid)

    def _turn_later(self) -> None:
        self._turning = asyncio.get_running_loop().call_later(BEAT, self._turn)

    def _turn(self) -> None:
        self._beats += 1
        self._turning = None
        left = MOST_A_BEAT
        for address in list(self._crowded):
            left -= self._thin_out(address, left)
        if self._address:
            self._turn_later()

    def _thin_out(self, address: str, most: int) -> int:
        if self._flows(address):
            return 0
        waiting = self._waiting.get(address, {})
        is_spent = self._refused.is_spent(address)
        room = self._accepted[address] + (0 if is_spent else self._most)
        over = [
            sid
            for sid, born in islice(waiting.items(), max(0, min(most, len(waiting) - room)))
            if self._beats - born >= FAIR
        ]
        for sid in over:
            self._refusals.note("pending", address)
            self._give_way(sid)
        if len(waiting) <= self._most and not (waiting and is_spent):
            del self._crowded[address]
        return len(over)
