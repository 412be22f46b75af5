"""The store on Redis (or Valkey): every change is one script on one partition.

See `hub.store.names` for the keys, `hub.store.reader` for reading the log, `hub.store.topology`
for the connections, and `hub.store.redis_registry`, `hub.store.redis_logouts`,
`hub.store.redis_history`, `hub.store.receipts` and `hub.store.redis_notes` for the methods of the
store.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from types import TracebackType
from typing import Self

from hub.core.bus import BusKey, derive_key
from hub.core.model import (
    SECOND,
    Identity,
    Logout,
    Micros,
    Outcome,
    Position,
    Receipt,
    RevocationState,
    UserKey,
)
from hub.core.rate import Rate
from hub.core.signal import SignalRecord
from hub.store.base import RECEIPT_LIFETIME
from hub.store.durability import NO_WAIT, Durability
from hub.store.names import PARTITIONS, partition_of
from hub.store.reader import LogReader
from hub.store.receipts import RedisReceipts
from hub.store.redis_history import RedisHistory
from hub.store.redis_logouts import RedisLogouts
from hub.store.redis_notes import RedisNotes
from hub.store.redis_registry import RedisRegistry
from hub.store.topology import Topology, open_topology
from hub.store.values import (
    Claim,
    Command,
    DataLoss,
    Departure,
    Event,
    History,
    Note,
    Registration,
    Registry,
    Report,
    Unsure,
)


class RedisStore:
    """A `hub.store.base.Store` on Redis; see there for what each method does.

    Checks, logouts with receipts, and lists each have their own connections.

    ``lifetime`` is how long a logout is kept, also in the log, and ``token_lifetime`` how long a
    token may live (by default as long); ``pace`` is how often a user may log out, ``receipts`` how
    long receipts are kept. ``bus_key`` signs the messages of the channels, and must be the same on
    all replicas; ``on_forged`` is called for each message with a wrong signature.
    """

    def __init__(
        self,
        url: str,
        *,
        lifetime: Micros,
        token_lifetime: Micros | None = None,
        max_sessions: int = 1000,
        durability: Durability = NO_WAIT,
        bus_key: BusKey | None = None,
        pace: Rate | None = None,
        receipts: Micros = RECEIPT_LIFETIME,
        on_forged: Callable[[], object] = lambda: None,
    ) -> None:
        key = bus_key or derive_key(None)
        self._checks: Topology = open_topology(url)
        self._logouts: Topology = open_topology(url, durability)
        self._lists: Topology = open_topology(url)
        self._reader = LogReader(self._checks, lifetime, key, on_forged)
        self._registry = RedisRegistry(
            self._checks,
            self._lists,
            self._reader,
            lifetime=lifetime if token_lifetime is None else token_lifetime,
            max_sessions=max_sessions,
        )
        self._writer = RedisLogouts(
            self._logouts,
            self._reader,
            key,
            lifetime=lifetime,
            receipts=receipts,
            pace=pace,
        )
        self._history = RedisHistory(self._checks, self._reader, lifetime)
        self._receipts = RedisReceipts(self._logouts, self._lists)
        self._notes = RedisNotes(self._logouts)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._checks.close()
        await self._logouts.close()
        await self._lists.close()

    async def now(self) -> Micros:
        """Return the store's time."""
        whole, micros = await self._checks.command("TIME")
        return int(whole) * SECOND + int(micros)

    async def look(self, identity: Identity) -> RevocationState:
        """Return what is known about a session."""
        return await self._registry.look(identity)

    async def register(self, registration: Registration) -> RevocationState:
        """Register a session, or renew its registration."""
        return await self._registry.register(registration)

    async def sessions(self, user: UserKey) -> Registry:
        """Return a user's registered sessions."""
        return await self._registry.sessions(user)

    async def renew(self, lease: str, departures: Sequence[Departure] = ()) -> Mapping[int, str]:
        """Renew a replica's lease, or record departures."""
        return await self._registry.renew(lease, departures)

    async def end(self, command: Command, *, limited: bool = False) -> Receipt:
        """Write a logout."""
        return await self._writer.end(command, limited=limited)

    async def end_own(self, command: Command, caller: Identity) -> Receipt | Unsure:
        """Write a logout that a user requests, if the caller's token is surely alive."""
        return await self._writer.end_own(command, caller)

    async def refuse_session(self, iss: str, logout: Logout) -> tuple[UserKey, ...]:
        """Refuse a session whose user is not known."""
        return await self._writer.refuse_session(iss, logout)

    async def recall(self, command: Command) -> Receipt | None:
        """Return the receipt of an earlier request with the same key."""
        return await self._writer.recall(command)

    async def claim(self, claim: Claim) -> str:
        """Claim an idempotency key for a list of logouts."""
        return await self._writer.claim(claim)

    async def recover(self, loss: DataLoss, logout: Logout) -> Receipt | None:
        """Recover from a data loss."""
        return await self._writer.recover(loss, logout)

    async def report(self, report: Report) -> None:
        """Add a replica's report to a receipt."""
        await self._receipts.report(report)

    async def receipt(self, logout_id: str, user: UserKey | None) -> Receipt | None:
        """Return the receipt of a logout."""
        return await self._receipts.receipt(logout_id, user)

    @property
    def partition_count(self) -> int:
        """The number of partitions."""
        return PARTITIONS

    def partition_of(self, user: UserKey) -> int:
        """Return the partition of a user."""
        return partition_of(user)

    async def outcomes(self, logout_id: str, partition: int) -> list[Outcome]:
        """Return the sessions of a logout in one partition."""
        return await self._receipts.outcomes(logout_id, partition)

    async def hold(self, name: str, holder: str, seconds: float) -> bool:
        """Take a hold or renew it."""
        return await self._notes.hold(name, holder, seconds)

    async def release(self, name: str, holder: str) -> None:
        """Release a hold."""
        await self._notes.release(name, holder)

    async def note(self, name: str, kind: str, text: str, *, times: int = 1) -> None:
        """Keep a note about something."""
        await self._notes.note(name, kind, text, times=times)

    async def notes(self, name: str) -> Mapping[str, Note]:
        """Return the notes about something."""
        return await self._notes.notes(name)

    async def add_signals(self, records: Sequence[SignalRecord]) -> None:
        """Store records of signals."""
        await self._notes.add_signals(records)

    async def signals(self, after: str | None = None) -> tuple[str, Sequence[SignalRecord]]:
        """Return the records of signals that follow a place."""
        return await self._notes.signals(after)

    async def is_stuck(self) -> bool:
        """Return whether any connection is stuck; see `Pipeline.is_stuck`."""
        topologies = (self._checks, self._logouts, self._lists)
        return any(await asyncio.gather(*(topology.is_stuck() for topology in topologies)))

    async def history(self, partition: int, after: Position | None = None) -> History:
        """Return a page of the log of a partition."""
        return await self._history.history(partition, after)

    def follow(self) -> AsyncGenerator[Event]:
        """Yield each logout as it is written, and any problems."""
        return self._reader.read()
