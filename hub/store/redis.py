"""The store on Redis (or Valkey): every change is one script on one partition.

What is kept under which name is said in `hub.store.names`, how the log is read in
`hub.store.reader`, how Redis is reached in `hub.store.route`.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from itertools import chain
from types import TracebackType
from typing import Any, Self

import msgspec

from hub.core.bus import BusKey, derive_key
from hub.core.model import (
    SECOND,
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
from hub.core.rate import Rate
from hub.core.wire import Malformed, decode_logout, encode_logout
from hub.errors import NotFound, RateLimited, Unavailable
from hub.store.base import (
    KEY_LIFETIME,
    LEASE,
    RECEIPT_LIFETIME,
    Command,
    Departure,
    Doubtful,
    Event,
    KeyReused,
    Registry,
    Report,
    Unreadable,
    Visit,
    too_many_logouts,
)
from hub.store.durability import Durability
from hub.store.lane import USUAL, Script
from hub.store.lists import Turns
from hub.store.names import PARTITIONS, Names, partition_of
from hub.store.reader import LogReader
from hub.store.receipts import read_outcomes, read_receipt
from hub.store.route import Route
from hub.store.routes import route

VISIT = Script("renewals", "visit")
SESSIONS = Script("renewals", "sessions")
END = Script("renewals", "end", must_last=True)
RENEW = Script("renew")
REPORT = Script("report")
TELL = Script("tell")
ROWS = Script("rows")
RECEIPT = Script("receipt")

PAGE = 100
"""Sessions that are read at once for a list."""

TOLD = 500
"""Sessions of everyone that are reported at once."""


class RedisStore:
    """A `hub.store.base.Store` on Redis. Logouts and receipts have connections of their own.

    ``lifetime`` is how long a logout is remembered, ``log_lifetime`` how long it stands in the log
    (by default as long), ``pace`` how often a user may log out,
    ``receipts`` how long receipts are kept. ``bus_key`` signs what is
    published, and must be the same at all replicas; ``on_forged`` is called for each message that
    it did not sign.
    """

    def __init__(
        self,
        url: str,
        *,
        lifetime: Micros,
        log_lifetime: Micros | None = None,
        max_sessions: int = 1000,
        durability: Durability = USUAL,
        bus_key: BusKey | None = None,
        pace: Rate | None = None,
        receipts: Micros = RECEIPT_LIFETIME,
        on_forged: Callable[[], object] = lambda: None,
    ) -> None:
        self._bus_key = bus_key or derive_key(None)
        self._pace = pace
        self._receipts = receipts
        log_lifetime = lifetime if log_lifetime is None else log_lifetime
        self._lifetime_ms = lifetime // 1000
        self._log_lifetime_ms = log_lifetime // 1000
        self._max_sessions = max_sessions
        self._visits: Route = route(url)
        self._logouts: Route = route(url, durability)
        self._lists: Route = route(url)
        self._turns = Turns()
        self._reader = LogReader(self._visits, log_lifetime, self._bus_key, on_forged)

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
        await self._lists.close()

    async def look(self, identity: Identity) -> Standing:
        """Return what is known of a session."""
        return await self._visit(identity, write=False)

    async def register(self, visit: Visit) -> Standing:
        """Enter a session in the registry, or renew it."""
        return await self._visit(visit.identity, write=True, visit=visit)

    async def _visit(
        self, identity: Identity, *, write: bool, visit: Visit | None = None
    ) -> Standing:
        names = Names(identity.user)
        presence = visit.presence if visit else None
        answer = await self._visits.call(
            names.part,
            VISIT,
            [
                names.tombstone + identity.sid,
                names.session + identity.sid,
                names.sessions,
                *names.cutoffs,
                names.epoch,
                names.cleared,
                names.per_token,
            ],
            [
                int(write),
                identity.sid,
                identity.begun,
                identity.exp,
                visit.device if visit else "",
                visit.ip if visit else "",
                presence.lease if presence else "",
                presence.turn if presence else 0,
                self._max_sessions,
                self._log_lifetime_ms,
                int(visit is not None and visit.named),
                names.leases,
                names.messages,
                "" if identity.login_at is None else identity.login_at,
                int(identity.per_token),
                (visit and visit.replaces) or "",
                LEASE,
            ],
        )
        if answer[0] == b"full":
            raise RateLimited("the user has too many sessions")
        now, tombstone, cutoffs, fields, renewals, epoch, message = answer
        if not self._reader.believes(names.part, epoch.decode()):
            raise Unavailable("the store may have lost what it knew, and is being looked at")
        return Standing(
            now=int(now),
            tombstone=_read_tombstone(tombstone, message) if tombstone else None,
            session=_read_session(identity.sid, fields, int(now), renewals) if fields else None,
            cutoffs=tuple(_read_logout(cutoff) for cutoff in cutoffs),
        )

    async def sessions(self, user: UserKey) -> Registry:
        """Return a user's registered sessions."""
        names, seen = Names(user), list[Session]()
        async with self._turns.take(user):
            now, cutoffs, sids = await self._list(names, [])
            # In pages, so that neither Redis nor this process is held up by a long list. What is
            # ended meanwhile is left out, and the last page's cut-offs are the newest.
            for start in range(0, len(sids), PAGE):
                now, cutoffs, *rows = await self._list(names, sids[start : start + PAGE])
                seen += (
                    _read_session(sid.decode(), fields, int(now), renewals)
                    for sid, fields, renewals in rows
                )
        return Registry(
            standing=Standing(
                now=int(now), cutoffs=tuple(_read_logout(cutoff) for cutoff in cutoffs)
            ),
            sessions=tuple(sorted(seen, key=lambda session: session.created_at)),
        )

    async def _list(self, names: Names, sids: Sequence[bytes]) -> list[Any]:
        answer: list[Any] = await self._lists.call(
            names.part,
            SESSIONS,
            [names.sessions, *names.cutoffs],
            [names.session, names.leases, *sids],
        )
        return answer

    async def end(self, command: Command) -> Receipt:
        """Write a logout."""
        user = command.logout.user
        if user is not None:
            return await self._end(command, Names(user))
        parts = range(PARTITIONS) if command.mends is None else [command.mends.part]
        receipts = await asyncio.gather(
            *(self._end(command, Names(None, number)) for number in parts)
        )
        return max(receipts, key=lambda receipt: receipt.logout.at)

    async def _end(self, command: Command, names: Names) -> Receipt:
        logout, key, mends, caller = command.logout, command.key, command.mends, command.caller
        sid = logout.sid or ""
        trusted = "" if caller is None else self._reader.trusted_epoch(names.part)
        if trusted is None:
            raise Doubtful()
        pace = _in_micros(self._pace) if command.is_own else (0, 0)
        answer = await self._logouts.call(
            names.part,
            END,
            [
                names.sessions,
                names.everyone if logout.user is None else names.cutoff,
                names.floor,
                names.log,
                names.key + hashlib.sha256((key or "").encode()).hexdigest(),
                names.everyone,
                names.receipt(logout.id),
                names.receipt_users(logout.id),
                names.epoch,
                names.leases,
                names.tombstone + (caller.sid if caller else ""),
                names.pace,
                names.messages + logout.id,
                names.per_token,
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
                names.user,
                LEASE,
                names.channel,
                int(command.only_repeat),
                int(command.only_claim),
                int(mends is not None),
                mends.seen if mends is not None else "",
                secrets.token_hex(8),
                (self._receipts + logout.spread * SECOND) // 1000,
                *((caller.begun, caller.nbf, caller.exp) if caller else ("", "", "")),
                trusted,
                encode_logout(msgspec.structs.replace(logout, message=None)),
                logout.message or "",
                self._bus_key.inner,
                self._bus_key.outer,
                *pace,
                self._log_lifetime_ms,
            ],
        )
        match answer[0]:
            case b"missing":
                raise NotFound("no such session or request")
            case b"reused":
                raise KeyReused("the idempotency key was used for another logout")
            case b"doubtful":
                raise Doubtful()
            case b"limited":
                raise too_many_logouts(int(answer[1]) / SECOND)
        kind, at, text, entries, *rows = answer
        if entries:
            self._reader.witness(names.part, *entries.decode().split(" "))
        outcomes = (
            Outcome(s.decode(), d.decode(), State.NOTIFIED if o == b"1" else State.OFFLINE)
            for s, d, o in zip(rows[0::3], rows[1::3], rows[2::3], strict=True)
        )
        logout = _read_logout(at + b" " + text)
        return Receipt(logout, tuple(outcomes), repeated=kind == b"again")

    async def report(self, report: Report) -> None:
        """Enter in a receipt what a replica did."""
        logout, part = report.heard.logout, report.heard.part
        names = Names(logout.user, part or 0)
        rows = [
            (sid, state.value, ",".join(report.failures.get(sid, ())))
            for sid, state in report.sessions.items()
        ]
        if logout.user is None:
            await self._tell(report, names, rows)
            return
        await self._logouts.call(
            names.part,
            REPORT,
            [names.receipt(logout.id)],
            [report.lease, int(report.done), len(rows), *chain.from_iterable(rows)],
        )

    async def _tell(self, report: Report, names: Names, rows: Sequence[Sequence[str]]) -> None:
        # In pages, so that nobody waits long for Redis behind a report of many sessions.
        opened = list((report.opened or {}).items())
        pages = range(0, max(len(opened), len(rows), 1), TOLD)
        logout_id = report.heard.logout.id
        for at in pages:
            is_last = at == pages[-1]
            open_rows, told_rows = opened[at : at + TOLD], rows[at : at + TOLD]
            await self._logouts.call(
                names.part,
                TELL,
                [names.receipt(logout_id), names.rows(logout_id)],
                [
                    report.lease,
                    int(report.done and is_last),
                    int(report.opened is not None and is_last),
                    len(open_rows),
                    *chain.from_iterable(open_rows),
                    *chain.from_iterable(told_rows),
                ],
            )

    async def receipt(self, logout_id: str, user: UserKey | None) -> Receipt | None:
        """Return what is known of a logout."""
        places = [Names(user)] if user is not None else [Names(None, n) for n in range(PARTITIONS)]
        answers = await asyncio.gather(
            *(self._receipt(names, logout_id, user or "*") for names in places)
        )
        return read_receipt(answers)

    async def _receipt(self, names: Names, logout_id: str, user: str) -> list[Any]:
        answer: list[Any] = await self._logouts.call(
            names.part,
            RECEIPT,
            [names.receipt_users(logout_id), names.leases],
            [f"{names.receipts}{logout_id}:", user, LEASE],
        )
        return answer

    @property
    def parts(self) -> int:
        """In how many parts users are kept."""
        return PARTITIONS

    def partition_of(self, user: UserKey) -> int:
        """Return which of them keeps a user."""
        return partition_of(user)

    async def outcomes(self, logout_id: str, part: int) -> list[Outcome]:
        """Return the sessions of a logout in one part."""
        names = Names(None, part)
        answer = await self._receipt(names, logout_id, "*")
        rows = await self._lists.call(part, ROWS, [names.rows(logout_id)], [])
        return sorted(read_outcomes(answer, rows), key=lambda one: (one.user or "", one.sid))

    async def renew(self, lease: str, departures: Sequence[Departure] = ()) -> Mapping[int, str]:
        """Renew a replica's lease in every partition, or note which sessions left it."""
        gone: dict[int, list[Departure]] = {}
        for departure in departures:
            gone.setdefault(partition_of(departure.user), []).append(departure)
        numbers = list(gone or range(PARTITIONS))
        ends = await asyncio.gather(
            *(self._renew(lease, number, gone.get(number, [])) for number in numbers),
            return_exceptions=True,
        )
        failed: dict[int, str] = {}
        for number, end in zip(numbers, ends, strict=True):
            if isinstance(end, Unavailable) and len(failed) < len(numbers) - 1:
                failed[number] = end.detail
            elif end is not None:
                raise end
        return failed

    async def _renew(self, lease: str, number: int, gone: list[Departure]) -> None:
        sessions = [Names(g.user).session + g.sid for g in gone]
        await self._visits.call(
            number,
            RENEW,
            [Names(None, number).leases, *sessions],
            [lease, self._log_lifetime_ms, *(g.turn for g in gone)],
        )

    async def is_stuck(self) -> bool:
        """Tell whether a connection fails that Redis would not refuse."""
        routes = (self._visits, self._logouts, self._lists)
        return any(await asyncio.gather(*(route.is_stuck() for route in routes)))

    def follow(self) -> AsyncGenerator[Event]:
        """Yield each logout as it is written, and what goes wrong."""
        return self._reader.read()


def _in_micros(pace: Rate | None) -> tuple[int, int]:
    if pace is None:
        return 0, 0
    return round(SECOND / pace.per_second), round(pace.window * SECOND)


def _fingerprint(logout: Logout) -> str:
    same = msgspec.structs.replace(logout, id="")
    return hashlib.sha256(encode_logout(same)).hexdigest()


def _read_logout(data: bytes) -> Logout:
    try:
        return decode_logout(data)
    except Malformed as error:
        raise Unreadable(f"the store holds what the hub cannot read: {error}") from error


def _read_tombstone(data: bytes, message: bytes) -> Logout:
    """Return the logout of a tombstone, with the message that stands beside it."""
    logout = _read_logout(data)
    return msgspec.structs.replace(logout, message=message.decode()) if message else logout


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
            begun=int(row[b"begun"]),
            online=any(now - at < LEASE for at in renewals),
            per_token=b"per_token" in row,
        )
    except (KeyError, ValueError) as error:
        raise Unreadable(f"the store holds what the hub cannot read: {error}") from error
