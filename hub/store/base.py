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

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from typing import Protocol, TypeAlias

import msgspec

from hub.core.model import (
    SECOND,
    Identity,
    Logout,
    Micros,
    Outcome,
    Receipt,
    Session,
    Standing,
    State,
    UserKey,
)
from hub.errors import InvalidRequest, RateLimited, Unavailable

TIME_LIMIT = 1.0
"""Seconds after which a store that did not answer counts as unavailable."""

LEASE: Micros = 15 * SECOND
"""How long a replica that does not renew its lease still counts as holding its sockets."""

CHECK_INTERVAL = 1.0
"""Seconds between two looks at the log itself, which find what the channel did not bring."""

KEY_LIFETIME: Micros = 24 * 3600 * SECOND
"""How long an idempotency key is remembered."""

RECEIPT_LIFETIME: Micros = 24 * 3600 * SECOND
"""How long after a logout its receipt can be read, unless a store was told otherwise."""


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
    ``replaces`` is the session per token from which this one of the same device goes on: its row
    moves along, unless somebody else holds it.
    """

    identity: Identity
    device: str
    ip: str
    presence: Presence | None = None
    named: bool = False
    replaces: str | None = None


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

    A logout of everyone is written, and heard, for one part of the users after the other; ``part``
    says for which. ``leases`` are those that held sockets of its sessions when it was written, as
    far as the registry knew; their replicas owe the receipt a report. ``is_live`` unless it was
    found in the log later.
    """

    logout: Logout
    concerns: Callable[[UserKey], bool]
    leases: frozenset[str] = frozenset()
    part: int | None = None
    is_live: bool = True


class Confirmed(msgspec.Struct, frozen=True):
    """Every logout that was written in these partitions until a moment ago has been yielded.

    Or a `Gap` has told that it may not have been.
    """

    partitions: frozenset[int]


class Gap(msgspec.Struct, frozen=True):
    """Logouts may have been written in these partitions that are not yielded: check every socket.

    That is, every socket of their users.
    """

    reason: str
    partitions: frozenset[int]


class Interrupted(msgspec.Struct, frozen=True):
    """The logs of these partitions could not be read, and are tried again."""

    partitions: frozenset[int]
    reason: str


class Loss(msgspec.Struct, frozen=True):
    """The store lost what it knew of some users: logouts may be undone.

    Until it is mended, by `Store.recover` or by any logout of everyone, `Store.look` and
    `Store.register` raise `Unavailable` for the users of this part; lists and receipts are given
    out as they are. ``seen`` is what the store says instead, so that of several replicas which
    notice only one recovers.
    """

    part: int
    seen: str


Event: TypeAlias = Heard | Confirmed | Gap | Interrupted | Loss


class Report(msgspec.Struct, frozen=True):
    """What a replica did for a logout: what became of each session.

    ``failures`` is what the clients of a session said that they could not clear. ``done`` when the
    replica has no more to tell of it. For a logout of everyone sessions go by their
    `hub.core.receipt.session_key`; ``opened`` says which there are, with the device of each, and
    None in a report that does not say it. The same report again changes nothing.
    """

    lease: str
    heard: Heard
    sessions: Mapping[str, State] = {}
    failures: Mapping[str, tuple[str, ...]] = {}
    opened: Mapping[str, str] | None = None
    done: bool = True


class Command(msgspec.Struct, frozen=True):
    """A logout to write.

    ``also`` is a session to end by name even if it never registered; ``must_exist`` asks for
    `NotFound` instead when it is not registered. ``key`` is an idempotency key of its user.
    """

    logout: Logout
    also: str | None = None
    must_exist: bool = False
    key: str | None = None


class Claim(msgspec.Struct, frozen=True):
    """A list of logouts, ``digest``, that takes an idempotency key; ``id`` is for all of them."""

    key: str
    digest: str
    id: str


class Unsure(msgspec.Struct, frozen=True):
    """The facts alone do not make sure that the caller's token is alive; nothing was changed."""


def too_many_logouts(wait: float) -> RateLimited:
    """Return the error for a user who logs out too often; ``wait`` is in seconds."""
    return RateLimited("more logouts of this user than are allowed", retry_after=wait)


