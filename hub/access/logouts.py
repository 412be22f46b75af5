"""Writes logouts, and keeps account of them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Literal

import structlog

from hub.core.model import Receipt
from hub.metrics import Metrics
from hub.store.base import Command, Store

log = structlog.get_logger(__name__)

AT_ONCE = 500


class Logouts:
    """The one way in which the edges end sessions."""

    def __init__(self, store: Store, metrics: Metrics) -> None:
        self._store = store
        self._metrics = metrics

    async def write(self, command: Command, by: Literal["user", "admin"]) -> Receipt:
        """Write one logout and return its receipt; raises as `Store.end` does."""
        receipt = await self._store.end(command)
        if receipt.repeated:
            return receipt
        logout = receipt.logout
        self._metrics.logouts.labels(logout.scope.value, logout.reason.value).inc()
        log.info(
            "logout",
            id=logout.id,
            user=logout.user,
            scope=logout.scope.value,
            reason=logout.reason.value,
            sessions=len(receipt.sessions),
            by=by,
        )
        return receipt

    async def write_all(self, commands: Sequence[Command]) -> list[Receipt]:
        """Write an administrator's logouts, a bounded number at once.

        Raises:
            Unavailable: when any of them may not have been written; all may be asked for again.
        """
        receipts: list[Receipt] = []
        for start in range(0, len(commands), AT_ONCE):
            chunk = commands[start : start + AT_ONCE]
            receipts += await asyncio.gather(*(self.write(command, "admin") for command in chunk))
        return receipts
