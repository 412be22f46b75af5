"""Writes logouts to the embedded store, and finds earlier ones by their idempotency keys."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import msgspec

from hub.core.model import (
    SECOND,
    Identity,
    Logout,
    Micros,
    Outcome,
    Receipt,
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
from hub.errors import NotFound
from hub.store.base import KEY_LIFETIME
from hub.store.memory_receipts import MemoryReceipts
from hub.store.memory_state import MemoryState, User
from hub.store.values import Claim, Command, KeyReused, LogoutEvent, Unsure, too_many_logouts


class MemoryLogouts:
    """The methods of `hub.store.base.Store` for logouts, at the instant ``now``.

    ``lifetime`` is how long a logout is kept, ``pace`` how often a user may log out. ``publish`` is
    called with each logout that was written.
    """

    def __init__(
        self,
        state: MemoryState,
        receipts: MemoryReceipts,
        publish: Callable[[LogoutEvent, Micros], None],
        lifetime: Micros,
        pace: Rate | None,
    ) -> None:
        self._state = state
        self._receipts = receipts
        self._publish = publish
        self._lifetime = lifetime
        self._pace = pace

    def end(self, command: Command, now: Micros, *, limited: bool) -> Receipt:
        """Write a logout."""
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

    def end_own(self, command: Command, caller: Identity, now: Micros) -> Receipt | Unsure:
        """Write a logout that a user requests, if the caller's token is surely alive."""
        if not is_surely_alive(caller, self._state.revocation_state(caller.user, caller.sid, now)):
            return Unsure()
        return self.end(command, now, limited=True)

    def recall(self, command: Command, now: Micros) -> Receipt | None:
        """Return the receipt of an earlier request with the same key."""
        return _recall(self._state.user(command.logout.user, now), command)

    def claim(self, claim: Claim, now: Micros) -> str:
        """Claim an idempotency key for a list of logouts."""
        everyones = self._state.user(None, now)
        if claim.key not in everyones.claims:
            everyones.claims[claim.key] = (claim, now + KEY_LIFETIME)
            self._state.keep(None, everyones, "claim", claim.key)
        first, _ = everyones.claims[claim.key]
        if first.digest != claim.digest:
            raise KeyReused("the idempotency key was used for another list")
        return first.id

    def refuse_session(self, iss: str, logout: Logout, now: Micros) -> tuple[UserKey, ...]:
        """Write a tombstone for a session whose user is not known."""
        sid = logout.sid or ""
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
                if key is not None and user.has_registered(sid) and split_user_key(key)[0] == iss
            )
        )

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
