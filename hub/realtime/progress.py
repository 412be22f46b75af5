"""Collects what this replica reports about a logout: the sessions it held, and their states."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from hub.access.device import describe_user_agent, tidy_name
from hub.core.model import Identity, State
from hub.core.receipt import merge_sessions, session_key, unite
from hub.realtime.connections import Connection
from hub.store.values import LogoutEvent, Report

AT_ONCE = 50


class SocketOutcome(NamedTuple):
    """The identity of a socket, its final state, and what its client could not clear."""

    identity: Identity
    state: State
    failed: tuple[str, ...]


class Progress:
    """The sockets that one logout ends on this replica, by session.

    A session is reported once all of its sockets here have ended. ``rest`` is the state of sessions
    whose sockets closed before they were notified.
    """

    def __init__(self, lease: str, event: LogoutEvent, sockets: Sequence[Connection]) -> None:
        self.rest = State.OFFLINE
        self._lease = lease
        self._event = event
        self._is_one_user = event.logout.user is not None
        self._left = Counter([self._key(connection.identity) for connection in sockets])
        self._outcomes: dict[str, list[SocketOutcome]] = {}
        self._sockets = sockets

    def _key(self, identity: Identity) -> str:
        if self._is_one_user:
            return identity.sid
        return session_key(identity.user, identity.sid)

    async def open(self) -> Report:
        """Return the report that lists the sessions."""
        devices = {}
        for number, connection in enumerate(self._sockets):
            if number % AT_ONCE == 0:
                # A name that is not cached takes a while; do not delay the notifications.
                await asyncio.sleep(0)
            devices[self._key(connection.identity)] = _device(connection)
        return Report(self._lease, self._event, opened=devices, done=False)

    def add(self, outcomes: Iterable[SocketOutcome]) -> None:
        """Add the outcomes of sockets that have ended."""
        left, known = self._left, self._outcomes
        for outcome in outcomes:
            key = self._key(outcome.identity)
            left[key] -= 1
            known.setdefault(key, []).append(outcome)

    def report(self, *, done: bool) -> Report:
        """Return a report on finished sessions not reported yet; if ``done``, on all others too."""
        left = [key for key, count in self._left.items() if count > 0]
        outcomes, self._outcomes = self._outcomes, {}
        if not done:
            self._outcomes = {key: outcomes.pop(key) for key in left if key in outcomes}
        states: list[tuple[str, State]] = [(key, self.rest) for key in left] if done else []
        failures: list[tuple[str, tuple[str, ...]]] = []
        for key, ones in outcomes.items():
            for _, state, failed in ones:
                states.append((key, state))
                if failed:
                    failures.append((key, failed))
        sessions, failures_by_session = merge_sessions(states), unite(failures)
        return Report(
            self._lease, self._event, sessions=sessions, failures=failures_by_session, done=done
        )


def _device(connection: Connection) -> str:
    client = connection.client
    return tidy_name(client.name) or describe_user_agent(client.user_agent)
