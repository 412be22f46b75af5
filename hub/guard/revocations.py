"""The revocations in force, in little memory, and the verdict on an identity by them.

Theory of operation. A guard may hold a million revocations, so each is one number in a dict of
numbers: a fact (`hub.guard.facts`) under a key, a hash of its user or session, keyed by a secret of
the process. Two subjects with the same key would share their revocations, so a collision can refuse
a session, but never admit one. Facts may be applied in any order, and repeatedly, with the same
result.

Verdicts are those of `hub.core.revocation.judge`, which is called whenever a fact could matter. The
texts of logouts are only kept for the newest ones.

One thread applies facts; others may judge at the same time.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable
from typing import TypeAlias
from urllib.parse import quote
from zlib import crc32

from hub.core.feed import Revocation, micros
from hub.core.model import (
    SECOND,
    Identity,
    Logout,
    Micros,
    Origin,
    RevocationState,
    Scope,
    UserKey,
)
from hub.core.revocation import judge
from hub.errors import Unauthorized
from hub.guard.facts import (
    NAME_MASK,
    at_of,
    cutoff_against,
    horizon_of,
    merge,
    pack,
    reason_of,
    scope_of,
    without_kind,
)

Mark: TypeAlias = tuple[int, ...]
"""The facts that concern a session, to compare: it changes when one is added."""

MAX_DETAILS = 10_000
"""How many logouts' ids and texts are kept."""
SWEEPS = 100
"""How often per lifetime expired facts are removed."""
LONGEST: Micros = 366 * 86_400 * SECOND
"""How long facts are kept until the hub has said how long it remembers them."""
EVERYWHERE = -1
"""The key of a logout of everyone that names no partition."""


def _hash(*parts: str) -> int:
    return hash(parts) & NAME_MASK


_secret = os.urandom(16)


def _digest(*parts: str) -> int:
    text = "\0".join(f"{len(part)}:{part}" for part in parts).encode(errors="surrogatepass")
    digest = hashlib.blake2b(text, digest_size=8, key=_secret).digest()
    return int.from_bytes(digest, "big") & NAME_MASK


def _has_random_hashes() -> bool:
    seed = os.environ.get("PYTHONHASHSEED", "random")
    return bool(sys.flags.hash_randomization) and seed in ("", "random")


name: Callable[..., int] = _hash if _has_random_hashes() else _digest
"""Returns the key of a user, or of a user's session; outsiders cannot construct collisions."""


class Names:
    """The keys under which facts about one session are found."""

    __slots__ = ("issuer_session", "slot", "user", "user_key", "user_session")

    def __init__(self, user_key: UserKey, sid: str) -> None:
        self.user_key = user_key
        self.user = name(user_key)
        self.user_session = name(user_key, sid)
        # This is never the key of a `user_session`: a user key contains a bar, its first part none.
        self.issuer_session = name(user_key.partition("|")[0], sid)
        self.slot = crc32(user_key.encode(errors="surrogatepass"))


