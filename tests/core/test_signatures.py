"""The quicker way to verify a token returns what PyJWT would return."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core.signatures import SIGNATURES

ALPHABET = b"ABab01-_+/=. \n\xc3"
ANY = st.lists(st.sampled_from(ALPHABET), max_size=12).map(bytes)
PADDED = st.builds(
    lambda data, kept: urlsafe_b64encode(data).rstrip(b"=") + b"=" * kept,
    st.binary(max_size=9),
    st.integers(0, 3),
)


def decoded(signatures: jwt.PyJWS, segment: bytes) -> bytes | str:
    """Return the bytes of a segment, or why it is refused."""
    try:
        return signatures._decode_base64url_segment(segment, "payload")
    except jwt.DecodeError as error:
        return str(error)


@given(ANY | PADDED)
def test_a_part_of_a_token_is_decoded_or_refused_as_pyjwt_does(segment: bytes) -> None:
    """Of any text, the base64 that PyJWT accepts is decoded, and nothing else."""
    assert decoded(SIGNATURES, segment) == decoded(jwt.PyJWS(), segment)


def test_each_part_of_a_token_is_decoded_the_quicker_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """PyJWT calls the method that the hub replaces, once for each part of a token."""
    parts = []
    decode = SIGNATURES._decode_base64url_segment

    def note(segment: bytes, name: str) -> Any:
        parts.append(segment)
        return decode(segment, name)

    monkeypatch.setattr(type(SIGNATURES), "_decode_base64url_segment", staticmethod(note))
    key = "a secret of at least thirty-two bytes"
    token = jwt.encode({"sub": "ada"}, key, algorithm="HS256")
    SIGNATURES.decode(token, key, algorithms=["HS256"])
    assert b".".join(sorted(parts)) == b".".join(sorted(token.encode().split(b".")))
