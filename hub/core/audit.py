"""The hash chain of an audit log: each line carries its own hash and that of the line before it.

A line is one JSON object whose last member is the hash (SHA-256, FIPS 180-4) of all bytes before
it. A line that was truncated, changed, moved or removed is therefore detected from the file alone.
Somebody who can write to the file can still remove lines from its end, or rewrite it from some line
on; to detect that, keep a copy of the lines, or the hash of one, elsewhere.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

BEGIN = "0" * 64
"""The ``prev`` of the first line of a chain."""

MAX_LINE = 65536
"""Bytes; the hub writes no longer lines."""

MAX_TEXT = 4096
MAX_FAULTS = 100
TORN = "torn"
"""The event that accounts for an unfinished line before it, left by a hub that was killed."""

_TAIL = re.compile(rb',"hash":"([0-9a-f]{64})"}')
_TAIL_BYTES = len(',"hash":""}') + 64


class Entry(msgspec.Struct, frozen=True):
    """One event: its number in the chain, time (Unix seconds), replica, name, facts and hashes."""

    seq: int
    at: float
    replica: str
    event: str
    facts: dict[str, Any]
    prev: str
    hash: str


class Fault(msgspec.Struct, frozen=True):
    """A fault at a line, counted from 1.

    ``what`` is ``cut``, ``changed``, ``reordered``, ``removed`` (before the line) or ``torn``.
    """

    line: int
    what: str
    detail: str


class Report(msgspec.Struct, frozen=True):
    """The result of `verify`: how many entries, the first and last number, and the faults."""

    entries: int
    first: int | None
    last: int | None
    hash: str | None
    faults: tuple[Fault, ...]


_entries = msgspec.json.Decoder(Entry)


def compose(
    seq: int, prev: str, at: float, replica: str, event: str, facts: Mapping[str, Any]
) -> tuple[bytes, str]:
    """Return a line, including its newline, and its hash; long texts in the facts are shortened.

    Facts that cannot be encoded as JSON are replaced by the name of the error, so that no event
    can stop the log.
    """
    short = {name: _shorten(value) for name, value in facts.items()}
    entry = {"seq": seq, "at": at, "replica": replica, "event": event, "facts": short, "prev": prev}
    try:
        body = msgspec.json.encode(entry)[:-1]
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        entry["facts"] = {"unwritable": type(error).__name__}
        body = msgspec.json.encode(entry)[:-1]
    if len(body) + _TAIL_BYTES > MAX_LINE:
        body = msgspec.json.encode({**entry, "facts": {"too_long": len(body)}})[:-1]
    own = hashlib.sha256(body).hexdigest()
    return body + f',"hash":"{own}"}}\n'.encode(), own


def _shorten(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _shorten(inner) for name, inner in value.items()}
    if isinstance(value, str):
        # JSON cannot hold a lone surrogate.
        return value[:MAX_TEXT].encode(errors="replace").decode()
    return value


def read_entry(line: bytes) -> Entry | None:
    """Return the entry in a line without its newline; None if it is malformed or was changed."""
    entry, is_genuine = _read(line)
    return entry if is_genuine else None


def _read(line: bytes) -> tuple[Entry | None, bool]:
    """Return the entry in a line, if it is well-formed, and whether its hash is right."""
    tail = _TAIL.fullmatch(line[-_TAIL_BYTES:])
    if tail is None or len(line) > MAX_LINE:
        return None, False
    try:
        entry = _entries.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None, False
    return entry, hashlib.sha256(line[:-_TAIL_BYTES]).hexdigest() == tail[1].decode()


def verify(
    lines: Iterable[bytes], on_entry: Callable[[int, Entry], None] = lambda number, entry: None
) -> Report:
    """Check the lines of a log, each including its newline, in one pass.

    The first line need not be the first of its chain, since files are rotated. At most
    `MAX_FAULTS` are reported. ``on_entry`` is called with each line number and its entry.
    """
    check = _Check(on_entry)
    for number, line in enumerate(lines, 1):
        check.take(number, line)
    return check.report()


class _Check:
    def __init__(self, on_entry: Callable[[int, Entry], None]) -> None:
        self._on_entry = on_entry
        self._count = 0
        self._first: int | None = None
        self._newest: Entry | None = None
        self._faults: list[Fault] = []
        # Gaps: line, first and last missing number, how many of them were found elsewhere.
        self._missing: list[list[int]] = []
        self._unread: tuple[int, bytes] | None = None
        self._unread_count = 0

    def take(self, number: int, line: bytes) -> None:
        entry, is_genuine = _read(line.removesuffix(b"\n"))
        if entry is None or not line.endswith(b"\n"):
            self._settle_unread()
            self._unread = (number, line)
            return
        self._on_entry(number, entry)
        self._count += 1
        if self._first is None:
            self._first = entry.seq
        if self._unread is not None and not _is_accounted_for(entry, self._unread[1]):
            self._settle_unread()
        self._unread = None
        if not is_genuine:
            self._fault(number, "changed", f"entry {entry.seq} does not match its hash")
        self._link(number, entry)

    def _settle_unread(self) -> None:
        if self._unread is None:
            return
        number, line = self._unread
        if line.endswith(b"\n"):
            self._unread_count += 1
            self._fault(number, "cut", "this is not an entry, or an incomplete one")
        else:
            self._fault(number, "torn", "the last line is incomplete")
        self._unread = None

    def _link(self, number: int, entry: Entry) -> None:
        newest = self._newest
        if newest is None:
            if entry.seq == 1 and entry.prev != BEGIN:
                self._fault(number, "changed", "the first entry of a chain follows another")
        elif entry.seq <= newest.seq:
            self._fault(number, "reordered", f"entry {entry.seq} comes after {newest.seq}")
            for gap in self._missing:
                gap[3] += gap[1] <= entry.seq <= gap[2]
            return
        elif entry.seq > newest.seq + 1 + self._unread_count:
            if len(self._missing) < MAX_FAULTS:
                self._missing.append([number, newest.seq + 1, entry.seq - 1, self._unread_count])
        elif entry.seq == newest.seq + 1 and entry.prev != newest.hash:
            text = f"entry {entry.seq} does not follow from the entry {newest.seq} before it"
            self._fault(number, "changed", text)
        self._newest, self._unread_count = entry, 0

    def _fault(self, number: int, what: str, detail: str) -> None:
        if len(self._faults) < MAX_FAULTS:
            self._faults.append(Fault(number, what, detail))

    def report(self) -> Report:
        self._settle_unread()
        for number, first, last, found in self._missing:
            if last - first + 1 > found:
                text = f"{last - first + 1 - found} of entries {first} to {last} are missing"
                self._fault(number, "removed", text)
        newest = self._newest
        return Report(
            entries=self._count,
            first=self._first,
            last=None if newest is None else newest.seq,
            hash=None if newest is None else newest.hash,
            faults=tuple(sorted(self._faults, key=lambda fault: fault.line)),
        )


def _is_accounted_for(entry: Entry, piece: bytes) -> bool:
    digest = hashlib.sha256(piece.removesuffix(b"\n")).hexdigest()
    return entry.event == TORN and entry.facts.get("sha256") == digest
