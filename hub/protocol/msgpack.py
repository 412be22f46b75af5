"""What a client is told that speaks msgpack instead of Socket.IO's own encoding.

The hub takes text only. Such a client sends its CONNECT as a binary message, and reads nothing but
binary messages, so that its refusal is the one thing which the hub writes in its manner
(https://github.com/socketio/socket.io-msgpack-parser): CONNECT_ERROR, then DISCONNECT, after which
every client stays away.
"""

from __future__ import annotations

from base64 import b64encode

import msgspec

from hub.errors import InvalidRequest
from hub.protocol.frames import Kind, encode_frame

DETAIL = "the hub does not read msgpack: leave out the parser (serializer) of the client"


def _encode(kind: int, **data: object) -> bytes:
    return msgspec.msgpack.encode({"type": kind, "nsp": "/", **data})


_TOLD = {
    "message": InvalidRequest.code,
    "data": {
        "code": InvalidRequest.code,
        "title": InvalidRequest.title,
        "detail": DETAIL,
        "retryable": InvalidRequest.retryable,
    },
}
_LAST_WORDS = (_encode(4, data=_TOLD), _encode(1))

FRAMES = b"".join(encode_frame(Kind.BINARY, packet) for packet in _LAST_WORDS)
"""The refusal over WebSocket."""

PACKETS = ["b" + b64encode(packet).decode() for packet in _LAST_WORDS]
"""The refusal over polling."""

BINARY = "b"
"""With what a binary packet begins over polling."""
