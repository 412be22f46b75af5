"""A WebSocket (RFC 6455) that costs little: taken over from aiohttp once it is upgraded.

aiohttp parses the request; then the transport gets a protocol of ours and aiohttp's request
handler is told that its connection is gone, so that no task, request or parser stays behind.
Frames are taken apart by `hub.protocol.frames`. Compression is never negotiated.

What this reaches for inside aiohttp is held by ``tests/realtime/test_websocket.py``.
"""

from __future__ import annotations

import asyncio
import binascii
import hashlib
from base64 import b64decode, b64encode
from typing import Protocol, cast

import msgspec
from aiohttp import HttpVersion11, web

from hub.errors import InvalidRequest
from hub.protocol.frames import (
    POLICY,
    UNSUPPORTED,
    FrameReader,
    Kind,
    ProtocolError,
    encode_frame,
    read_close,
)
from hub.realtime.intake import MOST_A_TURN, MOST_AFTER_CLOSE, MOST_BACKLOG, Intake
from hub.realtime.wheel import Wheel

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
MAX_UNSENT = 256 * 1024
"""Bytes that may wait for a client which does not read, before it is cut."""

FULL = 16 * 1024
"""Bytes of those from which on its time to read runs (``write_seconds``)."""

CLOSE_TIMEOUT = 1.0


class Listener(Protocol):
    """What hears of a WebSocket."""

    def on_text(self, websocket: WebSocket, text: str) -> None:
        """Take a text message."""
        ...

    def on_failure(self, websocket: WebSocket) -> None:
        """Note that the client broke the protocol, and that a close frame said so."""
        ...

    def last_words(self, websocket: WebSocket) -> bytes:
        """Return the frames for a client that sent a binary message, before it is closed."""
        ...

    def on_close(self, websocket: WebSocket) -> None:
        """Note that the connection is gone; told once."""
        ...


class Terms(msgspec.Struct, frozen=True):
    """What holds for all WebSockets of a server; sizes in bytes, times in seconds."""

    wheel: Wheel
    max_size: int
    write_seconds: float = 10.0


