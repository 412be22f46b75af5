"""What the embedded store knows: facts about users, each until it expires, and leases."""

from __future__ import annotations

import heapq
import itertools
from dataclasses import dataclass, field

import msgspec

from hub.core.model import Logout, Micros, Receipt, Session, Standing, UserKey
from hub.core.receipt import Row
from hub.store.base import LEASE, Claim


@dataclass(slots=True)
class KeptReceipt:
    """A logout's receipt as it is reported to; ``pending`` as `hub.core.receipt.Tally.owing`."""

    logout: Logout
    rows: dict[str, Row]
    pending: dict[str, bool]
    until: Micros


@dataclass(slots=True)
class User:
    """What is known of one user, or (under the key None) of everyone."""

    sessions: dict[str, Session] = field(default_factory=dict)
    holders: dict[str, dict[str, int]] = field(default_factory=dict)
    tombstones: dict[str, tuple[Logout, Micros]] = field(default_factory=dict)
    cutoffs: tuple[Logout, ...] = ()
    cutoffs_until: Micros = 0
    keys: dict[str, tuple[Logout, Receipt, Micros]] = field(default_factory=dict)
    claims: dict[str, tuple[Claim, Micros]] = field(default_factory=dict)
    receipts: dict[str, KeptReceipt] = field(default_factory=dict)
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
            case "claim":
                return self.claims[name][1] if name in self.claims else None
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
            case "claim":
                del self.claims[name]
            case "receipt":
                del self.receipts[name]
            case _:
                self.cutoffs, self.cutoffs_until = (), 0

    def drop(self, sid: str) -> None:
        """Take a session out of the registry."""
        del self.sessions[sid]
        self.holders.pop(sid, None)

    def tombstone(self, sid: str) -> Logout | None:
        """Return the logout that ended a session by name."""
        return self.tombstones[sid][0] if sid in self.tombstones else None

    def is_empty(self) -> bool:
        """Tell whether nothing is known any more."""
        return not (
            self.sessions
            or self.tombstones
            or self.keys
            or self.claims
            or self.cutoffs
            or self.receipts
        )


class MemoryState:
    """All users of whom something is known; ``leases`` says when each was last renewed."""

    def __init__(self) -> None:
        self.users: dict[UserKey | None, User] = {}
        self.leases: dict[str, Micros] = {}
        # What expires next stands first, so that forgetting costs nothing while nothing expires.
        self._expiries: list[tuple[Micros, int, UserKey | None, str, str]] = []
        self._order = itertools.count()

    def clear(self) -> None:
        """Forget all users."""
        self.users.clear()
        self._expiries.clear()

    def user(self, key: UserKey | None, now: Micros) -> User:
        """Return what is known of a user; who is not known is entered by `keep`."""
        self.forget(now)
        return self.users.get(key) or User()

    def keep(self, key: UserKey | None, user: User, kind: str, name: str) -> None:
        """Remember a new entry of a user until it expires."""
        self.users[key] = user
        until = user.until(kind, name)
        heapq.heappush(self._expiries, (until or 0, next(self._order), key, kind, name))

    def forget(self, now: Micros) -> None:
        """Forget what has expired."""
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
        """Return what is known of everyone."""
        return self.users.get(None) or User()

    def cutoffs(self, user: User) -> tuple[Logout, ...]:
        """Return the cut-offs of a user, and those of everyone."""
        return (*user.cutoffs, *self.everyones().cutoffs)

    def standing(self, key: UserKey, sid: str, now: Micros) -> Standing:
        """Return what is known of a session."""
        user = self.user(key, now)
        session = user.sessions.get(sid)
        return Standing(
            now=now,
            tombstone=user.tombstone(sid),
            session=None if session is None else self.shown(user, session, now),
            cutoffs=self.cutoffs(user),
        )

    def shown(self, user: User, session: Session, now: Micros) -> Session:
        """Return a session as it is shown: online or not, and when it was last seen."""
        renewals = [self.leases.get(lease, 0) for lease in user.holders.get(session.sid, {})]
        return msgspec.structs.replace(
            session,
            online=any(now - at < LEASE for at in renewals),
            last_seen_at=max([session.last_seen_at, *renewals]),
        )

    def alive(self, now: Micros) -> frozenset[str]:
        """Return the leases that have not run out."""
        return frozenset(lease for lease, at in self.leases.items() if now - at < LEASE)
