"""Collects what this replica reports about a logout: the sessions it held, and their states."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec

from hub.access.device import describe_user_agent, tidy_name
from hub.core.model import Identity, State
from hub.core.receipt import merge, session_key, unite
from hub.realtime.connections import Connection
from hub.store.values import LogoutEvent, Report

AT_ONCE = 50


class SocketOutcome(msgspec.Struct, frozen=True):
    """The identity of a socket, its final state, and what its client could not clear."""

    identity: Identity
    state: State
    failed: tuple[str, ...]


class Progress:
    """The sockets that one logout ends on this replica, by session.

    A session is reported once all of its sockets here have ended. ``unnotified_state`` is
    the state of sessions whose sockets closed before they were notified.
    """

    def __init__(self, lease: str, event: LogoutEvent, sockets: Sequence[Connection]) -> None:
        self.unnotified_state = State.OFFLINE
        self._lease = lease
        self._event = event
        self._is_one_user = event.logout.user is not None
        self._left = Counter([self._key(connection.identity) for connection in sockets])
        self._states: dict[str, State] = {}
        self._failures: list[tuple[str, tuple[str, ...]]] = []
        self._sockets = sockets

    def _key(self, identity: Identity) -> str:
        if self._is_one_user:
            return identity.sid
        return session_key(identity.user, identity.sid)

    async def list_sessions(self) -> Report:
        """Return the report that lists the sessions."""
        devices = {}
        for number, connection in enumerate(self._sockets):
            if number % AT_ONCE == 0:
                # A name that is not cached takes a while; do not delay the notifications.
                await asyncio.sleep(0)
            devices[self._key(connection.identity)] = _device(connection)
        return Report(self._lease, self._event, listed=devices, done=False)

    def add(self, outcomes: Iterable[SocketOutcome]) -> None:
        """Add the outcomes of sockets that have ended."""
        for one in outcomes:
            key = self._key(one.identity)
            self._left[key] -= 1
            self._states[key] = merge(self._states.get(key, State.OFFLINE), one.state)
            if one.failed:
                self._failures.append((key, one.failed))

    def report(self, *, done: bool) -> Report:
        """Return a report on finished sessions not reported yet; if ``done``, on all others too."""
        left = [key for key, count in self._left.items() if count > 0]
        states, self._states = self._states, {}
        if done:
            for key in left:
                states[key] = merge(states.get(key, State.OFFLINE), self.unnotified_state)
        else:
            self._states = {key: states.pop(key) for key in left if key in states}
        failures = unite(pair for pair in self._failures if pair[0] in states)
        self._failures = [pair for pair in self._failures if pair[0] in self._states]
        return Report(self._lease, self._event, sessions=states, failures=failures, done=done)


def _device(connection: Connection) -> str:
    client = connection.client
    return tidy_name(client.name) or describe_user_agent(client.user_agent)
