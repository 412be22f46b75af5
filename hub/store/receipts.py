"""Receipts on Redis: adds the reports of replicas, and reads the state of sessions."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from hub.core.model import Logout, Micros, Outcome, Receipt, State, UserKey
from hub.core.receipt import RANK, Row, Tally, settle, split_session_key, unite, view
from hub.core.wire import decode_logout
from hub.store.base import LEASE
from hub.store.names import PARTITIONS, Names, receipt_key
from hub.store.records import reading
from hub.store.script import Script
from hub.store.topology import Topology
from hub.store.values import Report

Fields = dict[bytes, bytes]

REPORT = Script("run", "report")
REPORT_EVERYONE = Script("report_everyone")
ROWS = Script("rows")
RECEIPT = Script("clock", "receipt")

REPORTED_AT_ONCE = 500
"""Sessions in one call, in reports on a logout of everyone."""


class RedisReceipts:
    """The methods of `hub.store.base.Store` for receipts; long lists are read over ``lists``."""

    def __init__(self, calls: Topology, lists: Topology) -> None:
        self._calls = calls
        self._lists = lists

    async def report(self, report: Report) -> None:
        """Add a replica's report to a receipt."""
        logout = report.event.logout
        rows = [
            (sid, state, ",".join(report.failures.get(sid, ())))
            for sid, state in report.sessions.items()
        ]
        if logout.user is None:
            await self._report_everyone(report, rows)
            return
        partition, key = receipt_key(logout.user, logout.id)
        await self._calls.call(
            partition,
            REPORT,
            [key],
            {"lease": report.lease, "is_done": report.done, "rank": RANK, "sessions": rows},
        )

    async def _report_everyone(self, report: Report, rows: Sequence[Sequence[str]]) -> None:
        names = Names(None, report.event.partition or 0)
        # In pages, so that a report of many sessions does not block Redis for long.
        listed = list((report.listed or {}).items())
        pages = range(0, max(len(listed), len(rows), 1), REPORTED_AT_ONCE)
        logout_id = report.event.logout.id
        for start in pages:
            is_last, page = start == pages[-1], slice(start, start + REPORTED_AT_ONCE)
            await self._calls.call(
                names.partition,
                REPORT_EVERYONE,
                [names.receipt(logout_id), names.rows(logout_id)],
                {
                    "lease": report.lease,
                    "is_done": report.done and is_last,
                    "rank": RANK,
                    "says_all": report.listed is not None and is_last,
                    "listed": listed[page],
                    "sessions": rows[page],
                },
            )

    async def receipt(self, logout_id: str, user: UserKey | None) -> Receipt | None:
        """Return the receipt of a logout."""
        places = [Names(user)] if user is not None else [Names(None, n) for n in range(PARTITIONS)]
        answers = await asyncio.gather(*(self._ask(names, logout_id, user) for names in places))
        return read_receipt(answers)

    async def outcomes(self, logout_id: str, partition: int) -> list[Outcome]:
        """Return the sessions of a logout in one partition."""
        names = Names(None, partition)
        answer = await self._ask(names, logout_id, None)
        rows = await self._lists.call(partition, ROWS, [names.rows(logout_id)], {})
        return sorted(read_outcomes(answer, rows), key=lambda one: (one.user or "", one.sid))

    async def _ask(self, names: Names, logout_id: str, user: UserKey | None) -> list[Any]:
        answer: list[Any] = await self._calls.call(
            names.partition,
            RECEIPT,
            [names.receipt_users(logout_id), names.leases],
            {
                "receipt_prefix": f"{names.receipts}{logout_id}:",
                "user": user,
                "lease_time": LEASE,
            },
        )
        return answer


def read_receipt(answers: Sequence[Sequence[Any]]) -> Receipt | None:
    """Return the receipt in the answers of ``receipt.lua`` for some partitions.

    Raises:
        Unreadable: if a record is of another version, or damaged.
    """
    logouts: list[Logout] = []
    rows: list[Row] = []
    tally = Tally()
    now: Micros = 0
    alive: set[str] = set()
    with reading:
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
    """Return the sessions in one partition's answer for a receipt, and in the rows of everyone.

    Raises:
        Unreadable: if a record is of another version, or damaged.
    """
    receipt = read_receipt([answer])
    if receipt is None:
        return []
    alive = frozenset(lease.decode() for lease in answer[1])
    with reading:
        rows = [_row(*pair) for pair in zip(flat[0::2], flat[1::2], strict=True)]
    found = [*receipt.sessions, *(view(row, alive) for row in rows)]
    return [
        msgspec.structs.replace(one, waiting=one.waiting and not receipt.complete) for one in found
    ]


def _row(name: bytes, value: bytes) -> Row:
    user, sid = split_session_key(name.decode())
    state, pending, failed, device = value.decode().split("|", 3)
    return Row(user, sid, device, State(state), _names(pending), tuple(sorted(_names(failed))))


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
            state, pending, device = value.decode().split("|", 2)
            yield Row(user, sid, device, State(state), _names(pending), failures.get(sid, ()))


def _count(fields: Fields, tally: Tally) -> None:
    for name, value in fields.items():
        kind, _, rest = name.decode().partition(":")
        if kind == "o":
            tally.pending[rest] = tally.pending.get(rest, True) and value == b"2"
        elif kind == "c":
            state, _, pending = rest.partition(":")
            tally.count(State(state), int(value), pending=pending == "1")
