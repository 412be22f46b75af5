"""Keeps the registry's ``online`` right: which sessions hold sockets on this replica.

The replica holds a lease, renewed every few seconds; when it is killed, the lease runs out and its
sessions count as offline. A session whose last socket closes is reported with the next renewal,
which follows at once, together with all that closed in the same moment.
"""

from __future__ import annotations

import asyncio
import itertools
import secrets

import structlog

from hub.core.model import SECOND, Identity, UserKey
from hub.errors import Unavailable
from hub.realtime.connections import Connection, Connections
from hub.store.base import LEASE, Departure, Presence, Store

log = structlog.get_logger(__name__)

GATHER = 0.05
BATCH = 1000


class Presences:
    """The lease of this replica. A restart under the same name is another lease."""

    def __init__(self, store: Store, connections: Connections, replica: str) -> None:
        self._store = store
        self._connections = connections
        self.lease = f"{replica}.{secrets.token_hex(4)}"
        self._turns = itertools.count(1)
        self._departures: dict[tuple[UserKey, str], Departure] = {}
        self._hurry = asyncio.Event()

    def arrive(self) -> Presence:
        """Return the presence of a socket that connects now."""
        return Presence(self.lease, next(self._turns))

    def leave(self, connection: Connection) -> None:
        """Note that a socket closed; `Connections` no longer holds it."""
        identity: Identity = connection.identity
        if not self._connections.holds(identity):
            departure = Departure(identity.user, identity.sid, connection.turn)
            self._departures[identity.user, identity.sid] = departure
            self._hurry.set()

    async def renew(self) -> None:
        """Renew the lease and report departures.

        Raises:
            Unavailable: when the store did not take it; the departures are kept for later.
        """
        leaving = list(self._departures.items())[:BATCH]
        await self._store.renew(self.lease, [departure for _, departure in leaving])
        for key, departure in leaving:
            if self._departures.get(key) is departure:
                del self._departures[key]
        if self._departures:
            self._hurry.set()

    async def run(self) -> None:
        """Renew in time and on departures; ends by being cancelled."""
        while True:
            try:
                self._hurry.clear()
                await self.renew()
            except Unavailable as error:
                log.warning("the lease was not renewed", error=error.detail)
                await asyncio.sleep(1)
                continue
            try:
                async with asyncio.timeout(LEASE / SECOND / 3):
                    await self._hurry.wait()
                await asyncio.sleep(GATHER)
            except TimeoutError:
                pass
