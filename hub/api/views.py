"""The bodies of answers: what they hold, for the answers and for the API's description alike."""

from __future__ import annotations

import msgspec

from hub.core.model import Identity, Micros, Outcome, Receipt, Session, seconds, split_user_key
from hub.core.receipt import count_states


class SessionView(msgspec.Struct):
    """A session, as its user and administrators see it; times are NumericDate seconds.

    ``per_token`` is there, and true, when nothing in its tokens names the login.
    """

    sid: str
    device: str
    ip: str
    created_at: float
    last_seen_at: float
    expires_at: float
    online: bool
    current: bool
    per_token: bool | msgspec.UnsetType = msgspec.UNSET


class OwnSessionView(SessionView, kw_only=True):
    """The caller's session, with the user that it belongs to.

    ``login_age`` is how many seconds ago the login began: by its login time, else the earlier of
    the token's ``iat`` and the moment when the hub saw the session first.
    """

    user: str
    iss: str
    login_age: float


class SessionsView(msgspec.Struct):
    """All sessions of a user, oldest first."""

    sessions: list[SessionView]


class OutcomeView(msgspec.Struct):
    """One session of a logout: ``acknowledged``, ``notified``, ``cut`` or ``offline``.

    ``failed`` names what its client said that it could not clear; left out when there is nothing.
    """

    sid: str
    device: str
    state: str
    failed: list[str] | msgspec.UnsetType = msgspec.UNSET


class ReceiptView(msgspec.Struct):
    """A logout that was written, and the sessions that it ended.

    ``warnings`` are for administrators: what may be a mistake.
    """

    id: str
    scope: str
    reason: str
    at: float
    message: str | None
    sessions: list[OutcomeView]
    complete: bool
    warnings: list[str] | msgspec.UnsetType = msgspec.UNSET


class ManyReceiptView(msgspec.Struct):
    """A logout of several users (``users``: how many) or of everyone, that was written.

    ``states`` counts the sessions by what became of them, of everyone those that held a socket.
    ``waiting`` is how many of them are still being told.
    ``warnings`` say what may be a mistake.
    """

    id: str
    scope: str
    reason: str
    at: float
    message: str | None
    users: int | None
    everyone: bool
    states: dict[str, int]
    waiting: int
    complete: bool
    warnings: list[str] | msgspec.UnsetType = msgspec.UNSET


class EndedView(OutcomeView, kw_only=True):
    """One session of a logout with whose it is; ``waiting``, and true, while it is being told."""

    user: str
    iss: str
    waiting: bool | msgspec.UnsetType = msgspec.UNSET


class EndedPageView(msgspec.Struct):
    """Sessions of a logout; ``next`` is the ``after`` of the next page, null on the last."""

    sessions: list[EndedView]
    next: str | None


class StatusView(msgspec.Struct):
    """That all is well."""

    status: str


class UnservedView(msgspec.Struct):
    """A partition whose users this replica does not serve now, and why."""

    partition: int
    reason: str


class ReadyView(msgspec.Struct):
    """That this replica can do its work; ``unserved`` is left out when it serves every user."""

    status: str
    unserved: list[UnservedView] | msgspec.UnsetType = msgspec.UNSET


class ProblemView(msgspec.Struct):
    """An error (RFC 9457); after a logout with its id, scope, reason, message and time."""

    type: str
    title: str
    status: int
    detail: str
    code: str


def view_many(receipt: Receipt) -> ManyReceiptView:
    """Return the view of a receipt of several users, or of everyone."""
    logout = receipt.logout
    everyone = logout.user is None
    return ManyReceiptView(
        id=logout.id,
        scope=logout.scope.value,
        reason=logout.reason.value,
        at=seconds(logout.at),
        message=logout.message,
        users=None if everyone else receipt.users,
        everyone=everyone,
        states={state.value: count for state, count in count_states(receipt).items()},
        waiting=receipt.waiting,
        complete=receipt.complete,
    )


def view_ended(outcome: Outcome) -> EndedView:
    """Return a session of a logout, for administrators."""
    iss, user = split_user_key(outcome.user or "")
    return EndedView(
        sid=outcome.sid,
        device=outcome.device,
        state=outcome.state.value,
        failed=list(outcome.failed) or msgspec.UNSET,
        user=user,
        iss=iss,
        waiting=True if outcome.waiting else msgspec.UNSET,
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
        per_token=True if session.per_token else msgspec.UNSET,
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
