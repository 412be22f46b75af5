"""Makes tokens: an administrator's, and for development and the demo a user's."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Iterable

import jwt

TOKEN_BYTES = 32


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

    In production the issuer signs tokens.

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


def make_credential(name: str, rights: Iterable[str]) -> tuple[str, str]:
    """Return a new token, and its entry for HUB_ADMIN_TOKENS."""
    token = secrets.token_urlsafe(TOKEN_BYTES)
    digest = hashlib.sha256(token.encode()).hexdigest()
    return token, f"{name}:{digest}:{'+'.join(rights)}"
