"""The registry on Redis: the sessions of each user, who holds them, and what ended them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from hub.core.model import Identity, Micros, RevocationState, Session, UserKey
from hub.errors import RateLimited, Unavailable
from hub.store.base import LEASE
from hub.store.lists import ListLimiter
from hub.store.names import PARTITIONS, Names, partition_of, session_hash_key
from hub.store.reader import LogReader
from hub.store.records import read_logout, read_revocation_state, read_sessions
from hub.store.script import Script
from hub.store.topology import Topology
from hub.store.values import Departure, Registration, Registry

LOOK = Script("clock", "rules", "leases", "state", "look")
REGISTER = Script("clock", "rules", "leases", "state", "register")
SESSIONS = Script("clock", "rules", "leases", "state", "sessions")
RENEW = Script("clock", "renew")

PAGE = 100
"""Sessions read in one call for a list."""


class RedisRegistry:
    """The methods of `hub.store.base.Store` for the registry; lists are read over ``lists``.

    ``lifetime`` is how long a token may live. Answers that ``reader`` does not trust are refused.
    """

    def __init__(
        self,
        calls: Topology,
        lists: Topology,
        reader: LogReader,
        *,
        lifetime: Micros,
        max_sessions: int,
    ) -> None:
        self._calls = calls
        self._lists = lists
        self._reader = reader
        self._lifetime_ms = lifetime // 1000
        self._max_sessions = max_sessions
        self._limiter = ListLimiter()

    async def look(self, identity: Identity) -> RevocationState:
        """Return what is known about a session."""
        names = Names(identity.user)
        answer = await self._calls.call(
            names.partition,
            LOOK,
            [
                names.tombstone + identity.sid,
                names.refusal + identity.sid,
                names.session + identity.sid,
                *names.cutoffs,
                names.epoch,
                names.leases,
            ],
            {"message_prefix": names.messages},
        )
        return self._read(names, identity, answer)

    async def register(self, registration: Registration) -> RevocationState:
        """Register a session, or renew its registration."""
        identity, presence = registration.identity, registration.presence
        names = Names(identity.user)
        answer = await self._calls.call(
            names.partition,
            REGISTER,
            [
                names.tombstone + identity.sid,
                names.refusal + identity.sid,
                names.registered + identity.sid,
                names.session + identity.sid,
                names.sessions,
                *names.cutoffs,
                names.epoch,
                names.leases,
                names.cleared,
                names.per_token,
            ],
            {
                "user": identity.user,
                "sid": identity.sid,
                "begun": identity.begun,
                "exp": identity.exp,
                "login_at": identity.login_at,
                "is_per_token": identity.per_token,
                "replaces": registration.replaces,
                "device": registration.device,
                "is_named": registration.named,
                "ip": registration.ip,
                "lease": None if presence is None else presence.lease,
                "sequence": None if presence is None else presence.sequence,
                "most_sessions": self._max_sessions,
                "lifetime_ms": self._lifetime_ms,
                "lease_time": LEASE,
                "message_prefix": names.messages,
            },
        )
        if answer[0] == b"full":
            raise RateLimited("the user has too many sessions")
        return self._read(names, identity, answer)

    def _read(self, names: Names, identity: Identity, answer: Sequence[Any]) -> RevocationState:
        state, epoch = read_revocation_state(identity.sid, answer)
        if not self._reader.trusts(names.partition, epoch):
            raise Unavailable("the store may have lost data, and is being checked")
        return state

    async def sessions(self, user: UserKey) -> Registry:
        """Return a user's registered sessions."""
        names, found = Names(user), list[Session]()
        async with self._limiter.admit(user):
            now, cutoffs, sids = await self._list(names, None)
            # In pages, so that a long list blocks neither Redis nor this process. Sessions that end
            # meanwhile are left out, and the cut-offs of the last page are the newest.
            for start in range(0, len(sids), PAGE):
                now, cutoffs, *page = await self._list(names, sids[start : start + PAGE])
                found += read_sessions(now, page)
        return Registry(
            state=RevocationState(now=int(now), cutoffs=tuple(map(read_logout, cutoffs))),
            sessions=tuple(sorted(found, key=lambda session: session.created_at)),
        )

    async def _list(self, names: Names, sids: Sequence[bytes] | None) -> list[Any]:
        answer: list[Any] = await self._lists.call(
            names.partition,
            SESSIONS,
            [names.sessions, *names.cutoffs, names.leases],
            {"session_prefix": names.session, "sids": sids and [sid.decode() for sid in sids]},
        )
        return answer

    async def renew(self, lease: str, departures: Sequence[Departure] = ()) -> Mapping[int, str]:
        """Renew a replica's lease in every partition, or record departures."""
        by_partition: dict[int, list[Departure]] = {}
        for departure in departures:
            by_partition.setdefault(partition_of(departure.user), []).append(departure)
        numbers = list(by_partition or range(PARTITIONS))
        errors = await asyncio.gather(
            *(self._renew(lease, number, by_partition.get(number, [])) for number in numbers),
            return_exceptions=True,
        )
        failed: dict[int, str] = {}
        for number, error in zip(numbers, errors, strict=True):
            if isinstance(error, Unavailable) and len(failed) < len(numbers) - 1:
                failed[number] = error.detail
            elif error is not None:
                raise error
        return failed

    async def _renew(self, lease: str, number: int, departures: Sequence[Departure]) -> None:
        sessions = [session_hash_key(one.user, one.sid) for one in departures]
        await self._calls.call(
            number,
            RENEW,
            [Names(None, number).leases, *sessions],
            {
                "lease": lease,
                "lifetime_ms": self._lifetime_ms,
                "sequences": [one.sequence for one in departures],
            },
        )
