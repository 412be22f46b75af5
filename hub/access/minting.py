"""Signs tokens for development and the demo; in production the issuer does that."""

from __future__ import annotations

import secrets
import time

import jwt


def mint_token(
    secret: str,
    user: str,
    *,
    lifetime: float,
    algorithm: str = "HS256",
    sid: str | None = None,
    issuer: str | None = None,
    audience: str | None = None,
    scope: str | None = None,
) -> str:
    """Return a token of ``user`` for the session ``sid``, by default a new one.

    ``lifetime`` is in seconds. ``iat`` has a fraction, so that a login right after a logout can be
    distinguished from one before it.
    """
    now = time.time()
    claims = {
        "sub": user,
        "sid": sid or secrets.token_urlsafe(9),
        "iat": now,
        "exp": now + lifetime,
        "iss": issuer,
        "aud": audience,
        "scope": scope,
    }
    present = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(present, secret, algorithm=algorithm)
