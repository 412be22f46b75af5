"""What the hub uses of aiohttp beyond its public API; nothing else in the hub does.

aiohttp has no public way to take over a connection, to parse an upgrade before its request exists,
to bound what a connection holds, or to write to a response without waiting. Each class and function
here says which internals it uses. ``pyproject.toml`` limits aiohttp to the versions that they were
tried with, and ``tests/test_aiohttp_internals.py`` fails when one of them changes.
"""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from aiohttp import web
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http import HttpRequestParser, RawRequestMessage
from aiohttp.http_exceptions import BadHttpMessage, HttpProcessingError
from aiohttp.streams import EMPTY_PAYLOAD
from aiohttp.web_protocol import _ErrInfo

Handler: TypeAlias = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]

UpgradeRequest: TypeAlias = RawRequestMessage
"""A parsed upgrade, with ``method``, ``version``, ``headers`` and ``url``."""

UNREADABLE_BODY = (BadHttpMessage, web.RequestPayloadError)
"""What reading the body of a request raises if it is not well-formed."""

PARSER_LIMITS = ("max_line_size", "max_headers", "max_field_size")
"""Options of a server that are options of its parser as well."""

READ_BUFFER = 2**16
"""Bytes of a body that a parser buffers before it pauses reading."""

CHUNK_END = b"\r\n"


def parse_upgrade(data: bytes, limits: dict[str, Any]) -> UpgradeRequest | None:
    """Return the request in ``data`` if it is one whole upgrade, without body or expectation.

    ``limits`` are those of a server (`HttpServer.parser_limits`). Uses ``HttpRequestParser``, which
    returns what it has parsed, whether to upgrade, and the bytes that follow.
    """
    loop = asyncio.get_running_loop()
    protocol = BaseProtocol(loop)  # of a body, which would not be small enough to pause it
    parser = HttpRequestParser(protocol, loop, READ_BUFFER, auto_decompress=False, **limits)
    try:
        messages, is_upgraded, rest = parser.feed_data(data)
    except HttpProcessingError:
        return None
    if not is_upgraded or rest or len(messages) != 1:
        return None
    message, body = messages[0]
    return message if body is EMPTY_PAYLOAD and "Expect" not in message.headers else None


class HttpConnection(web.RequestHandler):
    """aiohttp's protocol of one HTTP connection, which tells its state: idle, full or broken.

    ``on_lost`` is called when the connection is lost, for a handler that waits for something else.
    Uses ``_request_count`` and the queue ``_messages``, in which ``_ErrInfo`` stands for what could
    not be parsed; `start`, in which all requests are handled; ``_waiter``, which is pending while
    no request is handled; ``_buffer_paused``, set while the queue is full; ``_close`` and
    ``_force_close``.
    """

    __slots__ = ("_body", "_is_broken", "_spoilt", "on_lost")

    def __init__(self, server: web.Server, **options: Any) -> None:
        super().__init__(server, **options)
        self._body = EMPTY_PAYLOAD
        self._is_broken = False
        self._spoilt = EMPTY_PAYLOAD
        self.on_lost: Callable[[], None] | None = None

    async def start(self) -> None:
        """Handle the requests, as aiohttp does, and leave nothing for the garbage collector."""
        try:
            await super().start()
        finally:
            # A body refers to this connection, and the error that it raised, to its request.
            for body in (self._body, self._spoilt):
                if (error := body.exception()) is not None:
                    _forget_origin(error)
            self._body = self._spoilt = EMPTY_PAYLOAD

    def connection_lost(self, exc: BaseException | None) -> None:
        """Do as aiohttp does, then notify the handler that asked for it."""
        on_lost, self.on_lost = self.on_lost, None
        super().connection_lost(exc)
        if on_lost is not None:
            on_lost()

    def parse(self, data: bytes) -> bool:
        """Have aiohttp parse what arrived, and return whether the head of a request ended in it.

        After what cannot be parsed, nothing more is read.
        """
        before, body = self._request_count, self._body
        super().data_received(data)
        if self._request_count == before:
            return False
        last, self._body = self._messages[-1]
        if isinstance(last, _ErrInfo):
            self._spoilt = body
            self._break_off(last)
            if not body.is_eof() and body.exception() is None:
                # Its compiled parser leaves whoever reads this body waiting for the rest.
                body.set_exception(web.RequestPayloadError("the body cannot be parsed"))
        return True

    def refuse_head(self, status: int, message: str) -> None:
        """Answer the request whose head is arriving, as `explain` does, and read nothing more."""
        error = _ErrInfo(status, ValueError(), message)
        self._messages.append((error, EMPTY_PAYLOAD))
        self._request_count += 1
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
        self._break_off(error)

    def _break_off(self, error: _ErrInfo) -> None:
        self._is_broken = True
        self._pause_transport_reading()
        # Its traceback keeps all that was read, in a cycle that waits for the garbage collector.
        if error.exc is not None:
            _forget_origin(error.exc)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what could not be parsed, or handled, as `explain` does.

        Raises:
            ConnectionError: when an answer has begun, so that the connection can only be closed.
        """
        if request.writer.output_size > 0:
            raise ConnectionError("an answer has begun")
        answer = self.explain(status)
        answer.force_close()
        return answer

    def explain(self, status: int) -> web.StreamResponse:
        """Return the answer to a request that could not be parsed (4xx) or handled (5xx)."""
        return web.Response(status=status)

    def abort(self) -> None:
        """Close at once, unless the connection is lost, or was handed over."""
        if self.transport is not None:
            self.transport.abort()

    @property
    def is_over(self) -> bool:
        """Whether no more requests are read."""
        return self._is_broken or self._close or self._force_close

    @property
    def is_idle(self) -> bool:
        """Whether it is waiting for a request."""
        return self._waiter is not None and not self._waiter.done()

    @property
    def is_full(self) -> bool:
        """Whether so many requests wait that aiohttp parses no more for now."""
        return self._buffer_paused

    @property
    def is_body_whole(self) -> bool:
        """Whether the body of the last request has arrived."""
        return self._body.is_eof()

    @property
    def is_pipelined(self) -> bool:
        """Whether more requests have arrived than the one that is being handled."""
        return bool(self._messages)


def _forget_origin(error: BaseException) -> None:
    error.__traceback__ = error.__cause__ = error.__context__ = None


def connection_of(request: web.BaseRequest) -> HttpConnection:
    """Return the connection of a request, which must be an `HttpServer`'s.

    Uses ``request.protocol``, as `is_pipelined` does.
    """
    connection = request.protocol
    assert isinstance(connection, HttpConnection)
    return connection


def is_pipelined(request: web.BaseRequest) -> bool:
    """Tell whether more requests have arrived on a request's connection; false if it has none."""
    connection = request.protocol
    return isinstance(connection, HttpConnection) and connection.is_pipelined