class WebSocket(asyncio.Protocol):
    """One upgraded connection.

    Frames are taken as `Intake` allows; what is not paid for yet is not read from the connection.
    Once a close has begun nothing is heard any more but the client's own close, and after a fault
    not even that.
    """

    __slots__ = (
        "_closing",
        "_frames",
        "_intake",
        "_is_full",
        "_left",
        "_listener",
        "_rests",
        "_terms",
        "_transport",
        "due",
    )

    def __init__(self, listener: Listener, terms: Terms, intake: Intake) -> None:
        self._listener: Listener | None = listener
        self._terms = terms
        self._intake = intake
        self._frames = FrameReader(terms.max_size)
        self._transport: asyncio.Transport | None = None
        self._closing = False
        self._rests = False
        self._is_full = False
        self._left = MOST_AFTER_CLOSE
        self.due = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to read and write."""
        assert isinstance(transport, asyncio.Transport) or hasattr(transport, "write")
        self._transport = transport  # type: ignore[assignment]
        self._transport.set_write_buffer_limits(high=FULL)  # type: ignore[union-attr]

    # ---- Reading ----

    def data_received(self, data: bytes) -> None:
        """Take in what arrived, which may be many frames or a part of one."""
        if self._transport is None or (self._closing and self._rests):
            return
        self._frames.feed(data)
        if self._closing:
            self._await_close(len(data))
        elif not self._rests:
            self._take()

    def _take(self) -> None:
        """Take frames for as long as they are paid for, and some a turn of the loop at most."""
        frames, intake = self._frames, self._intake
        now = asyncio.get_running_loop().time()
        try:
            for _ in range(MOST_A_TURN):
                wait = intake.wait(now)
                if wait:
                    if len(frames) > MOST_BACKLOG:
                        raise ProtocolError(POLICY, "a flood")
                    self._rest(wait)
                    return
                # Asked for each frame: the one before may have been what makes it trusted.
                frames.max_size = intake.most(self._terms.max_size)
                frame = frames.next()
                if frame is None:
                    self._go_on()
                    return
                kind, data, size = frame
                intake.charge(now, size)
                self._on_frame(kind, data)
                if self._closing or self._is_full or self._transport is None:
                    return
        except ProtocolError as error:
            self._fail(error.code)
            return
        self._rest(0)

    def _rest(self, seconds: float) -> None:
        """Read nothing for a while, or until the next turn of the loop."""
        if not self._rests:
            self._rests = True
            self._transport.pause_reading()  # type: ignore[union-attr]
        if seconds:
            self._terms.wheel.put(self, seconds)
        else:
            asyncio.get_running_loop().call_soon(self._resume)

    def _resume(self) -> None:
        if self._transport is not None and not self._closing and not self._is_full:
            self._take()

    def _go_on(self) -> None:
        if self._rests:
            self._rests = False
            self._transport.resume_reading()  # type: ignore[union-attr]

    def _on_frame(self, kind: Kind, data: bytes | str) -> None:
        if kind is Kind.TEXT:
            assert self._listener is not None
            self._listener.on_text(self, cast("str", data))
        elif kind is Kind.PING:
            self.send(encode_frame(Kind.PONG, cast("bytes", data)))
        elif kind is Kind.CLOSE:
            self.close(read_close(cast("bytes", data)))
            self._leave()

    def _await_close(self, size: int) -> None:
        """Look for the client's close, in as little as a client sends that knows of ours."""
        self._left -= size
        try:
            while self._left > 0 and (frame := self._frames.next()) is not None:
                if frame[0] is Kind.CLOSE:
                    self._leave()
                    return
        except ProtocolError:
            self._left = 0
        if self._left <= 0:
            self._deafen()

    def _deafen(self) -> None:
        self._frames.drop()
        if not self._rests and self._transport is not None:
            self._rests = True
            self._transport.pause_reading()

    def _fail(self, code: int) -> None:
        words = b""
        if code == UNSUPPORTED and self._listener is not None:
            words = self._listener.last_words(self)
        self.close(code, words)
        self._deafen()
        if self._listener is not None:
            self._listener.on_failure(self)
        self._leave()

    def _leave(self) -> None:
        # Whatever was written is still sent; who does not take it is cut by `on_time`.
        if self._transport is not None:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the listener."""
        self._transport = None
        self._frames.drop()
        self._terms.wheel.drop(self)
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.on_close(self)

    # ---- Writing ----

    def send(self, frame: bytes) -> None:
        """Write an encoded frame; a client that lets too much wait is cut."""
        transport = self._transport
        if transport is None or self._closing:
            return
        transport.write(frame)
        if transport.get_write_buffer_size() > MAX_UNSENT:
            transport.abort()

    def pause_writing(self) -> None:
        """Note that the client does not read: nor is it read from, and it has so long to go on."""
        self._is_full = True
        if not self._closing and self._transport is not None:
            self._rest(self._terms.write_seconds)

    def resume_writing(self) -> None:
        """Note that the client has read."""
        self._is_full = False
        if not self._closing and self._transport is not None:
            self._terms.wheel.drop(self)
            self._take()

    @property
    def has_unsent(self) -> bool:
        """Whether the client has let something wait."""
        return self._transport is not None and self._transport.get_write_buffer_size() > 0

    # ---- The end ----

    def on_time(self) -> None:
        """Go on reading, or cut a client that does not read or does not close."""
        if self._closing or self._is_full:
            self.abort()
        else:
            self._resume()

    def close(self, code: int, last: bytes = b"") -> None:
        """Begin the closing handshake, after the frame ``last``; it has a second to end."""
        if not self._closing and self._transport is not None:
            self._closing = True
            self._transport.write(last + encode_frame(Kind.CLOSE, code.to_bytes(2, "big")))
            self._terms.wheel.put(self, CLOSE_TIMEOUT)

    def hang_up(self) -> None:
        """End the connection without a close frame, as a network that fails, once all is sent.

        Every client connects again after that. Some, the Java client for one, do not react to a
        close frame, and miss the connection only when no ping comes.
        """
        if not self._closing and self._transport is not None:
            self._closing = True
            self._terms.wheel.put(self, CLOSE_TIMEOUT)
            self._deafen()
            self._leave()

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


def upgrade(
    request: web.Request,
    listener: Listener,
    terms: Terms,
    intake: Intake,
    opening: bytes = b"",
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
    websocket = WebSocket(listener, terms, intake)
    # Without its transport the handler has nothing to close when it is told of the loss.
    handler.transport = None
    handler.connection_lost(None)
    transport.set_protocol(websocket)
    websocket.connection_made(transport)
    transport.write(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n" + opening
    )
    # Before what waits, which may be more than is read at once.
    transport.resume_reading()
    if waiting:
        asyncio.get_running_loop().call_soon(websocket.data_received, bytes(waiting))
    return websocket, _HandedOver()


def _accept(request: web.Request) -> bytes:
    headers = request.headers
    if request.method != "GET" or request.version < HttpVersion11:
        raise InvalidRequest("a handshake is a GET of HTTP/1.1")
    if len(headers.getall("Sec-WebSocket-Key", ())) > 1:
        raise InvalidRequest("one Sec-WebSocket-Key is needed")
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
