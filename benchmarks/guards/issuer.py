"""The issuer of the tokens that guards check, signed with a secret or with a private key."""

from __future__ import annotations

import time
from functools import cache
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
)

from benchmarks.tokens import AGE, LIFETIME, SECRET
from hub.core.issuers import Entry, KeySource, Source, make_entry

ISS = "https://id.example"
GUARD_TOKEN = "the token of guards in the benchmark"  # noqa: S105 - of throwaway servers


@cache
def rsa_key() -> rsa.RSAPrivateKey:
    """Return a key of the usual size."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def public_pem() -> str:
    """Return the public key, in PEM."""
    public = rsa_key().public_key()
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def entries() -> tuple[Entry, ...]:
    """Return the entries of the issuer, one for each algorithm."""
    sources = {
        "HS256": KeySource(Source.SECRET, (SECRET,)),
        "RS256": KeySource(Source.PUBLIC_KEY, (public_pem(),)),
    }
    return tuple(
        make_entry(
            issuer=ISS,
            keys=source,
            algorithms=(algorithm,),
            audience=(),
            max_lifetime=LIFETIME,
            leeway=0,
        )
        for algorithm, source in sources.items()
    )


def verification_key(algorithm: str) -> Any:
    """Return the key that verifies tokens of this algorithm, as PyJWT takes it."""
    return SECRET if algorithm == "HS256" else rsa_key().public_key()


def mint(algorithm: str, user: str, sid: str) -> str:
    """Return a token of a login that began some seconds ago."""
    issued = int(time.time()) - AGE
    claims = {
        "iss": ISS, "sub": user, "sid": sid, "iat": issued, "exp": issued + LIFETIME,
        "auth_time": issued, "scope": "openid profile email", "name": "Ada Lovelace",
    }  # fmt: skip
    return jwt.encode(claims, SECRET if algorithm == "HS256" else rsa_key(), algorithm=algorithm)
