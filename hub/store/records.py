"""What stands in Redis of sessions and logouts, read."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from hub.core.model import Logout, Micros, Session, Standing
from hub.core.wire import Malformed, decode_logout
from hub.store.base import LEASE, Unreadable


@contextlib.contextmanager
def reading() -> Iterator[None]:
    """Let what cannot be read be `Unreadable`: it is of another version, or damaged."""
    try:
        yield
    except (Malformed, KeyError, ValueError) as error:
        raise Unreadable(f"the store holds what the hub cannot read: {error}") from error


def read_logout(record: bytes) -> Logout:
    """Return the logout in a record.

    Raises:
        Unreadable: when it is of another version, or damaged.
    """
    with reading():
        return decode_logout(record)


def read_standing(sid: str, answer: Sequence[Any]) -> tuple[Standing, str]:
    """Return what a script says of a session, and in which epoch.

    Raises:
        Unreadable: when what it holds is of another version, or damaged.
    """
    now, tombstone, cutoffs, fields, renewals, epoch, message = answer
    standing = Standing(
        now=int(now),
        tombstone=_read_tombstone(tombstone, message) if tombstone else None,
        session=_read_session(sid, fields, int(now), renewals) if fields else None,
        cutoffs=tuple(map(read_logout, cutoffs)),
    )
    return standing, epoch.decode()


def read_sessions(now: bytes, rows: Sequence[Sequence[Any]]) -> list[Session]:
    """Return the sessions in rows of a list.

    Raises:
        Unreadable: when one is of another version, or damaged.
    """
    at = int(now)
    return [_read_session(sid.decode(), fields, at, renewals) for sid, fields, renewals in rows]


def _read_tombstone(record: bytes, message: bytes) -> Logout:
    """Return the logout of a tombstone, with the message that stands beside it."""
    logout = read_logout(record)
    return msgspec.structs.replace(logout, message=message.decode()) if message else logout


def _read_session(sid: str, fields: list[bytes], now: Micros, renewed: list[bytes]) -> Session:
    row = dict(zip(fields[0::2], fields[1::2], strict=True))
    with reading():
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
