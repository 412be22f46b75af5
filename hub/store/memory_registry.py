"""The registry of the embedded store: the sessions of each user, and who holds them."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from hub.core.model import Micros, RevocationState, Session, UserKey
from hub.core.revocation import identify, may_register, outlives
from hub.errors import RateLimited
from hub.store.memory_state import MemoryState, User
from hub.store.values import Departure, Registration, Registry


class MemoryRegistry:
    """The methods of `hub.store.base.Store` for the registry, at the instant ``now``."""

    def __init__(self, state: MemoryState, lifetime: Micros, max_sessions: int) -> None:
        self._state = state
        self._lifetime = lifetime
        self._max_sessions = max_sessions

    def register(self, registration: Registration, now: Micros) -> RevocationState:
        """Register a session, or renew its registration."""
        identity = registration.identity
        user = self._state.user(identity.user, now)
        tombstone = self._state.tombstone(identity.user, user, identity.sid)
        is_over = tombstone is not None and not outlives(identity, tombstone)
        if not is_over and identity.exp > now:
            self._enter(user, registration, now)
        return self._state.revocation_state(identity.user, identity.sid, now)

    def sessions(self, key: UserKey, now: Micros) -> Registry:
        """Return a user's registered sessions."""
        user = self._state.user(key, now)
        shown = [self._state.shown(user, session, now) for session in user.sessions.values()]
        return Registry(
            state=RevocationState(now=now, cutoffs=self._state.cutoffs(user)),
            sessions=tuple(sorted(shown, key=lambda session: session.created_at)),
        )

    def renew(self, lease: str, departures: Sequence[Departure], now: Micros) -> None:
        """Renew the lease of this process, and record departures."""
        leases = self._state.leases
        leases[lease] = now
        for departure in departures:
            user = self._state.user(departure.user, now)
            holders = user.holders.get(departure.sid, {})
            if holders.get(lease, departure.sequence + 1) <= departure.sequence:
                del holders[lease]
                user.sessions[departure.sid] = msgspec.structs.replace(
                    user.sessions[departure.sid], last_seen_at=now
                )
        self._state.forget(now)
        for name in [name for name, at in leases.items() if now - at >= self._lifetime]:
            del leases[name]

    def _enter(self, user: User, registration: Registration, now: Micros) -> None:
        sid, old = registration.identity.sid, user.sessions.get(registration.identity.sid)
        if old is not None:
            user.sessions[sid] = _renewed(old, registration, now)
        elif may_register(registration.identity, self._state.cutoffs(user)):
            moved = self._take_moved(user, registration, now)
            self._make_room(user, now)
            user.sessions[sid] = _entered(moved, registration, now)
            self._state.keep(registration.identity.user, user, "session", sid)
        else:
            return
        if registration.presence is not None:
            user.holders.setdefault(sid, {})[registration.presence.lease] = (
                registration.presence.sequence
            )

    def _make_room(self, user: User, now: Micros) -> None:
        if len(user.sessions) < self._max_sessions:
            return
        # Sessions that a logout of everyone ended stay registered until their place is needed.
        for session in list(user.sessions.values()):
            if not may_register(identify("", session), self._state.cutoffs(user)):
                user.drop(session.sid)
        loose = [
            s for s in user.sessions.values() if s.per_token and not self._is_held(user, s, now)
        ]
        for session in sorted(loose, key=lambda session: session.last_seen_at):
            if len(user.sessions) < self._max_sessions:
                break
            user.drop(session.sid)
        if len(user.sessions) >= self._max_sessions:
            raise RateLimited("the user has too many sessions")

    def _is_held(self, user: User, session: Session, now: Micros, but: str = "") -> bool:
        return not self._state.alive(now).isdisjoint({*user.holders.get(session.sid, ())} - {but})

    def _take_moved(self, user: User, registration: Registration, now: Micros) -> Session | None:
        old = user.sessions.get(registration.replaces or "")
        lease = "" if registration.presence is None else registration.presence.lease
        if old is None or not old.per_token or self._is_held(user, old, now, but=lease):
            return None
        user.drop(old.sid)
        return old


def _entered(moved: Session | None, registration: Registration, now: Micros) -> Session:
    """Return a newly registered session; ``moved`` is the session that it continues."""
    identity = registration.identity
    return Session(
        sid=identity.sid,
        device=registration.device if moved is None or registration.named else moved.device,
        ip=registration.ip,
        created_at=now if moved is None else moved.created_at,
        last_seen_at=now,
        expires_at=identity.exp,
        registered_at=now,
        begun=identity.begun,
        per_token=identity.per_token,
        login_at=identity.login_at,
    )


def _renewed(old: Session, registration: Registration, now: Micros) -> Session:
    identity = registration.identity
    newest = identity.begun > old.begun
    tells_login = newest and identity.login_at is not None
    return msgspec.structs.replace(
        old,
        device=registration.device if registration.named else old.device,
        ip=registration.ip,
        last_seen_at=now,
        expires_at=max(old.expires_at, identity.exp),
        registered_at=now if newest else old.registered_at,
        begun=identity.begun if newest else old.begun,
        login_at=identity.login_at if tells_login else old.login_at,
    )
