"""The opening handshake of a WebSocket on the server's side (RFC 6455 section 4.2)."""

from __future__ import annotations

import binascii
import hashlib
from base64 import b64decode, b64encode
from collections.abc import Sequence
from typing import Protocol

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class HandshakeError(Exception):
    """The request is not a valid opening handshake."""


class Headers(Protocol):
    """A request's headers; names are case-insensitive."""

    def get(self, name: str, default: str) -> str:
        """Return the first header with this name."""
        ...

    def getall(self, name: str, default: Sequence[str]) -> Sequence[str]:
        """Return all headers with this name."""
        ...


def answer_handshake(method: str, version: tuple[int, int], headers: Headers) -> bytes:
    """Return the response that turns the connection into a WebSocket.

    ``version`` is that of HTTP. Extensions are never negotiated: compression would use more memory
    than everything else that a connection needs.

    Raises:
        HandshakeError: if this is not a valid handshake (section 4.2.1).
    """
    if method != "GET" or version < (1, 1):
        raise HandshakeError("a handshake is a GET of HTTP/1.1")
    if len(headers.getall("Sec-WebSocket-Key", ())) > 1:
        raise HandshakeError("one Sec-WebSocket-Key is needed")
    tokens = {token.strip().lower() for token in headers.get("Connection", "").split(",")}
    if "upgrade" not in tokens or headers.get("Upgrade", "").lower() != "websocket":
        raise HandshakeError("no WebSocket upgrade")
    if headers.get("Sec-WebSocket-Version", "") != "13":
        raise HandshakeError("WebSocket version 13 is needed")
    key = headers.get("Sec-WebSocket-Key", "").strip()
    if not _is_key(key):
        raise HandshakeError("Sec-WebSocket-Key is not 16 bytes in base64")
    digest = hashlib.sha1(key.encode() + GUID, usedforsecurity=False).digest()
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + b64encode(digest) + b"\r\n\r\n"
    )


def _is_key(key: str) -> bool:
    try:
        return len(b64decode(key, validate=True)) == 16
    except (binascii.Error, ValueError):
        return False
