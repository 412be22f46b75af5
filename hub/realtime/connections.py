"""The sockets of this replica, and which of them a logout ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from itertools import chain

from hub.access.client import Client
from hub.core.model import Identity, Logout, Micros, UserKey
from hub.core.revocation import ends, surely_ends
from hub.realtime.server import Socket
from hub.store.values import LogoutEvent


class Connection:
    """A socket with the identity of its token: connecting, accepted, or ended by a logout.

    ``alive_at`` is the time, by the store's clock, up to which its session is known to be alive.
    During a refresh (under `refresh_lock`), ``next_identity`` is the new identity: a logout of
    either session ends the socket. ``answering`` are the tasks that answer its events.
    ``partition`` is its user's, set by `Connections.add`. `hub.realtime.handlers` sets
    ``on_expired`` and starts its timer, for the token's ``exp``. `hub.realtime.rounds` sets
    ``on_closed``, which is called when the transport closes.
    """

    __slots__ = (
        "_refresh_lock",
        "accepted",
        "alive_at",
        "answering",
        "client",
        "due",
        "ended",
        "id",
        "identity",
        "is_closed",
        "next_identity",
        "on_closed",
        "on_expired",
        "partition",
        "socket",
    )

    def __init__(self, socket: Socket, identity: Identity, client: Client) -> None:
        self.socket = socket
        self.id = socket.id
        self.partition = 0
        self.identity = identity
        self.next_identity = identity
        self._refresh_lock: asyncio.Lock | None = None
        self.client = client
        self.accepted = False
        self.alive_at: Micros = 0
        self.ended: Logout | None = None
        self.answering: set[asyncio.Task[object]] = set()
        self.is_closed = False
        self.on_closed: Callable[[Connection], None] | None = None
        self.due = 0
        self.on_expired: Callable[[Connection], None] | None = None

    @property
    def refresh_lock(self) -> asyncio.Lock:
        """A lock, made with the first refresh: most sockets are never refreshed."""
        if self._refresh_lock is None:
            self._refresh_lock = asyncio.Lock()
        return self._refresh_lock

    def is_ended(self, at: Micros) -> bool:
        """Return whether it was ended already, so that a logout written at ``at`` changes nothing.

        While it is connecting, its session may turn out to be newer than the logout that ended it,
        but not newer than a later one.
        """
        return self.ended is not None and (self.accepted or self.ended.at >= at)

    def on_timer(self) -> None:
        """Call ``on_expired``."""
        if self.on_expired is not None:
            self.on_expired(self)

    def note_closed(self) -> None:
        """Record that the transport has closed, and call ``on_closed``."""
        self.is_closed = True
        if self.on_closed is not None:
            self.on_closed(self)


class Connections:
    """All sockets of this replica, by id, user and session.

    Users are grouped by partition, since a logout of everyone is received once for each.
    """

    def __init__(self, partition_of: Callable[[UserKey], int]) -> None:
        self._partition_of = partition_of
        self._by_id: dict[str, Connection] = {}
        self._by_partition: dict[int, dict[UserKey, dict[str, Connection]]] = {}
        self._by_session: dict[tuple[UserKey, str], int] = {}

    def __len__(self) -> int:
        return len(self._by_id)

    def __iter__(self) -> Iterator[Connection]:
        return iter(list(self._by_id.values()))

    def get(self, connection_id: str) -> Connection | None:
        """Return the connection with this id, or None."""
        return self._by_id.get(connection_id)

    def add(self, connection: Connection) -> None:
        """Add a connection; from now on logouts find it."""
        self._by_id[connection.id] = connection
        identity = connection.identity
        connection.partition = self._partition_of(identity.user)
        users = self._by_partition.setdefault(connection.partition, {})
        users.setdefault(identity.user, {})[connection.id] = connection
        self._count(identity)

    def move(self, connection: Connection, identity: Identity) -> None:
        """Move a connection to another session of the same user."""
        self._uncount(connection.identity)
        connection.identity = identity
        self._count(identity)

    def _count(self, identity: Identity) -> None:
        session = (identity.user, identity.sid)
        self._by_session[session] = self._by_session.get(session, 0) + 1

    def _uncount(self, identity: Identity) -> None:
        session = (identity.user, identity.sid)
        self._by_session[session] -= 1
        if not self._by_session[session]:
            self._by_session.pop(session)

    def remove(self, connection_id: str) -> Connection | None:
        """Remove a connection and return it, or None if there is none."""
        connection = self._by_id.pop(connection_id, None)
        if connection is not None:
            user, partition = connection.identity.user, connection.partition
            users = self._by_partition[partition]
            del users[user][connection_id]
            if not users[user]:
                del users[user]
            if not users:
                del self._by_partition[partition]
            self._uncount(connection.identity)
            connection.note_closed()
        return connection

    def holds(self, identity: Identity) -> bool:
        """Return whether this replica has a socket of this session."""
        return (identity.user, identity.sid) in self._by_session

    def count(self, identity: Identity) -> tuple[int, int]:
        """Return the number of sockets of this session, and of its user."""
        mine = len(self._of_user(identity.user))
        return self._by_session.get((identity.user, identity.sid), 0), mine

    def count_accepted(self) -> int:
        """Return the number of sockets that were accepted."""
        return sum(connection.accepted for connection in self._by_id.values())

    def _of_user(self, user: UserKey) -> dict[str, Connection]:
        return self._by_partition.get(self._partition_of(user), {}).get(user, {})

    def ended_by(self, event: LogoutEvent) -> list[Connection]:
        """Return the sockets that a logout ends, except those that were ended already.

        A socket whose session was found alive after the logout belongs to a newer login, which a
        logout that was received late must not end. Those of `maybe_ended_by` are left out.
        """
        at = event.logout.at
        return [
            connection
            for connection in self._in_scope(event)
            if connection.alive_at < at and surely_ends(event.logout, connection.identity)
        ]

    def maybe_ended_by(self, event: LogoutEvent) -> list[Connection]:
        """Return the sockets for which only the store knows whether a logout ends them.

        Their tokens were issued after the time that the logout reports, but may belong to an older
        session.
        """
        if event.logout.before is None:
            return []
        return [
            connection
            for connection in self._in_scope(event)
            if not surely_ends(event.logout, connection.identity)
        ]

    def has_survivors(self, event: LogoutEvent) -> bool:
        """Return whether `ended_by` leaves out sockets in a logout's scope as newer logins."""
        at = event.logout.at
        return any(connection.alive_at >= at for connection in self._in_scope(event))

    def _in_scope(self, event: LogoutEvent) -> list[Connection]:
        logout = event.logout
        return [
            connection
            for connection in self._candidates(logout.user, event.partition)
            if not connection.is_ended(logout.at)
            and event.concerns(connection.identity.user)
            and (
                ends(logout, connection.identity.sid) or ends(logout, connection.next_identity.sid)
            )
        ]

    def _candidates(self, user: UserKey | None, partition: int | None) -> Iterable[Connection]:
        """Return the sockets of a user, or of everyone in a partition, or (None) of everyone."""
        if user is not None:
            return self._of_user(user).values()
        if partition is None:
            return self._by_id.values()
        users = self._by_partition.get(partition, {})
        return chain.from_iterable(sockets.values() for sockets in users.values())
