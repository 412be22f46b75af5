"""Checks sockets against the store, in case a logout was missed.

After a gap in a log, all sockets of its partition are swept. In addition, a slow sweep of all
sockets runs all the time, as a safety net against bugs: it should never find anything, and a
counter shows when it does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence

import structlog

from hub.access.authority import Authority
from hub.core.model import Logout, UserKey
from hub.errors import HubError
from hub.metrics import Metrics
from hub.realtime.connections import Connection, Connections
from hub.realtime.delivery import Delivery
from hub.store.values import Unreadable

log = structlog.get_logger(__name__)

BATCH = 500
SLOW_BATCH = 20
SLOW_ROUND = 300.0
IN_FLIGHT = 2.0


class Sweeper:
    """Finds sockets of this replica that a logout should have ended, and ends them.

    ``partition_of`` returns a user's partition: the result of a sweep is separate for each.
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
        """Check some sockets, and return the partitions in which that failed.

        ``counts`` returns whether the result still counts for a partition; if not, its remaining
        sockets are skipped.
        """
        failed: set[int] = set()
        for start in range(0, len(connections), BATCH):
            batch = connections[start : start + BATCH]
            left = {number for number in map(self._partition, batch) if counts(number)} - failed
            failed |= await self._check([c for c in batch if self._partition(c) in left], "gap")
        return failed

    async def sweep_slowly(self) -> None:
        """Check all sockets repeatedly, a few at a time; runs until cancelled."""
        while True:
            connections = list(self._connections)
            pause = SLOW_ROUND / max(1, len(connections) / SLOW_BATCH)
            for start in range(0, len(connections), SLOW_BATCH):
                await asyncio.sleep(pause)
                await self._check(connections[start : start + SLOW_BATCH], "slow")
            if not connections:
                await asyncio.sleep(SLOW_ROUND / 10)

    async def find_ended(
        self, connections: Sequence[Connection]
    ) -> tuple[list[tuple[Connection, Logout]], list[Connection]]:
        """Ask the store about some sockets.

        Returns those whose sessions have ended, each with the logout that ended it, and those that
        the store could not check.
        """
        results = await asyncio.gather(*map(self._find_logout, connections), return_exceptions=True)
        ended: list[tuple[Connection, Logout]] = []
        failed: list[Connection] = []
        for connection, result in zip(connections, results, strict=True):
            if isinstance(result, Logout):
                ended.append((connection, result))
            elif isinstance(result, BaseException):
                failed.append(connection)
                if not isinstance(result, HubError):
                    log.error("a socket could not be checked", exc_info=result)
        return ended, failed

    async def _check(self, connections: Iterable[Connection], cause: str) -> set[int]:
        """Check some sockets, and end those whose sessions have ended, together for each logout."""
        ended, failed = await self.find_ended([one for one in connections if not _is_over(one)])
        if cause == "slow" and ended:
            # Most likely the logout is just being received.
            await asyncio.sleep(IN_FLIGHT)
        found: dict[Logout, list[Connection]] = {}
        for connection, logout in ended:
            if not (connection.is_closed or connection.is_ended(logout.at)):
                found.setdefault(logout, []).append(connection)
        for logout, sockets in found.items():
            log.warning("a sweep found sockets that a logout had ended", cause=cause, id=logout.id)
            self._metrics.swept.inc(cause, by=len(sockets))
            self._delivery.end(sockets, logout)
        return {self._partition(connection) for connection in failed}

    async def _find_logout(self, connection: Connection) -> Logout | None:
        """Return the logout that ended the session of a socket, according to the store, or None."""
        try:
            refusal = await self._authority.find_refusal(connection.identity)
        except Unreadable as error:
            # One unreadable record must not fail the whole sweep.
            log.error("a session cannot be judged", error=error.detail)
            return None
        return None if refusal is None else refusal.logout

    def _partition(self, connection: Connection) -> int:
        return self._partition_of(connection.identity.user)


def _is_over(connection: Connection) -> bool:
    return connection.is_closed or (connection.accepted and connection.ended is not None)
