"""``GET /session``: whether the caller is still logged in, for light polling."""

from __future__ import annotations

import hashlib

from aiohttp import web

from hub.api.answers import NotModified, Ok
from hub.api.credentials import register
from hub.api.views import OwnSessionView, view_own_session
from hub.errors import Unavailable


async def get_session(request: web.Request) -> Ok[OwnSessionView] | NotModified:
    """Return the caller's session, or 304 when it has not changed."""
    caller = await register(request)
    session = caller.state.session
    if session is None:
        raise Unavailable("the session could not be registered")
    view = view_own_session(session, caller.identity, caller.state.now)
    tag = _tag(view)
    if tag in request.headers.get("If-None-Match", ""):
        return NotModified(headers={"ETag": tag})
    return Ok(view, headers={"ETag": tag})


def _tag(view: OwnSessionView) -> str:
    # Weak, and without last_seen_at, which this very request moves (RFC 9110 section 8.8.1).
    parts = (view.iss, view.user, view.sid, view.device, view.ip, view.expires_at, view.online)
    return f'W/"{hashlib.sha256(repr(parts).encode()).hexdigest()[:22]}"'
