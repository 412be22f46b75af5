"""Copies lines that are in the audit log's file to the store, in the background.

Nothing waits for the copy: the file is the log. Failed copies are retried; lines that do not fit
into the queue meanwhile are counted, and exist only in the file.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Sequence
from typing import Protocol

import structlog

from hub.errors import Unavailable
from hub.metrics import Metrics

log = structlog.get_logger(__name__)

MAX_WAITING = 20_000
BATCH_LINES = 200
BATCH_BYTES = 256 * 1024
RETRY = 1.0


class Copy(Protocol):
    """Where the copy is kept."""

    async def append(self, lines: Sequence[bytes]) -> None:
        """Append lines without their newlines; if it raises `Unavailable`, some may be appended."""
        ...

    async def close(self) -> None:
        """Close its connections."""
        ...


class Copier:
    """Copies lines in order, each at least once unless it had to be dropped."""

    def __init__(self, copy: Copy, metrics: Metrics) -> None:
        self._copy = copy
        self._metrics = metrics
        self._waiting: deque[bytes] = deque()
        self._batch: list[bytes] = []
        self._wake = asyncio.Event()
        self._failing = False

    def take(self, lines: Sequence[bytes]) -> None:
        """Queue lines, each with its line ending."""
        room = MAX_WAITING - len(self._waiting)
        self._waiting.extend(line[:-1] for line in lines[:room])
        self._metrics.audit_uncopied.inc(by=len(lines[room:]))
        self._wake.set()

    async def run(self) -> None:
        """Copy until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting or self._batch:
                if not await self._copy_some():
                    await asyncio.sleep(RETRY)

    async def finish(self, seconds: float) -> None:
        """Copy the remaining lines, for at most this many seconds, and close the copy."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while (self._waiting or self._batch) and await self._copy_some():
                    pass
        if left := len(self._waiting) + len(self._batch):
            self._metrics.audit_uncopied.inc(by=left)
            log.error("the audit log's copy could not be finished", uncopied=left)
        await self._copy.close()

    async def _copy_some(self) -> bool:
        size = sum(map(len, self._batch))
        while self._waiting and len(self._batch) < BATCH_LINES and size < BATCH_BYTES:
            self._batch.append(self._waiting.popleft())
            size += len(self._batch[-1])
        try:
            await self._copy.append(self._batch)
        except Unavailable as error:
            if not self._failing:
                log.error("the audit log cannot be copied to the store", error=error.detail)
            self._failing = True
            return False
        self._failing = False
        self._batch.clear()
        return True
