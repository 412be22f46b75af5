"""A lightweight WebSocket (RFC 6455): a protocol on a transport that was taken over from aiohttp.

Frames are parsed by `hub.protocol.frames`, as fast as a `ReadBudget` allows. See
`hub.aiohttp_internals` for the takeover.
"""

from __future__ import annotations

import asyncio
from typing import Protocol, cast

import msgspec

from hub.protocol.frames import (
    CLOSE_BYTE,
    POLICY,
    UNSUPPORTED,
    FrameReader,
    Kind,
    ProtocolError,
    encode_close,
    encode_frame,
    read_close,
)
from hub.realtime.read_budget import (
    MAX_AFTER_CLOSE,
    MAX_BACKLOG,
    MAX_FRAMES_AT_ONCE,
    ReadBudget,
)
from hub.realtime.timer_wheel import TimerWheel

MAX_UNSENT = 256 * 1024
"""Bytes that may wait for a client that does not read, before it is cut."""

FULL = 16 * 1024
"""Unsent bytes at which the client's time to read (``write_seconds``) begins."""

CLOSE_TIMEOUT = 1.0


class WebSocketListener(Protocol):
    """Receives the messages and the end of a WebSocket."""

    def on_text(self, websocket: WebSocket, text: str) -> None:
        """Take a text message."""
        ...

    def on_failure(self, websocket: WebSocket) -> None:
        """Handle a protocol error of the client, for which a close frame was sent."""
        ...

    def binary_refusal(self, websocket: WebSocket) -> bytes:
        """Return frames to send before the close to a client that sent a binary message."""
        ...

    def on_close(self, websocket: WebSocket) -> None:
        """Handle the loss of the connection; called once."""
        ...


class Config(msgspec.Struct, frozen=True):
    """Settings of all WebSockets of a server; sizes in bytes, times in seconds."""

    timers: TimerWheel
    max_size: int
    write_seconds: float = 10.0


