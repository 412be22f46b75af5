"""What a receipt says: which reports of replicas count, and when nothing more will change.

A logout that is written freezes the sessions that it ends, and with each the leases of the
replicas that held its sockets: those owe a report. A replica reports once it has told and cut the
sockets that it held. A row is settled when nobody owes it a report; a replica that died owes
nothing, since its lease runs out, and what it had told counts as ``notified``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import msgspec

from hub.core.model import SECOND, Logout, Micros, Outcome, Receipt, State, UserKey

PATIENCE: Micros = 60 * SECOND
"""After so long, and the spread, nobody is waited for: longer than any grace and any lease."""

MOST_FAILURES = 16
_PLAIN = re.compile("[A-Za-z]{1,20}")

RANK = {State.OFFLINE: 0, State.ACKNOWLEDGED: 1, State.NOTIFIED: 2, State.CUT: 3}


class Row(msgspec.Struct, frozen=True):
    """One session of a receipt: what was reported of it, and by which leases more is owed."""

    user: UserKey
    sid: str
    device: str
    state: State
    owed_by: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()


def merge(known: State, reported: State) -> State:
    """Return what is known of a session after one more replica has reported.

    A session may have several sockets: one that did not answer counts more than others that
    acknowledged, one that did not even read more than that, and any more than none.
    """
    return reported if RANK[reported] > RANK[known] else known


def merge_sessions(outcomes: Iterable[tuple[str, State]]) -> dict[str, State]:
    """Return what is known of each session, of outcomes that may speak of one several times."""
    sessions: dict[str, State] = {}
    for sid, state in outcomes:
        sessions[sid] = merge(sessions.get(sid, State.OFFLINE), state)
    return sessions


def unite(failures: Iterable[tuple[str, Iterable[str]]]) -> dict[str, tuple[str, ...]]:
    """Return what could not be cleared of each session, of which several clients may have told."""
    sessions: dict[str, set[str]] = {}
    for sid, names in failures:
        sessions.setdefault(sid, set()).update(names)
    return {sid: tuple(sorted(names)) for sid, names in sessions.items() if names}


def read_failures(answer: object) -> tuple[str, ...]:
    """Return what a client could not clear, by its acknowledgement ``{"cleared", "failed"}``.

    Names are the client's own: only few and plain ones are taken. One that says ``cleared: false``
    and no more has failed ``unspecified``.
    """
    if not isinstance(answer, dict) or answer.get("cleared") is not False:
        return ()
    given = answer.get("failed")
    names = given[:MOST_FAILURES] if isinstance(given, list) else []
    plain = {name for name in names if isinstance(name, str) and _PLAIN.fullmatch(name)}
    return tuple(sorted(plain)) or ("unspecified",)


def settle(
    logout: Logout,
    rows: Iterable[Row],
    sockets: Mapping[State, int],
    owing: Iterable[str],
    alive: frozenset[str],
    now: Micros,
    users: int = 1,
) -> Receipt:
    """Return the receipt that these facts make.

    ``owing`` are the leases that owe a report as a whole (of a logout of everyone), ``alive`` the
    leases that have not run out.
    """
    seen = list(rows)
    owed = frozenset(owing).union(*(row.owed_by for row in seen)) & alive
    is_late = now > logout.at + logout.spread * SECOND + PATIENCE
    outcomes = tuple(
        Outcome(row.sid, row.device, _state(row), row.user, row.failed) for row in seen
    )
    return Receipt(logout, outcomes, dict(sockets), users, complete=is_late or not owed)


def _state(row: Row) -> State:
    # Who has not reported has told its sockets, for all that is known.
    return merge(State.NOTIFIED, row.state) if row.owed_by else row.state
