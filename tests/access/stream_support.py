"""What the tests of transmitters share: settings for the transmitter for tests, and a receiver."""

from __future__ import annotations

from typing import Any

import jwt
import msgspec

from hub.access.transmitter import TransmitterClient
from hub.core.refusal import Refusal, SignalRefused
from hub.core.tokens import Rules
from hub.core.transmitters import Access, Delivery, Transmitter, locate_configuration
from hub.errors import Unavailable
from tests import ssf_transmitter


def settings_for(served: ssf_transmitter.Transmitter, **changes: Any) -> Transmitter:
    """Return the settings for a running transmitter: polled, with its bearer token."""
    usual = Transmitter(
        rules=Rules(
            algorithms=("RS256",), max_lifetime=0, issuer=served.iss, audience=(served.aud,)
        ),
        configuration_url=locate_configuration(served.iss),
        delivery=Delivery.POLL,
        issuer="https://id.example",
        subjects=("opaque",),
        access=Access(token=served.bearer),
        poll_interval=1.0,
    )
    return msgspec.structs.replace(usual, **changes)


def credentials(served: ssf_transmitter.Transmitter) -> Access:
    """Return client credentials for a running transmitter."""
    return Access(
        client_id=served.client_id,
        client_secret=served.client_secret,
        token_url=served.token_url,
        scope="ssf.read ssf.manage",
    )


class Taker:
    """Takes events: looks whether they are tokens, and notes each time that one is written."""

    def __init__(self) -> None:
        self.written: list[str] = []
        self.is_down = False

    async def take(self, transmitter: Transmitter, token: str) -> None:
        """Write an event, unless it is malformed or the store is down."""
        try:
            claims = jwt.decode(token, options={"verify_signature": False})
        except jwt.DecodeError as error:
            raise SignalRefused(Refusal.MALFORMED, str(error)) from None
        if self.is_down:
            raise Unavailable("the store did not answer")
        self.written.append(claims["jti"])


def client_of(served: ssf_transmitter.Transmitter, **changes: Any) -> TransmitterClient:
    """Return a client of a running transmitter."""
    return TransmitterClient(settings_for(served, **changes))
