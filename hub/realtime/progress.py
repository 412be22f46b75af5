"""What a replica reports of one logout: which sessions it held, and what became of each."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from hub.access.device import describe_user_agent, tidy_name
from hub.core.model import Identity, State
from hub.core.receipt import merge_sessions, session_key, unite
from hub.realtime.connections import Connection
from hub.store.base import LogoutEvent, Report

AT_ONCE = 50


class SocketOutcome(NamedTuple):
    """Whose socket it was, what became of it, and what its client could not clear."""

    identity: Identity
    state: State
    failed: tuple[str, ...]


class Progress:
    """The sockets of one logout on this replica, session by session.

    A session is reported once all of its sockets here have ended. ``rest`` is the state of those
    whose sockets left before they were notified.
    """

    def __init__(self, lease: str, heard: LogoutEvent, sockets: Sequence[Connection]) -> None:
        self.rest = State.OFFLINE
        self._lease = lease
        self._heard = heard
        self._left = Counter(self._key(connection.identity) for connection in sockets)
        self._outcomes: dict[str, list[SocketOutcome]] = {}
        self._sockets = sockets

    def _key(self, identity: Identity) -> str:
        is_one = self._heard.logout.user is not None
        return identity.sid if is_one else session_key(identity.user, identity.sid)

    async def open(self) -> Report:
        """Return the report that says which sessions there are."""
        devices = {}
        for number, connection in enumerate(self._sockets):
            if number % AT_ONCE == 0:
                # A name that was not made lately takes a while, and the sockets are being notified.
                await asyncio.sleep(0)
            devices[self._key(connection.identity)] = _device(connection)
        return Report(self._lease, self._heard, opened=devices, done=False)

    def add(self, outcomes: Iterable[SocketOutcome]) -> None:
        """Note what became of some sockets."""
        for outcome in outcomes:
            key = self._key(outcome.identity)
            self._left[key] -= 1
            self._outcomes.setdefault(key, []).append(outcome)

    def report(self, *, done: bool) -> Report:
        """Return the report of the sessions that are over and not reported; at last, of all."""
        left = [key for key, count in self._left.items() if count > 0]
        outcomes, self._outcomes = self._outcomes, {}
        if not done:
            self._outcomes = {key: outcomes.pop(key) for key in left if key in outcomes}
        over = [(key, one) for key, ones in outcomes.items() for one in ones]
        rest = [(key, self.rest) for key in left] if done else []
        return Report(
            self._lease,
            self._heard,
            sessions=merge_sessions([*((key, state) for key, (_, state, _) in over), *rest]),
            failures=unite((key, failed) for key, (_, _, failed) in over),
            done=done,
        )


def _device(connection: Connection) -> str:
    client = connection.client
    return tidy_name(client.name) or describe_user_agent(client.user_agent)
