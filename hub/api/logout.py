"""``POST /logout`` and ``DELETE /sessions/{sid}``: a person ends sessions of their own."""

from __future__ import annotations

from aiohttp import web

from hub.access.authority import Caller
from hub.access.requests import LogoutRequest, own_logout, read_request
from hub.api.credentials import admit, idempotency_key
from hub.api.parts import PARTS
from hub.api.problem import render
from hub.core.model import Scope
from hub.core.revocation import ends
from hub.core.wire import describe_receipt
from hub.errors import NotFound
from hub.settings import Settings

# Never "cache" or "*": clearing the cache stalls browsers for seconds.
CLEAR_SITE_DATA = '"cookies", "storage"'
MAX_SID = 256


async def post_logout(request: web.Request) -> web.Response:
    """End sessions of the caller: this one, the others, or all."""
    caller = await admit(request)
    body = read_request(LogoutRequest, await request.read())
    return await _end(request, caller, body)


async def delete_session(request: web.Request) -> web.Response:
    """End one session of the caller, by its id."""
    caller = await admit(request)
    sid = request.match_info["sid"]
    if len(sid) > MAX_SID:
        raise NotFound("no such session")
    return await _end(request, caller, LogoutRequest(scope=Scope.SESSION, sid=sid))


async def _end(request: web.Request, caller: Caller, body: LogoutRequest) -> web.Response:
    parts = request.app[PARTS]
    command = own_logout(caller.identity, body, idempotency_key(request))
    receipt = await parts.logouts.write(command, "user")
    answer = render(describe_receipt(receipt))
    if ends(receipt.logout, caller.identity.sid):
        answer.headers["Clear-Site-Data"] = CLEAR_SITE_DATA
        _delete_cookie(answer, parts.settings)
    return answer


def _delete_cookie(answer: web.Response, settings: Settings) -> None:
    if settings.cookie_name is None:
        return
    answer.del_cookie(
        settings.cookie_name,
        domain=settings.cookie_domain,
        path="/",
        httponly=True,
        samesite="Lax",
        # A prefixed name is only accepted with Secure (RFC 6265bis section 4.1.3); another one
        # is deleted without it on http and https alike.
        secure=settings.cookie_name.startswith(("__Host-", "__Secure-")),
    )
