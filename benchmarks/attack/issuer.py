"""An issuer whose signals a hub accepts, and forged signals in its name.

A forged signal is valid except for its signature, so that the hub has to verify that.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import time
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

from benchmarks.tokens import SECRET

ISSUER, CLIENT, KEY = "https://id.example", "shop", "key"
SIGNATURE_BYTES = 256
LOGOUT = "http://schemas.openid.net/event/backchannel-logout"
REVOKED = "https://schemas.openid.net/secevent/caep/event-type/session-revoked"

FILE = f"""
[[issuer]]
secret = "{SECRET}"
audience = "*"

[[issuer]]
iss = "{ISSUER}"
audience = "api"
logout_audience = "{CLIENT}"
jwks_url = "{{keys}}"

[[transmitter]]
iss = "{ISSUER}"
aud = "{CLIENT}"
jwks_url = "{{keys}}"
delivery = "push"
"""


@contextlib.asynccontextmanager
async def serving_keys() -> AsyncIterator[dict[str, str]]:
    """Serve the issuer's keys, and yield the settings of a hub that takes its signals."""
    public = generate_private_key(public_exponent=65537, key_size=2048).public_key()
    key = jwt.algorithms.RSAAlgorithm.to_jwk(public, as_dict=True)
    body = json.dumps({"keys": [key | {"alg": "RS256", "kid": KEY, "use": "sig"}]}).encode()
    answer = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body)

    async def tell(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, EOFError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer + body)
        writer.close()

    with TemporaryDirectory() as folder:
        async with await asyncio.start_server(tell, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            file = _write(Path(folder), f"http://127.0.0.1:{port}/keys")
            yield {"HUB_JWT_SECRET": "", "HUB_ISSUERS": str(file)}


def _write(folder: Path, keys: str) -> Path:
    file = folder / "issuers.toml"
    file.write_text(FILE.format(keys=keys))
    return file


def bad_logout() -> bytes:
    """Return a request with a forged logout token, a different one each time."""
    events: dict[str, Any] = {LOGOUT: {}}
    body = b"logout_token=" + _forge("logout+jwt", {"sub": "neighbour-0", "events": events})
    return _post("/backchannel-logout", "application/x-www-form-urlencoded", body)


def bad_event() -> bytes:
    """Return a request with a forged security event, a different one each time."""
    subject = {"format": "iss_sub", "iss": ISSUER, "sub": "neighbour-0"}
    body = _forge("secevent+jwt", {"sub_id": subject, "events": {REVOKED: {}}})
    return _post("/events", "application/secevent+jwt", body)


def _forge(kind: str, claims: dict[str, Any]) -> bytes:
    now = int(time.time())
    common = {"iss": ISSUER, "aud": CLIENT, "iat": now, "exp": now + 120}
    common["jti"] = secrets.token_hex(8)
    parts = (
        json.dumps({"alg": "RS256", "kid": KEY, "typ": kind}).encode(),
        json.dumps(common | claims).encode(),
        # Below any modulus, so that it is not refused for its size.
        b"\0" + secrets.token_bytes(SIGNATURE_BYTES - 1),
    )
    return b".".join(urlsafe_b64encode(part).rstrip(b"=") for part in parts)


def _post(path: str, kind: str, body: bytes) -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: hub\r\nContent-Type: {kind}\r\n"
    return head.encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body
