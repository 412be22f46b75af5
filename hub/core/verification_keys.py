"""The keys that tokens are verified with: shared secrets, and public keys in PEM."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from jwt.algorithms import HMACAlgorithm

from hub.core.strength import find_weakness

ALGORITHMS = (
    "HS256", "HS384", "HS512",
    "RS256", "RS384", "RS512",
    "PS256", "PS384", "PS512",
    "ES256", "ES384", "ES512",
    "EdDSA",
)  # fmt: skip

CURVES = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}

HASH_BYTES = {"HS256": 32, "HS384": 48, "HS512": 64}


class Secret(bytes):
    """A shared secret that `prepare_secret` has checked; its repr, and so any other, hides it."""

    def __repr__(self) -> str:
        return "Secret(…)"


def prepare_secret(text: str) -> Secret:
    """Return the secret to verify tokens with.

    Raises:
        ValueError: if it is empty, or a key of another kind (PEM, SSH, DER, JWK): if that were
            used as a secret, anybody who knows the public key could sign.
    """
    try:
        return Secret(HMACAlgorithm(HMACAlgorithm.SHA256).prepare_key(text))
    except jwt.InvalidKeyError:
        raise ValueError("this is not a secret but a key of another kind, or empty") from None


def check_secret(text: str, algorithms: Iterable[str]) -> None:
    """Check that a secret is one, and at least as long as the hash of each algorithm.

    Raises:
        ValueError: as `prepare_secret`, or with the length that RFC 7518 section 3.2 requires.
    """
    if text.lstrip().startswith("-----BEGIN"):
        raise ValueError("secret: a key in PEM is not a secret, it belongs in public_key")
    prepare_secret(text)
    need = max(HASH_BYTES[name] for name in algorithms)
    if len(text.encode()) < need:
        raise ValueError(f"secret: must have at least {need} bytes (RFC 7518, 3.2)")


def load_public_key(pem: str) -> Any:
    """Return the public key in a PEM text.

    Raises:
        ValueError: if there is none, or it is too weak.
    """
    try:
        key = load_pem_public_key(pem.encode())
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError("not a public key in PEM") from None
    if isinstance(key, RSAPublicKey):
        numbers = key.public_numbers()
        if weakness := find_weakness(numbers.n, numbers.e):
            raise ValueError(weakness)
    return key


def suiting_algorithms(pem: str) -> tuple[str, ...]:
    """Return the algorithms that a public key in PEM can verify, the most common one first.

    Raises:
        ValueError: if it is not a public key, is too weak, or of a type that is not supported.
    """
    key = load_public_key(pem)
    match key:
        case RSAPublicKey():
            return tuple(name for name in ALGORITHMS if name.startswith(("RS", "PS")))
        case EllipticCurvePublicKey() if key.curve.name in CURVES:
            return (CURVES[key.curve.name],)
        case Ed25519PublicKey() | Ed448PublicKey():
            return ("EdDSA",)
    raise ValueError("a public key of a kind that no algorithm uses")
