"""The revocations in force, in little memory, and the verdict on an identity by them.

Theory of operation. A guard may hold a million revocations, so each is one number in a dict of
numbers. A key is a hash of whom the fact concerns, keyed by a secret of the process. Two subjects
with the same key would share their revocations: nobody is accepted by a collision. A value packs
the horizon, the time and the kind of a logout, in this order, so that the newer of two cut-offs is
the greater number. Applying facts in any order, and more than once, leads to the same state.

The fact about a user is the newest cut-off. If that keeps a session, the value also holds the key
of this session and the newest cut-off that did end it, as in `hub.core.revocation.supersede`.

Verdicts are those of `hub.core.revocation.judge`, which is called whenever a fact could matter.
The texts of a logout are only kept for the newest ones.

One thread applies facts; others may judge meanwhile.
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
    Reason,
    RevocationState,
    Scope,
    UserKey,
)
from hub.core.revocation import judge
from hub.errors import Unauthorized

Mark: TypeAlias = tuple[int, ...]
"""The facts that concern a session; it changes when one is added."""

MOST_DETAILS = 10_000
"""Logouts of which the id and the texts are kept."""
SWEEPS = 100
"""How often in a lifetime facts that are too old are removed."""
LONGEST: Micros = 366 * 86_400 * SECOND
"""How long facts are kept while the hub has not said for how long it remembers them."""
EVERYWHERE = -1
"""The partition of a logout of everyone that names none."""

TIME_BITS = 52
MAX_TIME = (1 << TIME_BITS) - 1
KIND_BITS = 8
FACT_BITS = 2 * TIME_BITS + KIND_BITS
HORIZON_SHIFT = TIME_BITS + KIND_BITS
FACT_MASK = (1 << FACT_BITS) - 1
NAME_BITS = 60  # an int of at most 60 bits takes 32 bytes
NAME_MASK = (1 << NAME_BITS) - 1

SCOPES = tuple(Scope)
REASONS = tuple(Reason)
SCOPE_CODES = {scope: code for code, scope in enumerate(SCOPES)}
REASON_CODES = {reason: code << 2 for code, reason in enumerate(REASONS)}
OTHERS = SCOPE_CODES[Scope.OTHERS]
SCOPE_MASK = 3


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
"""Returns the key of a user, or of a user's session; strangers cannot find two with the same."""


class Names:
    """The keys under which facts about one session are found."""

    __slots__ = ("issuer_session", "slot", "user", "user_key", "user_session")

    def __init__(self, user_key: UserKey, sid: str) -> None:
        self.user_key = user_key
        self.user = name(user_key)
        self.user_session = name(user_key, sid)
        # No key of a user is equal to the first part of one, which holds no bar.
        self.issuer_session = name(user_key.partition("|")[0], sid)
        self.slot = crc32(user_key.encode(errors="surrogatepass"))


