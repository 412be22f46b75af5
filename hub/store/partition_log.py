"""The log of one partition: how far it was read, and what that proves.

What a reader concludes from an entry that should be there is said in `hub.core.position`.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable
from typing import Any

import structlog

from hub.core.model import Logout, Micros, Position, UserKey
from hub.core.position import BEGINNING, Log, Verdict, assess, order
from hub.core.wire import Malformed, decode_logout
from hub.store.base import Event, Heard, Loss
from hub.store.names import Names, partition_of
from hub.store.script import Script
from hub.store.topology import Topology

log = structlog.get_logger(__name__)

READ = Script("clock", "read")
MARK_LOST = Script("mark_lost")
PAGE = 500
TRIES = 3
MOST_WRITTEN = 1_000


class PartitionLog:
    """Reads one stream on, and takes what its channel brings; ``emit`` is called with each event.

    ``lifetime`` is how long entries are kept. ``gap`` is why logouts may have been missed, for who
    tells of that and clears it; empty when none were.
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
        # The entries that are not known to stand in the log still: each that was heard or written,
        # until another is known to stand right after it, or a look at the log has found it.
        self._written: dict[str, None] = {}
        self._checked: object = None
        self._is_lost = False

    def trusted_epoch(self) -> str | None:
        """Return the epoch in which answers are believed: "" is any, None is none.

        Nothing is believed over a connection before the log was looked at over it: the Redis
        behind it may have lost what the one before it had acknowledged. Who never read the log
        cannot know, and believes.
        """
        if self._position is None:
            return None if self._is_lost else ""
        now = self._topology.generation(self.number)
        is_sure = self._checked is not None and self._checked is now
        return self._position.epoch if is_sure and not self._is_lost else None

    def note_written(self, previous: str, entry: str) -> None:
        """Remember that an entry was written, after which other one, unless it was read since."""
        if self._position is None or order(entry) > order(self._position.entry):
            self._note(previous, entry)

    def take(self, data: bytes) -> bool:
        """Take a message of the channel.

        Returns False when the log must be read: an entry is missing before it, or it says nothing.
        """
        try:
            previous, entry, epoch, leases, record = data.split(b" ", 4)
            entry_id, known = entry.decode(), self._position
            if known is None or order(entry_id) <= order(known.entry):
                return True
            if epoch.decode() != known.epoch.partition(" ")[0]:
                # Said again after a loss of data; what is genuine is found in the log.
                return True
            if known.entry != previous.decode():
                return False
            logout = decode_logout(record)
        except (Malformed, ValueError) as error:
            log.warning("an unreadable message on the channel", error=str(error))
            return False
        self._advance(entry_id)
        self._emit(_heard(logout, leases, self.number))
        return True

    async def read_on(self) -> bool:
        """Read the stream to its end, and tell whether it holds all that is known of it.

        Answers over the same connection are believed from now on.

        Raises:
            Unavailable, ConnectionError: when it cannot be read. What was read until then counts.
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
        """Say in the store that it has lost some of this partition; the next look finds that."""
        if self._position is not None:
            await self._mark_lost(self._position.epoch)

    async def _read_pages(self) -> bool:
        entries: list[Any] = [None] * PAGE
        while len(entries) == PAGE:
            sought = list(self._written)
            seen, last, entries = await self._ask(sought)
            # From here to the next question nothing waits: what counts as read was told.
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
        self._emit(_heard(logout, row.get(b"leases", b"-"), self.number, is_live=False))

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

    async def _mark_lost(self, epoch: str) -> Loss:
        fresh = secrets.token_hex(8)
        stands = await self._topology.call(
            self.number, MARK_LOST, [self.names.epoch], {"known": epoch, "fresh": fresh}
        )
        return Loss(self.number, stands.decode())

    def _advance(self, entry: str) -> None:
        """Note that the log was read up to and with this entry."""
        assert self._position is not None
        self._note(self._position.entry, entry)
        self._position = Position(self._position.epoch, entry)

    def _note(self, previous: str, entry: str) -> None:
        """Note that this entry was written, and which one was the last before it."""
        self._written.pop(previous, None)
        self._written[entry] = None
        if len(self._written) > MOST_WRITTEN:
            del self._written[next(iter(self._written))]

    def _settle(self, sought: Iterable[str], last: str) -> None:
        """Forget the entries that a look has sought; the log's last one stands for them now."""
        for entry in sought:
            self._written.pop(entry, None)
        if last != BEGINNING:
            self._written[last] = None


def _heard(logout: Logout, leases: bytes, part: int, *, is_live: bool = True) -> Heard:
    owing = frozenset() if leases == b"-" else frozenset(leases.decode().split(","))
    return Heard(logout, _concerned(logout, part), owing, part, is_live)


def _concerned(logout: Logout, part: int) -> Callable[[UserKey], bool]:
    if logout.user is None:
        return lambda user: partition_of(user) == part
    return lambda user: user == logout.user
