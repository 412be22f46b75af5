"""``/.well-known/…``: what this hub receives and where, and the key that it signs with."""

from __future__ import annotations

import msgspec
from aiohttp import web
from msgspec import UNSET, UnsetType

from hub.api.answers import Ok
from hub.api.services import SERVICES
from hub.core.global_revocation import ASSERTION_TYPE
from hub.core.transmitters import Delivery
from hub.protocol.engineio import PATH as SOCKETS_PATH

KEYS_PATH = "/.well-known/jwks.json"
CLIENT_METHODS = ["client_secret_basic", "client_secret_post"]


class TransmitterView(msgspec.Struct, frozen=True):
    """A transmitter whose security events are accepted, and how they are delivered."""

    iss: str
    delivery: Delivery


class HubView(msgspec.Struct, frozen=True, kw_only=True):
    """What this hub serves. Members that exist in RFC 8414 have the same names.

    An address is a path, or with HUB_PUBLIC_URL a URL. Members that end in ``_issuers`` name the
    issuers from whom such requests are accepted.
    """

    issuer: str | UnsetType = UNSET
    jwks_uri: str | UnsetType = UNSET
    revocation_endpoint: str
    revocation_endpoint_auth_methods_supported: list[str]
    introspection_endpoint: str
    introspection_endpoint_auth_methods_supported: list[str]
    introspection_signing_alg_values_supported: list[str] | UnsetType = UNSET
    global_token_revocation_endpoint: str
    global_token_revocation_endpoint_auth_methods_supported: list[str]
    global_token_revocation_issuers: list[str]
    backchannel_logout_endpoint: str
    backchannel_logout_issuers: list[str]
    events_endpoint: str
    transmitters: list[TransmitterView]
    verify: str
    sockets: str
    client: str
    elements: str
    openapi: str


class KeySetView(msgspec.Struct, frozen=True):
    """The public keys of this hub, as a JWK Set (RFC 7517); empty if it signs nothing."""

    keys: list[dict[str, str]]


async def get_hub(request: web.Request) -> Ok[HubView]:
    """Return what this hub receives, and where."""
    services = request.app[SERVICES]
    signer, base = services.signer, services.settings.public_url or ""
    entries = services.issuers.entries
    return Ok(
        HubView(
            issuer=base or UNSET,
            jwks_uri=UNSET if signer is None else base + KEYS_PATH,
            revocation_endpoint=f"{base}/revoke",
            revocation_endpoint_auth_methods_supported=["none", *CLIENT_METHODS],
            introspection_endpoint=f"{base}/introspect",
            introspection_endpoint_auth_methods_supported=["Bearer", *CLIENT_METHODS],
            introspection_signing_alg_values_supported=(
                UNSET if signer is None else [signer.algorithm]
            ),
            global_token_revocation_endpoint=f"{base}/global-token-revocation",
            global_token_revocation_endpoint_auth_methods_supported=["Bearer", ASSERTION_TYPE],
            global_token_revocation_issuers=[
                entry.name for entry in entries if entry.revocation.audience
            ],
            backchannel_logout_endpoint=f"{base}/backchannel-logout",
            backchannel_logout_issuers=[entry.name for entry in entries if entry.logout.audience],
            events_endpoint=f"{base}/events",
            transmitters=[
                TransmitterView(client.transmitter.iss, client.transmitter.delivery)
                for client in services.transmitters.clients
            ],
            verify=f"{base}/verify",
            sockets=f"{base}{SOCKETS_PATH}",
            client=f"{base}/client.js",
            elements=f"{base}/elements.js",
            openapi=f"{base}/openapi.json",
        )
    )


async def get_keys(request: web.Request) -> Ok[KeySetView]:
    """Return the keys that signed answers are verified with."""
    signer = request.app[SERVICES].signer
    return Ok(KeySetView([] if signer is None else [signer.jwk]))
