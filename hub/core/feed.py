"""What the feed for guards says: the revocations in force, then each logout, then confirmations.

The feed is a stream of server-sent events (https://html.spec.whatwg.org/multipage/
server-sent-events.html) whose data is JSON:

``snapshot``   some of the revocations that are in force: `Snapshot`
``ready``      everything that was in force when the response began has been sent: `Ready`
``logout``     a logout that has just happened: `Revocation`
``confirmed``  everything written until a moment ago has been sent: `Confirmation`
``reset``      the feed cannot resume from the given position: `Reset`; everything is sent again

The id of an event is the position in the log up to which everything was sent
(`hub.core.feed_position`).

Revocations are only ever added: applying one twice, or in another order, leads to the same
verdicts. So snapshots and logouts may overlap.
"""

from __future__ import annotations

import msgspec

from hub.core.model import (
    SECOND,
    Logout,
    Micros,
    Reason,
    Scope,
    seconds,
    split_user_key,
    user_key,
)


class Revocation(msgspec.Struct, frozen=True, omit_defaults=True):
    """A logout as guards see it; times are NumericDate seconds.

    ``iss`` and ``user`` name the user as in `hub.core.model.user_key`. ``user`` is None if the
    logout ends the sessions of everyone in ``partition``, or, with scope ``session``, the session
    ``sid`` of that issuer for any user. ``sessions`` are further registered session ids that the
    logout ended. In a snapshot, ``id`` and texts may be omitted.
    """

    scope: Scope
    reason: Reason
    at: float
    iss: str = ""
    user: str | None = None
    sid: str | None = None
    sessions: tuple[str, ...] = ()
    before: float | None = None
    partition: int | None = None
    id: str = ""
    message: str | None = None
    by: str | None = None
    profile: str | None = None

    @property
    def user_key(self) -> str | None:
        """The key of the user, or None."""
        return None if self.user is None else user_key(self.iss, self.user)

    @property
    def horizon(self) -> Micros:
        """The time at or before which a login must have begun for this logout to end it."""
        return micros(self.at if self.before is None else self.before)


class Snapshot(msgspec.Struct, frozen=True):
    """Some revocations in force: for each user the newest cut-offs, for each session the last."""

    revocations: tuple[Revocation, ...]


class Confirmation(msgspec.Struct, frozen=True, omit_defaults=True):
    """Everything that was written until ``elapsed`` seconds into this response has been sent.

    ``elapsed`` is measured by the replica's monotonic clock from when it received the request. A
    guard that sent the request at its own monotonic time T therefore has everything that was
    written until T + ``elapsed``, however late the event arrives. ``late`` lists the partitions of
    which less has been sent, each with its own ``elapsed`` (negative: until before the request).
    ``at`` is the store's time at ``elapsed``.
    """

    at: float
    elapsed: float
    late: dict[int, float] = {}


class Ready(msgspec.Struct, frozen=True, omit_defaults=True):
    """The end of the snapshots, and a confirmation.

    A user's partition is ``crc32(user_key(iss, user)) % partitions``. ``lifetime`` is how many
    seconds revocations are remembered: whether an older login was ended is unknown.
    """

    at: float
    elapsed: float
    partitions: int
    lifetime: int
    late: dict[int, float] = {}


class Reset(msgspec.Struct, frozen=True):
    """Why the feed cannot resume from the given position."""

    reason: str


def micros(at: float) -> Micros:
    """Return a time in NumericDate seconds as `Micros`; exact for times of the store."""
    return round(at * SECOND)


def describe(
    logout: Logout,
    *,
    partition: int | None = None,
    sessions: tuple[str, ...] = (),
    issuer: str | None = None,
) -> Revocation:
    """Return a logout as guards see it.

    ``partition`` matters only for a logout of everyone; ``sessions`` are more sessions it ended.
    With ``issuer`` it ends the session ``logout.sid`` of that issuer, for any user.
    """
    iss, user = (issuer or "", None) if logout.user is None else split_user_key(logout.user)
    return Revocation(
        scope=logout.scope,
        reason=logout.reason,
        at=seconds(logout.at),
        iss=iss,
        user=user,
        sid=logout.sid,
        sessions=sessions,
        before=None if logout.before is None else seconds(logout.before),
        partition=partition if logout.user is None and issuer is None else None,
        id=logout.id,
        message=logout.message,
        by=None if logout.origin is None else logout.origin.by,
        profile=logout.profile,
    )
