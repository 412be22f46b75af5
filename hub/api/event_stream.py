"""A response of server-sent events, for `hub.access.feed`.

Events are written to the connection at once, without a task for each response. The listener aborts
a connection whose client does not read (`hub.api.listener`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import HttpVersion11, web

from hub.aiohttp_internals import BodyWriter, connection_of
from hub.api.connection import Connection
from hub.core.event_stream import GZIP_HEADER, Gzip, Piece
from hub.core.weights import read_weights


class EventStream(web.StreamResponse):
    """The response to ``request``, whose events ``serve`` sends.

    ``serve`` is called once the headers are sent, and the response ends when it returns.
    ``write_seconds`` is how long a client may leave events unread. It implements
    `hub.access.guards.Stream`.
    """

    def __init__(
        self,
        request: web.Request,
        serve: Callable[[EventStream], Awaitable[None]],
        write_seconds: float,
    ) -> None:
        super().__init__(headers={"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"})
        connection = connection_of(request)
        assert isinstance(connection, Connection)
        is_chunked = request.version >= HttpVersion11
        self._connection = connection
        self._has_body = request.method != "HEAD"
        self._events = BodyWriter(request, is_chunked=is_chunked)
        self._serve = serve
        self._write_seconds = write_seconds
        self._gzip: Gzip | None = None
        self.ended = asyncio.Event()
        self.is_too_slow = False
        self.headers["Vary"] = "Accept-Encoding"
        if takes_gzip(request.headers.getall("Accept-Encoding", [])):
            self.headers["Content-Encoding"] = "gzip"
            self._gzip = Gzip()
        if is_chunked:
            self.enable_chunked_encoding()
        self.force_close()

    async def write_eof(self, data: bytes = b"") -> None:
        """Send the events, then end the response."""
        if self._has_body:
            self._connection.on_lost = self._note_lost
            if self._gzip is not None:
                self._write(GZIP_HEADER)
            await self._serve(self)
            self._connection.on_lost = None
            if self._gzip is not None:
                self._write(self._gzip.end())
        await super().write_eof()

    def send(self, piece: Piece) -> None:
        """Send events; does nothing once the stream has ended."""
        if not self.ended.is_set():
            self._write(piece.plain if self._gzip is None else self._gzip.add(piece))

    def _write(self, data: bytes) -> None:
        if not self._events.write(data):
            self.ended.set()

    @property
    def unsent(self) -> int:
        """The number of bytes in the write buffer."""
        return self._events.unsent

    async def drain(self) -> None:
        """Wait until most of the buffer is sent, or the stream has ended."""
        try:
            await self._events.drain()
        except ConnectionError:
            self.ended.set()
        # The client has read, so a long snapshot may take longer than `write_seconds`.
        self._connection.unread_since = self._connection.behind_since = None

    def cut(self) -> None:
        """Abort the connection, since the client does not read."""
        self.is_too_slow = True
        self.ended.set()
        self._events.abort()

    def _note_lost(self) -> None:
        since = self._connection.unread_since
        now = asyncio.get_running_loop().time()
        self.is_too_slow |= since is not None and now - since >= self._write_seconds
        self.ended.set()


def takes_gzip(accepted: list[str]) -> bool:
    """Return whether ``Accept-Encoding`` names gzip (RFC 9110 sections 8.4.1.3 and 12.5.3)."""
    weights = read_weights(accepted)
    return any(weights.get(coding, 0.0) > 0 for coding in ("gzip", "x-gzip"))
