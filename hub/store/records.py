"""Decodes the sessions and logouts that are stored in Redis."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Any

import msgspec

from hub.core.model import Logout, Micros, RevocationState, Session
from hub.core.wire import Malformed, decode_logout
from hub.store.base import LEASE
from hub.store.values import Unreadable


class Reading:
    """A context that raises `Unreadable` if a record in it cannot be decoded."""

    def __enter__(self) -> None:
        return

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if isinstance(error, Malformed | KeyError | ValueError):
            raise Unreadable(f"the store holds what the hub cannot read: {error}") from error


reading = Reading()
"""The only one, since it holds nothing."""


def read_logout(record: bytes) -> Logout:
    """Return the logout in a record.

    Raises:
        Unreadable: if it is of another version, or damaged.
    """
    with reading:
        return decode_logout(record)


def read_revocation_state(sid: str, answer: Sequence[Any]) -> tuple[RevocationState, str]:
    """Return the revocation state in a script's answer, and its epoch.

    Raises:
        Unreadable: if a record is of another version, or damaged.
    """
    now, tombstone, cutoffs, fields, renewals, epoch, message = answer
    state = RevocationState(
        now=int(now),
        tombstone=_read_tombstone(tombstone, message) if tombstone else None,
        session=_read_session(sid, fields, int(now), renewals) if fields else None,
        cutoffs=tuple(map(read_logout, cutoffs)),
    )
    return state, epoch.decode()


def read_sessions(now: bytes, rows: Sequence[Sequence[Any]]) -> list[Session]:
    """Return the sessions in the rows of a list.

    Raises:
        Unreadable: if one is of another version, or damaged.
    """
    at = int(now)
    return [_read_session(sid.decode(), fields, at, renewals) for sid, fields, renewals in rows]


def _read_tombstone(record: bytes, message: bytes) -> Logout:
    """Return the logout of a tombstone, with its message, which is stored separately."""
    logout = read_logout(record)
    return msgspec.structs.replace(logout, message=message.decode()) if message else logout


def _read_session(sid: str, fields: list[bytes], now: Micros, renewed: list[bytes]) -> Session:
    row = dict(zip(fields[0::2], fields[1::2], strict=True))
    with reading:
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
            login_at=int(row[b"login_at"]) if b"login_at" in row else None,
        )
