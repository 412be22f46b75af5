"""The middleware: turns errors into responses, adds headers, counts and times out requests."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from functools import partial

import structlog
from aiohttp import web

from hub.access.client import read_client
from hub.access.keys import KeyUncertain
from hub.access.limits import GUESSES, address_key
from hub.aiohttp_internals import UNREADABLE_BODY
from hub.api.connection import add_common_headers
from hub.api.credentials import ADMINISTRATOR, is_on_admin_listener, note_refusal, read_ip
from hub.api.problem import oauth_error, problem
from hub.api.services import SERVICES
from hub.api.verify import HEADERS as VERIFIED_HEADERS
from hub.api.verify import PATHS as VERIFY_PATHS
from hub.core.preflight import ASKED_METHOD, is_preflight
from hub.core.rights import GUARD
from hub.errors import (
    Forbidden,
    HubError,
    InvalidClient,
    InvalidRequest,
    NotFound,
    OriginNotAllowed,
    PayloadTooLarge,
    RateLimited,
    Unauthorized,
    Unavailable,
)
from hub.protocol.engineio import PATH as SOCKETS_PATH

log = structlog.get_logger(__name__)

LISTENERS = web.AppKey("listeners", dict[str, str])
"""Which listener serves a path: ``public`` (the default), ``admin`` or ``both``."""

OAUTH_PATHS = web.AppKey("oauth_paths", frozenset[str])
"""The paths whose errors are in the format of OAuth (RFC 6749)."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

REQUEST_TIMEOUT = 15.0
ALLOWED_METHODS = "GET, POST, DELETE"
ALLOWED_HEADERS = "Authorization, Content-Type, Idempotency-Key, If-None-Match"
MAX_ASKED_HEADERS = 1024
"""The maximum length of the header names that a preflight for polling may request."""

NAMES = re.compile(r"[A-Za-z0-9-]+(?:, ?[A-Za-z0-9-]+)*")
EXPOSED_HEADERS = "ETag, Retry-After"


