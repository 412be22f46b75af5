"""The receipts of the embedded store."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from hub.core.model import SECOND, Logout, Micros, Outcome, Receipt, State, UserKey
from hub.core.receipt import Row, Tally, merge, settle, split_session_key, view
from hub.store.memory_state import KeptReceipt, MemoryState, User
from hub.store.values import Report


class MemoryReceipts:
    """The methods of `hub.store.base.Store` for receipts, at the instant ``now``.

    ``lifetime`` is how long receipts are kept.
    """

    def __init__(self, state: MemoryState, lifetime: Micros) -> None:
        self._state = state
        self._lifetime = lifetime

    def open(self, logout: Logout, user: User, outcomes: Iterable[Outcome], now: Micros) -> None:
        """Open the receipt of a logout that is being written, with the sessions that it ends."""
        alive = self._state.alive(now)
        rows = {
            one.sid: Row(
                logout.user or "",
                one.sid,
                one.device,
                State.OFFLINE,
                tuple(alive.intersection(user.holders.get(one.sid, ()))),
            )
            for one in outcomes
        }
        is_new = logout.id not in user.receipts
        pending = dict.fromkeys(alive if logout.user is None else (), False)
        until = now + self._lifetime + logout.spread * SECOND
        user.receipts[logout.id] = KeptReceipt(logout, rows, pending, until)
        if is_new:
            self._state.keep(logout.user, user, "receipt", logout.id)

    def report(self, report: Report, now: Micros) -> None:
        """Add this process's report to a receipt."""
        logout = report.event.logout
        kept = self._state.user(logout.user, now).receipts.get(logout.id)
        if kept is None:
            return
        _enter_listed(kept, report)
        for sid, row in kept.rows.items():
            if logout.user is None and sid not in report.sessions:
                continue
            is_settled = report.done or logout.user is None
            kept.rows[sid] = msgspec.structs.replace(
                row,
                state=merge(row.state, report.sessions.get(sid, State.OFFLINE)),
                pending=tuple(x for x in row.pending if x != report.lease or not is_settled),
                failed=tuple(sorted({*row.failed, *report.failures.get(sid, ())})),
            )
        if report.done:
            kept.pending.pop(report.lease, None)

    def receipt(self, logout_id: str, user: UserKey | None, now: Micros) -> Receipt | None:
        """Return the receipt of a logout."""
        self._state.forget(now)
        keys = list(self._state.users) if user is None else [user]
        users = [self._state.user(key, now) for key in keys]
        found = [one.receipts[logout_id] for one in users if logout_id in one.receipts]
        if not found:
            return None
        tally, rows = Tally(), list[Row]()
        for kept in found:
            tally.pending.update(kept.pending)
            if kept.logout.user is not None:
                rows += kept.rows.values()
                continue
            for row in kept.rows.values():
                tally.count(row.state, pending=bool(row.pending))
        return settle(
            max((kept.logout for kept in found), key=lambda logout: logout.at),
            rows,
            tally,
            self._state.alive(now),
            now,
            sum(kept.logout.user is not None for kept in found),
        )

    def outcomes(self, logout_id: str, now: Micros) -> list[Outcome]:
        """Return the sessions of a logout."""
        receipt = self.receipt(logout_id, None, now)
        if receipt is None:
            return []
        everyones = self._state.everyones().receipts.get(logout_id)
        alive = frozenset[str]() if receipt.complete else self._state.alive(now)
        more = [] if everyones is None else [view(row, alive) for row in everyones.rows.values()]
        return sorted([*receipt.sessions, *more], key=lambda one: (one.user or "", one.sid))


def _enter_listed(kept: KeptReceipt, report: Report) -> None:
    for key, device in (report.listed or {}).items():
        user, sid = split_session_key(key)
        row = kept.rows.get(key) or Row(user, sid, device, State.OFFLINE)
        pending = tuple(dict.fromkeys((*row.pending, report.lease)))
        kept.rows[key] = msgspec.structs.replace(row, pending=pending)
    if report.listed is not None and report.lease in kept.pending:
        kept.pending[report.lease] = True
