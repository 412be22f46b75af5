"""``POST /backchannel-logout``: an identity provider ends sessions (OpenID Connect)."""

from __future__ import annotations

import msgspec
from aiohttp import web

from hub.api.answers import Answer
from hub.api.credentials import read_ip
from hub.api.form import read_form
from hub.api.services import SERVICES
from hub.core.refusal import SignalRefused
from hub.core.signal import Channel
from hub.errors import InvalidRequest


class LogoutTokenForm(msgspec.Struct, frozen=True):
    """The form of a back-channel logout (section 2.5). Other parameters are ignored."""

    logout_token: str


class LoggedOut(Answer, frozen=True):
    """200 with an empty body: the logout is stored, or there is no such session (section 2.8)."""


async def post_backchannel_logout(request: web.Request) -> LoggedOut:
    """End the session, or all sessions of the user, that a logout token names."""
    token = (await read_form(request, LogoutTokenForm)).get("logout_token")
    if token is None:
        raise InvalidRequest("logout_token is missing")
    services = request.app[SERVICES]
    try:
        signal = await services.issuers.verify_logout_token(token, services.signals.now)
        await services.signals.take(signal, Channel.BACKCHANNEL, signal.origin.by)
    except SignalRefused as error:
        services.signals.refuse(Channel.BACKCHANNEL, error, read_ip(request))
        raise
    return LoggedOut()
