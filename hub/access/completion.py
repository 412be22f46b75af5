"""Logs when an administrator's logout is complete, with the final states of its sessions."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable

import structlog

from hub.core.model import Receipt, State
from hub.core.receipt import count_states
from hub.errors import Unavailable
from hub.store.base import Store

log = structlog.get_logger(__name__)

MOST = 200
"""The maximum number of logouts that are watched at once; of others, completion is not logged."""

FIRST_PAUSE, LONGEST_PAUSE = 0.05, 1.0
USERS_A_SECOND = 2000
"""A receipt of many users takes a while to read, so it is read less often."""


class Completions:
    """Polls the receipts of administrators' logouts, and logs when each is complete."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._waiting: set[asyncio.Task[None]] = set()

    def watch(self, receipt: Receipt, then: Callable[[], None] | None = None) -> None:
        """Log when this logout is complete, and call ``then``."""
        if len(self._waiting) < MOST:
            task = asyncio.create_task(self._watch(receipt, then))
            self._waiting.add(task)
            task.add_done_callback(self._waiting.discard)

    async def _watch(self, receipt: Receipt, then: Callable[[], None] | None) -> None:
        logout = receipt.logout
        loop = asyncio.get_running_loop()
        began, pause = loop.time(), FIRST_PAUSE
        user = logout.user if receipt.users == 1 else None
        known: Receipt | None = receipt
        while known is not None and not known.complete:
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE + receipt.users / USERS_A_SECOND)
            try:
                known = await self._store.receipt(logout.id, user)
            except Unavailable:
                continue
        if known is None:
            log.warning("the receipt of a logout has expired", id=logout.id)
            return
        if then is not None:
            then()
        counts = count_states(known)
        log.info(
            "logout complete",
            id=logout.id,
            everyone=logout.user is None,
            users=None if logout.user is None else known.users,
            sessions=counts.total(),
            **_named(counts),
            at=logout.at / 1e6,
            seconds=round(loop.time() - began, 1),
        )

    async def close(self) -> None:
        """Stop watching."""
        for task in self._waiting:
            task.cancel()
        await asyncio.gather(*self._waiting, return_exceptions=True)


def _named(counts: Counter[State]) -> dict[str, int]:
    return {state.value: counts[state] for state in State}
