"""The store on Redis (or Valkey): every change is one script on one partition.

What is kept under which name is said in `hub.store.names`, how the log is read in
`hub.store.reader`, how Redis is reached in `hub.store.topology`. What the store does is in
`hub.store.redis_registry`, `hub.store.redis_logouts` and `hub.store.receipts`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from types import TracebackType
from typing import Self

from hub.core.bus import BusKey, derive_key
from hub.core.model import Identity, Logout, Micros, Outcome, Receipt, Standing, UserKey
from hub.core.rate import Rate
from hub.store.base import (
    RECEIPT_LIFETIME,
    Claim,
    Command,
    Departure,
    Event,
    Loss,
    Registry,
    Report,
    Unsure,
    Visit,
)
from hub.store.durability import NO_WAIT, Durability
from hub.store.names import PARTITIONS, partition_of
from hub.store.reader import LogReader
from hub.store.receipts import RedisReceipts
from hub.store.redis_logouts import RedisLogouts
from hub.store.redis_registry import RedisRegistry
from hub.store.topology import Topology, open_topology


class RedisStore:
    """A `hub.store.base.Store` on Redis, which says what each method is for.

    Logouts and receipts have connections of their own, and so have lists.
    ``lifetime`` is how long a logout is remembered, ``log_lifetime`` how long it stands in the log
    (by default as long), ``pace`` how often a user may log out,
    ``receipts`` how long receipts are kept. ``bus_key`` signs what is
    published, and must be the same at all replicas; ``on_forged`` is called for each message that
    it did not sign.
    """

    def __init__(
        self,
        url: str,
        *,
        lifetime: Micros,
        log_lifetime: Micros | None = None,
        max_sessions: int = 1000,
        durability: Durability = NO_WAIT,
        bus_key: BusKey | None = None,
        pace: Rate | None = None,
        receipts: Micros = RECEIPT_LIFETIME,
        on_forged: Callable[[], object] = lambda: None,
    ) -> None:
        key = bus_key or derive_key(None)
        log_lifetime = lifetime if log_lifetime is None else log_lifetime
        self._visits: Topology = open_topology(url)
        self._logouts: Topology = open_topology(url, durability)
        self._lists: Topology = open_topology(url)
        self._reader = LogReader(self._visits, log_lifetime, key, on_forged)
        self._registry = RedisRegistry(
            self._visits,
            self._lists,
            self._reader,
            lifetime=log_lifetime,
            max_sessions=max_sessions,
        )
        self._writer = RedisLogouts(
            self._logouts,
            self._reader,
            key,
            lifetime=lifetime,
            log_lifetime=log_lifetime,
            receipts=receipts,
            pace=pace,
        )
        self._receipts = RedisReceipts(self._logouts, self._lists)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._visits.close()
        await self._logouts.close()
        await self._lists.close()

    async def look(self, identity: Identity) -> Standing:
        """Return what is known of a session."""
        return await self._registry.look(identity)

    async def register(self, visit: Visit) -> Standing:
        """Enter a session in the registry, or renew it."""
        return await self._registry.register(visit)

    async def sessions(self, user: UserKey) -> Registry:
        """Return a user's registered sessions."""
        return await self._registry.sessions(user)

    async def renew(self, lease: str, departures: Sequence[Departure] = ()) -> Mapping[int, str]:
        """Renew a replica's lease, or note which sessions left it."""
        return await self._registry.renew(lease, departures)

    async def end(self, command: Command, *, limited: bool = False) -> Receipt:
        """Write a logout."""
        return await self._writer.end(command, limited=limited)

    async def end_own(self, command: Command, caller: Identity) -> Receipt | Unsure:
        """Write a logout that a user asks for, if the facts make sure that it may."""
        return await self._writer.end_own(command, caller)

    async def recall(self, command: Command) -> Receipt | None:
        """Return the receipt of an earlier request with the same key."""
        return await self._writer.recall(command)

    async def claim(self, claim: Claim) -> str:
        """Take an idempotency key for a list of logouts."""
        return await self._writer.claim(claim)

    async def recover(self, loss: Loss, logout: Logout) -> Receipt | None:
        """Make up for a loss."""
        return await self._writer.recover(loss, logout)

    async def report(self, report: Report) -> None:
        """Enter in a receipt what a replica did."""
        await self._receipts.report(report)

    async def receipt(self, logout_id: str, user: UserKey | None) -> Receipt | None:
        """Return what is known of a logout."""
        return await self._receipts.receipt(logout_id, user)

    @property
    def parts(self) -> int:
        """In how many parts users are kept."""
        return PARTITIONS

    def partition_of(self, user: UserKey) -> int:
        """Return which of them keeps a user."""
        return partition_of(user)

    async def outcomes(self, logout_id: str, part: int) -> list[Outcome]:
        """Return the sessions of a logout in one part."""
        return await self._receipts.outcomes(logout_id, part)

    async def is_stuck(self) -> bool:
        """Tell whether a connection fails that Redis would not refuse."""
        routes = (self._visits, self._logouts, self._lists)
        return any(await asyncio.gather(*(route.is_stuck() for route in routes)))

    def follow(self) -> AsyncGenerator[Event]:
        """Yield each logout as it is written, and what goes wrong."""
        return self._reader.read()
