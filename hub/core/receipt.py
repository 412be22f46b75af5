"""The rules for receipts: how the reports of replicas are merged, and when a receipt is complete.

When a logout is written, its receipt records the sessions that it ends, each with the leases of the
replicas that hold its sockets: their reports are pending. For a logout of everyone it records only
the leases: each replica reports at once which sessions it holds, and later what happened to them. A
replica reports once it has notified and cut its sockets. A row is settled when no report on it is
pending. The report of a replica that died stops being pending when its lease expires; its sockets
count as ``notified``.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

import msgspec

from hub.core.model import SECOND, Logout, Micros, Outcome, Receipt, State, UserKey

PATIENCE: Micros = 60 * SECOND
"""How long reports are waited for, in addition to the spread; exceeds any grace and lease."""

MAX_FAILURES = 16
_PLAIN = re.compile("[A-Za-z]{1,20}")

RANK = {State.OFFLINE: 0, State.ACKNOWLEDGED: 1, State.NOTIFIED: 2, State.CUT: 3}


class Row(msgspec.Struct, frozen=True):
    """One session of a receipt: its merged state, and the leases whose reports are pending."""

    user: UserKey
    sid: str
    device: str
    state: State
    pending: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()


def merge(known: State, reported: State) -> State:
    """Return the state of a session after another report.

    A session may have several sockets, and the worst outcome counts: CUT before NOTIFIED before
    ACKNOWLEDGED. OFFLINE means that it had none.
    """
    return reported if RANK[reported] > RANK[known] else known


def merge_sessions(outcomes: Iterable[tuple[str, State]]) -> dict[str, State]:
    """Merge outcomes, of which several may be for the same session."""
    sessions: dict[str, State] = {}
    for sid, state in outcomes:
        sessions[sid] = merge(sessions.get(sid, State.OFFLINE), state)
    return sessions


def unite(failures: Iterable[tuple[str, Iterable[str]]]) -> dict[str, tuple[str, ...]]:
    """Return what could not be cleared for each session, merged from the reports of its clients."""
    sessions: dict[str, set[str]] = {}
    for sid, names in failures:
        sessions.setdefault(sid, set()).update(names)
    return {sid: tuple(sorted(names)) for sid, names in sessions.items() if names}


def read_failures(answer: object) -> tuple[str, ...]:
    """Return what a client could not clear, from its acknowledgement ``{"cleared", "failed"}``.

    The names are chosen by the client, so only a few short ASCII names are accepted. A client that
    reports only ``cleared: false`` has failed ``unspecified``.
    """
    if not isinstance(answer, dict) or answer.get("cleared") is not False:
        return ()
    given = answer.get("failed")
    names = given[:MAX_FAILURES] if isinstance(given, list) else []
    plain = {name for name in names if isinstance(name, str) and _PLAIN.fullmatch(name)}
    return tuple(sorted(plain)) or ("unspecified",)


class Tally(msgspec.Struct):
    """The counts for a logout of everyone: sessions by state, and those with a pending report.

    ``pending`` are the leases whose report is pending, and whether each has reported which sessions
    it holds.
    """

    states: Counter[State] = msgspec.field(default_factory=Counter)
    waiting: int = 0
    pending: dict[str, bool] = {}

    def count(self, state: State, number: int = 1, *, pending: bool = False) -> None:
        """Add sessions; with a pending report they count as at least notified."""
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
    """Return the receipt for what is stored; ``alive`` are the leases that have not expired."""
    all_rows = list(rows)
    pending = frozenset(tally.pending).union(*(row.pending for row in all_rows)) & alive
    is_late = now > logout.at + logout.spread * SECOND + PATIENCE
    is_complete = is_late or not pending
    outcomes = tuple(view(row, frozenset() if is_late else alive) for row in all_rows)
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
    """Return the outcome in a row, while the leases ``alive`` have not expired."""
    waiting = not alive.isdisjoint(row.pending)
    return Outcome(row.sid, row.device, _state(row), row.user, row.failed, waiting)


def count_states(receipt: Receipt) -> Counter[State]:
    """Return how many sessions of a receipt are in each state."""
    states = Counter({state: count for state, count in receipt.counts.items() if count > 0})
    for outcome in receipt.sessions:
        states[outcome.state] += 1
    return states


def session_key(user: UserKey, sid: str) -> str:
    """Return the key of a session in reports on everyone; a user's key has no spaces."""
    return f"{user} {sid}"


def split_session_key(key: str) -> tuple[UserKey, str]:
    """Return the user and the session id of a `session_key`."""
    user, _, sid = key.partition(" ")
    return user, sid


def _state(row: Row) -> State:
    # Until a replica has reported, its sockets count as notified.
    return merge(State.NOTIFIED, row.state) if row.pending else row.state
