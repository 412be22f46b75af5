"""Reads the private key that the hub signs with."""

from __future__ import annotations

import base64
from typing import Any

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

from hub.core.strength import find_weakness
from hub.core.verification_keys import CURVES

JWK_CURVES = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}


class SigningKey(msgspec.Struct, frozen=True):
    """A private key, the algorithm that it signs with, and its public key as a JWK.

    ``jwk`` has only the members that the key's thumbprint is made of (RFC 7638 section 3.2).
    """

    private: Any
    algorithm: str
    jwk: dict[str, str]


def load_signing_key(pem: str) -> SigningKey:
    """Return the key in a PEM text.

    Raises:
        ValueError: if there is none, or it is too weak, encrypted, or of an unsupported type.
    """
    try:
        key = load_pem_private_key(pem.encode(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ValueError("not a private key in PEM without a password") from None
    match key:
        case RSAPrivateKey():
            rsa = key.public_key().public_numbers()
            if weakness := find_weakness(rsa.n, rsa.e):
                raise ValueError(weakness)
            jwk = {"kty": "RSA", "n": _number(rsa.n), "e": _number(rsa.e)}
            return SigningKey(key, "RS256", jwk)
        case EllipticCurvePrivateKey() if key.curve.name in CURVES:
            algorithm, point = CURVES[key.curve.name], key.public_key().public_numbers()
            size = (key.curve.key_size + 7) // 8
            place = {"x": _number(point.x, size), "y": _number(point.y, size)}
            return SigningKey(key, algorithm, {"kty": "EC", "crv": JWK_CURVES[algorithm], **place})
        case Ed25519PrivateKey():
            raw = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
            return SigningKey(key, "EdDSA", {"kty": "OKP", "crv": "Ed25519", "x": _encode(raw)})
    raise ValueError("a private key of a kind that no algorithm uses")


def _number(value: int, size: int | None = None) -> str:
    return _encode(value.to_bytes(size or (value.bit_length() + 7) // 8, "big"))


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
