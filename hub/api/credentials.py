"""Authenticates requests: by bearer token, or by cookie from an allowed origin."""

from __future__ import annotations

from aiohttp import web

from hub.access.administrators import Administrator, administrator_of
from hub.access.authority import Caller
from hub.access.client import read_client, read_cookie, refuse_query_token
from hub.access.limits import address_key
from hub.api.services import SERVICES
from hub.core.model import Identity
from hub.core.rights import Right
from hub.errors import (
    Forbidden,
    HubError,
    InvalidRequest,
    OriginNotAllowed,
    TokenInvalid,
    TokenMissing,
    TokenRevoked,
)

JWT_DOTS = 2
ADMINISTRATOR = web.RequestKey("administrator", str)
"""The name of the administrator who sent a request, kept for the audit log."""

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


def read_token(request: web.Request) -> str:
    """Return the token of a request.

    Raises:
        TokenMissing: when there is none.
        InvalidRequest: when it is in the query string, which ends up in logs.
        OriginNotAllowed: when a cookie would authorize a change requested by another site.
    """
    refuse_query_token(request.query)
    token = _read_bearer(request)
    if token is not None:
        return token
    cookie = _read_cookie(request)
    allowed = request.app[SERVICES].settings.allowed_origins
    if request.method not in SAFE_METHODS and not _is_own_site(request, allowed):
        raise OriginNotAllowed(request.headers.get("Origin"))
    return cookie


def _read_bearer(request: web.Request) -> str | None:
    scheme, _, bearer = request.headers.get("Authorization", "").partition(" ")
    if not scheme:
        return None
    if scheme.lower() != "bearer" or not bearer.strip():
        raise TokenMissing("Authorization is not of the form Bearer TOKEN")
    return bearer.strip()


def _read_cookie(request: web.Request) -> str:
    name = request.app[SERVICES].settings.cookie_name
    cookie = read_cookie(request.headers, name) if name else None
    if not cookie:
        raise TokenMissing()
    return cookie


def _is_own_site(request: web.Request, allowed: tuple[str, ...]) -> bool:
    origin = request.headers.get("Origin")
    if origin is not None and origin.lower() in allowed:
        return True
    return request.headers.get("Sec-Fetch-Site") == "same-origin"


async def admit(request: web.Request) -> Caller:
    """Return the caller, whose session is alive, and count the call towards its limit.

    Raises as `Authority.admit` and `read_token` do, and `RateLimited`.
    """
    caller = await request.app[SERVICES].authority.admit(read_token(request))
    charge_call(request, caller.identity)
    return caller


async def admit_for_proxy(request: web.Request) -> Caller:
    """Return the caller, whose session is alive, for a proxy that asks before each request.

    There is no limit, and a cookie is accepted from any origin: the proxy passes on the method and
    the cookie of the app's request, and nothing is changed here. The app checks the origin.

    Raises as `Authority.admit` does, and `TokenMissing`.
    """
    token = _read_bearer(request) or _read_cookie(request)
    return await request.app[SERVICES].authority.admit(token)


async def identify(request: web.Request) -> Identity:
    """Return the identity in the token, whether its session is alive or not, and count the call."""
    identity = await request.app[SERVICES].authority.identify(read_token(request))
    charge_call(request, identity)
    return identity


def charge_call(request: web.Request, identity: Identity) -> None:
    """Count a call of a session towards its limit.

    Raises:
        RateLimited: when there were too many.
    """
    key = f"{identity.user} {identity.sid}"
    request.app[SERVICES].limits.calls.take(key, source=identity.user)


def note_refusal(request: web.Request, error: HubError) -> None:
    """Record refused credentials in the audit log, where they are counted by address."""
    audit = request.app[SERVICES].audit
    if audit.is_on:
        audit.refused(error.code, address_key(read_ip(request)))


def read_ip(request: web.Request) -> str:
    """Return the client's address; ``X-Forwarded-For`` is only believed from trusted proxies."""
    return read_client(request.headers, request.remote, request.app[SERVICES].trusted).ip


async def register(request: web.Request) -> Caller:
    """Return the caller, whose session is alive, and register the session."""
    services = request.app[SERVICES]
    identity = await identify(request)
    client = read_client(request.headers, request.remote, services.trusted)
    return await services.authority.register(identity, client)


async def admit_or_explain(request: web.Request) -> tuple[Identity, TokenRevoked | None]:
    """Return the caller, and why it is refused if its session was ended.

    The receipt of the logout that ended a session may still be read by that session.
    """
    try:
        return (await admit(request)).identity, None
    except TokenRevoked as refusal:
        return await identify(request), refusal


async def require_admin(request: web.Request, *rights: Right) -> Administrator:
    """Return the calling administrator, who must have one of ``rights``, or all if none is given.

    Raises:
        Forbidden: when the caller is no administrator, or may not do this.
    """
    administrator = await _admit_administrator(request)
    if administrator is None:
        raise Forbidden("administrators only")
    if not administrator.may(*rights):
        needed = " or ".join(rights) or "every scope"
        raise Forbidden(f"this credential lacks the scope {needed}")
    return administrator


async def is_admin(request: web.Request, *rights: Right) -> bool:
    """Return whether the caller is an administrator of all users with one of ``rights``.

    A token whose session was ended is not an administrator's.

    Raises:
        Forbidden: when the credential is an administrator's, but lacks these rights.
    """
    administrator = request.app[SERVICES].administrators.find(read_token(request))
    if administrator is not None:
        return bool(await require_admin(request, *rights))
    try:
        administrator = await _admit_administrator(request)
    except TokenRevoked:
        return False
    return administrator is not None and not administrator.one_user and administrator.may(*rights)


async def _admit_administrator(request: web.Request) -> Administrator | None:
    """Return the calling administrator, or None; count the call, and keep the name for the log."""
    administrator = await find_administrator(request, read_token(request))
    if administrator is not None:
        # The middleware writes it to the audit log, also if the call is refused.
        request[ADMINISTRATOR] = administrator.name
        request.app[SERVICES].limits.admin.take(administrator.name)
    return administrator


async def find_administrator(request: web.Request, token: str) -> Administrator | None:
    """Return the administrator whose credential or JWT this is, without counting the call.

    Returns None for a user's JWT whose session is alive, and counts that call.

    Raises:
        TokenInvalid: when it is neither.
        Unauthorized, Unavailable: as `Authority.admit` does.
    """
    services = request.app[SERVICES]
    administrator = services.administrators.find(token)
    if administrator is not None:
        return administrator
    if token.count(".") != JWT_DOTS:
        raise TokenInvalid("neither a credential of this hub's for administrators, nor a JWT")
    caller = await services.authority.admit(token)
    administrator = administrator_of(caller)
    if administrator is None:
        charge_call(request, caller.identity)
    return administrator


def is_on_admin_listener(request: web.Request) -> bool:
    """Return whether a request arrived on the admin listener, or there is only one listener."""
    ports = request.app[SERVICES].admin_ports
    name = None if request.transport is None else request.transport.get_extra_info("sockname")
    return not ports or (name is not None and name[1] in ports)


def idempotency_key(request: web.Request) -> str | None:
    """Return the ``Idempotency-Key`` header.

    Raises:
        InvalidRequest: when it is empty, longer than 256, or not printable ASCII.
    """
    key = request.headers.get("Idempotency-Key")
    if key is not None and not (0 < len(key) <= 256 and key.isascii() and key.isprintable()):
        raise InvalidRequest("Idempotency-Key is not 1 to 256 printable ASCII characters")
    return key
