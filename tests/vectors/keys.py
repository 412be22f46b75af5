"""Keys that are made from a seed, so that everybody can sign as the issuers of the vectors.

They protect nothing. Signing is deterministic, too: the same claims give the same token, also where
an algorithm uses random numbers.
"""

from __future__ import annotations

import hashlib
import hmac
import math
from base64 import urlsafe_b64encode
from functools import cache
from random import Random
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

SECRET = "the secret of the issuers of test vectors, which protects nothing: 64 b."
OTHER_SECRET = SECRET[::-1]

CURVES: dict[str, ec.EllipticCurve] = {
    "ES256": ec.SECP256R1(),
    "ES384": ec.SECP384R1(),
    "ES512": ec.SECP521R1(),
}
HASHES: dict[str, hashes.HashAlgorithm] = {
    "256": hashes.SHA256(),
    "384": hashes.SHA384(),
    "512": hashes.SHA512(),
}
SMALL = math.prod(n for n in range(3, 2000, 2) if all(n % d for d in range(3, n, 2)))


@cache
def private_key(algorithm: str, seed: int = 0) -> Any:
    """Return the private key of an algorithm that is not an HS one."""
    if algorithm == "EdDSA":
        return ed25519.Ed25519PrivateKey.from_private_bytes(bytes([seed + 1]) * 32)
    if algorithm in CURVES:
        return ec.derive_private_key(123_456_789 + seed, CURVES[algorithm])
    return _rsa_key(seed)


def public_key(algorithm: str, seed: int = 0) -> str:
    """Return the public key of an algorithm, in PEM."""
    public = private_key("RSA" if algorithm[:2] in ("RS", "PS") else algorithm, seed).public_key()
    pem: bytes = public.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return pem.decode()


def encode(raw: str | bytes) -> str:
    """Return a part of a token."""
    data = raw.encode() if isinstance(raw, str) else raw
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def sign(
    header: str | bytes,
    payload: str | bytes,
    algorithm: str,
    *,
    seed: int = 0,
    secret: str = SECRET,
) -> str:
    """Return a token of these very texts."""
    signed = f"{encode(header)}.{encode(payload)}"
    return f"{signed}.{encode(_signature(signed.encode(), algorithm, seed, secret))}"


def _signature(signed: bytes, algorithm: str, seed: int, secret: str) -> bytes:
    if algorithm == "EdDSA":
        return bytes(private_key(algorithm, seed).sign(signed))
    digest = HASHES[algorithm[2:]]
    match algorithm[:2]:
        case "HS":
            return hmac.new(secret.encode(), signed, digest.name).digest()
        case "RS":
            return bytes(private_key("RSA", seed).sign(signed, padding.PKCS1v15(), digest))
        case "PS":
            return _sign_pss(private_key("RSA", seed), signed, digest.name)
    key = private_key(algorithm, seed)
    pair = decode_dss_signature(key.sign(signed, ec.ECDSA(digest, deterministic_signing=True)))
    return b"".join(number.to_bytes((key.key_size + 7) // 8, "big") for number in pair)


def _sign_pss(key: rsa.RSAPrivateKey, signed: bytes, name: str) -> bytes:
    """Sign with a salt of zeros (RFC 8017 sections 8.1.1 and 9.1.1)."""
    salt = bytes(hashlib.new(name).digest_size)
    seal = hashlib.new(name, bytes(8) + hashlib.new(name, signed).digest() + salt).digest()
    length = 256 - len(seal) - 1
    block = b"\x01" + salt
    masks = (hashlib.new(name, seal + bytes([0, 0, 0, n])).digest() for n in range(8))
    mask = int.from_bytes(b"".join(masks)[:length], "big")
    masked = (int.from_bytes(block, "big") ^ mask) % 2 ** (8 * length - 1)
    encoded = masked.to_bytes(length, "big") + seal + b"\xbc"
    numbers = key.private_numbers()
    power = pow(int.from_bytes(encoded, "big"), numbers.d, numbers.public_numbers.n)
    return power.to_bytes(256, "big")


def _rsa_key(seed: int) -> rsa.RSAPrivateKey:
    random = Random(seed)  # noqa: S311 - the same key each time
    p, q = _prime(random), _prime(random)
    e = 65537
    d = pow(e, -1, math.lcm(p - 1, q - 1))
    public = rsa.RSAPublicNumbers(e, p * q)
    crt = (rsa.rsa_crt_dmp1(d, p), rsa.rsa_crt_dmq1(d, q), rsa.rsa_crt_iqmp(p, q))
    return rsa.RSAPrivateNumbers(p, q, d, *crt, public).private_key()


def _prime(random: Random) -> int:
    while True:
        found = random.getrandbits(1024) | (3 << 1022) | 1
        # Fermat's test suffices for numbers that nobody chose.
        if math.gcd(found, SMALL) == 1 and all(pow(a, found - 1, found) == 1 for a in (2, 3, 5)):
            return found
