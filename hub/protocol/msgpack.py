"""The refusal for clients that use msgpack instead of Socket.IO's own encoding.

The hub reads only text. A client that uses msgpack sends its CONNECT as a binary message, and reads
only binary messages, so its refusal is encoded in msgpack too
(https://github.com/socketio/socket.io-msgpack-parser): CONNECT_ERROR, then DISCONNECT, after which
no client reconnects.
"""

from __future__ import annotations

from base64 import b64encode

import msgspec

from hub.errors import InvalidRequest
from hub.protocol.engineio import BINARY
from hub.protocol.frames import Kind, encode_frame

DETAIL = "the hub does not read msgpack: leave out the parser (serializer) of the client"


def _encode(kind: int, **data: object) -> bytes:
    return msgspec.msgpack.encode({"type": kind, "nsp": "/", **data})


_ERROR = {
    "message": InvalidRequest.code,
    "data": {
        "code": InvalidRequest.code,
        "title": InvalidRequest.title,
        "detail": DETAIL,
        "retryable": InvalidRequest.retryable,
    },
}
_REFUSAL = (_encode(4, data=_ERROR), _encode(1))

FRAMES = b"".join(encode_frame(Kind.BINARY, packet) for packet in _REFUSAL)
"""The refusal over WebSocket."""

PACKETS = [BINARY + b64encode(packet).decode() for packet in _REFUSAL]
"""The refusal over polling."""
