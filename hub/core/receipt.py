"""What a receipt says: which reports of replicas count, and when nothing more will change.

A logout that is written freezes the sessions that it ends, and with each the leases of the
replicas that held its sockets: those owe a report. A logout of everyone freezes only which
replicas there are: each says at once which sessions it holds, and owes a report of those. A
replica reports once it has told and cut the sockets that it held. A row is settled when nobody
owes it a report; a replica that died owes nothing, since its lease runs out, and what it had told
counts as ``notified``.
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


class Tally(msgspec.Struct):
    """A receipt of everyone, counted: sessions by state, how many are owed, and by whom.

    ``owing`` are the leases that owe a report, and whether each has said which sessions it holds.
    """

    states: Counter[State] = msgspec.field(default_factory=Counter)
    owed: int = 0
    owing: dict[str, bool] = {}

    def count(self, state: State, number: int = 1, *, owed: bool = False) -> None:
        """Count sessions; who is owed has told its sockets, for all that is known."""
        self.states[merge(State.NOTIFIED, state) if owed else state] += number
        self.owed += number if owed else 0


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
    owed = frozenset(tally.owing).union(*(row.owed_by for row in seen)) & alive
    is_late = now > logout.at + logout.spread * SECOND + PATIENCE
    is_complete = is_late or not owed
    outcomes = tuple(view(row, frozenset() if is_late else alive) for row in seen)
    waiting = tally.owed + sum(outcome.waiting for outcome in outcomes)
    return Receipt(
        logout,
        outcomes,
        dict(tally.states),
        users,
        waiting=0 if is_complete else waiting,
        counted=is_complete or all(tally.owing[lease] for lease in alive & set(tally.owing)),
        complete=is_complete,
    )


def view(row: Row, alive: frozenset[str]) -> Outcome:
    """Return what a row says, while these leases have not run out."""
    waiting = not alive.isdisjoint(row.owed_by)
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
    # Who has not reported has told its sockets, for all that is known.
    return merge(State.NOTIFIED, row.state) if row.owed_by else row.state
