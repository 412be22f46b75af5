"""Receipts as Redis holds them, read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from hub.core.model import Logout, Micros, Receipt, State, UserKey
from hub.core.receipt import Row, settle, unite
from hub.core.wire import Malformed, decode_logout
from hub.store.base import Unreadable

Fields = dict[bytes, bytes]


def read_receipt(answers: Sequence[Sequence[Any]]) -> Receipt | None:
    """Return the receipt that the partitions tell of, each with its time and its living leases.

    Raises:
        Unreadable: when what they hold is of another version, or damaged.
    """
    logouts: list[Logout] = []
    rows: list[Row] = []
    owing: set[str] = set()
    sockets: Counter[State] = Counter()
    now: Micros = 0
    alive: set[str] = set()
    try:
        for stamp, leases, *found in answers:
            now = max(now, int(stamp))
            alive.update(lease.decode() for lease in leases)
            for user, flat in zip(found[0::2], found[1::2], strict=True):
                fields: Fields = dict(zip(flat[0::2], flat[1::2], strict=True))
                logouts.append(decode_logout(fields[b"logout"]))
                rows += _rows(user.decode(), fields)
                owing.update(name[2:].decode() for name in fields if name.startswith(b"o:"))
                _count(fields, sockets)
    except (Malformed, KeyError, ValueError) as error:
        raise Unreadable(f"the store holds what the hub cannot read: {error}") from error
    if not logouts:
        return None
    newest = max(logouts, key=lambda logout: logout.at)
    users = sum(logout.user is not None for logout in logouts)
    return settle(newest, rows, sockets, owing, frozenset(alive), now, users)


def _rows(user: UserKey, fields: Fields) -> Iterator[Row]:
    failures = unite(
        (name.decode().split(":", 2)[2], value.decode().split(","))
        for name, value in fields.items()
        if name.startswith(b"f:")
    )
    for name, value in fields.items():
        if name.startswith(b"s:"):
            sid = name[2:].decode()
            state, owed, device = value.decode().split("|", 2)
            owed_by = tuple(owed.split(",")) if owed else ()
            yield Row(user, sid, device, State(state), owed_by, failures.get(sid, ()))


def _count(fields: Fields, sockets: Counter[State]) -> None:
    for name, value in fields.items():
        if name.startswith(b"t:"):
            sockets[State(name.split(b":")[1].decode())] += int(value)