class Revocations:
    """The facts; ``partitions`` and ``lifetime`` are as the hub says.

    A fact is forgotten ``lifetime`` after its logout.
    """

    def __init__(self) -> None:
        self.partitions = 1
        self.lifetime: Micros = LONGEST
        self.everyones_horizon: Micros = -1
        self._sessions: dict[int, int] = {}
        self._refused: dict[int, int] = {}
        self._users: dict[int, int] = {}
        self._everyone: dict[int, int] = {}
        self._details: dict[int, Revocation] = {}
        self._sweep_at: Micros = 0

    def __len__(self) -> int:
        """Return the number of sessions and users with a revocation in force."""
        return len(self._sessions) + len(self._refused) + len(self._users) + len(self._everyone)

    # ---- Facts ----

    def apply(self, revocation: Revocation) -> bool:
        """Add the facts of a logout; return whether they were not known before."""
        fact, scope = pack(revocation), revocation.scope
        user = revocation.user_key
        if user is None and scope is Scope.SESSION:
            key = name(quote(revocation.iss, safe=""), _sid(revocation))
            return self._end(self._refused, key, fact)
        if user is None:
            return self._cut_off_everyone(revocation, fact)
        if scope is Scope.SESSION:
            key = name(user, _sid(revocation))
            is_news = self._end(self._sessions, key, fact)
        else:
            key = name(user)
            is_news = _cut_off(self._users, key, fact, _kept(revocation))
        self._note(key, revocation)
        for sid in revocation.sessions:
            key = name(user, sid)
            is_news = self._end(self._sessions, key, fact) or is_news
            self._note(key, revocation)
        return is_news

    def _end(self, sessions: dict[int, int], key: int, fact: int) -> bool:
        """Keep the tombstone with the latest horizon; of equal ones the first, as stores do."""
        old = sessions.get(key)
        if old is None or (horizon_of(old), -at_of(old)) < (horizon_of(fact), -at_of(fact)):
            sessions[key] = fact
            return True
        return False

    def _cut_off_everyone(self, revocation: Revocation, fact: int) -> bool:
        partition = EVERYWHERE if revocation.partition is None else revocation.partition
        is_news = _cut_off(self._everyone, partition, fact, _kept(revocation))
        self.everyones_horizon = max(self.everyones_horizon, revocation.horizon)
        return is_news

    def forget_partitions(self) -> None:
        """Apply logouts of one partition's users to everyone, since partitions are renumbered."""
        if self._everyone:
            self._everyone = {EVERYWHERE: max(self._everyone.values())}

    def _note(self, key: int, revocation: Revocation) -> None:
        if not revocation.id:
            return
        self._details[key] = revocation
        if len(self._details) > MAX_DETAILS:
            del self._details[next(iter(self._details))]

    def forget(self, now: Micros) -> None:
        """Remove facts older than the lifetime, if it is time for that again."""
        if now < self._sweep_at:
            return
        self._sweep_at = now + max(self.lifetime // SWEEPS, SECOND)
        for facts in (self._sessions, self._refused, self._users, self._everyone):
            for key in [key for key, fact in facts.items() if self._is_past(fact, now)]:
                del facts[key]
        for key in [key for key in self._details if not self._is_known(key)]:
            del self._details[key]

    def _is_past(self, fact: int, now: Micros) -> bool:
        return at_of(fact) + self.lifetime <= now

    def _is_known(self, key: int) -> bool:
        return key in self._sessions or key in self._users

    # ---- Verdicts ----

    def surely_accept(self, names: Names, begun: Micros) -> bool:
        """Return whether certainly no fact ends a login begun at ``begun``; if not, use `judge`."""
        if names.user_session in self._sessions or begun <= self.everyones_horizon:
            return False
        if self._refused and names.issuer_session in self._refused:
            return False
        cutoff = self._users.get(names.user)
        return cutoff is None or begun > horizon_of(cutoff)

    def judge(
        self, identity: Identity, now: Micros, names: Names | None = None
    ) -> Unauthorized | None:
        """Return why an identity is refused, or None, by `hub.core.revocation.judge`.

        A guard does not know which sessions are registered, so ``token_too_old`` may be too strict.
        """
        return judge(identity, self.state(identity, now, names))

    def state(self, identity: Identity, now: Micros, names: Names | None = None) -> RevocationState:
        """Return what is known about a session."""
        names = names or Names(identity.user, identity.sid)
        found = [
            (facts.get(key), key)
            for facts, key in (
                (self._sessions, names.user_session),
                (self._refused, names.issuer_session),
            )
        ]
        tombstones = [
            self._logout(fact, key)
            for fact, key in found
            if fact is not None and not self._is_past(fact, now)
        ]
        kept = name(identity.sid)
        cutoffs = [
            self._logout(one, key)
            for fact, key in self._cutoffs(names)
            if not self._is_past(fact, now) and (one := cutoff_against(fact, kept))
        ]
        return RevocationState(
            now=now,
            tombstone=max(tombstones, key=lambda logout: logout.horizon, default=None),
            cutoffs=tuple(cutoffs),
        )

    def mark(self, names: Names) -> Mark:
        """Return the facts that concern a session, to find out later whether one was added.

        Scopes and reasons are left out: a snapshot may give the same logout another scope.
        """
        found = (
            self._sessions.get(names.user_session, 0),
            self._refused.get(names.issuer_session, 0),
            self._users.get(names.user, 0),
            self._everyone.get(names.slot % self.partitions, 0),
            self._everyone.get(EVERYWHERE, 0),
        )
        return tuple(without_kind(fact) for fact in found)

    def _cutoffs(self, names: Names) -> list[tuple[int, int]]:
        partition = names.slot % self.partitions
        found = (
            (self._users.get(names.user), names.user),
            (self._everyone.get(partition), 0),
            (self._everyone.get(EVERYWHERE), 0),
        )
        return [(fact, key) for fact, key in found if fact is not None]

    def _logout(self, fact: int, key: int) -> Logout:
        """Return the logout of a fact, with its texts if they are still known.

        It has no ``sid``: only sessions that it did not keep are judged by it.
        """
        at, horizon = at_of(fact), horizon_of(fact)
        details = self._details.get(key)
        known = details if details is not None and micros(details.at) == at else None
        return Logout(
            id="" if known is None else known.id,
            user=None,
            scope=scope_of(fact),
            reason=reason_of(fact),
            message=None if known is None else known.message,
            at=at,
            before=None if horizon == at else horizon,
            profile=None if known is None else known.profile,
            origin=None if known is None or known.by is None else Origin(known.by, ""),
        )


def _cut_off(cutoffs: dict[int, int], key: int, fact: int, kept: int) -> bool:
    """Merge a cut-off; return whether that changes more than its scope or reason."""
    old = cutoffs.get(key, 0)
    merged = cutoffs[key] = merge(old, fact, kept)
    return without_kind(merged) != without_kind(old)


def _sid(revocation: Revocation) -> str:
    return revocation.sid or ""


def _kept(revocation: Revocation) -> int:
    return name(_sid(revocation)) if revocation.scope is Scope.OTHERS else 0
