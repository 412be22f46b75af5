"""``POST /revoke``: the holder of a token ends its session (RFC 7009)."""

from __future__ import annotations

from typing import Annotated

import msgspec
from aiohttp import web
from msgspec import UNSET, UnsetType

from hub.access.keys import KeyUncertain, sparing_new_keys
from hub.access.requests import LogoutRequest, own_logout
from hub.api.answers import Answer
from hub.api.credentials import charge_call, read_ip
from hub.api.form import read_form
from hub.api.oauth import find_client
from hub.api.services import SERVICES
from hub.core.model import Identity, Scope
from hub.errors import (
    InvalidRequest,
    TokenExpired,
    TokenInvalid,
    TokenRevoked,
    TokenTooOld,
    Unauthorized,
    Unavailable,
)

DEAD = (TokenExpired, TokenRevoked, TokenTooOld)
"""Reasons to refuse a token that will never be accepted again."""


class RevocationForm(msgspec.Struct, frozen=True):
    """The form of a revocation. Other parameters are ignored."""

    token: Annotated[str, msgspec.Meta(min_length=1)]
    token_type_hint: str | UnsetType = UNSET
    client_id: str | UnsetType = UNSET
    client_secret: str | UnsetType = UNSET


class Revoked(Answer, frozen=True):
    """200 with an empty body: the token is not accepted from now on."""


async def post_revoke(request: web.Request) -> Revoked:
    """End the session of a token, as ``POST /logout`` with scope ``session`` does.

    A token that is not accepted anyway needs no write. Every response except 503 and 429 promises
    that the token is not accepted from now on.
    """
    form = await read_form(request, RevocationForm)
    client = find_client(request, form)
    if (token := form.get("token")) is None:
        raise InvalidRequest("token is missing")
    services = request.app[SERVICES]
    try:
        # No 200 if the token may be accepted once its key is fetched.
        with sparing_new_keys():
            identity = await services.authority.identify(token)
    except KeyUncertain as error:
        if client is None:
            raise
        raise error.of_somebody_else() from None
    except TokenInvalid:
        if client is None:
            # The response is the same for right and wrong guesses, but guesses are limited.
            services.limits.charge_refused(read_ip(request))
        return Revoked()
    if client is None:
        charge_call(request, identity)
    await _end(request, identity, "user" if client is None else f"client:{client}")
    return Revoked()


async def _end(request: web.Request, identity: Identity, by: str) -> None:
    command = own_logout(identity, LogoutRequest(scope=Scope.SESSION))
    # Such a token is accepted once its session has presented a newer one, unless it says when its
    # login began.
    may_return = identity.login_at is None
    try:
        await request.app[SERVICES].logouts.write_own(
            identity, command, read_ip(request), by, may_be_too_old=may_return
        )
    except DEAD:
        return
    except Unauthorized as error:
        # No 200: the token would be accepted later.
        raise Unavailable(
            "the token is not valid yet, and cannot be revoked before it is",
            retry_after=error.retry_after,
        ) from None
