"""``/admin/…``: what administrators do to others."""

from __future__ import annotations

import msgspec
from aiohttp import web

from hub.access.requests import (
    AdminLogoutRequest,
    admin_claim,
    admin_logouts,
    read_request,
    read_wait,
)
from hub.api.body import read_body
from hub.api.credentials import idempotency_key, require_admin
from hub.api.parts import PARTS
from hub.api.problem import render
from hub.api.views import SessionsView, view_many, view_session
from hub.core.model import user_key
from hub.core.wire import describe_receipt
from hub.errors import NotFound

MAX_BODY = 4 * 1024 * 1024
MAX_NAME = 256


async def post_logout(request: web.Request) -> web.Response:
    """End the sessions of one user, of several, or of everyone."""
    await require_admin(request)
    parts = request.app[PARTS]
    # Long lists of users are only read once it is known that an administrator sends them.
    asked = read_request(AdminLogoutRequest, await read_body(request, MAX_BODY))
    key, wait = idempotency_key(request), read_wait(request.query.get("wait"))
    commands = admin_logouts(asked, parts.settings.jwt_issuer or "", key)
    receipts = await parts.logouts.write_all(commands, admin_claim(asked, key))
    # The last of them, as a receipt of several is read.
    newest = max(receipts, key=lambda receipt: receipt.logout.at)
    receipt = msgspec.structs.replace(
        newest,
        sessions=tuple(outcome for one in receipts for outcome in one.sessions),
        users=len(receipts),
    )
    if asked.user is None or wait:
        user = newest.logout.user if asked.user else None
        receipt = await parts.logouts.read_again(receipt, user, wait)
    return render(view_many(receipt) if asked.user is None else describe_receipt(receipt))


async def get_sessions(request: web.Request) -> web.Response:
    """Return any user's sessions; ``?iss=`` names another issuer than the hub's."""
    await require_admin(request)
    parts = request.app[PARTS]
    name, iss = request.match_info["user"], request.query.get("iss", parts.settings.jwt_issuer)
    if max(len(name), len(iss or "")) > MAX_NAME or not (name + (iss or "")).isprintable():
        raise NotFound("no such user")
    sessions = await parts.authority.sessions(user_key(iss or "", name))
    return render(SessionsView([view_session(session, None) for session in sessions]))
