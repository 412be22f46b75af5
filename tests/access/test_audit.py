"""The writer of the audit log: it keeps its chain through restarts, rotation and full disks."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from hub.access import audit as module
from hub.access import audit_copy
from hub.access.audit import Audit
from hub.core.audit import Entry, read_entry, verify
from hub.core.audit_copy import Compared, Copies
from hub.errors import Unavailable
from hub.metrics import Metrics
from tests.realtime.raw import eventually


def entries(*files: Path) -> list[Entry]:
    """Return the entries of a log that is whole."""
    lines = [line for file in files for line in file.read_bytes().splitlines(keepends=True)]
    assert verify(lines).faults == ()
    found = [read_entry(line.rstrip(b"\n")) for line in lines]
    return [entry for entry in found if entry is not None]


def lost(metrics: Metrics) -> float | None:
    """Return how many events were counted as lost."""
    return metrics.registry.get_sample_value("hub_audit_lost_total")


async def write(path: Path, *events: str) -> None:
    """Write events as one run of a hub does."""
    async with Audit(str(path), "a", Metrics()) as audit:
        for event in events:
            audit.note(event, user="ada")


async def test_a_restart_goes_on_from_the_last_line(tmp_path: Path) -> None:
    """Two runs make one chain, in a file that only its owner can read."""
    file = tmp_path / "audit.log"
    await write(file, "start", "stop")
    await write(file, "start", "stop")
    assert [(e.seq, e.event) for e in entries(file)] == [
        (1, "start"), (2, "stop"), (3, "start"), (4, "stop"),
    ]  # fmt: skip
    assert file.stat().st_mode & 0o777 == 0o600


async def test_a_torn_line_is_told(tmp_path: Path) -> None:
    """A run that was killed while it wrote leaves a piece, for which the next run vouches."""
    file = tmp_path / "audit.log"
    await write(file, "start", "stop")
    file.write_bytes(file.read_bytes()[:-20])
    await write(file, "start")
    assert [e.event for e in entries(file)] == ["start", "torn", "start"]


async def test_rotation_goes_on_in_a_new_file(tmp_path: Path) -> None:
    """After the file was moved away, the chain goes on in another."""
    file, old = tmp_path / "audit.log", tmp_path / "audit.log.1"
    async with Audit(str(file), "a", Metrics()) as audit:
        audit.note("one")
        await eventually(lambda: file.stat().st_size)
        file.rename(old)
        await audit.reopen()
        await eventually(file.exists)
        audit.note("two")
    assert [e.event for e in entries(old, file)] == ["one", "two"]


async def test_what_finds_no_room_is_a_gap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Events beyond the queue are counted, and the chain says how many at their place."""
    monkeypatch.setattr(module, "MAX_QUEUED", 10)
    file, metrics = tmp_path / "audit.log", Metrics()
    async with Audit(str(file), "a", metrics) as audit:
        for _ in range(25):
            audit.note("many")
        await eventually(lambda: file.stat().st_size)
        audit.note("later")
    found = entries(file)
    assert [e.event for e in found] == ["many"] * 10 + ["gap", "later"]
    assert found[10].facts == {"lost": 15}
    assert lost(metrics) == 15


async def test_a_full_disk_stops_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was written in part is taken back; the events are kept, and written once there is room.

    The write fails as on a full disk, after a part of it was taken.
    """
    monkeypatch.setattr(module, "RETRY", 0.05)
    file, is_full, write_ = tmp_path / "audit.log", True, os.write

    def write_or_fail(handle: int, data: bytes) -> int:
        if not is_full:
            return write_(handle, data)
        if len(data) < 100:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write_(handle, data[:-50])

    async with Audit(str(file), "a", Metrics()) as audit:
        monkeypatch.setattr(os, "write", write_or_fail)
        audit.note("one")
        await eventually(lambda: audit._failing)
        audit.note("two")
        await asyncio.sleep(0.2)
        assert file.read_bytes() == b""
        is_full = False
    assert [e.event for e in entries(file)] == ["one", "two"]


async def test_refusals_are_summed_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is one line for each code and address, and so many of them at most."""
    monkeypatch.setattr(module, "MAX_COUNTED", 2)
    file = tmp_path / "audit.log"
    async with Audit(str(file), "a", Metrics()) as audit:
        for address in ("1", "1", "2", "3", "4"):
            audit.refused("token_invalid", address)
    told: list[dict[str, Any]] = [e.facts for e in entries(file)]
    assert sorted((f["address"], f["count"]) for f in told) == [("1", 2), ("2", 1), ("others", 2)]


