"""Holds, notes and records of signals of the embedded store."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence

import msgspec

from hub.core.model import Micros
from hub.core.signal import SignalRecord
from hub.store.base import NOTES_LIFETIME, SIGNALS_KEPT, SIGNALS_PAGE
from hub.store.values import Note


class MemoryNotes:
    """The holds, notes and records of signals of this process; ``now`` is the store's time."""

    def __init__(self) -> None:
        self._holders: dict[str, tuple[str, Micros]] = {}
        self._notes: dict[str, dict[str, Note]] = {}
        self._signals: deque[SignalRecord] = deque(maxlen=SIGNALS_KEPT)
        self._signals_added = 0

    def hold(self, name: str, holder: str, lifetime: Micros, now: Micros) -> bool:
        """Take a hold or renew it, and return whether the holder has it."""
        other, until = self._holders.get(name, (holder, now))
        if other != holder and until > now:
            return False
        self._holders[name] = (holder, now + lifetime)
        return True

    def release(self, name: str, holder: str) -> None:
        """Release a hold."""
        if self._holders.get(name, ("", 0))[0] == holder:
            del self._holders[name]

    def note(self, name: str, kind: str, text: str, times: int, now: Micros) -> None:
        """Keep a note about something."""
        kept = self._current(name, now)
        before = kept[kind].times if kind in kept else 0
        self._notes[name] = {**kept, kind: Note(text, now, before + times)}

    def notes(self, name: str, now: Micros) -> Mapping[str, Note]:
        """Return the notes about something."""
        return dict(self._current(name, now))

    def _current(self, name: str, now: Micros) -> dict[str, Note]:
        kept = self._notes.get(name, {})
        newest = max((note.at for note in kept.values()), default=now)
        return kept if now - newest < NOTES_LIFETIME else {}

    def add_signals(self, records: Sequence[SignalRecord], now: Micros) -> None:
        """Store records of signals."""
        self._signals.extend(msgspec.structs.replace(record, at=now) for record in records)
        self._signals_added += len(records)

    def signals(self, after: str | None) -> tuple[str, Sequence[SignalRecord]]:
        """Return the records of signals that follow a place: how many had been added by then."""
        added = self._signals_added
        if after is None:
            return str(added), ()
        first = added - len(self._signals)
        begin = max(int(after) - first, 0)
        page = list(self._signals)[begin : begin + SIGNALS_PAGE]
        return str(first + begin + len(page)), page
