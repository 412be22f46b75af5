"""The port through which the hub asks and changes what it knows.

Every implementation passes the one suite in ``tests/contract``. What each method guarantees is
said at the method; common to all of them:

- Times are the store's own, stamped where the change is made; no caller's clock is used.
- A method either did what it says or raises. `Unavailable` means that the outcome is unknown:
  a change may have been made. No method repeats a change on its own.
- No method takes longer than `TIME_LIMIT` seconds, `follow` excepted.
- Only `hub.core.revocation` draws conclusions; a store reports facts.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Protocol

import msgspec

from hub.core.model import SECOND, Identity, Logout, Micros, Receipt, Session, Standing, UserKey
from hub.errors import InvalidRequest, Unavailable

TIME_LIMIT = 1.0
"""Seconds after which a store that did not answer counts as unavailable."""

LEASE: Micros = 15 * SECOND
"""How long a replica that does not renew its lease still counts as holding its sockets."""

KEY_LIFETIME: Micros = 24 * 3600 * SECOND
"""How long an idempotency key is remembered."""


class KeyReused(InvalidRequest):
    """An idempotency key came again with another request."""


class Unreadable(Unavailable):
    """What the store holds is of another version, or damaged."""


class Presence(msgspec.Struct, frozen=True):
    """Where a session is held: the lease of a replica, and the order among its visits."""

    lease: str
    turn: int


class Visit(msgspec.Struct, frozen=True):
    """A session that shows itself, from which device and address; ``presence`` for a socket.

    A device's name replaces an older one only when it was given (``named``), not made up.
    """

    identity: Identity
    device: str
    ip: str
    presence: Presence | None = None
    named: bool = False


class Departure(msgspec.Struct, frozen=True):
    """The last socket of a session left a replica, at ``turn`` in the order of its visits."""

    user: UserKey
    sid: str
    turn: int


class Registry(msgspec.Struct, frozen=True):
    """A user's registered sessions, and what there is to judge them by."""

    standing: Standing
    sessions: tuple[Session, ...]


class Heard(msgspec.Struct, frozen=True):
    """A logout that was written, and which users it is about.

    A logout of everyone is written, and heard, for one part of the users after the other.
    """

    logout: Logout
    concerns: Callable[[UserKey], bool]


class Command(msgspec.Struct, frozen=True):
    """A logout to write.

    ``also`` is a session to end by name even if it never registered; ``must_exist`` asks for
    `NotFound` instead, when the named session is not registered and is not ``caller``.
    ``only_repeat`` asks for the receipt of an earlier request with the same ``key``, and for
    `NotFound` when there was none.
    """

    logout: Logout
    also: str | None = None
    must_exist: bool = False
    key: str | None = None
    only_repeat: bool = False


class Store(Protocol):
    """State shared by all replicas. An asynchronous context manager: enter before use."""

    async def look(self, identity: Identity) -> Standing:
        """Return what is known of a session, at one instant; changes nothing.

        Sees every `end` that returned before this call.
        """
        ...

    async def register(self, visit: Visit) -> Standing:
        """Enter a session in the registry, or renew it, and return what `look` would.

        Both happen at one instant. A session with a tombstone, or whose token has expired, is
        not entered, nor is one that a cut-off ended before it was ever seen. Entering proves
        nothing: the caller judges the standing.

        Raises:
            RateLimited: when the user has as many sessions as a user may have.
        """
        ...

    async def sessions(self, user: UserKey) -> Registry:
        """Return a user's registered sessions that have not expired, oldest first."""
        ...

    async def end(self, command: Command) -> Receipt:
        """Write a logout: when this returns, no `look` finds a session in its scope alive.

        At one instant: the sessions in scope are frozen into the receipt, get tombstones and
        leave the registry; scopes ``all`` and ``others`` write a cut-off (never an older one than
        there is, never a shorter-lived one, and with what `supersede` says of older ones); the
        logout is appended to the log and published.
        For everyone (``user`` None) the instant is one per partition, and the receipt is empty.

        The same ``key`` of the same user again returns the first receipt, as ``repeated``, and
        changes nothing.

        Raises:
            NotFound: by ``must_exist`` or ``only_repeat``; nothing was changed.
            KeyReused: when the key was used for another logout; nothing was changed.
        """
        ...

    async def renew(self, lease: str, departures: Sequence[Departure] = ()) -> None:
        """Renew a replica's lease everywhere, or note which sessions left it.

        With departures the lease is renewed where they are, and only there. A departure that was
        overtaken by a later visit of the session is ignored. Since this is a small write to every
        partition, it also tells whether the store can be written.
        """
        ...

    def follow(self) -> AsyncIterator[Heard | None]:
        """Yield None once every later logout will be heard, then each logout as it is written.

        Ends only by raising `Unavailable`; what was written between two calls is not repeated.
        """
        ...
