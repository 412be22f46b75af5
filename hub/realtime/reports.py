"""Sends this replica's reports on logouts to the store, in batches, until they are accepted.

Reports are idempotent, so one that may have failed is sent again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from typing import TypeAlias

import msgspec
import structlog

from hub.core.model import SECOND, UserKey
from hub.core.receipt import PATIENCE, merge_sessions, unite
from hub.errors import Unavailable
from hub.store.base import Store
from hub.store.values import Report

log = structlog.get_logger(__name__)

GATHER = 0.05
BATCH = 500
MOST = 20_000
PAUSE = 0.5


Key: TypeAlias = tuple[str, UserKey | None, int | None]
"""A logout's id, its user (None: everyone), and the partition of its event."""


class Reports:
    """The reports that wait to be sent. Waiting reports on the same logout are merged."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._waiting: dict[Key, tuple[Report, float]] = {}
        self._has_reports = asyncio.Event()

    def add(self, report: Report) -> None:
        """Queue a report."""
        if len(self._waiting) >= MOST:
            log.warning("too many reports wait: the oldest is dropped")
            del self._waiting[next(iter(self._waiting))]
        logout = report.event.logout
        key = (logout.id, logout.user, report.event.partition)
        if key in self._waiting:
            earlier, _ = self._waiting[key]
            report = msgspec.structs.replace(
                report,
                sessions=merge_sessions([*earlier.sessions.items(), *report.sessions.items()]),
                failures=unite([*earlier.failures.items(), *report.failures.items()]),
                listed=_join(earlier.listed, report.listed),
            )
        self._waiting[key] = (report, asyncio.get_running_loop().time())
        self._has_reports.set()

    async def run(self) -> None:
        """Send reports as they are queued; runs until cancelled."""
        while True:
            await self._has_reports.wait()
            await asyncio.sleep(GATHER)
            try:
                await self.flush()
            except Unavailable:
                await asyncio.sleep(PAUSE)
            except Exception:
                log.exception("a report on a logout could not be sent")
                await asyncio.sleep(PAUSE)

    async def flush(self) -> None:
        """Send all queued reports.

        After a failure, further reports to that partition are skipped; other partitions go on.

        Raises:
            Unavailable: if any report failed; it stays queued.
        """
        self._drop_stale()
        down: dict[int | None, BaseException] = {}
        while left := self._left(down):
            batch = left[:BATCH]
            errors = await asyncio.gather(
                *(self._store.report(report) for _, (report, _) in batch), return_exceptions=True
            )
            for (key, sent), error in zip(batch, errors, strict=True):
                if error is not None:
                    down.setdefault(self._partition(sent[0]), error)
                elif self._waiting.get(key) is sent:
                    del self._waiting[key]
        for error in down.values():
            raise error
        self._has_reports.clear()

    def _left(self, down: Collection[int | None]) -> list[tuple[Key, tuple[Report, float]]]:
        """Return the queued reports, except those to partitions that are down."""
        items = self._waiting.items()
        return [one for one in items if self._partition(one[1][0]) not in down]

    def _partition(self, report: Report) -> int | None:
        user = report.event.logout.user
        return report.event.partition if user is None else self._store.partition_of(user)

    def _drop_stale(self) -> None:
        # Receipts do not wait for reports this old.
        oldest = asyncio.get_running_loop().time() - PATIENCE / SECOND
        for key, (_, at) in list(self._waiting.items()):
            if at < oldest:
                del self._waiting[key]


def _join(
    earlier: Mapping[str, str] | None, later: Mapping[str, str] | None
) -> Mapping[str, str] | None:
    return later if earlier is None else {**earlier, **(later or {})}
