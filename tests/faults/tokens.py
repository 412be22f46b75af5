"""Tokens as an issuer writes them, with a fraction in ``iat`` or without one; and its signals."""

from __future__ import annotations

import base64
import json
from functools import lru_cache
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from hub.core.event_types import CAEP
from hub.core.logout_tokens import LOGOUT_EVENT
from tests.faults.history import ISSUER, Logout, Token

LIFETIME = 7200
"""Seconds; longer than any run, so that no token expires in it."""
API, CLIENT = "api", "app"
"""The audiences of access tokens, and of what the issuer says of sessions."""

_key = Ed25519PrivateKey.generate()


def key_set() -> dict[str, Any]:
    """Return the issuer's public key as it publishes it."""
    raw = _key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return {"keys": [{"kty": "OKP", "crv": "Ed25519", "x": _encode(raw).decode()}]}


def issuers_file(jwks_url: str) -> str:
    """Return the settings of a hub that listens to the issuer, whose keys are at an address."""
    keys = f'iss = "{ISSUER}"\njwks_url = "{jwks_url}"\nalgorithms = ["EdDSA"]\n'
    return (
        f'[[issuer]]\n{keys}audience = "{API}"\nlogout_audience = "{CLIENT}"\n'
        f'[[transmitter]]\n{keys}aud = "{CLIENT}"\ndelivery = "push"\n'
    )


def guards_issuer(jwks_url: str) -> dict[str, Any]:
    """Return the same for a guard, with the names that Node's has."""
    return {"iss": ISSUER, "jwksUrl": jwks_url, "audience": API, "algorithms": ["EdDSA"]}


@lru_cache(4096)
def sign(token: Token) -> str:
    """Return the token as text. A time without a fraction is written without one."""
    iat = _date(token.iat)
    claims = {
        "iss": ISSUER, "aud": API, "sub": token.user, "sid": token.sid,
        "iat": iat, "exp": iat + LIFETIME,
    }  # fmt: skip
    if token.login is not None:
        claims["auth_time"] = _date(token.login)
    return _sign("at+jwt", claims)


def sign_signal(signal: Logout, issued: float) -> str:
    """Return the logout token or security event that asks for a logout, the same each time.

    ``issued`` is its ``iat``, unless the time that the signal states is that.
    """
    assert signal.users is not None
    (user,) = signal.users
    is_event = signal.how.endswith("event")
    at = issued if is_event or signal.happened is None else signal.happened
    claims: dict[str, Any] = {"iss": ISSUER, "aud": CLIENT, "jti": signal.key, "iat": _date(at)}
    if is_event:
        assert signal.happened is not None
        happened = {"event_timestamp": _date(signal.happened)}
        about = _subject(user if "user" in signal.how else None, signal.sid)
        claims |= {"sub_id": about, "events": {CAEP + "session-revoked": happened}}
        return _sign("secevent+jwt", claims)
    claims |= {"exp": claims["iat"] + LIFETIME, "events": {LOGOUT_EVENT: {}}}
    if "sub" in signal.how:
        claims["sub"] = user
    if signal.sid is not None:
        claims["sid"] = signal.sid
    return _sign("logout+jwt", claims)


def _subject(user: str | None, sid: str | None) -> dict[str, Any]:
    who = {"format": "iss_sub", "iss": ISSUER, "sub": user}
    session = {"format": "opaque", "id": sid}
    if sid is None:
        return who
    return {"format": "complex", "session": session} | ({} if user is None else {"user": who})


def _sign(typ: str, claims: dict[str, Any]) -> str:
    parts = [{"alg": "EdDSA", "typ": typ}, claims]
    signed = b".".join(_encode(json.dumps(part).encode()) for part in parts)
    return (signed + b"." + _encode(_key.sign(signed))).decode()


def _date(at: float) -> float:
    return int(at) if at == int(at) else at


def _encode(value: bytes) -> bytes:
    return base64.urlsafe_b64encode(value).rstrip(b"=")
