"""What the feed knows of one partition: up to which position, and up to what time.

Logouts arrive live and in order from when the feed started, and again after each break (a gap, or a
data loss). Earlier ones are read from the log. Once the log has been read to its end, from a
position before which everything is known, nothing is missing: it was read after the break, and
whatever was written later arrives live.

Time is an argument, in seconds of any monotonic clock.
"""

from __future__ import annotations

import msgspec

from hub.core.model import Position
from hub.core.position import order


class FeedPartition:
    """One partition.

    Everything up to ``position`` is known, and everything written before the time ``sure``; both
    are None at first. ``is_whole`` says that nothing is missing since the last of the ``breaks``;
    otherwise the log has to be read from ``position`` on. ``is_lost`` is true between a data loss
    and the recovery, and ``has_failed`` if the log could not be read.
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

    def is_silent(self, since: float) -> bool:
        """Return whether nothing is known that was written at ``since`` or later."""
        return self.has_failed if self.sure is None else self.sure < since

    def covers(self, entry: str) -> bool:
        """Return whether nothing that is known by now was written after an entry."""
        known = self.position
        return self.is_whole and known is not None and order(entry) >= order(known.entry)

    def note_live(self, entry: str) -> None:
        """Note that a logout arrived live."""
        if self.is_whole:
            self._move_on(entry)
        else:
            self._newest = entry

    def confirm(self, as_of: float) -> None:
        """Note that every logout until then has arrived, unless there was a break since."""
        self._confirmed, self.is_lost = as_of, False
        if self.is_whole:
            self.sure = as_of

    def break_off(self) -> None:
        """Note that logouts may have been missed."""
        self.is_whole, self._newest = False, ""
        self.breaks += 1

    def lose(self) -> None:
        """Note that the log lost data, so that positions in it are no longer valid."""
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
        # Reading the log may have got further than the live events.
        if self.position is not None and order(entry) > order(self.position.entry):
            self.position = msgspec.structs.replace(self.position, entry=entry)