class WebSocket(asyncio.Protocol):
    """One upgraded connection.

    Reading is paused while the budget does not allow it. Once a close has begun, everything but the
    client's close frame is ignored, and after a protocol error that too.
    """

    __slots__ = (
        "_budget",
        "_close_allowance",
        "_closing",
        "_config",
        "_frames",
        "_is_full",
        "_is_paused",
        "_listener",
        "_transport",
        "due",
    )

    def __init__(self, listener: WebSocketListener, config: Config, budget: ReadBudget) -> None:
        self._listener: WebSocketListener | None = listener
        self._config = config
        self._budget = budget
        self._frames = FrameReader(config.max_size)
        self._transport: asyncio.Transport | None = None
        self._closing = False
        self._is_paused = False
        self._is_full = False
        self._close_allowance = MAX_AFTER_CLOSE
        self.due = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start reading and writing."""
        assert isinstance(transport, asyncio.Transport) or hasattr(transport, "write")
        self._transport = transport  # type: ignore[assignment]
        self._transport.set_write_buffer_limits(high=FULL)  # type: ignore[union-attr]

    # ---- Reading ----

    def data_received(self, data: bytes) -> None:
        """Take received bytes, which may be many frames or a part of one."""
        if self._transport is None or (self._closing and self._is_paused):
            return
        if self._closing:
            self._read_close(data)
            return
        self._frames.feed(data)
        if not self._is_paused:
            self._read_frames()

    def _read_frames(self) -> None:
        """Read frames while the budget lasts, and at most `MAX_FRAMES_AT_ONCE`."""
        frames, budget = self._frames, self._budget
        now = asyncio.get_running_loop().time()
        try:
            for _ in range(MAX_FRAMES_AT_ONCE):
                wait = budget.wait(now)
                if wait:
                    if len(frames) > MAX_BACKLOG:
                        raise ProtocolError(POLICY, "a flood")
                    self._pause(wait)
                    return
                # For each frame, since the previous one may have raised the limit.
                frames.max_size = budget.message_limit(self._config.max_size)
                frame = frames.next()
                if frame is None:
                    self._unpause()
                    return
                kind, data, size = frame
                budget.charge(now, size)
                self._on_frame(kind, data)
                if self._closing and frames:
                    self._find_close(len(frames))
                if self._closing or self._is_full or self._transport is None:
                    return
        except ProtocolError as error:
            self._fail(error.code)
            return
        self._pause(0)

    def _pause(self, seconds: float) -> None:
        """Pause reading for some seconds, or (0) until the next iteration of the loop."""
        if not self._is_paused:
            self._is_paused = True
            self._transport.pause_reading()  # type: ignore[union-attr]
        if seconds:
            self._config.timers.start(self, seconds)
        else:
            asyncio.get_running_loop().call_soon(self._read_on)

    def _read_on(self) -> None:
        if self._transport is not None and not self._closing and not self._is_full:
            self._read_frames()

    def _unpause(self) -> None:
        if self._is_paused:
            self._is_paused = False
            self._transport.resume_reading()  # type: ignore[union-attr]

    def _on_frame(self, kind: Kind, data: bytes | str) -> None:
        if kind is Kind.TEXT:
            assert self._listener is not None
            self._listener.on_text(self, cast("str", data))
        elif kind is Kind.PING:
            self.send(encode_frame(Kind.PONG, cast("bytes", data)))
        elif kind is Kind.CLOSE:
            self.close(read_close(cast("bytes", data)))
            self._close_transport()

    def _read_close(self, data: bytes) -> None:
        """Look for the client's close frame in the first `MAX_AFTER_CLOSE` bytes after ours."""
        if not self._frames and data[0] == CLOSE_BYTE:
            self._close_transport()
            return
        self._frames.feed(data)
        self._find_close(len(data))

    def _find_close(self, size: int) -> None:
        """Look for the client's close frame; ``size`` is how many bytes have not been counted."""
        self._close_allowance -= size
        try:
            while self._close_allowance > 0 and (frame := self._frames.next()) is not None:
                if frame[0] is Kind.CLOSE:
                    self._close_transport()
                    return
        except ProtocolError:
            self._close_allowance = 0
        if self._close_allowance <= 0:
            self._stop_reading()

    def _stop_reading(self) -> None:
        self._frames.drop()
        if not self._is_paused and self._transport is not None:
            self._is_paused = True
            self._transport.pause_reading()

    def _fail(self, code: int) -> None:
        last = b""
        if code == UNSUPPORTED and self._listener is not None:
            last = self._listener.binary_refusal(self)
        self.close(code, last)
        self._stop_reading()
        if self._listener is not None:
            self._listener.on_failure(self)
        self._close_transport()

    def _close_transport(self) -> None:
        # Written data is still sent; a client that does not read it is cut by `on_timer`.
        if self._transport is not None:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Notify the listener."""
        self._transport = None
        self._frames.drop()
        self._config.timers.stop(self)
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.on_close(self)

    # ---- Writing ----

    def send(self, frame: bytes) -> None:
        """Write an encoded frame; a client with too much unsent data is cut."""
        transport = self._transport
        if transport is None or self._closing:
            return
        transport.write(frame)
        if transport.get_write_buffer_size() > MAX_UNSENT:
            transport.abort()

    def pause_writing(self) -> None:
        """Pause reading, since the client does not read, and start its time to do so."""
        self._is_full = True
        if not self._closing and self._transport is not None:
            self._pause(self._config.write_seconds)

    def resume_writing(self) -> None:
        """Resume reading, since the client has read."""
        self._is_full = False
        if not self._closing and self._transport is not None:
            self._config.timers.stop(self)
            self._read_frames()

    @property
    def has_unsent(self) -> bool:
        """Whether written data waits for the client to read it."""
        return self._transport is not None and self._transport.get_write_buffer_size() > 0

    # ---- The end ----

    def on_timer(self) -> None:
        """Continue reading, or cut a client that does not read or does not close."""
        if self._closing or self._is_full:
            self.abort()
        else:
            self._read_on()

    def close(self, code: int, last: bytes = b"") -> None:
        """Begin the closing handshake, after the frames ``last``; cut after `CLOSE_TIMEOUT`."""
        if not self._closing and self._transport is not None:
            self._closing = True
            self._transport.write(last + encode_close(code))
            self._config.timers.start(self, CLOSE_TIMEOUT)

    def hang_up(self) -> None:
        """Close the connection without a close frame, as a network failure, once all data is sent.

        All clients reconnect after that. Some, such as the Java client, do not react to a close
        frame, and notice the loss only when pings are missing.
        """
        if not self._closing and self._transport is not None:
            self._closing = True
            self._config.timers.start(self, CLOSE_TIMEOUT)
            self._stop_reading()
            self._close_transport()

    def abort(self) -> None:
        """Cut the connection at once; unsent data is lost."""
        if self._transport is not None:
            self._transport.abort()
