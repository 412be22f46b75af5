"""Keeps ``online`` in the registry up to date: which sessions have sockets on this replica.

The replica has a lease that is renewed every few seconds; if it is killed, the lease expires and
its sessions count as offline. When the last socket of a session closes, its departure is reported
at once, together with others of the same moment, unless a logout has removed the session from the
registry. A partition that cannot be written to does not delay the others.
"""

from __future__ import annotations

import asyncio
import itertools
import secrets
from collections.abc import Mapping
from typing import Any

import structlog

from hub.access.repeated_warnings import RepeatedWarnings
from hub.core.model import SECOND, Identity, Reason, UserKey
from hub.errors import Unavailable
from hub.realtime.connections import Connection, Connections
from hub.store.base import LEASE, Store
from hub.store.values import Departure, Presence

log = structlog.get_logger(__name__)

EXPIRED = Reason.EXPIRED
GATHER = 0.05
BATCH = 1000


class Presences:
    """The lease of this replica, and its departures. A restarted replica has another lease."""

    def __init__(self, store: Store, connections: Connections, replica: str) -> None:
        self._store = store
        self._connections = connections
        self.lease = f"{replica}.{secrets.token_hex(4)}"
        self._sequence = itertools.count(1)
        self._departures: dict[tuple[UserKey, str], Departure] = {}
        self._down: frozenset[int] = frozenset()
        """The partitions whose last renewal failed; their departures wait for the next."""
        self._has_departures = asyncio.Event()
        self._warnings = RepeatedWarnings()

    def new_presence(self) -> Presence:
        """Return what a new registration stores about this replica: its lease and a number."""
        return Presence(self.lease, next(self._sequence))

    def remove(self, connection: Connection) -> None:
        """Record that a socket closed; it must have been removed from `Connections`."""
        identity, ended = connection.identity, connection.ended
        is_forgotten = ended is not None and ended.user is not None and ended.reason is not EXPIRED
        if not is_forgotten:
            self.remove_session(identity)

    def remove_session(self, identity: Identity) -> None:
        """Record that a socket left a session, which has departed unless others still hold it."""
        if not self._connections.holds(identity):
            # A new number, since the newest registration may be that of a socket that left before.
            departure = Departure(identity.user, identity.sid, next(self._sequence))
            self._departures[identity.user, identity.sid] = departure
            self._has_departures.set()

    async def run(self) -> None:
        """Renew the lease, and report departures as they occur; runs until cancelled."""
        while True:
            try:
                self._note_failures(await self._store.renew(self.lease))
                async with asyncio.timeout(LEASE / SECOND / 3):
                    while True:
                        await self._has_departures.wait()
                        await asyncio.sleep(GATHER)
                        await self._report()
            except TimeoutError:
                continue
            except Unavailable as error:
                self._warn(error.detail)
                await asyncio.sleep(1)
            except Exception:
                log.exception("the lease was not renewed")
                await asyncio.sleep(1)

    def _note_failures(self, failures: Mapping[int, str]) -> None:
        self._down = frozenset(failures)
        if self._waiting():
            self._has_departures.set()
        if failures:
            self._warn(next(iter(failures.values())), partitions=sorted(failures))
        else:
            self._warnings.forget()

    def _warn(self, why: str, **facts: Any) -> None:
        if self._warnings.is_due(why):
            log.warning("the lease was not renewed", error=why, **facts)

    def _waiting(self) -> list[Departure]:
        partition_of = self._store.partition_of
        return [
            one for one in self._departures.values() if partition_of(one.user) not in self._down
        ]

    async def _report(self) -> None:
        """Report departures; those in partitions that failed are kept for later."""
        leaving = self._waiting()[:BATCH]
        if leaving:
            self._down |= (await self._store.renew(self.lease, leaving)).keys()
        for departure in leaving:
            key = departure.user, departure.sid
            is_taken = self._store.partition_of(departure.user) not in self._down
            if is_taken and self._departures.get(key) is departure:
                del self._departures[key]
        if not self._waiting():
            self._has_departures.clear()
