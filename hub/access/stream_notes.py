"""Notes for operators about each transmitter's stream, which all replicas write to the store.

Notes must cost less than events: each replica writes those of a stream at most once a second, and
only the newest of each kind, with how many there were.
"""

from __future__ import annotations

import asyncio
import enum
import time
from collections.abc import Mapping

import structlog

from hub.access.repeated_warnings import RepeatedWarnings
from hub.access.transmitter import has_access
from hub.access.transmitters import name_of
from hub.core.model import SECOND, Micros
from hub.core.transmitters import Transmitter
from hub.errors import Unavailable
from hub.store.base import Store
from hub.store.values import Note

log = structlog.get_logger(__name__)

INTERVAL = 1.0
"""Seconds between two writes of a replica."""

MAX_TEXT = 500

MAX_ASKED = 8
"""How many verifications are expected at once: an event may come after the next was asked for."""


class Kind(enum.StrEnum):
    """What a note is about, and what its text is."""

    ACCEPTED = "heard"
    """An event was accepted: how many seconds ago it had been signed."""
    REFUSED = "refused"
    """An event was refused: why."""
    ASKED = "asked"
    """Verifications were asked for: the states of the last few, the newest first."""
    VERIFIED = "verified"
    """A verification arrived as expected: its state, or nothing if the transmitter sent it
    unasked."""
    UNEXPECTED = "unexpected"
    """A verification arrived with a state that was not asked for."""
    STATUS = "status"
    """The transmitter changed the stream's status: the status, and why."""
    POLLED = "polled"
    """A poll was answered: the replica."""
    FAILED = "failed"
    """A poll failed: why."""


class StreamNotes:
    """Makes notes about streams; `run` writes them, so run it in the background."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._unwritten: dict[tuple[str, Kind], Note] = {}
        self._wake = asyncio.Event()
        self._warnings = RepeatedWarnings()

    # ---- What happened ----

    def accepted(self, transmitter: Transmitter, issued_at: Micros) -> None:
        """Note that an event was accepted that was signed at ``issued_at``."""
        age = max(0.0, time.time() - issued_at / SECOND)
        self.note(transmitter, Kind.ACCEPTED, f"{age:.3f}")

    def refused(self, transmitter: Transmitter, err: str, description: str) -> None:
        """Note that an event was refused."""
        self.note(transmitter, Kind.REFUSED, f"{err}: {description}")

    def updated(self, transmitter: Transmitter, status: str, reason: str | None = None) -> None:
        """Note that the transmitter changed its stream's status (``stream-updated``)."""
        self.note(transmitter, Kind.STATUS, f"{status}: {reason}" if reason else status)

    async def verified(self, transmitter: Transmitter, state: str | None) -> bool:
        """Note a verification event, and return whether its state is as expected.

        A transmitter may send one unasked, without a state (SSF 1.0 section 8.1.4). If the hub has
        no access to its API, somebody else may have asked with any state.

        Raises:
            Unavailable: if the expected states could not be read, or the note not written.
        """
        name = name_of(transmitter)
        is_expected = state is None or not has_access(transmitter)
        if not is_expected:
            is_expected = state in await self._read_asked(name)
        kind = Kind.VERIFIED if is_expected else Kind.UNEXPECTED
        await self._store.note(name, kind, _writable(state or ""))
        return is_expected

    async def ask(self, transmitter: Transmitter, state: str) -> None:
        """Note the state of a verification, before asking for it; it has no spaces.

        Raises:
            Unavailable: if it may not have been written.
        """
        name = name_of(transmitter)
        states = [state, *await self._read_asked(name)]
        await self._store.note(name, Kind.ASKED, " ".join(states[:MAX_ASKED]))

    async def _read_asked(self, name: str) -> list[str]:
        asked = (await self._store.notes(name)).get(Kind.ASKED)
        return [] if asked is None else asked.text.split(" ")

    async def read(self, transmitter: Transmitter) -> Mapping[str, Note]:
        """Return what is known of a stream, by `Kind`.

        Raises:
            Unavailable: if the store does not answer.
        """
        return await self._store.notes(name_of(transmitter))

    # ---- Writing ----

    def note(self, transmitter: Transmitter, kind: Kind, text: str) -> None:
        """Make a note, which is written soon."""
        key = name_of(transmitter), kind
        before = self._unwritten.get(key)
        times = 1 if before is None else before.times + 1
        self._unwritten[key] = Note(_writable(text), 0, times)
        self._wake.set()

    async def run(self) -> None:
        """Write notes, until cancelled."""
        while True:
            await self._wake.wait()
            await self.write()
            await asyncio.sleep(INTERVAL)

    async def write(self) -> None:
        """Write all pending notes; those that the store does not take are dropped."""
        self._wake.clear()
        unwritten, self._unwritten = self._unwritten, {}
        for (name, kind), note in unwritten.items():
            try:
                await self._store.note(name, kind, note.text, times=note.times)
            except Unavailable as error:
                if self._warnings.is_due(error.detail):
                    log.warning("a note about a stream was not written", error=error.detail)


def _writable(text: str) -> str:
    """Return a text, shortened, that the store can encode and a terminal can show.

    A transmitter's JSON may hold lone surrogates, and escape sequences.
    """
    return "".join(char if char.isprintable() else "?" for char in text[:MAX_TEXT])
