"""``GET /sessions``: where am I logged in?"""

from __future__ import annotations

from aiohttp import web

from hub.api.credentials import register
from hub.api.parts import PARTS
from hub.api.problem import render
from hub.api.views import SessionsView, view_session


async def get_sessions(request: web.Request) -> web.Response:
    """Return the caller's sessions, this one among them."""
    identity = (await register(request)).identity
    sessions = await request.app[PARTS].authority.sessions(identity.user)
    return render(SessionsView([view_session(session, identity.sid) for session in sessions]))
