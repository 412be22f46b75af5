"""Receipts as Redis holds them, read."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from hub.core.model import Logout, Micros, Outcome, Receipt, State, UserKey
from hub.core.receipt import Row, Tally, settle, split_session_key, unite, view
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
    tally = Tally()
    now: Micros = 0
    alive: set[str] = set()
    with _reading():
        for stamp, leases, *found in answers:
            now = max(now, int(stamp))
            alive.update(lease.decode() for lease in leases)
            for user, flat in zip(found[0::2], found[1::2], strict=True):
                fields: Fields = dict(zip(flat[0::2], flat[1::2], strict=True))
                logouts.append(decode_logout(fields[b"logout"]))
                rows += _rows(user.decode(), fields)
                _count(fields, tally)
    if not logouts:
        return None
    newest = max(logouts, key=lambda logout: logout.at)
    users = sum(logout.user is not None for logout in logouts)
    return settle(newest, rows, tally, frozenset(alive), now, users)


def read_outcomes(answer: Sequence[Any], flat: Sequence[bytes]) -> list[Outcome]:
    """Return the sessions in one partition's answer for a receipt, and those of everyone's rows.

    Raises:
        Unreadable: when what it holds is of another version, or damaged.
    """
    receipt = read_receipt([answer])
    if receipt is None:
        return []
    alive = frozenset(lease.decode() for lease in answer[1])
    with _reading():
        rows = [_row(*pair) for pair in zip(flat[0::2], flat[1::2], strict=True)]
    seen = [*receipt.sessions, *(view(row, alive) for row in rows)]
    return [
        msgspec.structs.replace(one, waiting=one.waiting and not receipt.complete) for one in seen
    ]


@contextlib.contextmanager
def _reading() -> Iterator[None]:
    try:
        yield
    except (Malformed, KeyError, ValueError) as error:
        raise Unreadable(f"the store holds what the hub cannot read: {error}") from error


def _row(name: bytes, value: bytes) -> Row:
    user, sid = split_session_key(name.decode())
    state, owed, failed, device = value.decode().split("|", 3)
    return Row(user, sid, device, State(state), _names(owed), tuple(sorted(_names(failed))))


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split(",")) if text else ()


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
            yield Row(user, sid, device, State(state), _names(owed), failures.get(sid, ()))


def _count(fields: Fields, tally: Tally) -> None:
    for name, value in fields.items():
        kind, _, rest = name.decode().partition(":")
        if kind == "o":
            tally.owing[rest] = tally.owing.get(rest, True) and value == b"2"
        elif kind == "c":
            state, _, owed = rest.partition(":")
            tally.count(State(state), int(value), owed=owed == "1")
