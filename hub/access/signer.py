"""Signs what the hub states, with a key of its own, and publishes that key."""

from __future__ import annotations

import base64
import hashlib
import json
import time
from typing import Any

import jwt

from hub.core.signing import SigningKey


class Signer:
    """Signs JWTs in the name of this hub, ``issuer``."""

    def __init__(self, key: SigningKey, issuer: str) -> None:
        self.algorithm = key.algorithm
        self.issuer = issuer
        self._key = key.private
        members = {name: key.jwk[name] for name in sorted(key.jwk)}
        digest = hashlib.sha256(json.dumps(members, separators=(",", ":")).encode()).digest()
        self._kid = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        self.jwk = {**members, "kid": self._kid, "alg": key.algorithm, "use": "sig"}

    def sign(self, kind: str, claims: dict[str, Any]) -> str:
        """Return a JWT of this ``typ`` with these claims, and with ``iss`` and ``iat``."""
        stated = {"iss": self.issuer, "iat": int(time.time()), **claims}
        headers = {"typ": kind, "kid": self._kid}
        return jwt.encode(stated, self._key, algorithm=self.algorithm, headers=headers)
