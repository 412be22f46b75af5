"""Mints tokens before a measurement begins."""

from __future__ import annotations

import base64
import hmac
import json
import time

SECRET = "a secret of the benchmark, long enough for HS256"  # noqa: S105 - of throwaway servers
ADMIN_TOKEN = "an admin token of the benchmark"  # noqa: S105 - of throwaway servers
DEVICES = 4
LIFETIME = 3600
AGE = 10
"""Tokens are this old, so that no logout falls into the second in which they were issued."""


def _encode(value: bytes) -> bytes:
    return base64.urlsafe_b64encode(value).rstrip(b"=")


HEADER = _encode(b'{"alg":"HS256","typ":"JWT"}')


def mint(user: str, session: str) -> str:
    """Return a token of one device of a user."""
    issued = int(time.time()) - AGE
    claims = {"sub": user, "sid": session, "iat": issued, "exp": issued + LIFETIME}
    signed = HEADER + b"." + _encode(json.dumps(claims, separators=(",", ":")).encode())
    signature = _encode(hmac.digest(SECRET.encode(), signed, "sha256"))
    return (signed + b"." + signature).decode()


def mint_users(name: str, sockets: int) -> list[str]:
    """Return a token for each socket, of users with four devices each."""
    return [
        mint(f"{name}-{index // DEVICES}", f"{name}-{index // DEVICES}-{index % DEVICES}")
        for index in range(sockets)
    ]
