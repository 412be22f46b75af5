"""The data of the embedded store: entries of users, each until it expires, and leases."""

from __future__ import annotations

import heapq
import itertools
from dataclasses import dataclass, field

import msgspec

from hub.core.model import (
    Logout,
    Micros,
    Receipt,
    RevocationState,
    Session,
    UserKey,
    split_user_key,
    user_key,
)
from hub.core.receipt import Row
from hub.store.base import LEASE
from hub.store.values import Claim


@dataclass(slots=True)
class KeptReceipt:
    """A stored receipt; ``pending`` is as in `hub.core.receipt.Tally`."""

    logout: Logout
    rows: dict[str, Row]
    pending: dict[str, bool]
    until: Micros


@dataclass(slots=True)
class User:
    """The entries of one user, or (under the key None) of everyone.

    ``left`` are sessions that were removed from the registry before they expired, until they would
    have: whoever refuses one of them learns whose it was.
    """

    sessions: dict[str, Session] = field(default_factory=dict)
    left: dict[str, Micros] = field(default_factory=dict)
    holders: dict[str, dict[str, int]] = field(default_factory=dict)
    tombstones: dict[str, tuple[Logout, Micros]] = field(default_factory=dict)
    cutoffs: tuple[Logout, ...] = ()
    cutoffs_until: Micros = 0
    keys: dict[str, tuple[Logout, Receipt, Micros]] = field(default_factory=dict)
    claims: dict[str, tuple[Claim, Micros]] = field(default_factory=dict)
    receipts: dict[str, KeptReceipt] = field(default_factory=dict)
    paid_until: float = 0.0

    def until(self, kind: str, name: str) -> Micros | None:
        """Return when an entry expires; None if there is none."""
        match kind:
            case "session":
                kept = self.sessions.get(name)
                return self.left.get(name) if kept is None else kept.expires_at
            case "tombstone":
                return self.tombstones[name][1] if name in self.tombstones else None
            case "key":
                return self.keys[name][2] if name in self.keys else None
            case "claim":
                return self.claims[name][1] if name in self.claims else None
            case "receipt":
                return self.receipts[name].until if name in self.receipts else None
        return self.cutoffs_until if self.cutoffs else None

    def forget(self, kind: str, name: str) -> None:
        """Remove an entry that has expired."""
        match kind:
            case "session":
                if name in self.sessions:
                    self.drop(name)
                del self.left[name]
            case "tombstone":
                del self.tombstones[name]
            case "key":
                del self.keys[name]
            case "claim":
                del self.claims[name]
            case "receipt":
                del self.receipts[name]
            case _:
                self.cutoffs, self.cutoffs_until = (), 0

    def drop(self, sid: str) -> None:
        """Remove a session from the registry."""
        self.left[sid] = self.sessions.pop(sid).expires_at
        self.holders.pop(sid, None)

    def has_registered(self, sid: str) -> bool:
        """Return whether a session is in the registry, or was, and has not expired."""
        return sid in self.sessions or sid in self.left

    def tombstone(self, sid: str) -> Logout | None:
        """Return the logout that ended a session by name."""
        return self.tombstones[sid][0] if sid in self.tombstones else None

    def is_empty(self) -> bool:
        """Return whether there are no entries."""
        return not (
            self.sessions
            or self.left
            or self.tombstones
            or self.keys
            or self.claims
            or self.cutoffs
            or self.receipts
        )


class MemoryState:
    """All users that have entries; ``leases`` holds when each lease was last renewed."""

    def __init__(self) -> None:
        self.users: dict[UserKey | None, User] = {}
        self.leases: dict[str, Micros] = {}
        # A heap by expiry, so that `forget` costs nothing while nothing expires.
        self._expiries: list[tuple[Micros, int, UserKey | None, str, str]] = []
        self._order = itertools.count()

    def clear(self) -> None:
        """Remove all users."""
        self.users.clear()
        self._expiries.clear()

    def user(self, key: UserKey | None, now: Micros) -> User:
        """Return a user; one without entries is stored only by `keep`."""
        self.forget(now)
        return self.users.get(key) or User()

    def keep(self, key: UserKey | None, user: User, kind: str, name: str) -> None:
        """Store a user's new entry until it expires."""
        self.users[key] = user
        until = user.until(kind, name)
        heapq.heappush(self._expiries, (until or 0, next(self._order), key, kind, name))

    def forget(self, now: Micros) -> None:
        """Remove all entries that have expired."""
        while self._expiries and self._expiries[0][0] <= now:
            _, _, key, kind, name = heapq.heappop(self._expiries)
            user = self.users.get(key)
            until = None if user is None else user.until(kind, name)
            if until is not None and until > now:  # it was renewed since
                heapq.heappush(self._expiries, (until, next(self._order), key, kind, name))
            elif user is not None and until is not None:
                user.forget(kind, name)
            if user is not None and user.is_empty():
                del self.users[key]

    def everyones(self) -> User:
        """Return the entries for everyone."""
        return self.users.get(None) or User()

    def cutoffs(self, user: User) -> tuple[Logout, ...]:
        """Return the cut-offs of a user, and those of everyone."""
        return (*user.cutoffs, *self.everyones().cutoffs)

    def revocation_state(self, key: UserKey, sid: str, now: Micros) -> RevocationState:
        """Return what is known about a session."""
        user = self.user(key, now)
        session = user.sessions.get(sid)
        return RevocationState(
            now=now,
            tombstone=self.tombstone(key, user, sid),
            session=None if session is None else self.shown(user, session, now),
            cutoffs=self.cutoffs(user),
        )

    def tombstone(self, key: UserKey, user: User, sid: str) -> Logout | None:
        """Return the tombstone of a session: its user's, or one that applies to any user."""
        refusal = self.everyones().tombstone(user_key(split_user_key(key)[0], sid))
        found = [one for one in (user.tombstone(sid), refusal) if one is not None]
        return max(found, key=lambda logout: logout.horizon, default=None)

    def shown(self, user: User, session: Session, now: Micros) -> Session:
        """Return a session with ``online`` and ``last_seen_at`` set from its holders' leases."""
        renewals = [self.leases.get(lease, 0) for lease in user.holders.get(session.sid, {})]
        return msgspec.structs.replace(
            session,
            online=any(now - at < LEASE for at in renewals),
            last_seen_at=max([session.last_seen_at, *renewals]),
        )

    def alive(self, now: Micros) -> frozenset[str]:
        """Return the leases that have not expired."""
        return frozenset(lease for lease, at in self.leases.items() if now - at < LEASE)
