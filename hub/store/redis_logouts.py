"""Writes logouts to Redis, and finds earlier ones by their idempotency keys."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from hub.core.bus import BusKey
from hub.core.model import (
    SECOND,
    Identity,
    Logout,
    Micros,
    Outcome,
    Receipt,
    Scope,
    State,
    UserKey,
)
from hub.core.rate import Rate
from hub.core.wire import encode_logout
from hub.errors import NotFound
from hub.store.base import KEY_LIFETIME, LEASE
from hub.store.names import PARTITIONS, Names, claim_key
from hub.store.reader import LogReader
from hub.store.records import read_logout, reading
from hub.store.script import Script
from hub.store.topology import Topology
from hub.store.values import Claim, Command, DataLoss, KeyReused, Unsure, too_many_logouts

END = Script("clock", "rules", "leases", "run", "publish", "end", must_last=True)
REFUSE = Script("clock", "rules", "publish", "refuse", must_last=True)
RECALL = Script("recall", must_last=True)
CLAIM = Script("claim", must_last=True)


class RedisLogouts:
    """The methods of `hub.store.base.Store` for logouts.

    ``lifetime`` is how long a logout is kept, ``receipts`` how long its receipt is kept.
    ``pace`` is how often a user may log out.
    """

    def __init__(
        self,
        calls: Topology,
        reader: LogReader,
        bus_key: BusKey,
        *,
        lifetime: Micros,
        receipts: Micros,
        pace: Rate | None,
    ) -> None:
        self._calls = calls
        self._reader = reader
        self._bus_key = bus_key
        self._receipts = receipts
        self._pace = None if pace is None else _in_micros(pace)
        self._fixed = {
            "lease_time": LEASE,
            "lifetime_ms": lifetime // 1000,
            "key_ms": KEY_LIFETIME // 1000,
            "inner": bus_key.inner,
            "outer": bus_key.outer,
        }

    async def end(self, command: Command, *, limited: bool = False) -> Receipt:
        """Write a logout."""
        more = {"pace": self._pace if limited else None}
        user = command.logout.user
        if user is not None:
            names = Names(user)
            return self._read(command, names, await self._end(command, names, more))
        everywhere = [Names(None, number) for number in range(PARTITIONS)]
        answers = await asyncio.gather(*(self._end(command, names, more) for names in everywhere))
        receipts = [self._read(command, *pair) for pair in zip(everywhere, answers, strict=True)]
        return max(receipts, key=lambda receipt: receipt.logout.at)

    async def end_own(self, command: Command, caller: Identity) -> Receipt | Unsure:
        """Write a logout that a user requests, if the caller's token is surely alive."""
        names = Names(caller.user)
        trusted = self._reader.trusted_epoch(names.partition)
        if trusted is None:
            return Unsure()
        token = {"begun": caller.begun, "nbf": caller.nbf, "exp": caller.exp, "epoch": trusted}
        more = {"caller": token, "pace": self._pace}
        ended = (names.tombstone + caller.sid, names.refusal + caller.sid)
        answer = await self._end(command, names, more, ended)
        return Unsure() if answer[0] == b"unsure" else self._read(command, names, answer)

    async def recover(self, loss: DataLoss, logout: Logout) -> Receipt | None:
        """Write a logout of everyone in the partition that lost data."""
        command, names = Command(logout), Names(None, loss.partition)
        answer = await self._end(command, names, {"lost_epoch": loss.epoch})
        return None if answer[0] == b"recovered" else self._read(command, names, answer)

    async def recall(self, command: Command) -> Receipt | None:
        """Return the receipt of an earlier request with the same key."""
        names = Names(command.logout.user)
        fingerprint, answer = await self._calls.call(
            names.partition,
            RECALL,
            [names.key + _digest(command.key or "")],
            {"key_ms": self._fixed["key_ms"]},
        )
        return None if fingerprint is None else _read_known(command, fingerprint, answer)[0]

    async def claim(self, claim: Claim) -> str:
        """Claim an idempotency key for a list of logouts."""
        partition, key = claim_key(_digest(claim.key))
        digest, logout_id = await self._calls.call(
            partition,
            CLAIM,
            [key],
            {"fingerprint": claim.digest, "id": claim.id, "key_ms": self._fixed["key_ms"]},
        )
        if digest.decode() != claim.digest:
            raise KeyReused("the idempotency key was used for another list")
        return str(logout_id, "utf-8")

    async def refuse_session(self, iss: str, logout: Logout) -> tuple[UserKey, ...]:
        """Write a tombstone for a session whose user is not known."""
        found = await asyncio.gather(
            *(self._refuse(iss, logout, Names(None, number, iss)) for number in range(PARTITIONS))
        )
        return tuple(sorted(user for users in found for user in users))

    async def _refuse(self, iss: str, logout: Logout, names: Names) -> list[UserKey]:
        """Refuse a session in one partition, and return who has registered it there."""
        sid = logout.sid or ""
        written, users = await self._calls.call(
            names.partition,
            REFUSE,
            [
                names.refusal + sid,
                names.registered + sid,
                names.messages + logout.id,
                names.log,
                names.epoch,
            ],
            {
                **_encode(logout),
                "issuer": iss,
                "before": logout.before,
                "lifetime_ms": self._fixed["lifetime_ms"],
                "channel": names.channel,
                "inner": self._bus_key.inner,
                "outer": self._bus_key.outer,
            },
        )
        if written:
            self._reader.note_written(names.partition, *written.decode().split(" "))
        return [user.decode() for user in users]

    async def _end(
        self,
        command: Command,
        names: Names,
        more: Mapping[str, Any],
        caller_keys: tuple[str, str] | None = None,
    ) -> Sequence[Any]:
        logout = command.logout
        # Redis needs some keys here; without a caller the script does not read these two.
        callers_tombstone, callers_refusal = caller_keys or (names.tombstone, names.refusal)
        answer: Sequence[Any] = await self._calls.call(
            names.partition,
            END,
            [
                names.sessions,
                names.everyone if logout.user is None else names.cutoff,
                names.kept_cutoff,
                names.log,
                names.key + _digest(command.key or ""),
                names.everyone,
                names.receipt(logout.id),
                names.receipt_users(logout.id),
                names.epoch,
                names.leases,
                callers_tombstone,
                names.pace,
                names.messages + logout.id,
                names.per_token,
                callers_refusal,
            ],
            {
                **self._fixed,
                **_encode(logout),
                "user": names.user,
                "only": logout.sid if logout.scope is Scope.SESSION else None,
                "kept_sid": logout.sid if logout.scope is Scope.OTHERS else None,
                "also": command.also,
                "must_exist": command.must_exist,
                "before": logout.before,
                "cuts_off": logout.scope is not Scope.SESSION,
                "fingerprint": None if command.key is None else _fingerprint(logout),
                "fresh_epoch": secrets.token_hex(8) if logout.user is None else None,
                "receipt_ms": (self._receipts + logout.spread * SECOND) // 1000,
                "tombstone_prefix": names.tombstone,
                "session_prefix": names.session,
                "channel": names.channel,
                **more,
            },
        )
        return answer

    def _read(self, command: Command, names: Names, answer: Sequence[Any]) -> Receipt:
        match answer[0]:
            case b"missing":
                raise NotFound("no such session")
            case b"limited":
                raise too_many_logouts(int(answer[1]) / SECOND)
            case b"known":
                receipt, written = _read_known(command, *answer[1:])
            case _:
                receipt, written = _read_done(command.logout, answer)
        self._reader.note_written(names.partition, *written)
        return receipt


