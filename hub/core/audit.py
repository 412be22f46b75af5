"""The chain of an audit log: each line carries the hash of the one before it, and its own.

A line is one JSON object whose last member is the hash (SHA-256, FIPS 180-4) of all bytes before
it. So a line that was cut, changed, moved or taken out is found by reading the file alone. Who can
write the file can still take lines off its end, or write all of it anew from some line on; against
that, the hash of a line is kept elsewhere.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

BEGIN = "0" * 64
"""What stands for the hash of the line before the first."""

MAX_LINE = 65536
"""Bytes of a line; the hub writes shorter ones."""

MAX_TEXT = 4096
MOST_FAULTS = 100
TORN = "torn"
"""The event that vouches for an unfinished line in front of it, which a stopped hub left behind."""

_TAIL = re.compile(rb',"hash":"([0-9a-f]{64})"}')
_TAIL_BYTES = len(',"hash":""}') + 64


class Entry(msgspec.Struct, frozen=True):
    """One event: its number in the chain, when (Unix seconds), where, what, and the links."""

    seq: int
    at: float
    replica: str
    event: str
    facts: dict[str, Any]
    prev: str
    hash: str


class Fault(msgspec.Struct, frozen=True):
    """What is wrong at a line, the first being 1.

    ``what`` is ``cut``, ``changed``, ``reordered``, ``removed`` (in front of the line) or ``torn``.
    """

    line: int
    what: str
    detail: str


class Report(msgspec.Struct, frozen=True):
    """What `verify` found: the entries, the numbers of the first and the last, and the faults."""

    entries: int
    first: int | None
    last: int | None
    hash: str | None
    faults: tuple[Fault, ...]


_entries = msgspec.json.Decoder(Entry)


def compose(
    seq: int, prev: str, at: float, replica: str, event: str, facts: Mapping[str, Any]
) -> tuple[bytes, str]:
    """Return a line, with its end, and its hash; long texts among the facts are shortened.

    Facts that JSON cannot hold are left out and their fault is named: one event never stops a log.
    """
    told = {name: _shorten(value) for name, value in facts.items()}
    entry = {"seq": seq, "at": at, "replica": replica, "event": event, "facts": told, "prev": prev}
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
        # A lone surrogate has no place in JSON.
        return value[:MAX_TEXT].encode(errors="replace").decode()
    return value


def read_entry(line: bytes) -> Entry | None:
    """Return the entry of a line without its end, or None when it is none, also a changed one."""
    entry, is_true = _read(line)
    return entry if is_true else None


def _read(line: bytes) -> tuple[Entry | None, bool]:
    """Return the entry of a line, if it has the form of one, and whether its hash is its own."""
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
    """Return what is wrong with the lines of a log, each with its end; reads them once.

    The first line may be any of a chain, since files are rotated. At most `MOST_FAULTS` are told.
    ``on_entry`` is called with each entry and the number of its line.
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
        self._missing: list[list[int]] = []  # line, first, last, how many of them came later
        self._unread: tuple[int, bytes] | None = None
        self._unread_count = 0

    def take(self, number: int, line: bytes) -> None:
        entry, is_true = _read(line.removesuffix(b"\n"))
        if entry is None or not line.endswith(b"\n"):
            self._settle_unread()
            self._unread = (number, line)
            return
        self._on_entry(number, entry)
        self._count += 1
        if self._first is None:
            self._first = entry.seq
        if self._unread is not None and not _vouches(entry, self._unread[1]):
            self._settle_unread()
        self._unread = None
        if not is_true:
            self._fault(number, "changed", f"entry {entry.seq} has not the hash that it names")
        self._link(number, entry)

    def _settle_unread(self) -> None:
        if self._unread is None:
            return
        number, line = self._unread
        if line.endswith(b"\n"):
            self._unread_count += 1
            self._fault(number, "cut", "this is no entry, or not a whole one")
        else:
            self._fault(number, "torn", "the last line is not finished")
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
            if len(self._missing) < MOST_FAULTS:
                self._missing.append([number, newest.seq + 1, entry.seq - 1, self._unread_count])
        elif entry.seq == newest.seq + 1 and entry.prev != newest.hash:
            text = f"entry {entry.seq} follows another entry {newest.seq} than the one in front"
            self._fault(number, "changed", text)
        self._newest, self._unread_count = entry, 0

    def _fault(self, number: int, what: str, detail: str) -> None:
        if len(self._faults) < MOST_FAULTS:
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


def _vouches(entry: Entry, piece: bytes) -> bool:
    digest = hashlib.sha256(piece.removesuffix(b"\n")).hexdigest()
    return entry.event == TORN and entry.facts.get("sha256") == digest
