"""Encodes WebSocket frames and handshakes in advance."""

from __future__ import annotations

import base64
import hashlib

TEXT, CLOSE, PING, PONG = 0x1, 0x8, 0x9, 0xA
FINAL, COMPRESSED, MASKED = 0x80, 0x40, 0x80
KEY = base64.b64encode(b"a benchmark key!").decode()
GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
ACCEPT = base64.b64encode(hashlib.sha1(f"{KEY}{GUID}".encode()).digest()).decode()  # noqa: S324
TAIL = b"\x00\x00\xff\xff"
"""What permessage-deflate leaves out at the end of each message (RFC 7692, 7.2.1)."""

BROWSERS = tuple(
    f"Mozilla/5.0 ({system}) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{version}.0.0.0 {last}"
    for system, last in [
        ("Windows NT 10.0; Win64; x64", "Safari/537.36"),
        ("X11; Linux x86_64", "Safari/537.36"),
        ("Macintosh; Intel Mac OS X 10_15_7", "Safari/537.36"),
        ("Linux; Android 10; K", "Mobile Safari/537.36"),
    ]
    for version in (138, 139, 140, 141)
)

UPGRADED = (
    "HTTP/1.1 101 Switching Protocols\r\n"
    "Upgrade: websocket\r\n"
    "Connection: Upgrade\r\n"
    f"Sec-WebSocket-Accept: {ACCEPT}\r\n\r\n"
).encode()


def _length(size: int, bit: int) -> bytes:
    if size < 126:
        return bytes((bit | size,))
    if size < 65536:
        return bytes((bit | 126,)) + size.to_bytes(2, "big")
    return bytes((bit | 127,)) + size.to_bytes(8, "big")


def plain_frame(opcode: int, payload: bytes) -> bytes:
    """Return a whole frame as a server sends it."""
    return bytes((FINAL | opcode,)) + _length(len(payload), 0) + payload


def frame(opcode: int, payload: bytes) -> bytes:
    """Return a whole frame as a client sends it, with a mask of zeros, which is valid."""
    return bytes((FINAL | opcode,)) + _length(len(payload), MASKED) + b"\x00\x00\x00\x00" + payload


def upgrade_request(port: int, browser: str) -> bytes:
    """Return a browser's request for a Socket.IO WebSocket."""
    return (
        "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\n"
        f"Host: 127.0.0.1:{port}\r\n"
        "Connection: Upgrade\r\n"
        "Pragma: no-cache\r\n"
        "Cache-Control: no-cache\r\n"
        f"User-Agent: {browser}\r\n"
        "Upgrade: websocket\r\n"
        f"Origin: http://127.0.0.1:{port}\r\n"
        "Sec-WebSocket-Version: 13\r\n"
        "Accept-Encoding: gzip, deflate, br\r\n"
        "Accept-Language: en-US,en;q=0.9\r\n"
        f"Sec-WebSocket-Key: {KEY}\r\n"
        "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n"
    ).encode()


def post_request(path: str, token: str, body: bytes = b"") -> bytes:
    """Return a POST with a bearer token."""
    return (
        f"POST {path} HTTP/1.1\r\n"
        "Host: 127.0.0.1\r\n"
        f"Authorization: Bearer {token}\r\n"
        "Content-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    ).encode() + body
