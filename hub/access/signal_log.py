"""Records the results of signals in the store, for `logout-hub watch`.

Records must cost less than signals: each replica writes them in batches, once a second at most, and
all refused ones as one. Nothing waits for them, and records that cannot be written are dropped.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque

import structlog

from hub.access.repeated_warnings import RepeatedWarnings
from hub.core.signal import Channel, SignalRecord
from hub.errors import Unavailable
from hub.store.base import Store

log = structlog.get_logger(__name__)

INTERVAL = 1.0
"""Seconds between two writes of a replica."""

MOST = 1000
"""How many records of a replica may wait to be written; beyond that, the oldest are dropped."""


class SignalLog:
    """Records signals; `run` writes the records, so run it in the background."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._unwritten: deque[SignalRecord] = deque(maxlen=MOST)
        self._refused: Counter[tuple[Channel, str]] = Counter()
        self._wake = asyncio.Event()
        self._warnings = RepeatedWarnings()

    def add(self, record: SignalRecord) -> None:
        """Record the result of a signal; it is written soon."""
        self._unwritten.append(record)
        self._wake.set()

    def add_refused(self, channel: Channel, error: str) -> None:
        """Count a signal that was refused, and why."""
        self._refused[channel, error] += 1
        self._wake.set()

    async def run(self) -> None:
        """Write records, until cancelled."""
        while True:
            await self._wake.wait()
            await self._write()
            await asyncio.sleep(INTERVAL)

    async def _write(self) -> None:
        self._wake.clear()
        records = list(self._unwritten)
        self._unwritten.clear()
        if self._refused:
            ((channel, error), _), *_ = self._refused.most_common(1)
            records.append(SignalRecord(channel, error=error, times=self._refused.total()))
            self._refused.clear()
        try:
            await self._store.add_signals(records)
        except Unavailable as error:
            if self._warnings.is_due(error.detail):
                log.warning("the results of signals were not recorded", error=error.detail)
