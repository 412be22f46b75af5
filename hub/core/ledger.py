"""The revocations in force, compacted to what guards need, as they are sent in snapshots.

For each user, and for everyone in each partition, the newest cut-offs are kept, according to
`supersede`; for each session that was ended by name, the tombstone with the latest horizon.
Revocations may be applied in any order and repeatedly.

Each is kept as the JSON text that is sent, under a short keyed digest of its subject, so that a
million of them fit into 350 MB. They are distributed over many small tables, so that resizing one
takes little time.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b

import msgspec

from hub.core.feed import Revocation, micros
from hub.core.model import Logout, Micros, Scope
from hub.core.revocation import supersede

CHUNK = 500
"""The maximum number of users or sessions in a snapshot."""

TABLES = 64
MAX_FORGOTTEN = 200
"""How many entries of a table are removed at once, so that it takes milliseconds."""

DIGEST_BYTES = 15
"""Bytes of a digest: its object takes 48 bytes, and collisions cannot be found."""

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(tuple[Revocation, ...]).decode


class Ledger:
    """The revocations in force.

    ``lifetime`` is how long a logout is remembered. ``key`` is a secret of up to 64 bytes, so that
    nobody can choose names with equal digests.
    """

    def __init__(self, lifetime: Micros, key: bytes) -> None:
        self._lifetime = lifetime
        self._key = key
        self._tables: list[dict[bytes, bytes]] = [{} for _ in range(TABLES)]

    def __len__(self) -> int:
        return sum(map(len, self._tables))

    def apply(self, revocation: Revocation) -> bool:
        """Add a revocation, and return whether that changes what is in force."""
        one, is_new = revocation, False
        if one.scope is not Scope.SESSION:
            name = f"everyone {one.partition}" if one.user is None else _name("user", one)
            is_new = self._keep(name, _strip(one))
        elif one.sid is not None:
            is_new = self._end(one, one.sid)
        for sid in one.sessions:
            is_new |= self._end(one, sid)
        return is_new

    def _end(self, revocation: Revocation, sid: str) -> bool:
        kind = "session of anybody" if revocation.user is None else "session"
        return self._keep(_name(kind, revocation, sid), _strip(revocation, sid))

    def _keep(self, name: str, new: Revocation) -> bool:
        key = blake2b(name.encode(), key=self._key, digest_size=DIGEST_BYTES).digest()
        table = self._tables[key[0] % TABLES]
        old = table.get(key)
        if old is None:
            table[key] = _encode(new)
            return True
        merged = b",".join(map(_encode, _merge(new, _decode(b"[%b]" % old))))
        if merged == old:
            return False
        del table[key]  # the order of a table is that in which it is forgotten
        table[key] = merged
        return True

    def forget(self, now: Micros) -> None:
        """Remove some of the entries that have expired; a few calls remove them all."""
        for table in self._tables:
            past: list[bytes] = []
            for key, text in table.items():
                is_past = all(
                    micros(one.at) + self._lifetime <= now for one in _decode(b"[%b]" % text)
                )
                if not is_past or len(past) == MAX_FORGOTTEN:
                    break
                past.append(key)
            for key in past:
                del table[key]

    def snapshots(self) -> Iterator[bytes]:
        """Yield everything in force, as the JSON of several `Snapshot`.

        Changes in the meantime may be included or not.
        """
        texts: list[bytes] = []
        for table in self._tables:
            texts += table.values()
            starts = range(0, len(texts) // CHUNK * CHUNK, CHUNK)
            for start in starts:
                yield _chunk(texts[start : start + CHUNK])
            del texts[: len(starts) * CHUNK]
        if texts:
            yield _chunk(texts)


def _chunk(texts: list[bytes]) -> bytes:
    return b'{"revocations":[%b]}' % b",".join(texts)


def _name(kind: str, revocation: Revocation, sid: str = "") -> str:
    iss, user = revocation.iss, revocation.user or ""
    return f"{kind} {len(iss)} {len(user)} {iss}{user}{sid}"


def _strip(revocation: Revocation, sid: str | None = None) -> Revocation:
    """Return the members of a revocation that verdicts need; with ``sid``, for that session."""
    one = revocation
    return Revocation(
        scope=one.scope if sid is None else Scope.SESSION,
        reason=one.reason,
        at=one.at,
        iss=one.iss,
        user=one.user,
        sid=one.sid if sid is None else sid,
        before=one.before,
        partition=one.partition,
    )


def _merge(new: Revocation, old: tuple[Revocation, ...]) -> tuple[Revocation, ...]:
    if new.scope is Scope.SESSION:
        # Of two with the same horizon, the store keeps the one that was written first.
        return (max((new, *old), key=lambda one: (one.horizon, -one.at, _encode(one))),)
    ordered = sorted({new, *old}, key=lambda one: (one.horizon, one.at, _encode(one)), reverse=True)
    first, *rest = (_as_logout(one, str(place)) for place, one in enumerate(ordered))
    return tuple(ordered[int(one.id)] for one in supersede(first, rest))


def _as_logout(revocation: Revocation, name: str) -> Logout:
    one = revocation
    return Logout(
        id=name,
        user=one.user,
        scope=one.scope,
        reason=one.reason,
        sid=one.sid,
        at=micros(one.at),
        before=None if one.before is None else micros(one.before),
    )
