"""Writes the audit log: who did what, in an append-only file, in a chain of hashes.

Nothing waits for the disk: events go to a bounded queue, and one task writes them in a thread. When
the queue is full, events are dropped and counted, and an entry of the chain says how many are
missing at that point. Lines that are in the file are then copied to the store, if there is one.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import hashlib
import os
import stat
import tempfile
import time
from collections import deque
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import structlog

from hub.access.audit_copy import Copier, Copy
from hub.core.audit import BEGIN, MAX_LINE, TORN, Entry, compose, read_entry
from hub.core.tally import Tally
from hub.metrics import Metrics

log = structlog.get_logger(__name__)

MAX_QUEUED = 20_000
BATCH = 1000
MAX_COUNTED = 1000
SUM_EVERY = 60.0
GATHER = 0.05
RETRY = 1.0
STOP_TIMEOUT = 5.0
GAP = "gap"
"""The event that replaces dropped events, and says how many there were."""

Event = tuple[float, str, dict[str, Any]]


class Audit:
    """The audit log of this replica; without a path it does nothing.

    It writes while it is entered as a context manager; call `open` before, to detect early that the
    file cannot be written. ``copy`` is where its lines are copied to.
    """

    def __init__(
        self, path: str | None, replica: str, metrics: Metrics, copy: Copy | None = None
    ) -> None:
        self._path = path
        self._replica = replica
        self._metrics = metrics
        self._queue: deque[Event] = deque()
        self._batch: list[Event] = []
        self._counted = Tally[tuple[str, str]](MAX_COUNTED)
        self._wake = asyncio.Event()
        self._must_reopen = False
        self._failing = False
        self._file: int | None = None
        self._seq, self._prev = 0, BEGIN
        self._copier = None if copy is None else Copier(copy, metrics)
        self._uncopied: list[bytes] = []
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def is_on(self) -> bool:
        """Whether anything is written."""
        return self._path is not None

    def note(self, event: str, **facts: Any) -> None:
        """Queue an event; ``facts`` must not hold a token, a cookie or a message."""
        if self._path is None:
            return
        if len(self._queue) >= MAX_QUEUED:
            self._drop()
            return
        self._queue.append((time.time(), event, facts))
        self._wake.set()

    def _drop(self) -> None:
        self._metrics.audit_lost.inc()
        if self._queue[-1][1] == GAP:
            self._queue[-1][2]["lost"] += 1
            return
        log.error("the audit log cannot keep up: events are lost")
        self._queue.append((time.time(), GAP, {"lost": 1}))

    def refused(self, code: str, address: str) -> None:
        """Count a refused credential; see `count`."""
        self.count("refused", code, address)

    def count(self, event: str, code: str, address: str) -> None:
        """Count an event that anybody can cause repeatedly; ``event`` and ``code`` are closed sets.

        The log gets one line a minute for each event, code and address.
        """
        if self._path is not None:
            self._counted.add((event, code), address)

    async def reopen(self) -> None:
        """Reopen the path, after its file was rotated away."""
        self._must_reopen = True
        self._wake.set()

    # ---- The task ----

    async def __aenter__(self) -> Self:
        if self._path is not None:
            self.open()
            self._tasks.append(asyncio.create_task(self._run()))
            if self._copier is not None:
                self._tasks.append(asyncio.create_task(self._copier.run()))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if not self._tasks:
            return
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.sum_up()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_TIMEOUT):
                while (self._queue or self._batch) and await self._write_some():
                    pass
        if left := len(self._queue) + len(self._batch):
            self._metrics.audit_lost.inc(by=left)
            log.error("the audit log could not be finished: events are lost", lost=left)
        self.close()
        if self._copier is not None:
            await self._copier.finish(STOP_TIMEOUT)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        sum_at = loop.time() + SUM_EVERY
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(sum_at):
                    await self._wake.wait()
            if loop.time() >= sum_at:
                sum_at = loop.time() + SUM_EVERY
                self.sum_up()
            # A thread and a flush for each event would cost as much as the event.
            await asyncio.sleep(GATHER)
            self._wake.clear()
            if not await self._write_some():
                await asyncio.sleep(RETRY)
            if self._queue or self._batch:
                self._wake.set()

    def sum_up(self) -> None:
        """Write the counts of events since the last time."""
        for ((event, code), address), count in self._counted.take():
            self.note(event, code=code, address=address, count=count)

    async def _write_some(self) -> bool:
        """Write a batch; returns False if that failed and must be retried."""
        if not self._batch:
            while self._queue and len(self._batch) < BATCH:
                self._batch.append(self._queue.popleft())
        writing = asyncio.ensure_future(asyncio.to_thread(self._write))
        try:
            await asyncio.shield(writing)
        except asyncio.CancelledError:
            # The thread keeps running, and owns the file until it is done.
            await asyncio.wait([writing])
            raise
        except OSError as error:
            if not self._failing:
                log.error("the audit log cannot be written", error=str(error))
            self._failing = True
            return False
        finally:
            if self._copier is not None:
                self._copier.take(self._uncopied)
            self._uncopied.clear()
        self._failing = False
        return True

    # ---- In the thread ----

    def _write(self) -> None:
        """Write the batch.

        Raises:
            OSError: when that failed; the next try finds out how much of it is in the file.
        """
        if self._must_reopen:
            self._must_reopen = False
            self.close()
        self.open()
        if not self._batch or self._file is None:
            return
        lines, seq, prev = [], self._seq, self._prev
        for at, event, facts in self._batch:
            seq += 1
            line, prev = compose(seq, prev, at, self._replica, event, facts)
            lines.append(line)
        try:
            _append(self._file, b"".join(lines))
        except OSError:
            self.close()
            raise
        self._seq, self._prev = seq, prev
        self._batch.clear()
        self._uncopied += lines

    def open(self) -> None:
        """Open the file, unless it is open, and find the end of its chain.

        Raises:
            OSError: when it cannot be opened, is locked by another process, or is not an audit log.
        """
        if self._path is None or self._file is not None:
            return
        file = _open(self._path, os.O_CREAT)
        try:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise OSError(f"{self._path} is written by another process") from None
            self._go_on(file, *_read_end(file, self._path))
        except BaseException:
            os.close(file)
            raise
        self._file = file

    def _go_on(self, file: int, last: Entry | None, torn: bytes) -> None:
        if last is not None and (self._seq == 0 or 0 < last.seq - self._seq <= len(self._batch)):
            # A write that failed may have written the first entries of the batch.
            del self._batch[: last.seq - self._seq if self._seq else 0]
            self._seq, self._prev = last.seq, last.hash
        if torn:
            facts = {"bytes": len(torn), "sha256": hashlib.sha256(torn).hexdigest()}
            entry, own = compose(self._seq + 1, self._prev, time.time(), self._replica, TORN, facts)
            _append(file, b"\n" + entry)
            self._seq, self._prev = self._seq + 1, own
            self._uncopied.append(entry)

    def close(self) -> None:
        """Close the file; the next write opens it."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