class Revocations:
    """The facts; ``partitions`` and ``lifetime`` are those that the hub names.

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
        """Return the number of sessions and users that a revocation in force names."""
        return len(self._sessions) + len(self._refused) + len(self._users) + len(self._everyone)

    # ---- Facts ----

    def apply(self, revocation: Revocation) -> None:
        """Add what a logout says."""
        fact, scope = _pack(revocation), revocation.scope
        user = revocation.user_key
        if user is None and scope is Scope.SESSION:
            self._end(self._refused, name(quote(revocation.iss, safe=""), _sid(revocation)), fact)
            return
        if user is None:
            self._cut_off_everyone(revocation, fact)
            return
        if scope is Scope.SESSION:
            key = name(user, _sid(revocation))
            self._end(self._sessions, key, fact)
        else:
            key = name(user)
            self._users[key] = _merge(self._users.get(key, 0), fact, _kept(revocation))
        self._note(key, revocation)
        for sid in revocation.sessions:
            key = name(user, sid)
            self._end(self._sessions, key, fact)
            self._note(key, revocation)

    def _end(self, sessions: dict[int, int], key: int, fact: int) -> None:
        """Keep the tombstone with the latest horizon, and of those the first, as stores do."""
        old = sessions.get(key)
        if old is None or (_horizon(old), -_at(old)) < (_horizon(fact), -_at(fact)):
            sessions[key] = fact

    def _cut_off_everyone(self, revocation: Revocation, fact: int) -> None:
        partition = EVERYWHERE if revocation.partition is None else revocation.partition
        merged = _merge(self._everyone.get(partition, 0), fact, _kept(revocation))
        self._everyone[partition] = merged
        self.everyones_horizon = max(self.everyones_horizon, revocation.horizon)

    def _note(self, key: int, revocation: Revocation) -> None:
        if not revocation.id:
            return
        self._details[key] = revocation
        if len(self._details) > MOST_DETAILS:
            del self._details[next(iter(self._details))]

    def forget(self, now: Micros) -> None:
        """Remove what is older than the lifetime, from time to time."""
        if now < self._sweep_at:
            return
        self._sweep_at = now + max(self.lifetime // SWEEPS, SECOND)
        for facts in (self._sessions, self._refused, self._users, self._everyone):
            for key in [key for key, fact in facts.items() if self._is_past(fact, now)]:
                del facts[key]
        for key in [key for key in self._details if not self._is_known(key)]:
            del self._details[key]

    def _is_past(self, fact: int, now: Micros) -> bool:
        return _at(fact) + self.lifetime <= now

    def _is_known(self, key: int) -> bool:
        return key in self._sessions or key in self._users

    # ---- Verdicts ----

    def surely_spare(self, names: Names, begun: Micros) -> bool:
        """Return whether no fact concerns a login that began at ``begun``; if not, use `judge`."""
        if names.user_session in self._sessions or begun <= self.everyones_horizon:
            return False
        if self._refused and names.issuer_session in self._refused:
            return False
        cutoff = self._users.get(names.user)
        return cutoff is None or begun > (cutoff & FACT_MASK) >> HORIZON_SHIFT

    def judge(
        self, identity: Identity, now: Micros, names: Names | None = None
    ) -> Unauthorized | None:
        """Return why an identity is refused, or None; as `hub.core.revocation.judge`.

        The registry of sessions is unknown here, so ``token_too_old`` may be too strict.
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
            self._logout(ending, key)
            for fact, key in self._cutoffs(names)
            if not self._is_past(fact, now) and (ending := _ending(fact, kept))
        ]
        return RevocationState(
            now=now,
            tombstone=max(tombstones, key=lambda logout: logout.horizon, default=None),
            cutoffs=tuple(cutoffs),
        )

    def mark(self, names: Names) -> Mark:
        """Return the facts that concern a session, to find out later whether one was added.

        Their kinds are left out: a snapshot may tell the same logout with another scope.
        """
        found = (
            self._sessions.get(names.user_session, 0),
            self._refused.get(names.issuer_session, 0),
            self._users.get(names.user, 0),
            self._everyone.get(names.slot % self.partitions, 0),
            self._everyone.get(EVERYWHERE, 0),
        )
        return tuple(fact >> KIND_BITS for fact in found)

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

        It has no ``sid``: the session in question is not the one that it kept.
        """
        at, horizon = _at(fact), _horizon(fact)
        details = self._details.get(key)
        known = details if details is not None and micros(details.at) == at else None
        return Logout(
            id="" if known is None else known.id,
            user=None,
            scope=SCOPES[fact & SCOPE_MASK],
            reason=REASONS[(fact >> 2) & 63],
            message=None if known is None else known.message,
            at=at,
            before=None if horizon == at else horizon,
            profile=None if known is None else known.profile,
            origin=None if known is None or known.by is None else Origin(known.by, ""),
        )


def _sid(revocation: Revocation) -> str:
    return revocation.sid or ""


def _kept(revocation: Revocation) -> int:
    return name(_sid(revocation)) if revocation.scope is Scope.OTHERS else 0


# ---- Packed facts ----


def _pack(revocation: Revocation) -> int:
    kind = REASON_CODES[revocation.reason] | SCOPE_CODES[revocation.scope]
    at = _bounded(micros(revocation.at))
    horizon = at if revocation.before is None else _bounded(micros(revocation.before))
    return horizon << HORIZON_SHIFT | at << KIND_BITS | kind


def _bounded(at: Micros) -> int:
    return min(max(at, 0), MAX_TIME)


def _horizon(fact: int) -> Micros:
    return (fact & FACT_MASK) >> HORIZON_SHIFT


def _at(fact: int) -> Micros:
    return (fact >> KIND_BITS) & MAX_TIME


def _merge(old: int, fact: int, kept: int) -> int:
    """Return the cut-offs to keep: the newest, and the newest that ended the session it keeps.

    ``kept`` is the key of the session that ``fact`` keeps, if it is of scope ``others``.
    """
    cutoffs = [(fact, kept)]
    if old:
        cutoffs += _split(old)
    (newest, spared), *older = sorted(cutoffs, reverse=True)
    if newest & SCOPE_MASK != OTHERS:
        return newest
    ending = [one for one, other in older if one & SCOPE_MASK != OTHERS or other != spared]
    return (max(ending, default=0) << NAME_BITS | spared) << FACT_BITS | newest


def _split(value: int) -> list[tuple[int, int]]:
    """Return the cut-offs in a value, each with the session that it keeps.

    That of the second is not known: it is another than the first one's, as 0 is.
    """
    newest, rest = value & FACT_MASK, value >> FACT_BITS
    first = (newest, rest & NAME_MASK)
    return [first, (rest >> NAME_BITS, 0)] if rest >> NAME_BITS else [first]


def _ending(value: int, sid: int) -> int:
    """Return the newest of the cut-offs in a value that ended a session; 0 if none did."""
    newest, rest = value & FACT_MASK, value >> FACT_BITS
    is_kept = newest & SCOPE_MASK == OTHERS and rest & NAME_MASK == sid
    return rest >> NAME_BITS if is_kept else newest
