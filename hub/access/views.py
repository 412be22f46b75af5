"""Views of logouts and receipts, for responses over HTTP and sockets."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from hub.core.model import Logout, Origin, Outcome, Reason, Receipt, Scope, State, seconds


class LogoutView(msgspec.Struct, frozen=True):
    """A logout, as ``logoutNotification`` and refusals show it; ``at`` is NumericDate seconds.

    ``by`` is the issuer whose signal asked for it, ``profile`` how thoroughly a page is to clear;
    both are left out where there is none.
    """

    id: str
    scope: Scope
    reason: Reason
    message: str | None
    sid: str | None
    at: float
    by: str | UnsetType = UNSET
    profile: str | UnsetType = UNSET


class OutcomeView(msgspec.Struct, frozen=True):
    """One session of a logout, and its state.

    ``failed`` names what its client reported as not cleared; left out if there is nothing.
    """

    sid: str
    device: str
    state: State
    failed: list[str] | msgspec.UnsetType = msgspec.UNSET


class OriginView(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a signal said about a logout, for administrators (CAEP 1.0 section 2).

    ``by`` is its sender's ``iss``, ``event_timestamp`` is in NumericDate seconds.
    """

    by: str
    event: str
    event_timestamp: float | None = None
    initiating_entity: str | None = None
    reason_admin: str | None = None


class ReceiptView(msgspec.Struct, frozen=True):
    """A logout that was written, and the sessions that it ended; ``origin`` if a signal asked."""

    id: str
    scope: Scope
    reason: Reason
    at: float
    message: str | None
    sessions: list[OutcomeView]
    complete: bool
    origin: OriginView | UnsetType = UNSET


def view_logout(logout: Logout) -> LogoutView:
    """Return a logout as clients see it."""
    return LogoutView(
        id=logout.id,
        scope=logout.scope,
        reason=logout.reason,
        message=logout.message,
        sid=logout.sid,
        at=seconds(logout.at),
        by=UNSET if logout.origin is None else logout.origin.by,
        profile=logout.profile or UNSET,
    )


def view_receipt(receipt: Receipt, *, for_admin: bool = False) -> ReceiptView:
    """Return a receipt of one user as clients see it, or as administrators do."""
    logout = receipt.logout
    origin = logout.origin if for_admin else None
    return ReceiptView(
        id=logout.id,
        scope=logout.scope,
        reason=logout.reason,
        at=seconds(logout.at),
        message=logout.message,
        sessions=[_view_outcome(outcome) for outcome in receipt.sessions],
        complete=receipt.complete,
        origin=UNSET if origin is None else view_origin(origin),
    )


def view_origin(origin: Origin) -> OriginView:
    """Return what a signal said about a logout as administrators see it."""
    return OriginView(
        by=origin.by,
        event=origin.event,
        event_timestamp=None if origin.at is None else seconds(origin.at),
        initiating_entity=origin.initiating_entity,
        reason_admin=origin.reason_admin,
    )


def _view_outcome(outcome: Outcome) -> OutcomeView:
    return OutcomeView(
        outcome.sid, outcome.device, outcome.state, list(outcome.failed) or msgspec.UNSET
    )


def as_payload(view: LogoutView | ReceiptView | OriginView) -> dict[str, Any]:
    """Return a view as plain values, to be encoded as part of a Socket.IO packet."""
    payload: dict[str, Any] = msgspec.to_builtins(view)
    return payload
