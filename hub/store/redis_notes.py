"""Holds and notes on Redis."""

from __future__ import annotations

from collections.abc import Mapping

from hub.store.base import NOTES_LIFETIME, Note
from hub.store.names import hold_key, notes_key
from hub.store.records import reading
from hub.store.script import Script
from hub.store.topology import Topology

HOLD = Script("hold")
LET_GO = Script("let_go")
NOTE = Script("clock", "note")
NOTES = Script("notes")


class RedisNotes:
    """The methods of `hub.store.base.Store` for holds and notes."""

    def __init__(self, calls: Topology) -> None:
        self._calls = calls

    async def hold(self, name: str, holder: str, seconds: float) -> bool:
        """Take a hold or renew it."""
        partition, key = hold_key(name)
        values = {"holder": holder, "ms": round(seconds * 1000)}
        return bool(await self._calls.call(partition, HOLD, [key], values))

    async def release(self, name: str, holder: str) -> None:
        """Give up a hold."""
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
        with reading():
            texts = [item.decode() for item in answer]
            fields = dict(zip(texts[0::2], texts[1::2], strict=True))
            kinds = [name.removesuffix(":text") for name in fields if name.endswith(":text")]
            return {
                kind: Note(
                    fields[f"{kind}:text"], int(fields[f"{kind}:at"]), int(fields[f"{kind}:times"])
                )
                for kind in kinds
            }
