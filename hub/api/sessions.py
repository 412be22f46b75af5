"""``GET /sessions``: where the caller is logged in."""

from __future__ import annotations

from aiohttp import web

from hub.api.answers import Ok
from hub.api.credentials import register
from hub.api.services import SERVICES
from hub.api.views import SessionsView, view_session


async def get_sessions(request: web.Request) -> Ok[SessionsView]:
    """Return all sessions of the caller, including this one."""
    identity = (await register(request)).identity
    sessions = await request.app[SERVICES].authority.sessions(identity.user)
    return Ok(SessionsView([view_session(session, identity.sid) for session in sessions]))
