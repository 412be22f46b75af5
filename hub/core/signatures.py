"""PyJWT's checks of signatures, without steps that take longer than HMAC itself.

They are quicker ways to the result that PyJWT would return, and leave it everything else.
``tests/core/test_signatures.py`` compares the two.
"""

from __future__ import annotations

import hmac
from binascii import Error, a2b_base64, b2a_base64
from typing import Any

import jwt
from jwt.algorithms import HMACAlgorithm

from hub.core.verification_keys import ALGORITHMS, Secret

FROM_URL, TO_URL = bytes.maketrans(b"-_", b"+/"), bytes.maketrans(b"+/", b"-_")


class _Hmac(HMACAlgorithm):
    """HMAC in one step, without repeating the check of a `Secret`."""

    def prepare_key(self, key: str | bytes) -> bytes:
        return key if isinstance(key, Secret) else super().prepare_key(key)

    def sign(self, msg: bytes, key: bytes) -> bytes:
        return hmac.digest(key, msg, self.hash_alg)


class _Signatures(jwt.PyJWS):
    """PyJWT's `decode`, which looks at each character of a token's base64, by an internal method.

    If a version of PyJWT does not call that method, nothing is lost but time, and if it calls it in
    another way, its own method has it.
    """

    @staticmethod
    def _decode_base64url_segment(segment: Any, *others: Any, **named: Any) -> Any:
        decoded = _decode_canonical(segment) if type(segment) is bytes else None
        if decoded is not None:
            return decoded
        return jwt.PyJWS._decode_base64url_segment(segment, *others, **named)


def _decode_canonical(segment: bytes) -> bytes | None:
    """Decode base64url in its canonical form (RFC 4648 section 3.5); None if it is not."""
    try:
        decoded = a2b_base64(segment.translate(FROM_URL) + b"=" * (-len(segment) % 4))
    except Error:
        return None
    # What encodes to the same text again has neither padding nor other characters.
    is_canonical = b2a_base64(decoded, newline=False).translate(TO_URL).rstrip(b"=") == segment
    return decoded if is_canonical else None


SIGNATURES = _Signatures(algorithms=ALGORITHMS)
"""Verifies tokens, by `jwt.PyJWS.decode`."""

for _bits in (256, 384, 512):
    SIGNATURES.unregister_algorithm(f"HS{_bits}")
    SIGNATURES.register_algorithm(f"HS{_bits}", _Hmac(getattr(HMACAlgorithm, f"SHA{_bits}")))
