"""The embedded store: for a single process; a restart loses everything."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from functools import partial
from types import TracebackType
from typing import Self

import msgspec

from hub.core.model import (
    SECOND,
    Identity,
    Logout,
    Micros,
    Outcome,
    Position,
    Receipt,
    RevocationState,
    Scope,
    State,
    UserKey,
    split_user_key,
    user_key,
)
from hub.core.rate import Rate, take
from hub.core.revocation import (
    ends,
    ends_registered,
    identify,
    is_surely_alive,
    may_register,
    supersede,
)
from hub.core.signal import SignalRecord
from hub.errors import NotFound
from hub.store.base import CHECK_INTERVAL, KEY_LIFETIME, RECEIPT_LIFETIME
from hub.store.memory_log import MemoryLog
from hub.store.memory_notes import MemoryNotes
from hub.store.memory_receipts import MemoryReceipts
from hub.store.memory_registry import MemoryRegistry
from hub.store.memory_state import MemoryState, User
from hub.store.values import (
    Claim,
    Command,
    Confirmed,
    DataLoss,
    Departure,
    Event,
    Gap,
    History,
    KeyReused,
    LogoutEvent,
    Note,
    Registration,
    Registry,
    Report,
    Unsure,
    too_many_logouts,
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
        self._pace = pace
        self._state = MemoryState()
        self._registry = MemoryRegistry(self._state, lifetime, max_sessions)
        self._receipts = MemoryReceipts(self._state, receipts)
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
        return self._end(command, self._clock(), limited=limited)

    async def end_own(self, command: Command, caller: Identity) -> Receipt | Unsure:
        """Write a logout that a user requests, if the caller's token is surely alive."""
        now = self._clock()
        if not is_surely_alive(caller, self._state.revocation_state(caller.user, caller.sid, now)):
            return Unsure()
        return self._end(command, now, limited=True)

    async def recall(self, command: Command) -> Receipt | None:
        """Return the receipt of an earlier request with the same key."""
        return _recall(self._state.user(command.logout.user, self._clock()), command)

    async def claim(self, claim: Claim) -> str:
        """Claim an idempotency key for a list of logouts."""
        now = self._clock()
        everyones = self._state.user(None, now)
        if claim.key not in everyones.claims:
            everyones.claims[claim.key] = (claim, now + KEY_LIFETIME)
            self._state.keep(None, everyones, "claim", claim.key)
        first, _ = everyones.claims[claim.key]
        if first.digest != claim.digest:
            raise KeyReused("the idempotency key was used for another list")
        return first.id

    async def refuse_session(self, iss: str, logout: Logout) -> tuple[UserKey, ...]:
        """Write a tombstone for a session whose user is not known."""
        now, sid = self._clock(), logout.sid or ""
        everyones, name = self._state.user(None, now), user_key(iss, sid)
        old = everyones.tombstone(name)
        if old is None or old.horizon < logout.horizon:
            at = now if old is None else max(now, old.at + 1)
            written = msgspec.structs.replace(logout, at=at)
            everyones.tombstones[name] = (written, now + self._lifetime)
            self._state.keep(None, everyones, "tombstone", name)
            self._publish(LogoutEvent(written, _nobody, partition=0, issuer=iss), now)
        users = self._state.users.items()
        return tuple(
            sorted(
                key
                for key, user in users
                if key is not None and sid in user.sessions and split_user_key(key)[0] == iss
            )
        )

    async def recover(self, loss: DataLoss, logout: Logout) -> Receipt | None:
        """Return None: memory has no data losses."""
        return None

    def _end(self, command: Command, now: Micros, *, limited: bool) -> Receipt:
        user = self._state.user(command.logout.user, now)
        if (first := _recall(user, command)) is not None:
            return first
        if command.must_exist and command.also not in user.sessions:
            raise NotFound("no such session")
        if limited and self._pace is not None:
            user.paid_until, wait = take(self._pace, user.paid_until, now / SECOND)
            if wait:
                raise too_many_logouts(wait)
        receipt = self._write(command, user, now)
        if command.key is not None:
            user.keys[command.key] = (command.logout, receipt, now + KEY_LIFETIME)
            self._state.keep(command.logout.user, user, "key", command.key)
        self._publish(_make_event(receipt, user), now)
        return receipt

    def _write(self, command: Command, user: User, now: Micros) -> Receipt:
        named = user.tombstone(command.also or "")
        before = (*user.cutoffs, *([] if named is None else [named]))
        at = max([now, *(logout.at + 1 for logout in before)])
        logout = msgspec.structs.replace(command.logout, at=at)
        victims = [
            session
            for session in user.sessions.values()
            if ends(logout, session.sid) and ends_registered(logout, session)
        ]
        everyones = self._state.everyones().cutoffs
        outcomes = [
            Outcome(one.sid, one.device, State.NOTIFIED if one.online else State.OFFLINE)
            for one in (self._state.shown(user, session, now) for session in victims)
            # A session that a logout of everyone had ended is not ended again.
            if may_register(identify("", one), everyones) or one.sid == command.also
        ]
        if command.also is not None and command.also not in {one.sid for one in victims}:
            outcomes.append(Outcome(command.also, "", State.OFFLINE))
        for outcome in outcomes:
            old = user.tombstone(outcome.sid)
            if old is None or old.horizon < logout.horizon:
                user.tombstones[outcome.sid] = (logout, now + self._lifetime)
            if old is None:
                self._state.keep(logout.user, user, "tombstone", outcome.sid)
        self._receipts.open(logout, user, outcomes, now)
        for session in victims:
            user.drop(session.sid)
        if logout.scope is not Scope.SESSION:
            self._cut_off(logout, user, now)
        return Receipt(logout, tuple(outcomes))

    def _cut_off(self, logout: Logout, user: User, now: Micros) -> None:
        is_new = not user.cutoffs
        user.cutoffs = supersede(logout, user.cutoffs)
        user.cutoffs_until = max(user.cutoffs_until, now + self._lifetime)
        if is_new:
            self._state.keep(logout.user, user, "cutoffs", "")

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


def _make_event(receipt: Receipt, user: User) -> LogoutEvent:
    logout = receipt.logout
    kept = user.receipts[logout.id]
    leases = set(kept.pending).union(*(row.pending for row in kept.rows.values()))
    sessions = tuple(one.sid for one in receipt.sessions if one.sid != logout.sid)
    concerns = partial(_concerns, logout)
    return LogoutEvent(logout, concerns, frozenset(leases), partition=0, sessions=sessions)


def _nobody(user: UserKey) -> bool:
    return False


def _concerns(logout: Logout, user: UserKey) -> bool:
    return logout.user in (None, user)


def _recall(user: User, command: Command) -> Receipt | None:
    if command.key is None or command.key not in user.keys:
        return None
    first, receipt, _ = user.keys[command.key]
    if msgspec.structs.replace(command.logout, id=first.id, before=first.before) != first:
        raise KeyReused("the idempotency key was used for another logout")
    return msgspec.structs.replace(receipt, repeated=True)
