"""Errors as problem details (RFC 9457)."""

from __future__ import annotations

import math
from typing import Any

import msgspec
from aiohttp import web

from hub.core.wire import describe_logout
from hub.errors import HubError, LoginRequired, TokenMissing, Unauthorized

RETRY_AFTER = 1


def render(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    """Return a JSON answer."""
    return web.Response(
        body=msgspec.json.encode(body),
        status=status,
        content_type="application/json",
        headers=headers,
    )


def problem(error: HubError, status: int | None = None) -> web.Response:
    """Return an error's answer; a logout that explains a refusal is told with it."""
    body: dict[str, Any] = {
        "type": f"urn:logout-hub:error:{error.code}",
        "title": error.title,
        "status": status or error.status,
        "detail": error.detail or error.title,
        "code": error.code,
    }
    if error.logout is not None:
        told = describe_logout(error.logout)
        body |= {name: told[name] for name in ("id", "scope", "reason", "message", "at")}
    if isinstance(error, LoginRequired):
        body["reauthenticate"] = True
    if error.retryable:
        body["retryable"] = True
    headers = {}
    if isinstance(error, Unauthorized):
        headers["WWW-Authenticate"] = 'Bearer realm="logout-hub"' + _challenge(error)
    if error.retryable or error.retry_after is not None:
        headers["Retry-After"] = str(max(RETRY_AFTER, math.ceil(error.retry_after or 0)))
    answer = render(body, status or error.status, headers)
    answer.content_type = "application/problem+json"
    return answer


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
