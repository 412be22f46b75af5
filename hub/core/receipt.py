"""What a receipt says: which reports of replicas count, and when nothing more will change.

A logout that is written freezes the sessions that it ends, and with each the leases of the
replicas that held its sockets: their reports are pending. A logout of everyone freezes only which
replicas there are: each says at once which sessions it holds, and reports on those. A replica
reports once it has notified and cut the sockets that it held. A row is settled when no report on it
is pending. One of a replica that died is no longer pending, since its lease expires, and its
sockets count as ``notified``.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

import msgspec

from hub.core.model import SECOND, Logout, Micros, Outcome, Receipt, State, UserKey

PATIENCE: Micros = 60 * SECOND
"""After so long, and the spread, nobody is waited for: longer than any grace and any lease."""

MOST_FAILURES = 16
_PLAIN = re.compile("[A-Za-z]{1,20}")

RANK = {State.OFFLINE: 0, State.ACKNOWLEDGED: 1, State.NOTIFIED: 2, State.CUT: 3}


class Row(msgspec.Struct, frozen=True):
    """One session of a receipt: what was reported of it, and whose reports (leases) are pending."""

    user: UserKey
    sid: str
    device: str
    state: State
    pending: tuple[str, ...] = ()
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


class Tally(msgspec.Struct):
    """A receipt of everyone, counted: sessions by state, and how many are waiting for a report.

    ``pending`` are the leases whose report is, and whether each has said which sessions it holds.
    """

    states: Counter[State] = msgspec.field(default_factory=Counter)
    waiting: int = 0
    pending: dict[str, bool] = {}

    def count(self, state: State, number: int = 1, *, pending: bool = False) -> None:
        """Count sessions; while a report is pending, their sockets count as notified."""
        self.states[merge(State.NOTIFIED, state) if pending else state] += number
        self.waiting += number if pending else 0


def settle(
    logout: Logout,
    rows: Iterable[Row],
    tally: Tally,
    alive: frozenset[str],
    now: Micros,
    users: int = 1,
) -> Receipt:
    """Return the receipt that these facts make; ``alive`` are the leases that have not run out."""
    seen = list(rows)
    pending = frozenset(tally.pending).union(*(row.pending for row in seen)) & alive
    is_late = now > logout.at + logout.spread * SECOND + PATIENCE
    is_complete = is_late or not pending
    outcomes = tuple(view(row, frozenset() if is_late else alive) for row in seen)
    waiting = tally.waiting + sum(outcome.waiting for outcome in outcomes)
    return Receipt(
        logout,
        outcomes,
        dict(tally.states),
        users,
        waiting=0 if is_complete else waiting,
        counted=is_complete or all(tally.pending[lease] for lease in alive & set(tally.pending)),
        complete=is_complete,
    )


def view(row: Row, alive: frozenset[str]) -> Outcome:
    """Return what a row says, while these leases have not run out."""
    waiting = not alive.isdisjoint(row.pending)
    return Outcome(row.sid, row.device, _state(row), row.user, row.failed, waiting)


def count_states(receipt: Receipt) -> Counter[State]:
    """Return how many sessions of a receipt are in each state."""
    return Counter(receipt.counts) + Counter(outcome.state for outcome in receipt.sessions)


def session_key(user: UserKey, sid: str) -> str:
    """Return what a session is called in reports of everyone; a user's key has no spaces."""
    return f"{user} {sid}"


def split_session_key(key: str) -> tuple[UserKey, str]:
    """Return the user and the session that `session_key` joined."""
    user, _, sid = key.partition(" ")
    return user, sid


def _state(row: Row) -> State:
    # Until a replica has reported, its sockets count as notified.
    return merge(State.NOTIFIED, row.state) if row.pending else row.state
