"""What the OAuth endpoints have in common: authenticating the client, and its rate limit."""

from __future__ import annotations

from collections.abc import Mapping

from aiohttp import web

from hub.api.credentials import find_administrator, read_token
from hub.api.services import SERVICES
from hub.core.rights import Right
from hub.errors import Forbidden, InvalidClient


def find_client(request: web.Request, form: Mapping[str, str]) -> str | None:
    """Return the id of the calling client, or None if it did not authenticate; count the call.

    Raises:
        InvalidClient, InvalidRequest: as `Clients.authenticate` does.
        RateLimited: when it calls too often.
    """
    services = request.app[SERVICES]
    client = services.clients.authenticate(request.headers.get("Authorization"), form)
    if client is not None:
        services.limits.clients.take(f"client:{client}")
    return client


async def require_reader(request: web.Request, form: Mapping[str, str]) -> str:
    """Return the name of the client or administrator that may introspect, and count the call.

    Raises:
        InvalidClient: when it did not authenticate, or not as a configured client.
        Forbidden: when it is an administrator without the scope, or not an administrator.
        Unauthorized, Unavailable: as `find_administrator` does, for its bearer token.
        RateLimited: when it calls too often.
    """
    if not _is_bearer(request):
        client = find_client(request, form)
        if client is None:
            raise InvalidClient("introspection needs credentials")
        return client
    administrator = await find_administrator(request, read_token(request))
    if administrator is None or not administrator.may(Right.INTROSPECT):
        raise Forbidden(f"this credential lacks the scope {Right.INTROSPECT}")
    request.app[SERVICES].limits.clients.take(f"admin:{administrator.name}")
    return administrator.name


def _is_bearer(request: web.Request) -> bool:
    return request.headers.get("Authorization", "").partition(" ")[0].lower() == "bearer"
