"""A WebSocket (RFC 6455) that costs little: taken over from aiohttp once it is upgraded.

aiohttp parses the request; then the transport gets a protocol of ours and aiohttp's request
handler is told that its connection is gone, so that no task, request or parser stays behind.
Frames are parsed by aiohttp's compiled reader. Compression is never negotiated.

What this reaches for inside aiohttp is held by ``tests/realtime/test_websocket.py``.
"""

from __future__ import annotations

import asyncio
import binascii
import hashlib
from base64 import b64decode, b64encode
from typing import Any, Protocol

from aiohttp import WebSocketError, WSMsgType, web
from aiohttp._websocket.reader import WebSocketDataQueue, WebSocketReader

from hub.errors import InvalidRequest

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
MAX_UNSENT = 256 * 1024
"""Bytes that may wait for a client which does not read, before it is cut."""

NORMAL, GOING_AWAY, PROTOCOL_ERROR, UNSUPPORTED = 1000, 1001, 1002, 1003


class Listener(Protocol):
    """What hears of a WebSocket."""

    def on_text(self, websocket: WebSocket, text: str) -> None:
        """Take a text message."""
        ...

    def on_failure(self, websocket: WebSocket) -> None:
        """Note that the client broke the protocol, and that a close frame said so."""
        ...

    def on_close(self, websocket: WebSocket) -> None:
        """Note that the connection is gone; told once."""
        ...


class _Sink(WebSocketDataQueue):
    """Where the reader puts frames: hands each to the WebSocket that is being fed.

    Feeding is synchronous, so one sink serves all.
    """

    def __init__(self) -> None:
        nobody: Any = None
        super().__init__(nobody, 2**30, loop=nobody)
        self.websocket: WebSocket | None = None

    def feed_data(self, data: Any, size: int) -> None:
        assert self.websocket is not None
        self.websocket.on_frame(data)


_sink = _Sink()


class WebSocket(asyncio.Protocol):
    """One upgraded connection."""

    __slots__ = ("_closing", "_listener", "_reader", "_transport")

    def __init__(self, listener: Listener, max_size: int) -> None:
        self._listener: Listener | None = listener
        self._reader = WebSocketReader(_sink, max_size, False, True)
        self._transport: asyncio.Transport | None = None
        self._closing = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to read and write."""
        assert isinstance(transport, asyncio.Transport) or hasattr(transport, "write")
        self._transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        """Take in what arrived, which may be many frames or a part of one."""
        _sink.websocket = self
        try:
            failed, _ = self._reader.feed_data(data)
            if failed:
                error = _sink.exception()
                self._fail(error.code if isinstance(error, WebSocketError) else PROTOCOL_ERROR)
        finally:
            _sink.websocket = None

    def on_frame(self, frame: Any) -> None:
        """Take one frame from the reader."""
        kind = frame.type
        if self._listener is None or self._transport is None:
            return
        if kind is WSMsgType.TEXT:
            if not self._closing:
                self._listener.on_text(self, frame.data)
        elif kind is WSMsgType.PING:
            self.send(encode_frame(WSMsgType.PONG, frame.data))
        elif kind is WSMsgType.CLOSE:
            self.close(frame.data or NORMAL)
            self._transport.close()
        elif kind is WSMsgType.BINARY:
            self._fail(UNSUPPORTED)

    def _fail(self, code: int) -> None:
        self.close(code)
        if self._listener is not None:
            self._listener.on_failure(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the listener."""
        self._transport = None
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.on_close(self)

    def send(self, frame: bytes) -> None:
        """Write an encoded frame; a client that lets too much wait is cut."""
        transport = self._transport
        if transport is None or self._closing:
            return
        transport.write(frame)
        if transport.get_write_buffer_size() > MAX_UNSENT:
            transport.abort()

    @property
    def has_unsent(self) -> bool:
        """Whether the client has let something wait."""
        return self._transport is not None and self._transport.get_write_buffer_size() > 0

    def close(self, code: int, last: bytes = b"") -> None:
        """Begin the closing handshake, after the frame ``last``; `abort` ends what it does not."""
        if not self._closing and self._transport is not None:
            self._transport.write(last + encode_frame(WSMsgType.CLOSE, code.to_bytes(2, "big")))
            self._closing = True

    def abort(self) -> None:
        """Cut the connection at once, whatever still waits to be sent."""
        if self._transport is not None:
            self._transport.abort()


class _HandedOver(web.StreamResponse):
    """The answer to a request whose connection is no longer HTTP's: nothing is written."""

    async def prepare(self, request: web.BaseRequest) -> None:
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        return None


def encode_text(text: str) -> bytes:
    """Return a text frame as a server sends it, unmasked."""
    return encode_frame(WSMsgType.TEXT, text.encode())


def encode_frame(kind: WSMsgType, data: bytes) -> bytes:
    """Return a whole frame (RFC 6455 section 5.2)."""
    size = len(data)
    first = 0x80 | kind
    if size < 126:
        return bytes((first, size)) + data
    if size < 65536:
        return bytes((first, 126)) + size.to_bytes(2, "big") + data
    return bytes((first, 127)) + size.to_bytes(8, "big") + data


def upgrade(
    request: web.Request, listener: Listener, max_size: int, opening: bytes = b""
) -> tuple[WebSocket, web.StreamResponse]:
    """Turn a request's connection into a WebSocket, and return what the handler must return.

    ``opening`` is a frame that travels with the answer.

    Raises:
        InvalidRequest: when this is no proper handshake (RFC 6455 section 4.2.1).
    """
    accept = _accept(request)
    transport, handler = request.transport, request.protocol
    if transport is None or transport.is_closing():
        raise ConnectionResetError("the client went away")
    waiting = handler._message_tail
    websocket = WebSocket(listener, max_size)
    # Without its transport the handler has nothing to close when it is told of the loss.
    handler.transport = None
    handler.connection_lost(None)
    transport.set_protocol(websocket)
    websocket.connection_made(transport)
    transport.write(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n" + opening
    )
    if waiting:
        asyncio.get_running_loop().call_soon(websocket.data_received, bytes(waiting))
    transport.resume_reading()
    return websocket, _HandedOver()


def _accept(request: web.Request) -> bytes:
    headers = request.headers
    tokens = {part.strip().lower() for part in headers.get("Connection", "").split(",")}
    if "upgrade" not in tokens or headers.get("Upgrade", "").lower() != "websocket":
        raise InvalidRequest("no WebSocket upgrade")
    if headers.get("Sec-WebSocket-Version") != "13":
        raise InvalidRequest("WebSocket version 13 is needed")
    key = headers.get("Sec-WebSocket-Key", "").strip()
    try:
        proper = len(b64decode(key, validate=True)) == 16
    except (binascii.Error, ValueError):
        proper = False
    if not proper:
        raise InvalidRequest("Sec-WebSocket-Key is not 16 bytes in base64")
    digest = hashlib.sha1(key.encode() + GUID, usedforsecurity=False).digest()
    return b64encode(digest)
