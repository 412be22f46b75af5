"""``POST /logout`` and ``DELETE /sessions/{sid}``: users end their own sessions."""

from __future__ import annotations

from http.cookies import SimpleCookie

from aiohttp import web

from hub.access.parameters import read_wait
from hub.access.requests import LogoutRequest, own_logout, read_request
from hub.access.views import ReceiptView, view_receipt
from hub.api.answers import Ok
from hub.api.body import read_body
from hub.api.credentials import idempotency_key, identify, read_ip
from hub.api.services import SERVICES
from hub.core.claims import is_name
from hub.core.model import Identity, Scope
from hub.core.revocation import ends
from hub.errors import NotFound, TokenRevoked
from hub.settings import Settings

# Never "cookies": that deletes the cookies of every site on the registrable domain (specification,
# section 3.1), so the hub deletes its own. Never "cache": that stalls browsers for seconds.
CLEAR_SITE_DATA = '"storage"'


async def post_logout(request: web.Request) -> Ok[ReceiptView]:
    """End sessions of the caller: this one, the others, or all."""
    caller = await identify(request)
    return await _end(request, caller, read_request(LogoutRequest, await read_body(request)))


async def delete_session(request: web.Request) -> Ok[ReceiptView]:
    """End one session of the caller, by its id."""
    caller = await identify(request)
    sid = request.match_info["sid"]
    if not is_name(sid):
        raise NotFound("no such session")
    return await _end(request, caller, LogoutRequest(scope=Scope.SESSION, sid=sid))


async def _end(request: web.Request, caller: Identity, body: LogoutRequest) -> Ok[ReceiptView]:
    services = request.app[SERVICES]
    command = own_logout(caller, body, idempotency_key(request))
    wait = read_wait(request.query.get("wait"))
    try:
        receipt = await services.logouts.write_own(caller, command, read_ip(request))
    except TokenRevoked as refusal:
        # If the response was lost, the client repeats the request, but its session is over.
        first = None if command.key is None else await services.logouts.recall(command)
        if first is None:
            raise refusal
        receipt = first
    if wait:
        receipt = await services.logouts.read_again(receipt, caller.user, wait)
    is_ended = ends(receipt.logout, caller.sid)
    return Ok(view_receipt(receipt), headers=_clearing(services.settings) if is_ended else {})


def _clearing(settings: Settings) -> dict[str, str]:
    """Return headers that make browsers clear the storage of the hub's origin, and its cookie."""
    headers = {"Clear-Site-Data": CLEAR_SITE_DATA}
    if settings.cookie_name is None:
        return headers
    cookie = SimpleCookie({settings.cookie_name: ""})
    cookie[settings.cookie_name].update(
        {
            "expires": "Thu, 01 Jan 1970 00:00:00 GMT",
            "domain": settings.cookie_domain or "",
            "path": "/",
            "max-age": "0",
            "httponly": "yes",
            "samesite": "Lax",
            # A prefixed name is only accepted with Secure (RFC 6265bis section 4.1.3); another one
            # is deleted without it on http and https alike.
            "secure": "yes" if settings.cookie_name.startswith(("__Host-", "__Secure-")) else "",
        }
    )
    return {**headers, "Set-Cookie": cookie[settings.cookie_name].OutputString()}
