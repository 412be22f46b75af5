"""HTTP calls over kept connections, as a backend would make them."""

from __future__ import annotations

import asyncio
import time
from typing import cast


class _Line(asyncio.Protocol):
    """One kept connection with at most one call on it."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self._data = b""
        self._answer: asyncio.Future[int] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def ask(self, request: bytes) -> asyncio.Future[int]:
        """Send a request; the future is the status of its answer."""
        assert self.transport is not None
        self._answer = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return self._answer

    def data_received(self, data: bytes) -> None:
        self._data += data
        head, separator, body = self._data.partition(b"\r\n\r\n")
        if separator and len(body) >= _content_length(head):
            self._data = b""
            if self._answer is not None and not self._answer.done():
                self._answer.set_result(int(head[9:12]))

    def connection_lost(self, error: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(ConnectionResetError("the server closed the connection"))


def _content_length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0


class Calls:
    """Sends requests to one port, each on a connection that is free."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._free: list[_Line] = []
        self._all: list[_Line] = []

    async def call(self, request: bytes, timeout: float) -> tuple[int, float]:
        """Return the status of the answer, 0 if there was none in time, and when it came."""
        try:
            async with asyncio.timeout(timeout):
                line = self._take_free() or await self._open()
                status = await line.ask(request)
        except (TimeoutError, OSError):
            return 0, time.perf_counter()
        self._free.append(line)
        return status, time.perf_counter()

    def _take_free(self) -> _Line | None:
        # A server closes connections that were idle for some time; Node after 5 s.
        while self._free:
            line = self._free.pop()
            if line.transport is not None and not line.transport.is_closing():
                return line
        return None

    async def _open(self) -> _Line:
        loop = asyncio.get_running_loop()
        _, line = await loop.create_connection(_Line, "127.0.0.1", self._port)
        self._all.append(line)
        return line

    def close(self) -> None:
        """Drop all connections."""
        for line in self._all:
            if line.transport is not None:
                line.transport.abort()