class Store(Protocol):
    """State shared by all replicas. An asynchronous context manager: enter before use."""

    async def look(self, identity: Identity) -> Standing:
        """Return what is known of a session, at one instant; changes nothing.

        Sees every `end` that returned before this call.
        """
        ...

    async def register(self, visit: Visit) -> Standing:
        """Enter a session in the registry, or renew it, and return what `look` would.

        Both happen at one instant. A session with a tombstone that the login behind its token does
        not outlive, or whose token has expired, is not entered, nor is one that a cut-off ended
        before it was ever seen. Entering proves nothing: the caller judges the standing.

        Where there is no place, sessions per token that nobody holds give way, a few at a time.

        Raises:
            RateLimited: when the user has as many sessions as a user may have, and none gives way.
        """
        ...

    async def sessions(self, user: UserKey) -> Registry:
        """Return a user's registered sessions that have not expired, oldest first.

        Sees every `end` that returned before this call; one that happens meanwhile may be seen.

        Raises:
            RateLimited: when too many lists of this user are asked for at once.
        """
        ...

    async def end(self, command: Command, *, limited: bool = False) -> Receipt:
        """Write a logout: when this returns, no `look` finds a session in its scope alive.

        At one instant: the sessions in scope are frozen into the receipt, get tombstones and
        leave the registry; scopes ``all`` and ``others`` write a cut-off (never an older one than
        there is, never a shorter-lived one, and with what `supersede` says of older ones); the
        logout is appended to the log and published; its receipt is opened.
        For everyone (``user`` None) the instant is one per partition, and the receipt names no
        session; whatever the store had lost of earlier logouts matters no more.

        The same ``key`` of the same user again returns the first receipt, as ``repeated``, and
        changes nothing. A ``limited`` logout counts against how often its user may log out.

        Raises:
            NotFound: by ``must_exist``; nothing was changed.
            KeyReused: when the key was used for another logout; nothing was changed.
            RateLimited: when it is ``limited``, and there were too many; nothing was changed.
        """
        ...

    async def end_own(self, command: Command, caller: Identity) -> Receipt | Unsure:
        """Write a logout that a user asks for, limited, if the facts make sure that it may.

        That is when `is_surely_alive` is true of ``caller``, the token that asks, at the instant of
        writing, and nothing may have been lost. `Unsure` does not say that the token is dead: look
        and judge, then `end`. Raises as `end` does.
        """
        ...

    async def recall(self, command: Command) -> Receipt | None:
        """Return the receipt of an earlier request with the same key, and change nothing.

        It is as `end` returned it first, but ``repeated``; None when there was no such request.

        Raises:
            KeyReused: when the key was used for another logout.
        """
        ...

    async def claim(self, claim: Claim) -> str:
        """Take an idempotency key for a list of logouts, and return the id that they have.

        It is the claim's own, or that of an earlier claim of the same list. A claimed key is apart
        from the keys of the logouts themselves.

        Raises:
            KeyReused: when the key was claimed for another list.
        """
        ...

    async def recover(self, loss: Loss, logout: Logout) -> Receipt | None:
        """Make up for a loss: write a logout of everyone in that partition alone.

        None when another replica has done so; nothing was changed then.
        """
        ...

    async def renew(self, lease: str, departures: Sequence[Departure] = ()) -> Mapping[int, str]:
        """Renew a replica's lease everywhere, or note which sessions left it.

        With departures the lease is renewed where they are, and only there. A departure that was
        overtaken by a later visit of the session is ignored. Since this is a small write to every
        partition, it also tells whether the store can be written: returns the partitions in which
        it may not have been, each with the reason.

        Raises:
            Unavailable: when it may have been written in none.
        """
        ...

    async def report(self, report: Report) -> None:
        """Enter in a logout's receipt what a replica did; nothing when there is no receipt."""
        ...

    async def receipt(self, logout_id: str, user: UserKey | None) -> Receipt | None:
        """Return what is known of a logout, of one user or (None) of all whom it ended.

        None when there is none, or none of this user. Of a logout of everyone the sessions are
        counted, not named: `outcomes` names them.
        """
        ...

    @property
    def parts(self) -> int:
        """In how many parts users are kept."""
        ...

    def partition_of(self, user: UserKey) -> int:
        """Return which of them keeps a user."""
        ...

    async def outcomes(self, logout_id: str, part: int) -> list[Outcome]:
        """Return the sessions of a logout in one part, of all users, by user and session."""
        ...

    async def is_stuck(self) -> bool:
        """Tell whether only a restart of this process can reach the store again."""
        ...

    def follow(self) -> AsyncGenerator[Event]:
        """Yield each logout once, in the order of its writing within a part, and what goes wrong.

        A call goes on where the one before it ended; the first begins now, with a `Gap`.
        `Confirmed` comes at least every `CHECK_INTERVAL` seconds for each partition with which all
        is well, `Interrupted` for the others: none waits for another. One reader at a time.

        Ends only by raising `Unavailable`, when no partition can be read.
        """
        ...
