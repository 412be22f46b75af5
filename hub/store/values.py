"""The parameters and results of a store's methods (`hub.store.base`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

import msgspec

from hub.core.model import (
    Identity,
    Logout,
    Micros,
    Position,
    RevocationState,
    Session,
    State,
    UserKey,
)
from hub.errors import InvalidRequest, RateLimited, Unavailable


class KeyReused(InvalidRequest):
    """An idempotency key was used before for another request."""


class Unreadable(Unavailable):
    """A record in the store is of another version, or damaged."""


class PositionLost(Unavailable):
    """The log does not have this position, or no longer: read it from its beginning."""


class Presence(msgspec.Struct, frozen=True):
    """Which replica holds a session: its lease, and a number that orders its registrations."""

    lease: str
    sequence: int


class Registration(msgspec.Struct, frozen=True):
    """A session to register, with its device and address; ``presence`` is set for a socket.

    The device's name replaces an older one only if the client gave it (``named``), not if it was
    derived. ``replaces`` is the session per token that this one continues on the same device: it
    takes over that session's row, unless another replica holds that session.
    """

    identity: Identity
    device: str
    ip: str
    presence: Presence | None = None
    named: bool = False
    replaces: str | None = None


class Departure(msgspec.Struct, frozen=True):
    """A replica no longer holds a session; ``sequence`` is as in `Presence`."""

    user: UserKey
    sid: str
    sequence: int


class Registry(msgspec.Struct, frozen=True):
    """A user's registered sessions, and the facts to judge them by."""

    state: RevocationState
    sessions: tuple[Session, ...]


class LogoutEvent(msgspec.Struct, frozen=True):
    """A logout that was written, and which users it concerns.

    A logout of everyone is written to each partition, and yields one event for each; ``partition``
    says which. ``leases`` are those of the replicas that held sockets of its sessions when it was
    written, according to the registry; their reports are pending. ``is_live`` if it came from the
    channel, not from a later read of the log. ``entry`` is its id in the log of the partition, and
    ``sessions`` are the registered sessions that it ended, besides the one that it names.
    ``issuer`` is set if it refuses the session ``logout.sid`` of that issuer for any user: it then
    concerns nobody's sockets.
    """

    logout: Logout
    concerns: Callable[[UserKey], bool]
    leases: frozenset[str] = frozenset()
    partition: int | None = None
    is_live: bool = True
    entry: str = ""
    sessions: tuple[str, ...] = ()
    issuer: str | None = None


class Confirmed(msgspec.Struct, frozen=True):
    """Every logout written in these partitions until ``as_of`` was yielded, or a `Gap` was.

    ``as_of`` is a time of the running loop's clock.
    """

    partitions: frozenset[int]
    as_of: float = 0.0


class History(msgspec.Struct, frozen=True):
    """A page of the log of a partition, oldest first, of at most `hub.store.base.HISTORY_PAGE`.

    ``position`` is that of its last entry, or, if it is empty, the one after which it was read.
    ``is_end`` if there was no entry after it.
    """

    events: tuple[LogoutEvent, ...]
    position: Position
    is_end: bool


class Gap(msgspec.Struct, frozen=True):
    """Logouts in these partitions may have been missed: check every socket of their users."""

    reason: str
    partitions: frozenset[int]


class Interrupted(msgspec.Struct, frozen=True):
    """The logs of these partitions could not be read; reading is retried."""

    partitions: frozenset[int]
    reason: str


class DataLoss(msgspec.Struct, frozen=True):
    """The store lost data of this partition: logouts may be missing.

    Until a recovery, by `Store.recover` or by any logout of everyone, `Store.look` and
    `Store.register` raise `Unavailable` for the users of this partition; lists and receipts are
    returned as they are. ``epoch`` is the one after the loss, so that only one of the replicas
    that detect it recovers.
    """

    partition: int
    epoch: str


Event: TypeAlias = LogoutEvent | Confirmed | Gap | Interrupted | DataLoss


class Report(msgspec.Struct, frozen=True):
    """What a replica did for a logout: the state of each session that it held.

    ``failures`` is what the clients of a session reported that they could not clear. ``done`` if
    this is the replica's last report. For a logout of everyone, the keys are those of
    `hub.core.receipt.session_key`, and ``listed`` lists the sessions that the replica holds, with
    their devices; None if a report does not list them. Reports are idempotent.
    """

    lease: str
    event: LogoutEvent
    sessions: Mapping[str, State] = {}
    failures: Mapping[str, tuple[str, ...]] = {}
    listed: Mapping[str, str] | None = None
    done: bool = True


class Command(msgspec.Struct, frozen=True):
    """A logout to write.

    ``also`` is a session to end by name even if it was never registered; with ``must_exist``,
    `NotFound` is raised instead. ``key`` is an idempotency key of its user.
    """

    logout: Logout
    also: str | None = None
    must_exist: bool = False
    key: str | None = None


class Claim(msgspec.Struct, frozen=True):
    """An idempotency key for a list of logouts, its digest, and the id for all of them."""

    key: str
    digest: str
    id: str


class Note(msgspec.Struct, frozen=True):
    """The newest note of a kind: its text, its time, and the number of notes so far."""

    text: str
    at: Micros
    times: int = 1


class Unsure(msgspec.Struct, frozen=True):
    """Comparing times did not prove that the caller's token is alive; nothing was changed."""


def too_many_logouts(wait: float) -> RateLimited:
    """Return the error for a user who logs out too often; ``wait`` is in seconds."""
    return RateLimited("more logouts of this user than are allowed", retry_after=wait)
