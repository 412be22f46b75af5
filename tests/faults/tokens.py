"""Tokens as an issuer writes them, with a fraction in ``iat`` or without one."""

from __future__ import annotations

import base64
import hmac
import json

from tests.faults.cluster import SECRET
from tests.faults.history import Token

LIFETIME = 7200
"""Seconds; longer than any run, so that no token expires in it."""


def sign(token: Token) -> str:
    """Return the token as text. A time without a fraction is written without one."""
    iat = _date(token.iat)
    claims = {"sub": token.user, "sid": token.sid, "iat": iat, "exp": iat + LIFETIME}
    if token.login is not None:
        claims["auth_time"] = _date(token.login)
    parts = [{"alg": "HS256", "typ": "JWT"}, claims]
    signed = b".".join(_encode(json.dumps(part).encode()) for part in parts)
    return (signed + b"." + _encode(hmac.digest(SECRET.encode(), signed, "sha256"))).decode()


def _date(at: float) -> float:
    return int(at) if at == int(at) else at


def _encode(value: bytes) -> bytes:
    return base64.urlsafe_b64encode(value).rstrip(b"=")
