"""The bodies of HTTP responses; those that sockets send too are in `hub.access.views`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from hub.access.views import OutcomeView, ReceiptView, view_receipt
from hub.core.model import (
    Identity,
    Micros,
    Outcome,
    Reason,
    Receipt,
    Scope,
    Session,
    State,
    seconds,
    split_user_key,
)
from hub.core.receipt import count_states


class SessionView(msgspec.Struct, frozen=True):
    """A session, as its user and administrators see it; times are NumericDate seconds.

    ``per_token`` is true if its tokens do not identify the login, and otherwise left out.
    """

    sid: str
    device: str
    ip: str
    created_at: float
    last_seen_at: float
    expires_at: float
    online: bool
    current: bool
    per_token: Literal[True] | UnsetType = UNSET


class OwnSessionView(SessionView, frozen=True, kw_only=True):
    """The caller's session, with the user that it belongs to.

    ``login_age`` is how many seconds ago the login began: by its login time, else the earlier of
    the token's ``iat`` and the time at which the hub first saw the session.
    """

    user: str
    iss: str
    login_age: float


class SessionsView(msgspec.Struct, frozen=True):
    """All sessions of a user, oldest first."""

    sessions: list[SessionView]


class ManyReceiptView(msgspec.Struct, frozen=True):
    """The receipt of a logout of several users (``users``: how many) or of everyone.

    ``states`` counts sessions by state; for everyone, only those that had a socket.
    ``waiting`` is how many of them have no final state yet.
    """

    id: str
    scope: Scope
    reason: Reason
    at: float
    message: str | None
    users: int | None
    everyone: bool
    states: dict[State, int]
    waiting: int
    complete: bool


class AdminReceiptView(ReceiptView, frozen=True, kw_only=True):
    """The receipt of an administrator's logout of one user; ``warnings`` name likely mistakes."""

    warnings: list[str]


class AdminManyReceiptView(ManyReceiptView, frozen=True, kw_only=True):
    """The receipt of a logout of several users or everyone; ``warnings`` name likely mistakes."""

    warnings: list[str]


class EndedView(OutcomeView, frozen=True, kw_only=True):
    """One session of a logout, with its user; ``waiting`` is true while its state may change."""

    user: str
    iss: str
    waiting: Literal[True] | UnsetType = UNSET


class EndedPageView(msgspec.Struct, frozen=True):
    """Sessions of a logout; ``next`` is the ``after`` of the next page, null on the last."""

    sessions: list[EndedView]
    next: str | None


class StatusView(msgspec.Struct, frozen=True):
    """The process is alive."""

    status: str


class UnservedView(msgspec.Struct, frozen=True):
    """A partition whose users this replica does not serve now, and why."""

    partition: int
    reason: str


class ReadyView(msgspec.Struct, frozen=True):
    """The replica is ready; ``unserved`` is left out if it serves every user."""

    status: str
    unserved: list[UnservedView] | UnsetType = UNSET


class OAuthErrorView(msgspec.Struct, frozen=True):
    """An error of an OAuth endpoint (RFC 6749 section 5.2)."""

    error: str
    error_description: str


def view_many(receipt: Receipt) -> ManyReceiptView:
    """Return the view of a receipt of several users, or of everyone."""
    logout = receipt.logout
    everyone = logout.user is None
    return ManyReceiptView(
        id=logout.id,
        scope=logout.scope,
        reason=logout.reason,
        at=seconds(logout.at),
        message=logout.message,
        users=None if everyone else receipt.users,
        everyone=everyone,
        states=dict(count_states(receipt)),
        waiting=receipt.waiting,
        complete=receipt.complete,
    )


def view_for_admin(
    receipt: Receipt, warnings: Sequence[str], *, is_one: bool
) -> AdminReceiptView | AdminManyReceiptView:
    """Return the view of a receipt for the administrator who requested the logout."""
    if is_one:
        one = msgspec.structs.asdict(view_receipt(receipt))
        return AdminReceiptView(**one, warnings=list(warnings))
    many = msgspec.structs.asdict(view_many(receipt))
    return AdminManyReceiptView(**many, warnings=list(warnings))


def view_ended(outcome: Outcome) -> EndedView:
    """Return a session of a logout, for administrators."""
    iss, user = split_user_key(outcome.user or "")
    return EndedView(
        sid=outcome.sid,
        device=outcome.device,
        state=outcome.state,
        failed=list(outcome.failed) or UNSET,
        user=user,
        iss=iss,
        waiting=True if outcome.waiting else UNSET,
    )


def view_session(session: Session, current_sid: str | None) -> SessionView:
    """Return a session's view for the caller with the session ``current_sid``."""
    return SessionView(
        sid=session.sid,
        device=session.device,
        ip=session.ip,
        created_at=seconds(session.created_at),
        last_seen_at=seconds(session.last_seen_at),
        expires_at=seconds(session.expires_at),
        online=session.online,
        current=session.sid == current_sid,
        per_token=True if session.per_token else UNSET,
    )


def view_own_session(session: Session, identity: Identity, now: Micros) -> OwnSessionView:
    """Return the caller's own session's view, at the store's time ``now``."""
    view = view_session(session, identity.sid)
    begun = identity.login_at
    if begun is None:
        begun = min(identity.iat, session.created_at)
    return OwnSessionView(
        **msgspec.structs.asdict(view),
        user=identity.sub,
        iss=identity.iss,
        login_age=max(0.0, seconds(now - begun)),
    )
