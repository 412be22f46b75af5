"""Accepts HTTP connections, and aborts those that take too long or are too many.

A connection begins as an `Arrival`, and becomes a `Connection` with its first request, unless that
opens a WebSocket.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from operator import itemgetter
from typing import Any

from aiohttp import web

from hub.aiohttp_internals import Handler, HttpRunner, HttpServer, is_pipelined
from hub.api.arrival import Arrival, Arrivals, OpenWebSocket, decline
from hub.api.connection import Connection, add_common_headers
from hub.api.open_files import most_files
from hub.api.problem import problem
from hub.api.unfinished import Unfinished
from hub.errors import HubError, InvalidRequest, NotFound

CHECK_EVERY = 0.5
MAX_HEADERS = 100
MAX_LINE = 8190
MAX_SLASHES = 32
"""Slashes in a path; no resource has nearly as many. aiohttp's router does a look-up for each."""

NEWCOMER_SECONDS = 2.0
"""A connection that has sent nothing for this long is closed before those that were used."""

PATIENCE = 6
"""A client may take this many times ``write_seconds`` to read everything."""

LINGER = 1.0
"""Seconds to keep reading an unwanted body, so that the client reads the response."""


def _screening(handler: Handler) -> Handler:
    """Return a handler that refuses some requests before they are routed.

    These are an expectation other than ``100-continue`` (RFC 9110 section 10.1.1), which aiohttp
    answers with plain text that quotes the header, and fails on if it is not ASCII; and a path of
    thousands of slashes, for which its router takes quadratic time.

    Pipelined requests are handled one per iteration of the event loop, over all connections:
    aiohttp would handle all that a connection holds without yielding.
    """
    pipelined = asyncio.Lock()

    def handle(request: web.BaseRequest) -> Awaitable[web.StreamResponse]:
        expected = request.headers.get("Expect")
        if expected and expected.lower() != "100-continue":
            return _refuse(InvalidRequest("nothing but 100-continue can be expected"), 417)
        if request.rel_url.raw_path.count("/") > MAX_SLASHES:
            return _refuse(NotFound("there is nothing at this address"), 404)
        if is_pipelined(request):
            return wait_and_handle(request)
        return handler(request)

    async def wait_and_handle(request: web.BaseRequest) -> web.StreamResponse:
        async with pipelined:
            await asyncio.sleep(0)
        return await handler(request)

    return handle


async def _refuse(error: HubError, status: int) -> web.StreamResponse:
    answer = problem(error, status)
    add_common_headers(answer)
    return answer


