"""The store on Redis (or Valkey): every change is one script on one partition.

A user's keys, the partition's log and its channel share a hash tag, ``hub:{P}:…``, and so one slot
of a Redis Cluster. The keys:

==============================  ========================================================
``hub:{P}:sessions:USER``       sorted set of session ids, by expiry
``hub:{P}:session:USER:SID``    hash: device, ip, times, ``@LEASE`` for each replica with a socket
``hub:{P}:dead:USER:SID``       tombstone: the logout that ended the session
``hub:{P}:cutoff:USER``         the newest logout of all (or all other) sessions of the user
``hub:{P}:floor:USER``          the newest logout that ended the session which the cut-off keeps
``hub:{P}:everyone``            the newest logout of everyone
``hub:{P}:key:USER:KEY``        hash: what an idempotency key was used for, and the answer
``hub:{P}:lease:LEASE``         when a replica last renewed its lease
``hub:{P}:log``                 stream of logouts
``hub:{P}:logouts``             channel of logouts
==============================  ========================================================
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from types import TracebackType
from typing import Any, Self
from zlib import crc32

import msgspec
import structlog
from redis.exceptions import RedisError

from hub.core.model import (
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
from hub.core.wire import Malformed, decode_logout, encode_logout
from hub.errors import NotFound, RateLimited, Unavailable
from hub.store.base import (
    KEY_LIFETIME,
    LEASE,
    TIME_LIMIT,
    Command,
    Departure,
    Heard,
    KeyReused,
    Registry,
    Unreadable,
    Visit,
)
from hub.store.lane import Lane, Script
from hub.store.link import Link, dialer, pack

log = structlog.get_logger(__name__)

PARTITIONS = 16
"""Fixed for good: another count would look for users in other places."""

VISIT = Script("renewals", "visit")
SESSIONS = Script("renewals", "sessions")
END = Script("renewals", "end")
RENEW = Script("renew")


def partition_of(user: UserKey) -> int:
    """Return the partition that holds a user."""
    return crc32(user.encode()) % PARTITIONS


class RedisStore:
    """A `hub.store.base.Store` on one Redis. Logouts have connections of their own."""

    def __init__(self, url: str, *, lifetime: Micros, max_sessions: int = 1000) -> None:
        self._lifetime_ms = lifetime // 1000
        self._max_sessions = max_sessions
        self._visits = Lane(dialer(url))
        self._logouts = Lane(dialer(url))
        self._subscriber = dialer(url)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._visits.close()
        await self._logouts.close()
        await self._subscriber.aclose()

    async def look(self, identity: Identity) -> Standing:
        """Return what is known of a session."""
        return await self._visit(identity, write=False)

    async def register(self, visit: Visit) -> Standing:
        """Enter a session in the registry, or renew it."""
        return await self._visit(visit.identity, write=True, visit=visit)

    async def _visit(
        self, identity: Identity, *, write: bool, visit: Visit | None = None
    ) -> Standing:
        names = _Names(identity.user)
        presence = visit.presence if visit else None
        answer = await self._visits.call(
            VISIT,
            [
                names.tombstone + identity.sid,
                names.session + identity.sid,
                names.sessions,
                *names.cutoffs,
            ],
            [
                int(write),
                identity.sid,
                identity.iat,
                identity.exp,
                visit.device if visit else "",
                visit.ip if visit else "",
                presence.lease if presence else "",
                presence.turn if presence else 0,
                self._max_sessions,
                self._lifetime_ms,
                int(visit is not None and visit.named),
                names.lease,
            ],
        )
        if answer[0] == b"full":
            raise RateLimited("the user has too many sessions")
        now, tombstone, cutoffs, fields, renewals = answer
        return Standing(
            now=int(now),
            tombstone=_read_logout(tombstone) if tombstone else None,
            session=_read_session(identity.sid, fields, int(now), renewals) if fields else None,
            cutoffs=tuple(_read_logout(cutoff) for cutoff in cutoffs),
        )

    async def sessions(self, user: UserKey) -> Registry:
        """Return a user's registered sessions."""
        names = _Names(user)
        now, cutoffs, *rows = await self._visits.call(
            SESSIONS,
            [names.sessions, *names.cutoffs],
            [names.session, names.lease],
        )
        seen = [
            _read_session(sid.decode(), fields, int(now), renewals)
            for sid, fields, renewals in rows
        ]
        return Registry(
            standing=Standing(
                now=int(now), cutoffs=tuple(_read_logout(cutoff) for cutoff in cutoffs)
            ),
            sessions=tuple(sorted(seen, key=lambda session: session.created_at)),
        )

    async def end(self, command: Command) -> Receipt:
        """Write a logout."""
        user = command.logout.user
        if user is not None:
            return await self._end(command, _Names(user))
        receipts = await asyncio.gather(
            *(self._end(command, _Names(None, number)) for number in range(PARTITIONS))
        )
        return max(receipts, key=lambda receipt: receipt.logout.at)

    async def _end(self, command: Command, names: _Names) -> Receipt:
        logout, key = command.logout, command.key
        sid = logout.sid or ""
        answer = await self._logouts.call(
            END,
            [
                names.sessions,
                names.everyone if logout.user is None else names.cutoff,
                names.floor,
                names.log,
                names.key + hashlib.sha256((key or "").encode()).hexdigest(),
                names.everyone,
            ],
            [
                encode_logout(logout),
                sid if logout.scope is Scope.SESSION else "",
                sid if logout.scope is Scope.OTHERS else "",
                command.also or "",
                int(command.must_exist),
                int(logout.scope is not Scope.SESSION),
                self._lifetime_ms,
                int(key is not None),
                _fingerprint(logout),
                KEY_LIFETIME // 1000,
                names.tombstone,
                names.session,
                names.lease,
                LEASE,
                names.channel,
                int(command.only_repeat),
            ],
        )
        match answer[0]:
            case b"missing":
                raise NotFound("no such session or request")
            case b"reused":
                raise KeyReused("the idempotency key was used for another logout")
        kind, at, text, *rows = answer
        outcomes = (
            Outcome(s.decode(), d.decode(), State.NOTIFIED if o == b"1" else State.OFFLINE)
            for s, d, o in zip(rows[0::3], rows[1::3], rows[2::3], strict=True)
        )
        logout = _read_logout(at + b" " + text)
        return Receipt(logout, tuple(outcomes), repeated=kind == b"again")

    async def renew(self, lease: str, departures: Sequence[Departure] = ()) -> None:
        """Renew a replica's lease in every partition, or note which sessions left it."""
        gone: dict[int, list[Departure]] = {}
        for departure in departures:
            gone.setdefault(partition_of(departure.user), []).append(departure)
        await asyncio.gather(
            *(
                self._renew(lease, number, gone.get(number, []))
                for number in (gone or range(PARTITIONS))
            )
        )

    async def _renew(self, lease: str, number: int, gone: list[Departure]) -> None:
        sessions = [_Names(g.user).session + g.sid for g in gone]
        await self._visits.call(
            RENEW,
            [_Names(None, number).lease + lease, *sessions],
            [lease, self._lifetime_ms, *(g.turn for g in gone)],
        )

    async def follow(self) -> AsyncIterator[Heard | None]:
        """Yield None once subscribed to every partition, then each logout as it is published."""
        channels = {_Names(None, number).channel.encode(): number for number in range(PARTITIONS)}
        pushed: asyncio.Queue[Any] = asyncio.Queue()
        link = Link(pushed.put_nowait, lambda link: pushed.put_nowait(None))
        try:
            async with asyncio.timeout(2 * TIME_LIMIT):
                await link.open(self._subscriber)
                link.write(pack(b"SUBSCRIBE", *channels))
                confirmed = 0
                while confirmed < len(channels):
                    kind, _, _ = _pushed(await pushed.get())
                    confirmed += kind == b"subscribe"
            yield None
            while True:
                _, channel, data = _pushed(await pushed.get())
                try:
                    logout = decode_logout(data)
                except Malformed as error:
                    log.warning("unreadable logout on the channel", error=str(error))
                else:
                    yield _heard(logout, channels[channel])
        except (RedisError, OSError, TimeoutError) as error:
            raise Unavailable(f"the log cannot be followed ({type(error).__name__})") from error
        finally:
            link.abort()


