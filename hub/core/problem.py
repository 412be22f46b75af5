"""Errors as problem details (RFC 9457), in responses of the hub and of guards."""

from __future__ import annotations

import math
from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from hub.core.model import Reason, Scope, seconds
from hub.errors import HubError, InvalidClient, LoginRequired, TokenMissing, Unauthorized

CONTENT_TYPE = "application/problem+json"
RETRY_AFTER = 1


class ProblemView(msgspec.Struct, frozen=True):
    """An error (RFC 9457), with the logout that caused it, if any.

    ``retryable`` is true if the same request may succeed later, ``reauthenticate`` if the login
    itself was ended; otherwise they are absent.
    """

    type: str
    title: str
    status: int
    detail: str
    code: str
    id: str | UnsetType = UNSET
    scope: Scope | UnsetType = UNSET
    reason: Reason | UnsetType = UNSET
    message: str | UnsetType | None = UNSET
    at: float | UnsetType = UNSET
    by: str | UnsetType = UNSET
    profile: str | UnsetType = UNSET
    reauthenticate: Literal[True] | UnsetType = UNSET
    retryable: Literal[True] | UnsetType = UNSET


def view_problem(error: HubError, status: int) -> ProblemView:
    """Return the body of a response with this status for an error."""
    logout = error.logout
    origin = None if logout is None else logout.origin
    return ProblemView(
        type=f"urn:logout-hub:error:{error.code}",
        title=error.title,
        status=status,
        detail=error.detail or error.title,
        code=error.code,
        id=UNSET if logout is None else logout.id,
        scope=UNSET if logout is None else logout.scope,
        reason=UNSET if logout is None else logout.reason,
        message=UNSET if logout is None else logout.message,
        at=UNSET if logout is None else seconds(logout.at),
        by=UNSET if origin is None else origin.by,
        profile=UNSET if logout is None else logout.profile or UNSET,
        reauthenticate=True if isinstance(error, LoginRequired) else UNSET,
        retryable=True if error.retryable else UNSET,
    )


def problem_headers(error: HubError) -> dict[str, str]:
    """Return the headers of a response for an error, apart from those about the body."""
    headers = {}
    if isinstance(error, InvalidClient):
        headers["WWW-Authenticate"] = 'Basic realm="logout-hub", charset="UTF-8"'
    elif isinstance(error, Unauthorized):
        headers["WWW-Authenticate"] = 'Bearer realm="logout-hub"' + _challenge(error)
    if error.retryable or error.retry_after is not None:
        headers["Retry-After"] = str(max(RETRY_AFTER, math.ceil(error.retry_after or 0)))
    return headers


def _challenge(error: Unauthorized) -> str:
    match error:
        case TokenMissing():
            # RFC 6750 section 3: no error code when no credentials were sent.
            return ""
        case LoginRequired():
            # RFC 9470 section 3: how old a login may be, so that a client asks for a newer one.
            return (
                ', error="insufficient_user_authentication"'
                f', error_description="{error.title}", max_age="{error.max_age}"'
            )
    return ', error="invalid_token"'