class Listener(HttpServer):
    """All accepted connections; `abort_overdue` aborts those that take too long.

    ``read_seconds`` is the time for the headers of a request, ``write_seconds`` for a client to
    read some of what it was sent. Beyond ``most`` connections, sockets not counted, those that are
    idle, or whose clients do not read, are closed to make room. Half as many may have an incomplete
    request (`hub.api.unfinished`).
    """

    read_seconds = 10.0
    write_seconds = 10.0
    most = 5_000

    _room = 0
    """How many more connections are accepted before idle ones are closed again."""

    def __init__(
        self, handler: Handler, *, open_websocket: OpenWebSocket = decline, **options: Any
    ) -> None:
        super().__init__(handler, **options)
        self._arrivals = Arrivals(open_websocket, self._make_connection, self.parser_limits)
        self._unfinished = Unfinished(lambda: self.most // 2)

    def __call__(self) -> Arrival:  # type: ignore[override]
        """Return the protocol of a connection that was accepted."""
        if self._room:
            self._room -= 1
        elif len(self.open_connections) + len(self._arrivals) >= self.most:
            self._room = self.most // 10
            self._make_room(self._room)
        return Arrival(self._arrivals, self.now())

    def _make_connection(self, since: float) -> Connection:
        return Connection(self, since, self._unfinished, **self.connection_options)

    def _make_room(self, count: int) -> None:
        """Close at most this many connections that are idle, or whose clients do not read.

        In this order: those that have not read for longest, those that have sent nothing for
        `NEWCOMER_SECONDS`, the oldest idle ones, and newcomers.
        """
        idle = self._arrivals.late(self.now() - NEWCOMER_SECONDS)
        newcomers = list(self._arrivals)[len(idle) :]
        behind: list[tuple[float, asyncio.Transport]] = []
        for connection, transport in self.open_connections.items():
            assert isinstance(connection, Connection)
            if connection.behind_since is not None and transport.get_write_buffer_size():
                behind.append((connection.behind_since, transport))
            elif connection.is_idle:
                idle.append(transport)
        behind.sort(key=itemgetter(0))
        for _, transport in behind[:count]:
            transport.abort()
        for transport in [*idle, *newcomers][: max(0, count - len(behind))]:
            transport.close()

    def close_unused(self) -> None:
        """Close the connections that have sent nothing yet."""
        for transport in self._arrivals:
            transport.close()

    def abort_overdue(self) -> None:
        """Abort the connections that have taken too long, and some if there are too many."""
        now = self.now()
        for transport in self._arrivals.late(now - self.read_seconds):
            transport.abort()
        for connection, transport in list(self.open_connections.items()):
            assert isinstance(connection, Connection)
            is_late = (
                connection.is_idle
                and connection.since is not None
                and now - connection.since > self.read_seconds
            )
            if is_late or self._update_unread(connection, transport, now):
                transport.abort()
        # Without free file descriptors, no connection is accepted that would make room.
        if (excess := len(self.open_connections) + len(self._arrivals) - self.most) > 0:
            self._make_room(excess)

    def _update_unread(
        self, connection: Connection, transport: asyncio.Transport, now: float
    ) -> bool:
        """Record what a client has not read; return whether it has not read for too long."""
        unread = transport.get_write_buffer_size()
        if not unread:
            connection.unread_since = connection.behind_since = None
        elif connection.behind_since is None or connection.unread_since is None:
            connection.unread_since = connection.behind_since = now
        elif unread < connection.unread:
            connection.unread_since = now
        connection.unread = unread
        if connection.unread_since is None or connection.behind_since is None:
            return False
        return (
            now - connection.unread_since > self.write_seconds
            or now - connection.behind_since > PATIENCE * self.write_seconds
        )


class Runner(HttpRunner):
    """aiohttp's runner, with a `Listener`; times are in seconds.

    ``open_websocket`` may take over upgrades before the application sees them.
    """

    __slots__ = ("_checking", "_open_websocket", "_read_seconds", "_write_seconds")

    def __init__(
        self,
        app: web.Application,
        *,
        read_seconds: float,
        write_seconds: float,
        open_websocket: OpenWebSocket = decline,
        **options: Any,
    ) -> None:
        super().__init__(
            app,
            access_log=None,
            max_headers=MAX_HEADERS,
            max_line_size=MAX_LINE,
            lingering_time=LINGER,
            **options,
        )
        self._open_websocket = open_websocket
        self._read_seconds = read_seconds
        self._write_seconds = write_seconds

    def make_server(self, handler: Handler, **options: Any) -> Listener:
        """Return a listener, which is checked regularly from now on."""
        screened = _screening(handler)
        listener = Listener(screened, open_websocket=self._open_websocket, **options)
        listener.read_seconds, listener.write_seconds = self._read_seconds, self._write_seconds
        listener.most = min(listener.most, most_files() // 4)
        self._checking = asyncio.create_task(_abort_regularly(listener))
        return listener

    async def stop_server(self) -> None:
        """Stop checking."""
        self._checking.cancel()
        await asyncio.gather(self._checking, return_exceptions=True)


async def _abort_regularly(listener: Listener) -> None:
    while True:
        await asyncio.sleep(CHECK_EVERY)
        listener.abort_overdue()
