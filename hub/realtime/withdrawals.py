"""Closes sockets whose tokens would not be accepted any more: an issuer or a key was withdrawn.

They are closed as a network failure would close them, so that clients reconnect and are judged by
the current settings and keys: with the same token they are refused, as over HTTP, and with a new
one they continue. This is no logout: the token's session may be alive.
"""

from __future__ import annotations

import asyncio

import structlog

from hub.access.issuers import Issuers
from hub.realtime.connections import Connection, Connections

log = structlog.get_logger(__name__)

EVERY = 1.0
"""Seconds between two checks whether issuers or keys have changed."""

CHECKED_AT_ONCE = 500
CLOSED_AT_ONCE = 50
PAUSE = 0.02
"""Seconds between two batches: at most 2,500 sockets a second reconnect to the replicas."""


class Withdrawals:
    """Checks the sockets of this replica whenever the issuers or their keys have changed."""

    def __init__(self, issuers: Issuers, connections: Connections) -> None:
        self._issuers = issuers
        self._connections = connections
        self._generation = issuers.generation

    async def run(self) -> None:
        """Close sockets after each change; runs until cancelled."""
        while True:
            await asyncio.sleep(EVERY)
            try:
                await self._check()
            except Exception:
                log.exception("sockets could not be checked after a change of issuers or keys")

    async def _check(self) -> None:
        if self._generation != (generation := self._issuers.generation):
            await self._close_withdrawn()
            # Later changes are seen by the next check, and all of them after a failure.
            self._generation = generation

    async def _close_withdrawn(self) -> None:
        connections, verdicts = list(self._connections), dict[object, bool]()
        closed = 0
        for start in range(0, len(connections), CHECKED_AT_ONCE):
            checked = connections[start : start + CHECKED_AT_ONCE]
            withdrawn = [one for one in checked if not self._is_accepted(one, verdicts)]
            for first in range(0, len(withdrawn), CLOSED_AT_ONCE):
                for connection in withdrawn[first : first + CLOSED_AT_ONCE]:
                    # Meanwhile it may have been refreshed with a token that is accepted.
                    if not self._is_accepted(connection, verdicts):
                        connection.socket.close_transport()
                        closed += 1
                await asyncio.sleep(PAUSE)
            await asyncio.sleep(0)
        if closed:
            log.info("sockets were closed: their issuer or key was withdrawn", sockets=closed)

    def _is_accepted(self, connection: Connection, verdicts: dict[object, bool]) -> bool:
        """Return whether a socket may stay; asks once for each proof, which many tokens share."""
        proof = connection.identity.proof
        if proof not in verdicts:
            verdicts[proof] = self._issuers.accepts(proof)
        return verdicts[proof]