def _encode(logout: Logout) -> dict[str, str | None]:
    """Return a logout as a script gets it: also without its message, if it has one."""
    bare = None
    if logout.message:
        bare = encode_logout(msgspec.structs.replace(logout, message=None)).decode()
    message = logout.message or None
    return {"logout": encode_logout(logout).decode(), "bare": bare, "message": message}


def _read_done(logout: Logout, answer: Sequence[bytes]) -> tuple[Receipt, list[str]]:
    """Return the receipt in an answer, and the ids of the previous and the new log entry.

    ``logout`` is what was written, except for its time.
    """
    _, at, _, entries, *rows = answer
    outcomes = (
        Outcome(sid.decode(), device.decode(), State.NOTIFIED if held == b"1" else State.OFFLINE)
        for sid, device, held in zip(rows[0::3], rows[1::3], rows[2::3], strict=True)
    )
    receipt = Receipt(msgspec.structs.replace(logout, at=int(at)), tuple(outcomes))
    return receipt, entries.decode().split(" ")


def _read_known(command: Command, fingerprint: bytes, answer: bytes) -> tuple[Receipt, list[str]]:
    """Return the first answer for an idempotency key, as `_read_done` does."""
    if fingerprint.decode() != _fingerprint(command.logout):
        raise KeyReused("the idempotency key was used for another logout")
    with reading:
        first = [text.encode() for text in msgspec.json.decode(answer, type=list[str])]
    receipt, written = _read_done(read_logout(first[1] + b" " + first[2]), first)
    return msgspec.structs.replace(receipt, repeated=True), written


def _in_micros(pace: Rate) -> dict[str, int]:
    return {"cost": round(SECOND / pace.per_second), "window": round(pace.window * SECOND)}


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _fingerprint(logout: Logout) -> str:
    same = msgspec.structs.replace(logout, id="", before=None)
    return hashlib.sha256(encode_logout(same)).hexdigest()
