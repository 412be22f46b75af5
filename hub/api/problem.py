"""Errors as problem details (RFC 9457)."""

from __future__ import annotations

import math

import msgspec
from aiohttp import web

from hub.api.answers import render
from hub.api.views import view_problem
from hub.errors import HubError, LoginRequired, TokenMissing, Unauthorized

CONTENT_TYPE = "application/problem+json"
RETRY_AFTER = 1


def problem(error: HubError, status: int | None = None) -> web.Response:
    """Return the answer to an error, by default with the error's own status."""
    view = view_problem(error, status or error.status)
    headers = {}
    if isinstance(error, Unauthorized):
        headers["WWW-Authenticate"] = 'Bearer realm="logout-hub"' + _challenge(error)
    if error.retryable or error.retry_after is not None:
        headers["Retry-After"] = str(max(RETRY_AFTER, math.ceil(error.retry_after or 0)))
    return render(view.status, msgspec.json.encode(view), CONTENT_TYPE, headers)


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
