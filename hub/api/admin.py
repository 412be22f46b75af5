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
from hub.api.credentials import idempotency_key, read_ip, require_admin
from hub.api.parts import PARTS
from hub.api.problem import render
from hub.api.views import SessionsView, view_many, view_session
from hub.core.claims import is_name
from hub.core.model import Receipt, user_key
from hub.core.rights import Right
from hub.core.wire import describe_receipt
from hub.errors import Forbidden, NotFound

MAX_BODY = 4 * 1024 * 1024


async def post_logout(request: web.Request) -> web.Response:
    """End the sessions of one user, of several, or of everyone."""
    administrator = await require_admin(request, Right.LOGOUT)
    parts = request.app[PARTS]
    # Long lists of users are only read once it is known that an administrator sends them.
    asked = read_request(AdminLogoutRequest, await read_body(request, MAX_BODY))
    if administrator.one_user and asked.user is None:
        raise Forbidden("the scope hub:support is for one user at a time")
    key, wait = idempotency_key(request), read_wait(request.query.get("wait"))
    iss, warning = ("", None) if asked.everyone else parts.issuers.resolve(asked.iss)
    commands = admin_logouts(asked, iss, key)
    receipts = await parts.logouts.write_all(
        commands, admin_claim(asked, key), administrator.name, read_ip(request)
    )
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
    answer = describe_receipt(receipt)
    if asked.user is None:
        answer = msgspec.to_builtins(view_many(receipt))
    return render(
        {**answer, "warnings": [text for text in (warning, _met_nobody(asked, receipt)) if text]}
    )


def _met_nobody(asked: AdminLogoutRequest, receipt: Receipt) -> str | None:
    if asked.everyone or receipt.sessions:
        return None
    return "nobody was met: no session of this name is known, and one that shows up is refused"


async def get_sessions(request: web.Request) -> web.Response:
    """Return any user's sessions; ``?iss=`` names another issuer than the hub's."""
    await require_admin(request, Right.READ)
    parts = request.app[PARTS]
    name, named = request.match_info["user"], request.query.get("iss")
    if not is_name(name) or not is_name(named or "-"):
        raise NotFound("no such user")
    iss, _ = parts.issuers.resolve(named)
    sessions = await parts.authority.sessions(user_key(iss, name))
    return render(SessionsView([view_session(session, None) for session in sessions]))