def _pushed(message: Any) -> tuple[bytes, bytes, Any]:
    if not isinstance(message, list) or len(message) != 3:
        raise ConnectionError("the subscription ended")
    kind, channel, data = message
    return kind, channel, data


class _Names:
    """The names of the keys of one user, or of one partition."""

    def __init__(self, user: UserKey | None, number: int = 0) -> None:
        prefix = f"hub:{{{number if user is None else partition_of(user)}}}"
        self.sessions = f"{prefix}:sessions:{user or ''}"
        self.session = f"{prefix}:session:{user or ''}:"
        self.tombstone = f"{prefix}:dead:{user or ''}:"
        self.cutoff = f"{prefix}:cutoff:{user or ''}"
        self.key = f"{prefix}:key:{user or ''}:"
        self.floor = f"{prefix}:floor:{user or ''}"
        self.everyone = f"{prefix}:everyone"
        self.cutoffs = (self.cutoff, self.floor, self.everyone)
        self.lease = f"{prefix}:lease:"
        self.log = f"{prefix}:log"
        self.channel = f"{prefix}:logouts"


def _fingerprint(logout: Logout) -> str:
    same = msgspec.structs.replace(logout, id="")
    return hashlib.sha256(encode_logout(same)).hexdigest()


def _read_logout(data: bytes) -> Logout:
    try:
        return decode_logout(data)
    except Malformed as error:
        raise Unreadable(f"the store holds what the hub cannot read: {error}") from error


def _heard(logout: Logout, number: int) -> Heard:
    if logout.user is None:
        return Heard(logout, lambda user: partition_of(user) == number)
    return Heard(logout, lambda user: user == logout.user)


def _read_session(sid: str, fields: list[bytes], now: Micros, renewed: list[bytes]) -> Session:
    row = dict(zip(fields[0::2], fields[1::2], strict=True))
    try:
        renewals = [int(at) for at in renewed]
        return Session(
            sid=sid,
            device=row[b"device"].decode(),
            ip=row[b"ip"].decode(),
            created_at=int(row[b"created_at"]),
            last_seen_at=max([int(row[b"last_seen_at"]), *renewals]),
            expires_at=int(row[b"expires_at"]),
            registered_at=int(row[b"registered_at"]),
            iat=int(row[b"iat"]),
            online=any(now - at < LEASE for at in renewals),
        )
    except (KeyError, ValueError) as error:
        raise Unreadable(f"the store holds what the hub cannot read: {error}") from error
