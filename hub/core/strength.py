"""Rejects public keys that are too weak, or meant for another purpose, to verify tokens."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

MIN_RSA_BITS = 2048
MIN_EXPONENT = 3
SMALLEST_FACTOR = 752
"""Moduli have no prime factor below this (NIST SP 800-89 section 5.3.3)."""

ROCA_GENERATOR = 65537
ROCA_PRIMES_END = 168


def _primes(end: int) -> Iterator[int]:
    return (n for n in range(2, end) if all(n % d for d in range(2, math.isqrt(n) + 1)))


def _powers(prime: int) -> frozenset[int]:
    """Return the powers of 65537 modulo a prime."""
    found, power = {1}, ROCA_GENERATOR % prime
    while power not in found:
        found.add(power)
        power = power * ROCA_GENERATOR % prime
    return frozenset(found)


_SMALL_PRODUCT = math.prod(_primes(SMALLEST_FACTOR))
_ROCA_POWERS = {prime: _powers(prime) for prime in _primes(ROCA_PRIMES_END) if prime > 2}


def find_weakness(modulus: int, exponent: int) -> str | None:
    """Return why an RSA key is too weak for its signatures to be trusted, or None."""
    bits = modulus.bit_length()
    if bits < MIN_RSA_BITS:
        return f"an RSA key of {bits} bits, less than {MIN_RSA_BITS} (RFC 7518, 3.3)"
    if exponent < MIN_EXPONENT or exponent % 2 == 0:
        return f"an RSA key whose exponent is even or below {MIN_EXPONENT}"
    if math.gcd(modulus, _SMALL_PRODUCT) > 1:
        return "an RSA key whose modulus has a small factor"
    if has_roca_fingerprint(modulus):
        return "an RSA key of a generator whose keys can be factored (CVE-2017-15361)"
    return None


def has_roca_fingerprint(modulus: int) -> bool:
    """Return whether a modulus looks like those of Infineon's library, which can be factored.

    Its primes, and so their products, are powers of 65537 modulo the product of the first primes;
    other moduli are with a chance of one in many millions (Nemec et al., The Return of
    Coppersmith's Attack, CCS 2017, section 2.4).
    """
    return all(modulus % prime in powers for prime, powers in _ROCA_POWERS.items())


def find_misuse(key: dict[str, Any]) -> str | None:
    """Return why a JWK is not meant for signatures (RFC 7517, 4.2 and 4.3), or None."""
    if key.get("use", "sig") != "sig":
        return "a key whose use is not sig"
    operations = key.get("key_ops", ["verify"])
    if not isinstance(operations, list) or "verify" not in operations:
        return "a key whose key_ops lack verify"
    return None
