"""Errors as problem details (RFC 9457), and in the format of OAuth (RFC 6749)."""

from __future__ import annotations

import msgspec
from aiohttp import web

from hub.api.answers import render
from hub.api.views import OAuthErrorView
from hub.core.problem import CONTENT_TYPE, problem_headers, view_problem
from hub.errors import (
    Forbidden,
    HubError,
    InvalidClient,
    RateLimited,
    Unauthorized,
    Unavailable,
)

OAUTH_CONTENT_TYPE = "application/json"

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
    """Return the response to an error, by default with the error's own status."""
    view = view_problem(error, status or error.status)
    return render(view.status, msgspec.json.encode(view), CONTENT_TYPE, problem_headers(error))


def oauth_error(error: HubError, status: int | None = None) -> web.Response:
    """Return the same in the form of RFC 6749 section 5.2."""
    name = next(name for kind, name in OAUTH_ERRORS if isinstance(error, kind))
    view = OAuthErrorView(name, error.detail or error.title)
    body = msgspec.json.encode(view)
    return render(status or error.status, body, OAUTH_CONTENT_TYPE, problem_headers(error))
