"""The embedded store: one process, nothing kept over a restart."""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import itertools
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
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
    Receipt,
    Scope,
    Session,
    Standing,
    State,
    UserKey,
)
from hub.core.rate import Rate, take
from hub.core.receipt import Row, Tally, merge, settle, split_session_key, view
from hub.core.revocation import ends, identify, may_register, outlives, supersede
from hub.errors import NotFound, RateLimited
from hub.store.base import (
    CHECK_INTERVAL,
    KEY_LIFETIME,
    LEASE,
    RECEIPT_LIFETIME,
    Command,
    Confirmed,
    Departure,
    Doubtful,
    Event,
    Gap,
    Heard,
    KeyReused,
    Registry,
    Report,
    Visit,
    too_many_logouts,
)

ALL = frozenset({0})
"""The one partition."""


def system_clock() -> Micros:
    """Return the time of this machine."""
    return time.time_ns() // 1000


@dataclass(slots=True)
class _Receipt:
    logout: Logout
    rows: dict[str, Row]
    owing: dict[str, bool]
    until: Micros


@dataclass(slots=True)
class _User:
    sessions: dict[str, Session] = field(default_factory=dict)
    holders: dict[str, dict[str, int]] = field(default_factory=dict)
    tombstones: dict[str, tuple[Logout, Micros]] = field(default_factory=dict)
    cutoffs: tuple[Logout, ...] = ()
    cutoffs_until: Micros = 0
    keys: dict[str, tuple[Logout, Receipt, Micros]] = field(default_factory=dict)
    receipts: dict[str, _Receipt] = field(default_factory=dict)
    paid_until: float = 0.0

    def until(self, kind: str, name: str) -> Micros | None:
        """Return when an entry expires; None when there is none."""
        match kind:
            case "session":
                return self.sessions[name].expires_at if name in self.sessions else None
            case "tombstone":
                return self.tombstones[name][1] if name in self.tombstones else None
            case "key":
                return self.keys[name][2] if name in self.keys else None
            case "receipt":
                return self.receipts[name].until if name in self.receipts else None
        return self.cutoffs_until if self.cutoffs else None

    def forget(self, kind: str, name: str) -> None:
        """Drop an entry that has expired."""
        match kind:
            case "session":
                self.drop(name)
            case "tombstone":
                del self.tombstones[name]
            case "key":
                del self.keys[name]
            case "receipt":
                del self.receipts[name]
            case _:
                self.cutoffs, self.cutoffs_until = (), 0

    def drop(self, sid: str) -> None:
        del self.sessions[sid]
        self.holders.pop(sid, None)

    def is_empty(self) -> bool:
        return not (self.sessions or self.tombstones or self.keys or self.cutoffs or self.receipts)


