"""Follows the logouts that any replica writes, and hands them to delivery.

What is published while no subscription stands is not repeated by the store, so after every
interruption the sockets of this replica are checked against the store, one by one.
"""

from __future__ import annotations

import asyncio
import random

import structlog

from hub.access.authority import Authority
from hub.errors import Unavailable
from hub.metrics import Metrics
from hub.realtime.connections import Connection, Connections
from hub.realtime.delivery import Delivery
from hub.store.base import Store, Unreadable

log = structlog.get_logger(__name__)

BATCH = 500
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 2.0


class Follower:
    """Keeps a subscription to the store's logouts for as long as `run` runs."""

    def __init__(
        self,
        store: Store,
        authority: Authority,
        connections: Connections,
        delivery: Delivery,
        metrics: Metrics,
    ) -> None:
        self._store = store
        self._authority = authority
        self._connections = connections
        self._delivery = delivery
        self._metrics = metrics
        self._following = asyncio.Event()

    @property
    def is_following(self) -> bool:
        """Whether a logout that is written now will be heard."""
        return self._following.is_set()

    async def run(self) -> None:
        """Follow, and begin again after each interruption; ends by being cancelled."""
        pause = FIRST_PAUSE
        while True:
            try:
                async for heard in self._store.follow():
                    if heard is not None:
                        self._delivery.deliver(heard)
                        continue
                    await self._check_all()
                    self._note(following=True)
                    pause = FIRST_PAUSE
            except Unavailable as error:
                log.warning("logouts are not heard", error=error.detail)
            except Exception:
                log.exception("logouts are not heard")
            finally:
                self._note(following=False)
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - a jitter
            pause = min(2 * pause, LONGEST_PAUSE)

    async def wait_until_following(self) -> None:
        """Return once logouts are heard."""
        await self._following.wait()

    def _note(self, *, following: bool) -> None:
        (self._following.set if following else self._following.clear)()
        self._metrics.following.set(following)

    async def _check_all(self) -> None:
        connections = list(self._connections)
        for start in range(0, len(connections), BATCH):
            batch = connections[start : start + BATCH]
            await asyncio.gather(*(self._check(connection) for connection in batch))

    async def _check(self, connection: Connection) -> None:
        try:
            refusal = await self._authority.doubt(connection.identity)
        except Unreadable as error:
            # One record that nobody can read must not keep the replica from following the rest.
            log.error("a session cannot be judged", error=error.detail)
            return
        if refusal is not None and refusal.logout is not None and connection.ended is None:
            self._delivery.end([connection], refusal.logout)
