"""``/admin/…``: what administrators do to others."""

from __future__ import annotations

from aiohttp import web

from hub.access.requests import AdminLogoutRequest, admin_logouts, read_request
from hub.api.credentials import idempotency_key, require_admin
from hub.api.parts import PARTS
from hub.api.problem import render
from hub.api.views import ManyReceiptView, SessionsView, view_session
from hub.core.model import Receipt, seconds, user_key
from hub.core.wire import describe_receipt
from hub.errors import NotFound

MAX_BODY = 4 * 1024 * 1024
MAX_NAME = 256


async def post_logout(request: web.Request) -> web.Response:
    """End the sessions of one user, of several, or of everyone."""
    await require_admin(request)
    parts = request.app[PARTS]
    # Long lists of users are only read once it is known that an administrator sends them.
    body = await request.clone(client_max_size=MAX_BODY).read()
    asked = read_request(AdminLogoutRequest, body)
    commands = admin_logouts(asked, parts.settings.jwt_issuer or "", idempotency_key(request))
    receipts = await parts.logouts.write_all(commands)
    if asked.user is not None:
        return render(describe_receipt(receipts[0]))
    return render(_view_many(receipts, everyone=asked.everyone))


async def get_sessions(request: web.Request) -> web.Response:
    """Return any user's sessions; ``?iss=`` names another issuer than the hub's."""
    await require_admin(request)
    parts = request.app[PARTS]
    name, iss = request.match_info["user"], request.query.get("iss", parts.settings.jwt_issuer)
    if max(len(name), len(iss or "")) > MAX_NAME or not (name + (iss or "")).isprintable():
        raise NotFound("no such user")
    sessions = await parts.authority.sessions(user_key(iss or "", name))
    return render(SessionsView([view_session(session, None) for session in sessions]))


def _view_many(receipts: list[Receipt], *, everyone: bool) -> ManyReceiptView:
    last = max((receipt.logout for receipt in receipts), key=lambda logout: logout.at)
    return ManyReceiptView(
        id=last.id,
        scope=last.scope.value,
        reason=last.reason.value,
        at=seconds(last.at),
        message=last.message,
        users=None if everyone else len(receipts),
        everyone=everyone,
    )