@web.middleware
async def answer_requests(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer every request, in bounded time, and count it by route.

    Requests for sockets have their own limits and metrics. This is a single middleware on purpose:
    split into three, it made every connect a tenth slower.
    """
    services, clock = request.app[SERVICES], asyncio.get_running_loop().time
    if services.admin_ports and _is_on_other_listener(request):
        handler = _find_nothing
    if _is_preflight(request):
        handler = _answer_preflight
    if request.path == SOCKETS_PATH:
        return await _answer_errors(request, handler)
    began = clock()
    answer = await _answer_errors(request, partial(_answer_in_time, handler))
    route = _route(request)
    if route in VERIFY_PATHS:
        for name in VERIFIED_HEADERS:
            answer.headers.setdefault(name, "")
    method = request.method if request.method in ("GET", "POST", "DELETE", "OPTIONS") else "other"
    services.metrics.requests.inc(method, route, str(answer.status))
    services.metrics.request_seconds.observe(clock() - began, method, route)
    if ADMINISTRATOR in request:
        _note_call(request, method, route, answer.status)
    if answer.status == 429:
        await services.limits.delay_refusal()
    return answer


def _note_call(request: web.Request, method: str, route: str, status: int) -> None:
    """Note an administrator's call in the audit log.

    Calls that have no limit, or exceed it, are only counted, so that they cannot fill the log.
    """
    audit, name, address = request.app[SERVICES].audit, request[ADMINISTRATOR], read_ip(request)
    if name == GUARD:
        audit.count("guard", str(status), address_key(address))
    elif status == RateLimited.status:
        audit.refused(RateLimited.code, address_key(address))
    else:
        audit.note("admin", name=name, address=address, method=method, route=route, status=status)


def _route(request: web.Request) -> str:
    """Return the path of the route that a request is for, or ``unknown``."""
    resource = request.match_info.route.resource
    return "unknown" if resource is None else resource.canonical


def _is_on_other_listener(request: web.Request) -> bool:
    """Return whether the route is only served on the other listener, public or admin."""
    on = request.app[LISTENERS].get(_route(request), "public")
    return on == ("public" if is_on_admin_listener(request) else "admin")


async def _find_nothing(request: web.Request) -> web.StreamResponse:
    raise NotFound("there is nothing at this address")


def _explain(
    request: web.Request, error: HubError, status: int | None = None
) -> web.StreamResponse:
    """Return the response to an error, in the format of this path."""
    is_oauth = _route(request) in request.app[OAUTH_PATHS]
    return (oauth_error if is_oauth else problem)(error, status)


def _refuse(request: web.Request, error: HubError) -> web.StreamResponse:
    """Answer bad credentials; an address that keeps sending them gets 429 and is disconnected.

    Only guesses count, not tokens that were once valid, since a whole company may share an address.
    ``/verify`` does not count either: there a proxy asks on behalf of everybody, also of people who
    have not logged in yet, and takes any status but 401 for a failure.
    """
    is_guess = isinstance(error, (*GUESSES, InvalidClient))
    is_counted = is_guess and _route(request) not in VERIFY_PATHS
    if not is_counted:
        return _explain(request, error)
    services = request.app[SERVICES]
    client = read_client(request.headers, request.remote, services.trusted)
    try:
        services.limits.charge_refused(client.ip)
    except RateLimited as limited:
        answer = _explain(request, limited)
        answer.force_close()
        return answer
    return _explain(request, error)


async def _answer_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Call the handler, and answer every error, an unexpected one as ``unavailable``."""
    try:
        return await handler(request)
    except (asyncio.CancelledError, ConnectionError):
        raise
    except Exception as error:
        try:
            return _answer_error(request, error)
        finally:
            # The request may refer to the error, as a path that is not found does, and the error's
            # traceback refers to the request: a cycle that would wait for the garbage collector.
            error.__traceback__ = None


def _answer_error(request: web.Request, error: Exception) -> web.StreamResponse:
    match error:
        case Unauthorized():
            note_refusal(request, error)
            return _refuse(request, error)
        case KeyUncertain():
            return _refuse(request, error)
        case HubError():
            if isinstance(error, Forbidden | OriginNotAllowed):
                note_refusal(request, error)
            return _explain(request, error)
        case TimeoutError():
            answer = _explain(request, InvalidRequest("the request took too long"), 408)
            answer.force_close()  # the rest of the request may still be on its way
            return answer
        case web.HTTPException():
            return _answer_http_error(request, error)
        case _ if isinstance(error, UNREADABLE_BODY):
            answer = _explain(
                request, InvalidRequest(f"the body cannot be read ({type(error).__name__})")
            )
            answer.force_close()  # where the next request begins is unknown
            return answer
    log.exception("a request could not be answered", path=request.path)
    return _explain(request, Unavailable("the hub failed"))


def _answer_http_error(request: web.Request, error: web.HTTPException) -> web.StreamResponse:
    match error:
        case web.HTTPRequestEntityTooLarge():
            return _explain(request, PayloadTooLarge())
        case web.HTTPMethodNotAllowed():
            refusal = InvalidRequest(f"{request.method} is not for this resource")
            answer = _explain(request, refusal, 405)
            answer.headers["Allow"] = error.headers["Allow"]
            return answer
        case web.HTTPNotFound():
            return _explain(request, NotFound("there is nothing at this address"))
    if error.status < 400:
        raise error
    kind = Forbidden if error.status == 403 else InvalidRequest
    return _explain(request, kind(error.reason), error.status)


def _is_preflight(request: web.Request) -> bool:
    """Return whether this is a CORS preflight, for the hub itself.

    At ``/verify`` a 204 means yes: a proxy that asks about its app's preflight must not get it.
    """
    asked = request.headers.get(ASKED_METHOD)
    return is_preflight(request.method, asked) and _route(request) not in VERIFY_PATHS


async def _answer_preflight(request: web.Request) -> web.StreamResponse:
    return web.Response(status=204)


async def _answer_in_time(handler: Handler, request: web.Request) -> web.StreamResponse:
    async with asyncio.timeout(REQUEST_TIMEOUT):
        return await handler(request)


async def add_headers(request: web.Request, answer: web.StreamResponse) -> None:
    """Add the headers of every response: no caching, and CORS for allowed origins."""
    add_common_headers(answer)
    headers = answer.headers
    own = headers.get("Vary")
    headers["Vary"] = "Origin, Cookie, Authorization" + (f", {own}" if own else "")
    origin = request.headers.get("Origin", "")
    if origin.lower() not in request.app[SERVICES].settings.allowed_origins:
        return
    headers["Access-Control-Allow-Origin"] = origin
    headers["Access-Control-Allow-Credentials"] = "true"
    headers["Access-Control-Expose-Headers"] = EXPOSED_HEADERS
    if request.method == "OPTIONS":
        headers["Access-Control-Allow-Methods"] = ALLOWED_METHODS
        headers["Access-Control-Allow-Headers"] = _allowed_headers(request)
        headers["Access-Control-Max-Age"] = "600"


def _allowed_headers(request: web.Request) -> str:
    """Return the headers that a page may send; polling clients may send any (``extraHeaders``)."""
    asked = request.headers.get("Access-Control-Request-Headers", "")
    if request.path != SOCKETS_PATH or not NAMES.fullmatch(asked, endpos=MAX_ASKED_HEADERS):
        return ALLOWED_HEADERS
    return f"{ALLOWED_HEADERS}, {asked}"
