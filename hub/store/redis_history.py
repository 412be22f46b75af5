"""Reads the log of a partition, from its beginning or after a position."""

from __future__ import annotations

from hub.core.model import Micros, Position
from hub.core.position import BEGINNING
from hub.errors import Unavailable
from hub.store.log_entries import make_event, read_fields
from hub.store.log_pages import read_page
from hub.store.names import Names
from hub.store.reader import LogReader
from hub.store.records import reading
from hub.store.topology import Topology
from hub.store.values import History, PositionLost


class RedisHistory:
    """The method of `hub.store.base.Store` for the log, whose entries are kept for ``lifetime``.

    It is read over ``calls``; answers that ``reader`` does not trust are refused.
    """

    def __init__(self, calls: Topology, reader: LogReader, lifetime: Micros) -> None:
        self._calls = calls
        self._reader = reader
        self._lifetime = lifetime

    async def history(self, partition: int, after: Position | None = None) -> History:
        """Return a page of the log of a partition."""
        trusted = self._reader.trusted_epoch(partition)
        start = BEGINNING if after is None else after.entry
        page = await read_page(
            self._calls,
            Names(None, partition),
            Position(trusted or "", start),
            [] if start == BEGINNING else [start],
            self._lifetime,
        )
        epoch = page.seen.epoch or ""
        if trusted is None or not self._reader.trusts(partition, epoch):
            raise Unavailable("the store may have lost data, and is being checked")
        if after is not None and (after.epoch != epoch or not page.seen.has_entry):
            raise PositionLost("the log cannot be read on from there")
        with reading:
            events = tuple(
                make_event(partition, entry.decode(), read_fields(fields))
                for entry, fields in page.entries
            )
        last = events[-1].entry if events else start
        return History(events, Position(epoch, last), page.is_end)
