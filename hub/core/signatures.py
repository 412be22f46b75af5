"""PyJWT's checks of signatures, without two steps that take longer than HMAC itself.

Both only choose a quicker way to the result that PyJWT would return, and leave it everything else.
``tests/core/test_signatures.py`` compares the two.
"""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode

import jwt
from jwt.algorithms import HMACAlgorithm

from hub.core.verification_keys import ALGORITHMS, Secret


class _Hmac(HMACAlgorithm):
    """HMAC that does not repeat the check of a `Secret`."""

    def prepare_key(self, key: str | bytes) -> bytes:
        return key if isinstance(key, Secret) else super().prepare_key(key)


class _Signatures(jwt.PyJWS):
    """PyJWT's `decode`, which looks at each character of a token's base64, by an internal method.

    If a version of PyJWT does not call that method, nothing is lost but time.
    """

    @staticmethod
    def _decode_base64url_segment(segment: bytes, name: str) -> bytes:
        try:
            decoded = urlsafe_b64decode(segment + b"=" * (-len(segment) % 4))
        except binascii.Error:
            decoded = b""
        # What encodes to the same text again has neither padding nor other characters.
        if urlsafe_b64encode(decoded).rstrip(b"=") == segment:
            return decoded
        return jwt.PyJWS._decode_base64url_segment(segment, name)


SIGNATURES = _Signatures(algorithms=ALGORITHMS)
"""Verifies tokens, by `jwt.PyJWS.decode`."""

for _bits in (256, 384, 512):
    SIGNATURES.unregister_algorithm(f"HS{_bits}")
    SIGNATURES.register_algorithm(f"HS{_bits}", _Hmac(getattr(HMACAlgorithm, f"SHA{_bits}")))
