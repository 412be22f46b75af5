"""What the feed has heard of one partition: up to where, and up to when that is everything.

Logouts are heard live, one after the other, from the time when the feed began to listen, and again
after each break: a gap, or a data loss. What was written before is read from the log. Once that was
read to its end, from a position up to which everything is known, nothing is missing: the log was
read after the break, and what was written later is heard live.

Time is an argument, in seconds of any monotonic clock.
"""

from __future__ import annotations

import msgspec

from hub.core.model import Position
from hub.core.position import order


class FeedPartition:
    """One partition.

    ``position`` is up to where everything was heard, or None. ``is_whole`` unless something may be
    missing since the last of the ``breaks``, so that the log is to be read from ``position`` on.
    Everything written until ``sure`` was heard; it is None if that is not known of any time.
    ``is_lost`` between a data loss and the recovery. ``has_failed`` if the log could not be read.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        self.position: Position | None = None
        self.is_whole = False
        self.is_lost = False
        self.has_failed = False
        self.breaks = 0
        self.sure: float | None = None
        self._newest = ""
        self._confirmed: float | None = None

    @property
    def is_settled(self) -> bool:
        """Whether everything is known, or it is known that it cannot be read now."""
        return self.is_whole or self.has_failed

    def covers(self, entry: str) -> bool:
        """Return whether nothing that was heard by now was written after an entry."""
        known = self.position
        return self.is_whole and known is not None and order(entry) >= order(known.entry)

    def hear(self, entry: str) -> None:
        """Note that a logout was heard live."""
        if self.is_whole:
            self._move_on(entry)
        else:
            self._newest = entry

    def confirm(self, as_of: float) -> None:
        """Note that every logout until then was heard live, unless a break was noted since."""
        self._confirmed, self.is_lost = as_of, False
        if self.is_whole:
            self.sure = as_of

    def break_off(self) -> None:
        """Note that logouts may have been missed."""
        self.is_whole, self._newest = False, ""
        self.breaks += 1

    def lose(self) -> None:
        """Note that the log lost data: no position in it means anything any more."""
        self.break_off()
        self.position, self.is_lost, self.has_failed = None, True, True

    def settle(self) -> None:
        """Note that the log was read to its end, up to ``position``, since the last break."""
        self.is_whole, self.has_failed = True, False
        if self._newest:
            self._move_on(self._newest)
        if self._confirmed is not None:
            self.sure = self._confirmed

    def _move_on(self, entry: str) -> None:
        # The log may have been read further than it has been heard live.
        if self.position is not None and order(entry) > order(self.position.entry):
            self.position = msgspec.structs.replace(self.position, entry=entry)
