"""The opening handshake of a WebSocket, by RFC 6455."""

from __future__ import annotations

import pytest
from multidict import CIMultiDict

from hub.protocol.handshake import HandshakeError, answer_handshake

GOOD = {
    "Connection": "keep-alive, Upgrade",
    "Upgrade": "WebSocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Extensions": "permessage-deflate",
}


def test_the_answer_is_that_of_the_specification() -> None:
    """The key of section 1.3 gives the accept value that stands there; no extension is taken."""
    answer = answer_handshake("GET", (1, 1), CIMultiDict(GOOD))
    assert answer.startswith(b"HTTP/1.1 101 Switching Protocols\r\n")
    assert b"\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n" in answer
    assert b"Extensions" not in answer


@pytest.mark.parametrize(
    ("method", "version", "changes"),
    [
        ("POST", (1, 1), {}),
        ("GET", (1, 0), {}),
        ("GET", (1, 1), {"Connection": "keep-alive"}),
        ("GET", (1, 1), {"Upgrade": "h2c"}),
        ("GET", (1, 1), {"Sec-WebSocket-Version": "8"}),
        ("GET", (1, 1), {"Sec-WebSocket-Key": ""}),
        ("GET", (1, 1), {"Sec-WebSocket-Key": "short"}),
        ("GET", (1, 1), {"Sec-WebSocket-Key": "!" * 24}),
        ("GET", (1, 1), {"Sec-WebSocket-Key": "ü" * 24}),
    ],
)
def test_anything_else_is_no_handshake(
    method: str, version: tuple[int, int], changes: dict[str, str]
) -> None:
    """Section 4.2.1, requirement by requirement."""
    with pytest.raises(HandshakeError):
        answer_handshake(method, version, CIMultiDict({**GOOD, **changes}))


def test_of_two_keys_nobody_can_say_which_was_answered() -> None:
    """A repeated header is refused."""
    headers = CIMultiDict(GOOD)
    headers.add("Sec-WebSocket-Key", GOOD["Sec-WebSocket-Key"])
    with pytest.raises(HandshakeError):
        answer_handshake("GET", (1, 1), headers)
