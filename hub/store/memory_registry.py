"""The registry of the embedded store: which sessions there are, and where they are held."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from hub.core.model import Micros, Session, Standing, UserKey
from hub.core.revocation import identify, may_register, outlives
from hub.errors import RateLimited
from hub.store.base import Departure, Registry, Visit
from hub.store.memory_state import MemoryState, User


class MemoryRegistry:
    """That part of `hub.store.base.Store`, at the instant ``now``."""

    def __init__(self, state: MemoryState, lifetime: Micros, max_sessions: int) -> None:
        self._state = state
        self._lifetime = lifetime
        self._max_sessions = max_sessions

    def register(self, visit: Visit, now: Micros) -> Standing:
        """Enter a session in the registry, or renew it."""
        identity = visit.identity
        user = self._state.user(identity.user, now)
        tombstone = user.tombstone(identity.sid)
        is_over = tombstone is not None and not outlives(identity, tombstone)
        if not is_over and identity.exp > now:
            self._enter(user, visit, now)
        return self._state.standing(identity.user, identity.sid, now)

    def sessions(self, key: UserKey, now: Micros) -> Registry:
        """Return a user's registered sessions."""
        user = self._state.user(key, now)
        shown = [self._state.shown(user, session, now) for session in user.sessions.values()]
        return Registry(
            standing=Standing(now=now, cutoffs=self._state.cutoffs(user)),
            sessions=tuple(sorted(shown, key=lambda session: session.created_at)),
        )

    def renew(self, lease: str, departures: Sequence[Departure], now: Micros) -> None:
        """Renew the lease of this process, and note which sessions left it."""
        leases = self._state.leases
        leases[lease] = now
        for gone in departures:
            user = self._state.user(gone.user, now)
            holders = user.holders.get(gone.sid, {})
            if holders.get(lease, gone.turn + 1) <= gone.turn:
                del holders[lease]
                user.sessions[gone.sid] = msgspec.structs.replace(
                    user.sessions[gone.sid], last_seen_at=now
                )
        self._state.forget(now)
        for name in [name for name, at in leases.items() if now - at >= self._lifetime]:
            del leases[name]

    def _enter(self, user: User, visit: Visit, now: Micros) -> None:
        sid, old = visit.identity.sid, user.sessions.get(visit.identity.sid)
        if old is not None:
            user.sessions[sid] = _renewed(old, visit, now)
        elif may_register(visit.identity, self._state.cutoffs(user)):
            moved = self._take_moved(user, visit, now)
            self._make_room(user, now)
            user.sessions[sid] = _entered(moved, visit, now)
            self._state.keep(visit.identity.user, user, "session", sid)
        else:
            return
        if visit.presence is not None:
            user.holders.setdefault(sid, {})[visit.presence.lease] = visit.presence.turn

    def _make_room(self, user: User, now: Micros) -> None:
        if len(user.sessions) < self._max_sessions:
            return
        # Sessions that a logout of everyone ended stand in the registry until then.
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

    def _take_moved(self, user: User, visit: Visit, now: Micros) -> Session | None:
        old = user.sessions.get(visit.replaces or "")
        lease = "" if visit.presence is None else visit.presence.lease
        if old is None or not old.per_token or self._is_held(user, old, now, but=lease):
            return None
        user.drop(old.sid)
        return old


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
