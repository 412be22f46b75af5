"""``/verify``: forward authentication, for reverse proxies that ask before each request."""

from __future__ import annotations

from urllib.parse import quote

import structlog
from aiohttp import web

from hub.access.authority import Caller
from hub.access.client import refuse_query_token
from hub.access.original import is_navigation, login_address, read_original
from hub.access.repeated_warnings import RepeatedWarnings
from hub.api.answers import Answer, NoContent
from hub.api.credentials import admit_for_proxy, note_refusal
from hub.api.services import SERVICES
from hub.core.model import SECOND
from hub.errors import InvalidRequest, Unauthorized

log = structlog.get_logger(__name__)

PATH = "/verify"
PATHS = frozenset({PATH, f"{PATH}/{{path}}"})
"""The routes, as the router names them."""

HEADERS = ("X-Auth-User", "X-Auth-Session", "X-Auth-Issuer")
"""The caller's identity; set on every answer, so that a proxy overwrites what a client sent."""

SHOWN_REFUSALS = web.AppKey("shown_refusals", RepeatedWarnings)
"""Keeps refusals from filling the log: one of each code is logged per minute."""

# Visible ASCII is not encoded, except the percent sign. Anything else is unsafe in a header:
# surrounding spaces would be stripped in transit, so that two users became one.
SAFE = "".join(map(chr, range(0x21, 0x7F))).replace("%", "")


class Accepted(Answer, frozen=True):
    """200 instead of 204: Envoy lets a request through only on 200."""

    status = 200


class ToLogin(Answer, frozen=True):
    """303 to a login page, for a browser that navigates to a page."""

    status = 303


async def verify(request: web.Request) -> NoContent | Accepted | ToLogin:
    """Return the caller's identity, in headers for the backend behind the proxy.

    No body is read. ``?redirect=`` names a login page of HUB_VERIFY_REDIRECTS, to which a browser
    is redirected instead of being refused.

    Raises:
        InvalidRequest: when there is no such page, or the query string contains a token.
        Unauthorized, Unavailable: as `Authority.admit` does.
    """
    refuse_query_token(request.query)
    login = _find_login(request)
    if login is None:
        return NoContent(headers=await _identify(request, request.path_qs))
    try:
        return Accepted(headers=await _identify(request, request.path_qs))
    except Unauthorized as refusal:
        if not is_navigation(request.headers):
            raise
        note_refusal(request, refusal)
        original = read_original(request.headers, request.method, "")
        url = original.find_url(request.app[SERVICES].settings.allowed_origins)
        return ToLogin(headers={"Location": login_address(login, url)})


async def verify_path(request: web.Request) -> Accepted:
    """Do the same for a proxy that appends the path of the app's request to ``/verify``.

    That path and the query have no effect here.
    """
    return Accepted(headers=await _identify(request, request.path_qs.removeprefix(PATH)))


def _find_login(request: web.Request) -> str | None:
    logins = request.app[SERVICES].settings.login_pages
    names = request.query.getall("redirect", [])
    # Without a list there is no such parameter. Some proxies add the query of the app's URL.
    if not names or not logins:
        return None
    if len(names) > 1 or names[0] not in logins:
        raise InvalidRequest("redirect is not a name of HUB_VERIFY_REDIRECTS")
    return logins[names[0]]


async def _identify(request: web.Request, target: str) -> dict[str, str]:
    """Return the headers that identify the caller, and say how long they may be cached.

    ``target`` is the path that is logged, unless the proxy's headers name it.
    """
    try:
        caller = await admit_for_proxy(request)
    except Unauthorized as refusal:
        if request.app[SHOWN_REFUSALS].is_due(refusal.code):
            original = read_original(request.headers, request.method, target)
            log.info("refused at /verify", code=refusal.code, **original.describe())
        raise
    identity = caller.identity
    values = (identity.sub, identity.sid, identity.iss)
    named = {name: quote(value, safe=SAFE) for name, value in zip(HEADERS, values, strict=True)}
    return named | _allow_caching(caller, request.app[SERVICES].settings.verify_cache)


def _allow_caching(caller: Caller, most: int) -> dict[str, str]:
    """Return the headers that let a proxy cache the verdict, until the token expires at most."""
    seconds = min(most, (caller.until - caller.state.now) // SECOND)
    if seconds < 1:
        return {}
    # nginx caches nothing private, unless its own header comes first.
    return {"X-Accel-Expires": str(seconds), "Cache-Control": f"private, max-age={seconds}"}
