"""A response of server-sent events, which any part of the program may send.

Events are written to the connection at once, without a task for each response. The listener aborts
a connection whose client does not read (`hub.api.listener`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import HttpVersion11, web

from hub.api.connection import Connection
from hub.core.event_stream import GZIP_HEADER, Gzip, Piece

CHUNK_END = b"\r\n"


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
        self._request = request
        self._serve = serve
        self._write_seconds = write_seconds
        self._is_chunked = request.version >= HttpVersion11
        self._transport: asyncio.Transport | None = None
        self._gzip: Gzip | None = None
        self.ended = asyncio.Event()
        self.is_too_slow = False
        self.headers["Vary"] = "Accept-Encoding"
        if takes_gzip(request.headers.get("Accept-Encoding", "")):
            self.headers["Content-Encoding"] = "gzip"
            self._gzip = Gzip()
        if self._is_chunked:
            self.enable_chunked_encoding()
        self.force_close()

    async def write_eof(self, data: bytes = b"") -> None:
        """Send the events, then end the response."""
        self._transport = self._request.transport
        if self._request.method != "HEAD" and self._transport is not None:
            connection = self._request.protocol
            assert isinstance(connection, Connection)
            connection.on_lost = self._note_lost
            if self._gzip is not None:
                self._write(GZIP_HEADER)
            await self._serve(self)
            connection.on_lost = None
            if self._gzip is not None:
                self._write(self._gzip.end())
        await super().write_eof()

    def send(self, piece: Piece) -> None:
        """Send events; does nothing once the stream has ended."""
        if not self.ended.is_set():
            self._write(piece.plain if self._gzip is None else self._gzip.add(piece))

    def _write(self, data: bytes) -> None:
        transport = self._transport
        if transport is None or transport.is_closing():
            self.ended.set()
        elif self._is_chunked:
            transport.writelines((b"%x\r\n" % len(data), data, CHUNK_END))
        else:
            transport.write(data)

    @property
    def unsent(self) -> int:
        """The number of bytes in the write buffer."""
        return 0 if self._transport is None else self._transport.get_write_buffer_size()

    async def drain(self) -> None:
        """Wait until most of the buffer is sent, or the stream has ended."""
        connection: Any = self._request.protocol
        try:
            await connection._drain_helper()
        except ConnectionError:
            self.ended.set()
        # The client has read, so a long snapshot may take longer than `write_seconds`.
        connection.unread_since = connection.behind_since = None

    def cut(self) -> None:
        """Abort the connection, since the client does not read."""
        self.is_too_slow = True
        self.ended.set()
        if self._transport is not None:
            self._transport.abort()

    def _note_lost(self) -> None:
        connection = self._request.protocol
        assert isinstance(connection, Connection)
        since = connection.unread_since
        now = asyncio.get_running_loop().time()
        self.is_too_slow |= since is not None and now - since >= self._write_seconds
        self.ended.set()


def takes_gzip(accepted: str) -> bool:
    """Return whether an ``Accept-Encoding`` accepts gzip (RFC 9110 section 12.5.3)."""
    for one in accepted.split(","):
        coding, _, quality = one.replace(" ", "").lower().partition(";")
        if coding in ("gzip", "x-gzip"):
            return not quality or quality.removeprefix("q=").strip("0.") != ""
    return False