async def test_a_file_that_cannot_be_it_is_refused(tmp_path: Path) -> None:
    """Another text, a directory, a pipe, and a file that a second process writes."""
    (text := tmp_path / "text").write_text("hello\n")
    os.mkfifo(pipe := tmp_path / "pipe")
    for path in (text, tmp_path, pipe, tmp_path / "none" / "audit.log"):
        with pytest.raises(OSError, match=r"\w"):
            Audit(str(path), "a", Metrics()).open()
    async with Audit(str(tmp_path / "audit.log"), "a", Metrics()):
        with pytest.raises(OSError, match="another process"):
            Audit(str(tmp_path / "audit.log"), "b", Metrics()).open()


async def test_without_a_path_nothing_is_kept() -> None:
    """A hub without the setting holds no events."""
    async with Audit(None, "a", Metrics()) as audit:
        audit.note("start")
        audit.refused("token_invalid", "1")
        assert not audit._queue
        assert not audit._counted


class Shelf:
    """Keeps copied lines, or fails a given number of times."""

    def __init__(self, failures: int = 0) -> None:
        self.failures = failures
        self.lines: list[bytes] = []
        self.is_closed = False

    async def append(self, lines: Sequence[bytes]) -> None:
        """Keep lines; a failure may have kept some of them."""
        if self.failures:
            self.failures -= 1
            self.lines += lines[: len(lines) // 2]
            raise Unavailable("the shelf is full")
        self.lines += lines

    async def close(self) -> None:
        """Note that nothing comes any more."""
        self.is_closed = True


async def test_every_line_of_the_file_is_copied(tmp_path: Path) -> None:
    """In their order, from the first to the last, also one that vouches for a torn line."""
    file, shelf = tmp_path / "audit.log", Shelf()
    for _ in range(2):
        async with Audit(str(file), "a", Metrics(), shelf) as audit:
            for number in range(500):
                audit.note("many", number=number)
        file.write_bytes(file.read_bytes() + b"{torn")
    lines = [line for line in file.read_bytes().splitlines() if line != b"{torn"]
    assert shelf.lines == lines[:1001]
    assert shelf.is_closed


async def test_a_copy_that_fails_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file does not wait for it, and what came twice is known for that."""
    monkeypatch.setattr(audit_copy, "RETRY", 0.05)
    file, shelf, metrics = tmp_path / "audit.log", Shelf(failures=5), Metrics()
    async with Audit(str(file), "a", metrics, shelf) as audit:
        for number in range(10):
            audit.note("one", number=number)
        await eventually(lambda: len(entries(file)) == 10)
        await eventually(lambda: not shelf.failures and shelf.lines[-1:] == [last_line(file)])
    copies = Copies(shelf.lines)
    verify(file.read_bytes().splitlines(keepends=True), copies.take)
    assert copies.compare(11) == Compared(10, 0, 0, ())
    assert metrics.registry.get_sample_value("hub_audit_uncopied_total") == 0


async def test_what_finds_no_room_is_in_the_file_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the store is down a bounded number of lines waits; the rest is counted."""
    monkeypatch.setattr(audit_copy, "MAX_WAITING", 10)
    file, shelf, metrics = tmp_path / "audit.log", Shelf(failures=1_000_000), Metrics()
    async with Audit(str(file), "a", metrics, shelf) as audit:
        for number in range(25):
            audit.note("many", number=number)
    assert len(entries(file)) == 25
    assert metrics.registry.get_sample_value("hub_audit_uncopied_total") == 25
    assert shelf.is_closed


def last_line(file: Path) -> bytes:
    """Return the last line of a file, without its end."""
    return file.read_bytes().splitlines()[-1]
