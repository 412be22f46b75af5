"""A key that tests share: every process that runs tests reads every file, and keys take time."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric import rsa

RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
