"""Errors as problem details (RFC 9457), and as the OAuth endpoints have them (RFC 6749)."""

from __future__ import annotations

import math

import msgspec
from aiohttp import web

from hub.api.answers import render
from hub.api.views import OAuthErrorView, view_problem
from hub.errors import (
    Forbidden,
    HubError,
    InvalidClient,
    LoginRequired,
    RateLimited,
    TokenMissing,
    Unauthorized,
    Unavailable,
)

CONTENT_TYPE = "application/problem+json"
OAUTH_CONTENT_TYPE = "application/json"
RETRY_AFTER = 1

OAUTH_ERRORS: tuple[tuple[type[HubError], str], ...] = (
    (InvalidClient, "invalid_client"),
    (Unauthorized, "invalid_token"),
    (Forbidden, "insufficient_scope"),
    (RateLimited, "temporarily_unavailable"),
    (Unavailable, "temporarily_unavailable"),
    (HubError, "invalid_request"),
)
"""The ``error`` of OAuth (RFC 6749 sections 4.1.2.1 and 5.2, RFC 6750 section 3.1) for ours; the
first that fits counts."""


def problem(error: HubError, status: int | None = None) -> web.Response:
    """Return the answer to an error, by default with the error's own status."""
    view = view_problem(error, status or error.status)
    return render(view.status, msgspec.json.encode(view), CONTENT_TYPE, _headers(error))


def oauth_error(error: HubError, status: int | None = None) -> web.Response:
    """Return the same in the form of RFC 6749 section 5.2."""
    name = next(name for kind, name in OAUTH_ERRORS if isinstance(error, kind))
    view = OAuthErrorView(name, error.detail or error.title)
    body = msgspec.json.encode(view)
    return render(status or error.status, body, OAUTH_CONTENT_TYPE, _headers(error))


def _headers(error: HubError) -> dict[str, str]:
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
