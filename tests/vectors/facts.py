"""What revocations of the feed say about one session: the facts that `judge` decides by.

It is written to be plainly right: it goes through all revocations for each session, and keeps them
all. Guards keep less, and must come to the same verdicts.
"""

from __future__ import annotations

from collections.abc import Iterable
from zlib import crc32

from hub.core.feed import Revocation, micros
from hub.core.model import Logout, Micros, RevocationState, Scope, user_key


def gather(
    revocations: Iterable[Revocation],
    *,
    iss: str,
    user: str,
    sid: str,
    partitions: int,
    now: Micros,
) -> RevocationState:
    """Return what is known at ``now`` about the session ``sid`` of a user; no registry is known."""
    key = user_key(iss, user)
    partition = crc32(key.encode()) % partitions
    tombstones, cutoffs = [], []
    for one in revocations:
        logout = _as_logout(one)
        if one.user_key == key:
            if one.scope is not Scope.SESSION:
                cutoffs.append(logout)
            if sid in one.sessions or (one.scope is Scope.SESSION and one.sid == sid):
                tombstones.append(logout)
        elif one.user is None and one.scope is Scope.SESSION:
            if (one.iss, one.sid) == (iss, sid):
                tombstones.append(logout)
        elif one.user is None and one.partition == partition:
            cutoffs.append(logout)
    tombstone = max(tombstones, key=lambda logout: logout.horizon, default=None)
    return RevocationState(now, tombstone=tombstone, cutoffs=tuple(cutoffs))


def _as_logout(one: Revocation) -> Logout:
    return Logout(
        one.id,
        one.user_key,
        one.scope,
        one.reason,
        one.sid,
        at=micros(one.at),
        before=None if one.before is None else micros(one.before),
    )