def check_file(path: str) -> None:
    """Check that an audit log could be written to this path, and leave nothing behind.

    A file that a running hub writes is good.

    Raises:
        OSError: when it cannot be opened, or is not an audit log.
    """
    try:
        file = _open(path, 0)
    except FileNotFoundError:
        # Not by this name: a hub that starts meanwhile would take the file, and lose it.
        with tempfile.TemporaryFile(dir=Path(path).resolve().parent):
            return
    try:
        _read_end(file, path)
    finally:
        os.close(file)


def _open(path: str, more: int) -> int:
    flags = os.O_RDWR | os.O_APPEND | os.O_NONBLOCK | os.O_CLOEXEC | more
    file = os.open(path, flags, 0o600)
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise OSError(f"{path} is not a file")
    return file


def _read_end(file: int, path: str) -> tuple[Entry | None, bytes]:
    """Return the last entry of a file, if there is one, and the incomplete line after it.

    Raises:
        OSError: when it is not an audit log.
    """
    size = os.fstat(file).st_size
    start = max(0, size - 2 * MAX_LINE)
    whole, _, torn = os.pread(file, size - start, start).rpartition(b"\n")
    line = whole.rpartition(b"\n")[2]
    last = read_entry(line)
    if last is None and (line or start):
        raise OSError(f"{path} does not end as an audit log does: move it away")
    return last, torn


def _append(file: int, data: bytes) -> None:
    size = os.fstat(file).st_size
    try:
        while data:
            data = data[os.write(file, data) :]
        os.fdatasync(file)
    except OSError:
        # Undo a partial write, if the file lets itself be truncated.
        with contextlib.suppress(OSError):
            os.ftruncate(file, size)
        raise
