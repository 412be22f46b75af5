"""The embedded store: for a single process; a restart loses everything."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from types import TracebackType
from typing import Self

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
from hub.store.base import CHECK_INTERVAL, RECEIPT_LIFETIME
from hub.store.memory_log import MemoryLog
from hub.store.memory_logouts import MemoryLogouts
from hub.store.memory_notes import MemoryNotes
from hub.store.memory_receipts import MemoryReceipts
from hub.store.memory_registry import MemoryRegistry
from hub.store.memory_state import MemoryState
from hub.store.values import (
    Claim,
    Command,
    Confirmed,
    DataLoss,
    Departure,
    Event,
    Gap,
    History,
    LogoutEvent,
    Note,
    Registration,
    Registry,
    Report,
    Unsure,
)

ALL = frozenset({0})
"""The one partition."""


def system_clock() -> Micros:
    """Return this machine's time."""
    return time.time_ns() // 1000


class MemoryStore:
    """A `hub.store.base.Store` in this process's memory; see there for what each method does.

    ``lifetime`` is how long a token may live, and so how long a logout is kept; ``max_sessions``
    how many sessions a user may have at once; ``pace`` how often a user may log out; ``receipts``
    how long receipts are kept.
    """

    def __init__(
        self,
        *,
        lifetime: Micros,
        max_sessions: int = 1000,
        clock: Callable[[], Micros] = system_clock,
        pace: Rate | None = None,
        receipts: Micros = RECEIPT_LIFETIME,
    ) -> None:
        self._lifetime = lifetime
        self._clock = clock
        self._state = MemoryState()
        self._registry = MemoryRegistry(self._state, lifetime, max_sessions)
        self._receipts = MemoryReceipts(self._state, receipts)
        self._writer = MemoryLogouts(self._state, self._receipts, self._publish, lifetime, pace)
        self._notes = MemoryNotes()
        self._log = MemoryLog(lifetime)
        self._followers: set[asyncio.Queue[LogoutEvent]] = set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._state.clear()
        self._log = MemoryLog(self._lifetime)

    async def now(self) -> Micros:
        """Return the store's time."""
        return self._clock()

    async def look(self, identity: Identity) -> RevocationState:
        """Return what is known about a session."""
        return self._state.revocation_state(identity.user, identity.sid, self._clock())

    async def register(self, registration: Registration) -> RevocationState:
        """Register a session, or renew its registration."""
        return self._registry.register(registration, self._clock())

    async def sessions(self, user: UserKey) -> Registry:
        """Return a user's registered sessions."""
        return self._registry.sessions(user, self._clock())

    async def renew(self, lease: str, departures: Sequence[Departure] = ()) -> Mapping[int, str]:
        """Renew the lease of this process, and record departures."""
        now = self._clock()
        self._registry.renew(lease, departures, now)
        self._log.forget(now)
        return {}

    async def end(self, command: Command, *, limited: bool = False) -> Receipt:
        """Write a logout."""
        return self._writer.end(command, self._clock(), limited=limited)

    async def end_own(self, command: Command, caller: Identity) -> Receipt | Unsure:
        """Write a logout that a user requests, if the caller's token is surely alive."""
        return self._writer.end_own(command, caller, self._clock())

    async def recall(self, command: Command) -> Receipt | None:
        """Return the receipt of an earlier request with the same key."""
        return self._writer.recall(command, self._clock())

    async def claim(self, claim: Claim) -> str:
        """Claim an idempotency key for a list of logouts."""
        return self._writer.claim(claim, self._clock())

    async def refuse_session(self, iss: str, logout: Logout) -> tuple[UserKey, ...]:
        """Write a tombstone for a session whose user is not known."""
        return self._writer.refuse_session(iss, logout, self._clock())

    async def recover(self, loss: DataLoss, logout: Logout) -> Receipt | None:
        """Return None: memory has no data losses."""
        return None

    def _publish(self, event: LogoutEvent, now: Micros) -> None:
        entered = self._log.append(event, now)
        for queue in self._followers:
            queue.put_nowait(entered)

    async def report(self, report: Report) -> None:
        """Add this process's report to a receipt."""
        self._receipts.report(report, self._clock())

    async def receipt(self, logout_id: str, user: UserKey | None) -> Receipt | None:
        """Return the receipt of a logout."""
        return self._receipts.receipt(logout_id, user, self._clock())

    @property
    def partition_count(self) -> int:
        """The number of partitions: one."""
        return 1

    def partition_of(self, user: UserKey) -> int:
        """Return the only partition."""
        return 0

    async def outcomes(self, logout_id: str, partition: int) -> list[Outcome]:
        """Return the sessions of a logout."""
        return self._receipts.outcomes(logout_id, self._clock())

    async def hold(self, name: str, holder: str, seconds: float) -> bool:
        """Take a hold or renew it."""
        return self._notes.hold(name, holder, round(seconds * SECOND), self._clock())

    async def release(self, name: str, holder: str) -> None:
        """Release a hold."""
        self._notes.release(name, holder)

    async def note(self, name: str, kind: str, text: str, *, times: int = 1) -> None:
        """Keep a note about something."""
        self._notes.note(name, kind, text, times, self._clock())

    async def notes(self, name: str) -> Mapping[str, Note]:
        """Return the notes about something."""
        return self._notes.notes(name, self._clock())

    async def add_signals(self, records: Sequence[SignalRecord]) -> None:
        """Store records of signals."""
        self._notes.add_signals(records, self._clock())

    async def signals(self, after: str | None = None) -> tuple[str, Sequence[SignalRecord]]:
        """Return the records of signals that follow a place."""
        return self._notes.signals(after)

    async def is_stuck(self) -> bool:
        """Return False: there is no connection that could be stuck."""
        return False

    async def history(self, partition: int, after: Position | None = None) -> History:
        """Return a page of the log."""
        return self._log.read(after)

    async def follow(self) -> AsyncGenerator[Event]:
        """Yield each logout as it is written."""
        clock = asyncio.get_running_loop().time
        queue: asyncio.Queue[LogoutEvent] = asyncio.Queue()
        self._followers.add(queue)
        try:
            yield Gap("the log begins here", ALL)
            while True:
                now = clock()
                for _ in range(queue.qsize()):
                    yield queue.get_nowait()
                yield Confirmed(ALL, now)
                deadline = now + CHECK_INTERVAL
                while clock() < deadline and (event := await _next(queue, deadline)) is not None:
                    yield event
        finally:
            self._followers.discard(queue)


async def _next(queue: asyncio.Queue[LogoutEvent], deadline: float) -> LogoutEvent | None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout_at(deadline):
            return await queue.get()
    return None
