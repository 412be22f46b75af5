"""The log of the embedded store."""

from __future__ import annotations

import secrets
from bisect import bisect_left, bisect_right

import msgspec

from hub.core.model import Micros, Position
from hub.core.position import BEGINNING, order
from hub.store.base import HISTORY_PAGE
from hub.store.values import History, LogoutEvent, PositionLost

TRIM = 100
"""The minimum number of expired entries to drop at once, which keeps the average cost low."""


class MemoryLog:
    """The logouts that are remembered, each with an id like those of Redis.

    Each process has its own epoch, since nothing survives a restart.
    """

    def __init__(self, lifetime: Micros) -> None:
        self._lifetime = lifetime
        self._epoch = secrets.token_hex(8)
        self._last = (0, 0)
        self._events: list[LogoutEvent] = []

    def append(self, event: LogoutEvent, now: Micros) -> LogoutEvent:
        """Add a logout, and return it with its id."""
        # Ids never go back, even if the clock does.
        self._last = max((now // 1000, 0), (self._last[0], self._last[1] + 1))
        entered = msgspec.structs.replace(event, entry="{}-{}".format(*self._last))
        self._events.append(entered)
        self.forget(now, TRIM)
        return entered

    def forget(self, now: Micros, least: int = 1) -> None:
        """Drop the entries that are past their lifetime, if there are at least ``least``."""
        oldest = ((now - self._lifetime) // 1000, 0)
        past = bisect_left(self._events, oldest, key=_order_of)
        if past >= least:
            del self._events[:past]

    def read(self, after: Position | None) -> History:
        """Return a page; see `hub.store.base.Store.history`."""
        start = 0
        if after is not None:
            start = bisect_right(self._events, order(after.entry), key=_order_of)
            is_there = after.entry == BEGINNING or (
                start > 0 and self._events[start - 1].entry == after.entry
            )
            if after.epoch != self._epoch or not is_there:
                raise PositionLost("the log cannot be read on from there")
        page = self._events[start : start + HISTORY_PAGE]
        events = tuple(msgspec.structs.replace(event, is_live=False) for event in page)
        last = events[-1].entry if events else BEGINNING if after is None else after.entry
        is_end = start + len(page) == len(self._events)
        return History(events, Position(self._epoch, last), is_end)


def _order_of(event: LogoutEvent) -> tuple[int, int]:
    return order(event.entry)
