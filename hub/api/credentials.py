"""Who sends a request: the bearer token or the cookie, and for the cookie the origin."""

from __future__ import annotations

import hmac

from aiohttp import web

from hub.access.authority import Caller
from hub.access.client import read_client, read_cookie, refuse_query_token
from hub.api.parts import PARTS
from hub.core.model import Identity
from hub.errors import (
    Forbidden,
    InvalidRequest,
    OriginNotAllowed,
    TokenInvalid,
    TokenMissing,
    TokenRevoked,
)

JWT_DOTS = 2
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
    settings = request.app[PARTS].settings
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
    return await request.app[PARTS].authority.admit(read_token(request))


async def identify(request: web.Request) -> Identity:
    """Return who signed for the caller's token, which need not be alive."""
    identity = await request.app[PARTS].authority.identify(read_token(request))
    _count(request, identity)
    return identity


def _count(request: web.Request, identity: Identity) -> None:
    """Count a call of a session.

    Raises:
        RateLimited: when there were too many.
    """
    key = f"{identity.user} {identity.sid}"
    request.app[PARTS].limits.calls.take(key, source=identity.user)


async def register(request: web.Request) -> Caller:
    """Return the caller, alive, and note that its session showed itself."""
    parts = request.app[PARTS]
    identity = await identify(request)
    client = read_client(request.headers, request.remote, parts.trusted)
    return await parts.authority.register(identity, client)


async def admit_or_repeat(request: web.Request) -> tuple[Identity, TokenRevoked | None]:
    """Return the caller, also one whose session is over, with why: it may only ask after that."""
    try:
        return (await admit(request)).identity, None
    except TokenRevoked as refusal:
        return await identify(request), refusal


async def require_admin(request: web.Request) -> None:
    """Let administrators through: by the admin token, or by a JWT with its scope.

    Raises:
        Forbidden: when the caller is somebody else.
    """
    if not _has_admin_token(request) and read_token(request).count(".") != JWT_DOTS:
        raise TokenInvalid("neither the hub's HUB_ADMIN_TOKEN nor a signed JWT")
    if not await _is_administrator(request):
        raise Forbidden("administrators only")


async def is_admin(request: web.Request) -> bool:
    """Tell whether the caller is an administrator; one whose session is over is not."""
    try:
        return await _is_administrator(request)
    except TokenRevoked:
        return False


async def _is_administrator(request: web.Request) -> bool:
    limit = request.app[PARTS].limits.admin
    if _has_admin_token(request):
        limit.take("HUB_ADMIN_TOKEN")
        return True
    caller = await admit_uncounted(request)
    if caller.is_admin:
        limit.take(caller.identity.user)
    else:
        _count(request, caller.identity)
    return caller.is_admin


def _has_admin_token(request: web.Request) -> bool:
    token, expected = read_token(request), request.app[PARTS].settings.admin_token
    return expected is not None and hmac.compare_digest(
        token.encode(errors="surrogateescape"), expected.get_secret_value().encode()
    )


def idempotency_key(request: web.Request) -> str | None:
    """Return the ``Idempotency-Key`` header.

    Raises:
        InvalidRequest: when it is empty, longer than 256 or not printable.
    """
    key = request.headers.get("Idempotency-Key")
    if key is not None and not (0 < len(key) <= 256 and key.isprintable()):
        raise InvalidRequest("Idempotency-Key is not 1 to 256 printable characters")
    return key
