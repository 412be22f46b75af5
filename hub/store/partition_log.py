"""Reads the log of one partition and its channel, and detects data losses.

`hub.core.position` decides what follows from a missing entry.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable

import structlog

from hub.core.model import Micros, Position
from hub.core.position import BEGINNING, Verdict, assess, order
from hub.core.wire import Malformed
from hub.store.log_entries import make_event, read_fields, read_message
from hub.store.log_pages import Page, read_page
from hub.store.names import Names
from hub.store.script import Script
from hub.store.topology import Topology
from hub.store.values import DataLoss, Event

log = structlog.get_logger(__name__)

MARK_LOST = Script("mark_lost")
TRIES = 3
"""Reads of a log, if the connection is replaced during each."""

MAX_WRITTEN = 1_000
"""Entries to look for in the log; the oldest are dropped."""


class PartitionLog:
    """Reads one stream and takes the messages of its channel; calls ``emit`` with each event.

    ``lifetime`` is how long entries are kept. ``gap`` is the reason why logouts may have been
    missed, or empty; the caller resets it after reporting it.
    """

    def __init__(
        self, number: int, topology: Topology, lifetime: Micros, emit: Callable[[Event], None]
    ) -> None:
        self.number = number
        self.names = Names(None, number)
        self.gap = ""
        self._topology = topology
        self._lifetime = lifetime
        self._emit = emit
        self._position: Position | None = None
        # The entries to look for in the log: each that was received or written, until a successor
        # is known or a read of the log has found it.
        self._written: dict[str, None] = {}
        self._checked: object = None
        self._is_lost = False

    def trusted_epoch(self) -> str | None:
        """Return the epoch in which answers are trusted: "" means any, None means none.

        Answers over a new connection are not trusted until the log was read over it: this Redis
        may have lost what the previous one had acknowledged. If the log was never read, there is
        nothing to compare, and any epoch is trusted.
        """
        if self._position is None:
            return None if self._is_lost else ""
        now = self._topology.generation(self.number)
        is_sure = self._checked is not None and self._checked is now
        return self._position.epoch if is_sure and not self._is_lost else None

    def note_written(self, previous: str, entry: str) -> None:
        """Record that an entry was written after ``previous``, unless it was read already."""
        if self._position is None or order(entry) > order(self._position.entry):
            self._note(previous, entry)

    def take(self, data: bytes) -> bool:
        """Take a message of the channel.

        Returns False if the log must be read: an entry before it is missing, or it is unreadable.
        """
        try:
            message, known = read_message(data), self._position
            if known is None or order(message.entry) <= order(known.entry):
                return True
            if message.epoch != known.epoch.partition(" ")[0]:
                # Of another epoch, perhaps replayed after a data loss; a genuine one is in the log.
                return True
            if known.entry != message.previous:
                return False
            event = make_event(self.number, message.entry, message.fields, is_live=True)
        except ValueError as error:
            log.warning("an unreadable message on the channel", error=str(error))
            return False
        self._advance(message.entry)
        self._emit(event)
        return True

    async def read_on(self) -> bool:
        """Read the stream to its end, and return whether it has every entry that it should have.

        Answers over the same connection are trusted from now on.

        Raises:
            Unavailable, ConnectionError: if it cannot be read to its end. What was read counts.
        """
        for _ in range(TRIES):
            before = self._topology.generation(self.number)
            if not await self._read_pages():
                return False
            self._checked = before
            if before is self._topology.generation(self.number):
                return True
        raise ConnectionError("the connection to the store is lost again and again")

    async def mark_lost(self, eviction: str) -> None:
        """Record in the store that it lost data of this partition; the next read detects that.

        ``eviction`` tells which keys were evicted; a replica that marked the same was enough.
        """
        if self._position is not None:
            await self._mark_lost(self._position.epoch, eviction)

    async def _read_pages(self) -> bool:
        is_end = False
        while not is_end:
            sought = list(self._written)
            page = await self._ask(sought)
            # No await until the next read: what counts as read has been emitted.
            epoch, entries, is_end = page.seen.epoch or "", page.entries, page.is_end
            match assess(self._position, page.seen):
                case Verdict.LOST:
                    self._is_lost = True
                    self._emit(await self._mark_lost(epoch))
                    return False
                case Verdict.SWEEP:
                    self._position = Position(epoch, page.last)
                    self.gap = "the log begins here"
                    entries, is_end = (), True
                case Verdict.READ_ON:
                    assert self._position is not None
                    self._position = Position(epoch, self._position.entry)
            self._is_lost = False
            self._settle(sought, page.last)
            for entry, fields in entries:
                self._advance(entry.decode())
                self._replay(entry.decode(), fields)
        return True

    def _replay(self, entry: str, fields: list[bytes]) -> None:
        try:
            event = make_event(self.number, entry, read_fields(fields))
        except Malformed as error:
            log.error("an unreadable logout in the log", error=str(error))
            self.gap = "an unreadable logout"
            return
        self._emit(event)

    async def _ask(self, sought: list[str]) -> Page:
        known = self._position or Position("", BEGINNING)
        return await read_page(self._topology, self.names, known, sought, self._lifetime)

    async def _mark_lost(self, epoch: str, eviction: str | None = None) -> DataLoss:
        current = await self._topology.call(
            self.number,
            MARK_LOST,
            [self.names.epoch, self.names.evicted],
            {"known": epoch, "fresh": secrets.token_hex(8), "eviction": eviction},
        )
        return DataLoss(self.number, current.decode())

    def _advance(self, entry: str) -> None:
        """Record that the log was read up to and including this entry."""
        assert self._position is not None
        self._note(self._position.entry, entry)
        self._position = Position(self._position.epoch, entry)

    def _note(self, previous: str, entry: str) -> None:
        """Record that this entry was written directly after ``previous``."""
        self._written.pop(previous, None)
        self._written[entry] = None
        if len(self._written) > MAX_WRITTEN:
            del self._written[next(iter(self._written))]

    def _settle(self, sought: Iterable[str], last: str) -> None:
        """Stop looking for entries that a read has looked for; look for the last one instead."""
        for entry in sought:
            self._written.pop(entry, None)
        if last != BEGINNING:
            self._written[last] = None
