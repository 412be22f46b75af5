"""Keys that tests share: every process that runs tests reads every file, and keys take time."""

from __future__ import annotations

import functools

from cryptography.hazmat.primitives.asymmetric import rsa


@functools.cache
def rsa_key(number: int) -> rsa.RSAPrivateKey:
    """Return a key of its own for each number."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


RSA = rsa_key(0)
