"""Holds, notes and records of signals on Redis."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence

import msgspec

from hub.core.signal import SignalRecord
from hub.store.base import NOTES_LIFETIME, SIGNALS_KEPT, SIGNALS_PAGE
from hub.store.names import Names, hold_key, notes_key
from hub.store.records import reading
from hub.store.script import Script, raw
from hub.store.topology import Topology
from hub.store.values import Note

HOLD = Script("hold")
LET_GO = Script("let_go")
NOTE = Script("clock", "note")
NOTES = Script("notes")
APPEND = Script("append")
PAGE = Script("page")
NEWEST = Script("newest")

START = "0-0"
"""Before the first entry of a stream."""

PARTITION = 0
"""The partition on whose server the records of signals are kept; they do not belong to a user."""

_records = msgspec.json.Decoder(SignalRecord)


class RedisNotes:
    """The methods of `hub.store.base.Store` for holds, notes and records of signals."""

    def __init__(self, calls: Topology) -> None:
        self._calls = calls
        self._signals = Names(None, PARTITION).signals

    async def hold(self, name: str, holder: str, seconds: float) -> bool:
        """Take a hold or renew it."""
        partition, key = hold_key(name)
        values = {"holder": holder, "ms": round(seconds * 1000)}
        return bool(await self._calls.call(partition, HOLD, [key], values))

    async def release(self, name: str, holder: str) -> None:
        """Release a hold."""
        partition, key = hold_key(name)
        await self._calls.call(partition, LET_GO, [key], {"holder": holder})

    async def note(self, name: str, kind: str, text: str, *, times: int = 1) -> None:
        """Keep a note about something."""
        partition, key = notes_key(name)
        kept = NOTES_LIFETIME // 1000
        values = {"kind": kind, "text": text, "times": times, "kept_ms": kept}
        await self._calls.call(partition, NOTE, [key], values)

    async def notes(self, name: str) -> Mapping[str, Note]:
        """Return the notes about something.

        Raises:
            Unreadable: if one is damaged.
        """
        partition, key = notes_key(name)
        answer: list[bytes] = await self._calls.call(partition, NOTES, [key], {})
        with reading:
            texts = [item.decode() for item in answer]
            fields = dict(zip(texts[0::2], texts[1::2], strict=True))
            kinds = [name.removesuffix(":text") for name in fields if name.endswith(":text")]
            return {
                kind: Note(
                    fields[f"{kind}:text"], int(fields[f"{kind}:at"]), int(fields[f"{kind}:times"])
                )
                for kind in kinds
            }

    async def add_signals(self, records: Sequence[SignalRecord]) -> None:
        """Store records of signals."""
        lines = [raw(msgspec.json.encode(record)) for record in records]
        values = {"kept": SIGNALS_KEPT, "lines": lines}
        await self._calls.call(PARTITION, APPEND, [self._signals], values)

    async def signals(self, after: str | None = None) -> tuple[str, Sequence[SignalRecord]]:
        """Return the records of signals that follow a place."""
        if after is None:
            newest = await self._calls.call(PARTITION, NEWEST, [self._signals], {})
            return (newest[0][0].decode() if newest else START), ()
        values = {"start": f"({after}", "most": SIGNALS_PAGE}
        page = await self._calls.call(PARTITION, PAGE, [self._signals], values)
        records = []
        for entry, (_, line) in page:
            with contextlib.suppress(msgspec.DecodeError):
                at = int(entry.partition(b"-")[0]) * 1000
                records.append(msgspec.structs.replace(_records.decode(line), at=at))
        return (page[-1][0].decode() if page else after), records