class MemoryStore:
    """A `hub.store.base.Store` in this process's memory.

    ``lifetime`` is how long a token may live, and so how long a logout must be remembered;
    ``max_sessions`` how many sessions a user may have at once, ``pace`` how often a user may log
    out, ``receipts`` how long receipts are kept.
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
        self._pace = pace
        self._receipts = receipts
        self._lifetime = lifetime
        self._max_sessions = max_sessions
        self._clock = clock
        self._users: dict[UserKey | None, _User] = {}
        # What expires next stands first, so that forgetting costs nothing while nothing expires.
        self._expiries: list[tuple[Micros, int, UserKey | None, str, str]] = []
        self._order = itertools.count()
        self._leases: dict[str, Micros] = {}
        self._followers: set[asyncio.Queue[Heard]] = set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._users.clear()
        self._expiries.clear()

    async def look(self, identity: Identity) -> Standing:
        """Return what is known of a session."""
        return self._standing(identity.user, identity.sid, self._clock())

    async def register(self, visit: Visit) -> Standing:
        """Enter a session in the registry, or renew it."""
        now, identity = self._clock(), visit.identity
        user = self._user(identity.user, now)
        tombstone, _ = user.tombstones.get(identity.sid, (None, 0))
        is_over = tombstone is not None and not outlives(identity, tombstone)
        if not is_over and identity.exp > now:
            self._enter(user, visit, now)
        return self._standing(identity.user, identity.sid, now)

    def _enter(self, user: _User, visit: Visit, now: Micros) -> None:
        sid, old = visit.identity.sid, user.sessions.get(visit.identity.sid)
        if old is None:
            if not may_register(visit.identity, self._cutoffs(user)):
                return
            moved = self._take_moved(user, visit, now)
            if len(user.sessions) >= self._max_sessions:
                self._make_room(user, now)
            if len(user.sessions) >= self._max_sessions:
                raise RateLimited("the user has too many sessions")
            user.sessions[sid] = _entered(moved, visit, now)
        else:
            user.sessions[sid] = _renewed(old, visit, now)
        if old is None:
            self._note(visit.identity.user, user, "session", sid)
        if visit.presence is not None:
            user.holders.setdefault(sid, {})[visit.presence.lease] = visit.presence.turn

    def _make_room(self, user: _User, now: Micros) -> None:
        # Sessions that a logout of everyone ended stand in the registry until then.
        for session in list(user.sessions.values()):
            if not may_register(identify("", session), self._cutoffs(user)):
                user.drop(session.sid)
        loose = [
            s for s in user.sessions.values() if s.per_token and not self._is_held(user, s, now)
        ]
        for session in sorted(loose, key=lambda session: session.last_seen_at):
            if len(user.sessions) < self._max_sessions:
                break
            user.drop(session.sid)

    def _is_held(self, user: _User, session: Session, now: Micros, but: str = "") -> bool:
        holders = user.holders.get(session.sid, {})
        return any(now - self._leases.get(lease, 0) < LEASE for lease in holders if lease != but)

    def _take_moved(self, user: _User, visit: Visit, now: Micros) -> Session | None:
        old = user.sessions.get(visit.replaces or "")
        lease = "" if visit.presence is None else visit.presence.lease
        if old is None or not old.per_token or self._is_held(user, old, now, but=lease):
            return None
        user.drop(old.sid)
        return old

    async def sessions(self, user: UserKey) -> Registry:
        """Return a user's registered sessions."""
        now = self._clock()
        known = self._user(user, now)
        seen = [self._seen(known, session, now) for session in known.sessions.values()]
        return Registry(
            standing=Standing(now=now, cutoffs=self._cutoffs(known)),
            sessions=tuple(sorted(seen, key=lambda session: session.created_at)),
        )

    async def end(self, command: Command) -> Receipt:
        """Write a logout."""
        now = self._clock()
        user = self._user(command.logout.user, now)
        if command.caller is not None and not self._is_sure_of(command.caller, user, now):
            raise Doubtful()
        if command.key is not None and command.key in user.keys:
            first, receipt, _ = user.keys[command.key]
            if msgspec.structs.replace(command.logout, id=first.id) != first:
                raise KeyReused("the idempotency key was used for another logout")
            return msgspec.structs.replace(receipt, repeated=True)
        if command.only_repeat or command.mends is not None:
            raise NotFound("no such request")
        if command.only_claim:
            receipt = Receipt(msgspec.structs.replace(command.logout, at=now))
            user.keys[command.key or ""] = (command.logout, receipt, now + KEY_LIFETIME)
            self._note(command.logout.user, user, "key", command.key or "")
            return receipt
        if command.must_exist and command.also not in user.sessions:
            raise NotFound("no such session")
        if command.is_own and self._pace is not None:
            user.paid_until, wait = take(self._pace, user.paid_until, now / SECOND)
            if wait:
                raise too_many_logouts(wait)
        receipt = self._write(command, user, now)
        if command.key is not None:
            user.keys[command.key] = (command.logout, receipt, now + KEY_LIFETIME)
            self._note(command.logout.user, user, "key", command.key)
        kept = user.receipts[receipt.logout.id]
        leases = set(kept.owing).union(*(row.owed_by for row in kept.rows.values()))
        heard = Heard(receipt.logout, partial(_concerns, receipt.logout), frozenset(leases))
        for queue in self._followers:
            queue.put_nowait(heard)
        return receipt

    def _is_sure_of(self, caller: Identity, user: _User, now: Micros) -> bool:
        is_newer = all(caller.begun > cutoff.at for cutoff in self._cutoffs(user))
        return is_newer and caller.sid not in user.tombstones and caller.nbf <= now < caller.exp

    def _write(self, command: Command, user: _User, now: Micros) -> Receipt:
        named, _ = user.tombstones.get(command.also or "", (None, 0))
        before = (*user.cutoffs, *([] if named is None else [named]))
        at = max([now, *(logout.at + 1 for logout in before)])
        logout = msgspec.structs.replace(command.logout, at=at)
        victims = [self._seen(user, s, now) for s in user.sessions.values() if ends(logout, s.sid)]
        everyones = self._users.get(None, _User()).cutoffs
        outcomes = [
            Outcome(s.sid, s.device, State.NOTIFIED if s.online else State.OFFLINE)
            for s in victims
            # A session that a logout of everyone had ended is not ended again.
            if may_register(identify("", s), everyones) or s.sid == command.also
        ]
        if command.also is not None and command.also not in user.sessions:
            outcomes.append(Outcome(command.also, "", State.OFFLINE))
        for outcome in outcomes:
            is_new = outcome.sid not in user.tombstones
            user.tombstones[outcome.sid] = (logout, now + self._lifetime)
            if is_new:
                self._note(logout.user, user, "tombstone", outcome.sid)
        is_new = logout.id not in user.receipts
        user.receipts[logout.id] = self._open_receipt(logout, user, outcomes, now)
        if is_new:
            self._note(logout.user, user, "receipt", logout.id)
        for session in victims:
            user.drop(session.sid)
        if logout.scope is not Scope.SESSION:
            is_new = not user.cutoffs
            user.cutoffs = supersede(logout, user.cutoffs)
            user.cutoffs_until = max(user.cutoffs_until, now + self._lifetime)
            if is_new:
                self._note(logout.user, user, "cutoffs", "")
        return Receipt(logout, tuple(outcomes))

    def _open_receipt(
        self, logout: Logout, user: _User, outcomes: list[Outcome], now: Micros
    ) -> _Receipt:
        rows = {
            outcome.sid: Row(
                logout.user or "",
                outcome.sid,
                outcome.device,
                State.OFFLINE,
                tuple(self._alive(now).intersection(user.holders.get(outcome.sid, ()))),
            )
            for outcome in outcomes
        }
        owing = dict.fromkeys(self._alive(now) if logout.user is None else (), False)
        return _Receipt(logout, rows, owing, now + self._receipts + logout.spread * SECOND)

    def _alive(self, now: Micros) -> frozenset[str]:
        return frozenset(lease for lease, at in self._leases.items() if now - at < LEASE)

    async def report(self, report: Report) -> None:
        """Enter in a receipt what this process did."""
        logout = report.heard.logout
        kept = self._user(logout.user, self._clock()).receipts.get(logout.id)
        if kept is None:
            return
        for key, device in (report.opened or {}).items():
            user, sid = split_session_key(key)
            row = kept.rows.get(key) or Row(user, sid, device, State.OFFLINE)
            owed = (*row.owed_by, report.lease)
            kept.rows[key] = msgspec.structs.replace(row, owed_by=tuple(dict.fromkeys(owed)))
        if report.opened is not None and report.lease in kept.owing:
            kept.owing[report.lease] = True
        for sid, row in kept.rows.items():
            if logout.user is None and sid not in report.sessions:
                continue
            state = merge(row.state, report.sessions.get(sid, State.OFFLINE))
            is_told = report.done or logout.user is None
            left = tuple(x for x in row.owed_by if x != report.lease or not is_told)
            failed = tuple(sorted({*row.failed, *report.failures.get(sid, ())}))
            kept.rows[sid] = msgspec.structs.replace(row, state=state, owed_by=left, failed=failed)
        if report.done:
            kept.owing.pop(report.lease, None)

    async def receipt(self, logout_id: str, user: UserKey | None) -> Receipt | None:
        """Return what is known of a logout."""
        now = self._clock()
        keys = list(self._users) if user is None else [user]
        found = [
            kept
            for key in keys
            if (kept := self._user(key, now).receipts.get(logout_id)) is not None
        ]
        if not found:
            return None
        tally, rows = Tally(), list[Row]()
        for kept in found:
            tally.owing.update(kept.owing)
            if kept.logout.user is not None:
                rows += kept.rows.values()
                continue
            for row in kept.rows.values():
                tally.count(row.state, owed=bool(row.owed_by))
        return settle(
            max((kept.logout for kept in found), key=lambda logout: logout.at),
            rows,
            tally,
            self._alive(now),
            now,
            sum(kept.logout.user is not None for kept in found),
        )

    @property
    def parts(self) -> int:
        """All users are together."""
        return 1

    def partition_of(self, user: UserKey) -> int:
        """Return the one place for all."""
        return 0

    async def outcomes(self, logout_id: str, part: int) -> list[Outcome]:
        """Return the sessions of a logout."""
        receipt = await self.receipt(logout_id, None)
        if receipt is None:
            return []
        everyones = self._users.get(None, _User()).receipts.get(logout_id)
        alive = frozenset() if receipt.complete else self._alive(self._clock())
        more = [] if everyones is None else [view(row, alive) for row in everyones.rows.values()]
        seen = [*receipt.sessions, *more]
        return sorted(seen, key=lambda one: (one.user or "", one.sid))

    async def renew(self, lease: str, departures: Sequence[Departure] = ()) -> Mapping[int, str]:
        """Renew the lease of this process, and note which sessions left it."""
        now = self._clock()
        self._leases[lease] = now
        for gone in departures:
            user = self._user(gone.user, now)
            holders = user.holders.get(gone.sid, {})
            if holders.get(lease, gone.turn + 1) <= gone.turn:
                del holders[lease]
                user.sessions[gone.sid] = msgspec.structs.replace(
                    user.sessions[gone.sid], last_seen_at=now
                )
        self._forget(now)
        self._leases = {k: at for k, at in self._leases.items() if now - at < self._lifetime}
        return {}

    async def is_stuck(self) -> bool:
        """Tell that nothing can be."""
        return False

    async def follow(self) -> AsyncGenerator[Event]:
        """Yield each logout as it is written; nothing is ever lost here."""
        queue: asyncio.Queue[Heard] = asyncio.Queue()
        self._followers.add(queue)
        try:
            yield Gap("the log begins here", ALL)
            while True:
                yield Confirmed(ALL)
                deadline = asyncio.get_running_loop().time() + CHECK_INTERVAL
                while (heard := await _next(queue, deadline)) is not None:
                    yield heard
        finally:
            self._followers.discard(queue)

    def _user(self, key: UserKey | None, now: Micros) -> _User:
        # Who is not known is entered with the first fact, so that asking leaves nothing behind.
        self._forget(now)
        return self._users.get(key) or _User()

    def _note(self, key: UserKey | None, user: _User, kind: str, name: str) -> None:
        self._users[key] = user
        until = user.until(kind, name)
        heapq.heappush(self._expiries, (until or 0, next(self._order), key, kind, name))

    def _forget(self, now: Micros) -> None:
        while self._expiries and self._expiries[0][0] <= now:
            _, _, key, kind, name = heapq.heappop(self._expiries)
            user = self._users.get(key)
            until = None if user is None else user.until(kind, name)
            if until is not None and until > now:  # it was renewed since
                heapq.heappush(self._expiries, (until, next(self._order), key, kind, name))
            elif user is not None and until is not None:
                user.forget(kind, name)
            if user is not None and user.is_empty():
                del self._users[key]

    def _cutoffs(self, user: _User) -> tuple[Logout, ...]:
        everyone = self._users.get(None, _User())
        return (*user.cutoffs, *everyone.cutoffs)

    def _standing(self, key: UserKey, sid: str, now: Micros) -> Standing:
        user = self._user(key, now)
        tombstone, _ = user.tombstones.get(sid, (None, 0))
        session = user.sessions.get(sid)
        return Standing(
            now=now,
            tombstone=tombstone,
            session=None if session is None else self._seen(user, session, now),
            cutoffs=self._cutoffs(user),
        )

    def _seen(self, user: _User, session: Session, now: Micros) -> Session:
        renewals = list(self._renewals(user, session.sid))
        return msgspec.structs.replace(
            session,
            online=any(now - at < LEASE for at in renewals),
            last_seen_at=max([session.last_seen_at, *renewals]),
        )

    def _renewals(self, user: _User, sid: str) -> Iterator[Micros]:
        return (self._leases.get(lease, 0) for lease in user.holders.get(sid, {}))


async def _next(queue: asyncio.Queue[Heard], deadline: float) -> Heard | None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout_at(deadline):
            return await queue.get()
    return None


def _concerns(logout: Logout, user: UserKey) -> bool:
    return logout.user in (None, user)


def _entered(moved: Session | None, visit: Visit, now: Micros) -> Session:
    """Return a session that shows itself first; ``moved`` is the one that it goes on from."""
    identity = visit.identity
    return Session(
        sid=identity.sid,
        device=visit.device if moved is None or visit.named else moved.device,
        ip=visit.ip,
        created_at=now if moved is None else moved.created_at,
        last_seen_at=now,
        expires_at=identity.exp,
        registered_at=now,
        begun=identity.begun,
        per_token=identity.per_token,
    )


def _renewed(old: Session, visit: Visit, now: Micros) -> Session:
    identity = visit.identity
    newest = identity.begun > old.begun
    return msgspec.structs.replace(
        old,
        device=visit.device if visit.named else old.device,
        ip=visit.ip,
        last_seen_at=now,
        expires_at=max(old.expires_at, identity.exp),
        registered_at=now if newest else old.registered_at,
        begun=identity.begun if newest else old.begun,
    )
