"""Closes sockets whose tokens would not be accepted any more: an issuer or a key was withdrawn.

They are closed as by a network failure, so that clients come back by themselves and are judged by
the settings and keys of now: with the same token they are refused as HTTP refuses it, and with a
new one they continue. Nobody was logged out, and a token's session may be alive.
"""

from __future__ import annotations

import asyncio

import structlog

from hub.access.issuers import Issuers
from hub.realtime.connections import Connection, Connections

log = structlog.get_logger(__name__)

EVERY = 1.0
"""Seconds between two looks at whether issuers or keys have changed."""

CHECKED_AT_ONCE = 500
CLOSED_AT_ONCE = 50
PAUSE = 0.02
"""Seconds between two batches that are closed: some 2,500 a second, for those who let them in."""


class Withdrawals:
    """Follows the issuers and their keys for the sockets of this replica."""

    def __init__(self, issuers: Issuers, connections: Connections) -> None:
        self._issuers = issuers
        self._connections = connections
        self._generation = issuers.generation

    async def run(self) -> None:
        """Close sockets after each change; runs until cancelled."""
        while True:
            await asyncio.sleep(EVERY)
            try:
                await self._look()
            except Exception:
                log.exception("sockets could not be checked after a change of issuers or keys")

    async def _look(self) -> None:
        if self._generation != (generation := self._issuers.generation):
            await self._close_withdrawn()
            # Whatever changed meanwhile is seen by the next look; after a failure, all is.
            self._generation = generation
        if len(self._connections):
            await self._issuers.renew_old()

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
                        connection.socket.give_way()
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