class BodyWriter:
    """Writes the body of a response that is prepared to its connection, without waiting.

    Relies on ``prepare`` having written the headers by then, and on ``write_eof`` writing nothing
    but the end of the last chunk. Uses ``_drain_helper``, which waits while writing is paused.
    """

    def __init__(self, request: web.BaseRequest, *, is_chunked: bool) -> None:
        self._connection = connection_of(request)
        self._transport = self._connection.transport
        self._is_chunked = is_chunked

    def write(self, data: bytes) -> bool:
        """Write some of the body; false if the connection is closed."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return False
        if self._is_chunked:
            transport.writelines((b"%x\r\n" % len(data), data, CHUNK_END))
        else:
            transport.write(data)
        return True

    @property
    def unsent(self) -> int:
        """The number of bytes in the write buffer."""
        return 0 if self._transport is None else self._transport.get_write_buffer_size()

    async def drain(self) -> None:
        """Wait until most of the buffer is sent.

        Raises:
            ConnectionError: if the connection is lost.
        """
        await self._connection._drain_helper()

    def abort(self) -> None:
        """Close the connection at once."""
        if self._transport is not None:
            self._transport.abort()


class HandedOver(web.StreamResponse):
    """The response to a request whose connection was taken over; it writes nothing."""

    async def prepare(self, request: web.BaseRequest) -> None:
        """Write nothing."""
        return

    async def write_eof(self, data: bytes = b"") -> None:
        """Write nothing."""
        return


def take_over(request: web.Request, protocol: asyncio.Protocol, greeting: bytes) -> HandedOver:
    """Switch a request's connection to ``protocol``, and return what the handler must return.

    ``greeting`` is written first. Bytes that followed the request are passed to the protocol in the
    next iteration of the loop. No task, request or parser of aiohttp stays in memory for the life
    of the connection: its request handler is made to see a lost one. Uses ``request.protocol``,
    with its ``transport``, ``connection_lost`` and ``_message_tail``.

    Raises:
        ConnectionResetError: if the client has disconnected.
    """
    transport, handler = request.transport, request.protocol
    if transport is None or transport.is_closing():
        raise ConnectionResetError("the client went away")
    unread = handler._message_tail
    # Without its transport, connection_lost() has nothing to close.
    handler.transport = None
    handler.connection_lost(None)
    transport.set_protocol(protocol)
    protocol.connection_made(transport)
    transport.write(greeting)
    # Before the unread bytes are passed on: the protocol may pause reading again.
    transport.resume_reading()
    if unread:
        asyncio.get_running_loop().call_soon(protocol.data_received, bytes(unread))
    return HandedOver()


class HttpServer(web.Server):
    """aiohttp's server, which shows its connections and how they are made.

    ``open_connections`` are those that a request has come in on, with their transports, oldest
    first. ``connection_options`` are arguments of each `HttpConnection`, ``parser_limits`` those of
    its parser. ``now`` returns the loop's time. Uses ``_connections``, ``_kwargs`` and ``_loop``.
    """

    def __init__(self, handler: Handler, **options: Any) -> None:
        super().__init__(handler, **options)
        self.open_connections = self._connections
        self.connection_options = {"loop": self._loop, **self._kwargs}
        self.parser_limits = {
            name: self._kwargs[name] for name in PARSER_LIMITS if name in self._kwargs
        }
        self.now = self._loop.time

    def pre_shutdown(self) -> None:
        """Close the connections on which no request is handled."""
        self.close_unused()
        super().pre_shutdown()

    def close_unused(self) -> None:
        """Close the connections that aiohttp does not know of yet."""


class HttpRunner(web.AppRunner):
    """aiohttp's runner, with a server of ours. Uses ``_make_server`` and ``_cleanup_server``."""

    __slots__ = ()

    async def _make_server(self) -> web.Server:
        made = await super()._make_server()
        return self.make_server(
            made.request_handler,
            request_factory=made.request_factory,
            loop=made._loop,
            **made._kwargs,
        )

    async def _cleanup_server(self) -> None:
        await self.stop_server()
        await super()._cleanup_server()

    @abstractmethod
    def make_server(self, handler: Handler, **options: Any) -> HttpServer:
        """Return the server for the application, whose ``handler`` answers its requests."""

    @abstractmethod
    async def stop_server(self) -> None:
        """Stop what the server has started; its connections are closed."""
