"""Reads the log of one partition and its channel, and detects data losses.

`hub.core.position` decides what follows from a missing entry.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable
from typing import Any

import structlog

from hub.core.model import Logout, Micros, Position, UserKey
from hub.core.position import BEGINNING, Log, Verdict, assess, order
from hub.core.wire import Malformed, decode_logout
from hub.store.names import Names, partition_of
from hub.store.script import Script
from hub.store.topology import Topology
from hub.store.values import DataLoss, Event, LogoutEvent

log = structlog.get_logger(__name__)

READ = Script("clock", "read")
MARK_LOST = Script("mark_lost")
PAGE = 500
TRIES = 3
MOST_WRITTEN = 1_000


class PartitionLog:
    """Reads one stream and takes the messages of its channel; calls ``emit`` with each event.

    ``lifetime`` is how long entries are kept. ``gap`` is the reason why logouts may have been
    missed, or empty; whoever reports it resets it.
    """

    def __init__(
        self, number: int, topology: Topology, lifetime: Micros, emit: Callable[[Event], None]
    ) -> None:
        self.number = number
        self.names = Names(None, number)
        self.gap = ""
        self._topology = topology
        self._lifetime_ms = lifetime // 1000
        self._emit = emit
        self._position: Position | None = None
        # The entries to look for in the log: each that was received or written, until it is known
        # to have a successor, or a read of the log has found it.
        self._written: dict[str, None] = {}
        self._checked: object = None
        self._is_lost = False

    def trusted_epoch(self) -> str | None:
        """Return the epoch in which answers are trusted: "" means any, None means none.

        Answers over a new connection are not trusted until the log was read over it: the Redis
        behind it may have lost what the previous one had acknowledged. If the log was never read,
        there is nothing to compare, and any epoch is trusted.
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
            previous, entry, epoch, leases, record = data.split(b" ", 4)
            entry_id, known = entry.decode(), self._position
            if known is None or order(entry_id) <= order(known.entry):
                return True
            if epoch.decode() != known.epoch.partition(" ")[0]:
                # Replayed after a data loss; if it is genuine, it is in the log.
                return True
            if known.entry != previous.decode():
                return False
            logout = decode_logout(record)
        except (Malformed, ValueError) as error:
            log.warning("an unreadable message on the channel", error=str(error))
            return False
        self._advance(entry_id)
        self._emit(_make_event(logout, leases, self.number))
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

    async def mark_lost(self) -> None:
        """Record in the store that it lost data of this partition; the next read detects that."""
        if self._position is not None:
            await self._mark_lost(self._position.epoch)

    async def _read_pages(self) -> bool:
        entries: list[Any] = [None] * PAGE
        while len(entries) == PAGE:
            sought = list(self._written)
            seen, last, entries = await self._ask(sought)
            # No await until the next read: what counts as read has been emitted.
            epoch = seen.epoch or ""
            match assess(self._position, seen):
                case Verdict.RECOVER:
                    self._is_lost = True
                    self._emit(await self._mark_lost(epoch))
                    return False
                case Verdict.SWEEP:
                    self._position = Position(epoch, last)
                    self.gap = "the log begins here"
                    entries = []
                case Verdict.READ_ON:
                    assert self._position is not None
                    self._position = Position(epoch, self._position.entry)
            self._is_lost = False
            self._settle(sought, last)
            for entry, fields in entries:
                self._advance(entry.decode())
                self._replay(fields)
        return True

    def _replay(self, fields: list[bytes]) -> None:
        row = dict(zip(fields[0::2], fields[1::2], strict=True))
        try:
            logout = decode_logout(row[b"logout"])
        except (Malformed, KeyError) as error:
            log.error("an unreadable logout in the log", error=str(error))
            self.gap = "an unreadable logout"
            return
        self._emit(_make_event(logout, row.get(b"leases", b"-"), self.number, is_live=False))

    async def _ask(self, sought: list[str]) -> tuple[Log, str, list[Any]]:
        known = self._position
        epoch, last, there, past, entries = await self._topology.call(
            self.number,
            READ,
            [self.names.log, self.names.epoch],
            {
                "known": known.epoch if known else "",
                "position": known.entry if known else BEGINNING,
                "fresh": secrets.token_hex(8),
                "most": PAGE,
                "lifetime_ms": self._lifetime_ms,
                "sought": sought,
            },
        )
        text = epoch.decode()
        seen = Log(
            epoch=text or None,
            is_lost=text.endswith(" lost"),
            is_recovered=text.endswith(" mended"),
            has_entry=bool(there),
            is_past=bool(past),
        )
        return seen, last.decode(), entries

    async def _mark_lost(self, epoch: str) -> DataLoss:
        fresh = secrets.token_hex(8)
        current = await self._topology.call(
            self.number, MARK_LOST, [self.names.epoch], {"known": epoch, "fresh": fresh}
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
        if len(self._written) > MOST_WRITTEN:
            del self._written[next(iter(self._written))]

    def _settle(self, sought: Iterable[str], last: str) -> None:
        """Replace the entries that a read looked for with the last entry of the log."""
        for entry in sought:
            self._written.pop(entry, None)
        if last != BEGINNING:
            self._written[last] = None


def _make_event(
    logout: Logout, leases: bytes, partition: int, *, is_live: bool = True
) -> LogoutEvent:
    pending = frozenset() if leases == b"-" else frozenset(leases.decode().split(","))
    return LogoutEvent(logout, _concerned(logout, partition), pending, partition, is_live)


def _concerned(logout: Logout, partition: int) -> Callable[[UserKey], bool]:
    if logout.user is None:
        return lambda user: partition_of(user) == partition
    return lambda user: user == logout.user
