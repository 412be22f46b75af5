"""Checks sockets against the store, in case a logout was missed.

Whatever the log could not tell for sure is made up for by a sweep of all sockets that it may be
about. A slow sweep of all sockets runs always, so that even a bug heals; it should never find
anything, and a counter says when it did.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

import structlog

from hub.access.authority import Authority
from hub.core.model import Logout, UserKey
from hub.errors import HubError
from hub.metrics import Metrics
from hub.realtime.connections import Connection, Connections
from hub.realtime.delivery import Delivery
from hub.store.base import Unreadable

log = structlog.get_logger(__name__)

BATCH = 500
SLOW_BATCH = 20
SLOW_ROUND = 300.0
IN_FLIGHT = 2.0


class Sweeper:
    """Finds sockets of this replica that a logout has ended, and ends them.

    ``partition_of`` returns a user's partition: each is checked for itself.
    """

    def __init__(
        self,
        authority: Authority,
        connections: Connections,
        delivery: Delivery,
        metrics: Metrics,
        partition_of: Callable[[UserKey], int],
    ) -> None:
        self._authority = authority
        self._connections = connections
        self._delivery = delivery
        self._metrics = metrics
        self._partition_of = partition_of

    def sockets(self, partitions: Iterable[int]) -> list[Connection]:
        """Return the sockets of the users in some partitions."""
        wanted = set(partitions)
        return [one for one in self._connections if self._partition(one) in wanted]

    async def sweep(self, connections: list[Connection], counts: Callable[[int], bool]) -> set[int]:
        """Check some sockets, and return the partitions in which that could not be done.

        ``counts`` tells whether the sweep still counts in a partition; else it ends there.
        """
        failed: set[int] = set()
        for start in range(0, len(connections), BATCH):
            batch = connections[start : start + BATCH]
            left = {number for number in map(self._partition, batch) if counts(number)} - failed
            failed |= await self._check([c for c in batch if self._partition(c) in left], "gap")
        return failed

    async def sweep_slowly(self) -> None:
        """Check all sockets again and again, a few at a time; ends by being cancelled."""
        while True:
            connections = list(self._connections)
            pause = SLOW_ROUND / max(1, len(connections) / SLOW_BATCH)
            for start in range(0, len(connections), SLOW_BATCH):
                await asyncio.sleep(pause)
                await self._check(connections[start : start + SLOW_BATCH], "slow")
            if not connections:
                await asyncio.sleep(SLOW_ROUND / 10)

    async def _check(self, connections: Iterable[Connection], cause: str) -> set[int]:
        """Check some sockets, and end those that a logout had ended, each logout's together."""
        doubtful = [connection for connection in connections if not _is_over(connection)]
        ends = await asyncio.gather(
            *(self._doubt(connection) for connection in doubtful), return_exceptions=True
        )
        if cause == "slow" and any(isinstance(end, Logout) for end in ends):
            # Most likely it is being heard at this very moment.
            await asyncio.sleep(IN_FLIGHT)
        failed: set[int] = set()
        found: dict[Logout, list[Connection]] = {}
        for connection, end in zip(doubtful, ends, strict=True):
            if isinstance(end, BaseException):
                failed.add(self._partition(connection))
                if not isinstance(end, HubError):
                    log.error("a socket could not be checked", exc_info=end)
            elif end is not None and not (connection.gone or connection.is_ended(end.at)):
                found.setdefault(end, []).append(connection)
        for logout, ended in found.items():
            log.warning("a sweep found sockets that a logout had ended", cause=cause, id=logout.id)
            self._metrics.swept.labels(cause).inc(len(ended))
            self._delivery.end(ended, logout)
        return failed

    async def _doubt(self, connection: Connection) -> Logout | None:
        """Return the logout that ended the session of a socket, as the store knows it."""
        try:
            refusal = await self._authority.doubt(connection.identity)
        except Unreadable as error:
            # One record that nobody can read must not keep the replica from following the rest.
            log.error("a session cannot be judged", error=error.detail)
            return None
        return None if refusal is None else refusal.logout

    def _partition(self, connection: Connection) -> int:
        return self._partition_of(connection.identity.user)


def _is_over(connection: Connection) -> bool:
    return connection.gone or (connection.accepted and connection.ended is not None)
