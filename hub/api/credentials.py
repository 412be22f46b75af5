"""Who sends a request: the bearer token or the cookie, and for the cookie the origin."""

from __future__ import annotations

from aiohttp import web

from hub.access.administrators import Administrator, administrator_of
from hub.access.authority import Caller
from hub.access.client import read_client, read_cookie, refuse_query_token
from hub.api.services import SERVICES
from hub.core.model import Identity
from hub.core.rights import Right
from hub.errors import (
    Forbidden,
    InvalidRequest,
    OriginNotAllowed,
    TokenInvalid,
    TokenMissing,
    TokenRevoked,
)

JWT_DOTS = 2
ADMINISTRATOR = web.RequestKey("administrator", str)
"""Under which a request keeps the name of the administrator whose credential it has."""

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


def read_token(request: web.Request) -> str:
    """Return the token of a request.

    Raises:
        TokenMissing: when there is none.
        InvalidRequest: when it stands in the query string, where logs would keep it.
        OriginNotAllowed: when a cookie would change something, asked for by another site.
    """
    refuse_query_token(request.query)
    scheme, _, bearer = request.headers.get("Authorization", "").partition(" ")
    if scheme:
        if scheme.lower() != "bearer" or not bearer.strip():
            raise TokenMissing("Authorization is not of the form Bearer TOKEN")
        return bearer.strip()
    settings = request.app[SERVICES].settings
    name = settings.cookie_name
    cookie = read_cookie(request.headers, name) if name else None
    if not cookie:
        raise TokenMissing()
    if request.method not in SAFE_METHODS and not _is_own_site(request, settings.allowed_origins):
        raise OriginNotAllowed(request.headers.get("Origin"))
    return cookie


def _is_own_site(request: web.Request, allowed: tuple[str, ...]) -> bool:
    origin = request.headers.get("Origin")
    if origin is not None and origin.lower() in allowed:
        return True
    return request.headers.get("Sec-Fetch-Site") == "same-origin"


async def admit(request: web.Request) -> Caller:
    """Return the caller, alive; raises as `Authority.admit`, `read_token` and `_count` do."""
    caller = await admit_uncounted(request)
    _count(request, caller.identity)
    return caller


async def admit_uncounted(request: web.Request) -> Caller:
    """Return the caller, alive, however often it calls: for proxies that ask at each request."""
    return await request.app[SERVICES].authority.admit(read_token(request))


async def identify(request: web.Request) -> Identity:
    """Return who signed for the caller's token, which need not be alive."""
    identity = await request.app[SERVICES].authority.identify(read_token(request))
    _count(request, identity)
    return identity


def _count(request: web.Request, identity: Identity) -> None:
    """Count a call of a session.

    Raises:
        RateLimited: when there were too many.
    """
    key = f"{identity.user} {identity.sid}"
    request.app[SERVICES].limits.calls.take(key, source=identity.user)


def read_ip(request: web.Request) -> str:
    """Return the address that a request comes from, as far as it is believed."""
    return read_client(request.headers, request.remote, request.app[SERVICES].trusted).ip


async def register(request: web.Request) -> Caller:
    """Return the caller, alive, and note that its session showed itself."""
    services = request.app[SERVICES]
    identity = await identify(request)
    client = read_client(request.headers, request.remote, services.trusted)
    return await services.authority.register(identity, client)


async def admit_or_repeat(request: web.Request) -> tuple[Identity, TokenRevoked | None]:
    """Return the caller, also one whose session is over, with why: it may only ask after that."""
    try:
        return (await admit(request)).identity, None
    except TokenRevoked as refusal:
        return await identify(request), refusal


async def require_admin(request: web.Request, *rights: Right) -> Administrator:
    """Let administrators through who have one of ``rights``; asked for none, who have all.

    Raises:
        Forbidden: when the caller is somebody else, or may not do this.
    """
    administrator = await _find_administrator(request)
    if administrator is None:
        raise Forbidden("administrators only")
    if not administrator.may(*rights):
        needed = " or ".join(rights) or "every scope"
        raise Forbidden(f"this credential has not the scope that it takes: {needed}")
    return administrator


async def is_admin(request: web.Request, *rights: Right) -> bool:
    """Tell whether the caller is an administrator for all users who has one of ``rights``.

    One whose session is over is not.

    Raises:
        Forbidden: when it is a credential of an administrator's, for something else.
    """
    administrator = request.app[SERVICES].administrators.find(read_token(request))
    if administrator is not None:
        return bool(await require_admin(request, *rights))
    try:
        administrator = await _find_administrator(request)
    except TokenRevoked:
        return False
    return administrator is not None and not administrator.one_user and administrator.may(*rights)


async def _find_administrator(request: web.Request) -> Administrator | None:
    services = request.app[SERVICES]
    administrator = services.administrators.find(read_token(request))
    if administrator is None:
        if read_token(request).count(".") != JWT_DOTS:
            raise TokenInvalid("neither a credential of this hub's for administrators, nor a JWT")
        caller = await admit_uncounted(request)
        administrator = administrator_of(caller)
        if administrator is None:
            _count(request, caller.identity)
            return None
    # For the audit log, whatever becomes of the call.
    request[ADMINISTRATOR] = administrator.name
    services.limits.admin.take(administrator.name)
    return administrator


def idempotency_key(request: web.Request) -> str | None:
    """Return the ``Idempotency-Key`` header.

    Raises:
        InvalidRequest: when it is empty, longer than 256, or not printable ASCII.
    """
    key = request.headers.get("Idempotency-Key")
    if key is not None and not (0 < len(key) <= 256 and key.isascii() and key.isprintable()):
        raise InvalidRequest("Idempotency-Key is not 1 to 256 printable ASCII characters")
    return key
