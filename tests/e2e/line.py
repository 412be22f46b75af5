"""A line between a browser and a hub that a test may cut, block or lead elsewhere."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Literal

CHUNK = 65536


class Line:
    """Carries TCP connections to a port of this machine, and can be cut, blocked or redirected."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.port = 0
        self.carries = True
        self.takes_sockets = True
        self.swallows_sockets = False
        self.unheard: Literal["", "client", "hub"] = ""
        """Whose data is lost on connections whose first request asks for a WebSocket."""
        self._ends: set[asyncio.StreamWriter] = set()
        self._flows = asyncio.Event()
        self._flows.set()

    @property
    def url(self) -> str:
        """Where browsers reach the hub."""
        return f"http://127.0.0.1:{self.port}"

    def hang_up(self) -> None:
        """Abort what is connected; the next connection may succeed."""
        for end in self._ends:
            end.transport.abort()

    def cut(self) -> None:
        """Abort what is connected, and refuse what comes."""
        self.carries = False
        self._flows.set()
        self.hang_up()

    def fall_silent(self) -> None:
        """Hold back all data, without closing anything."""
        self._flows.clear()

    def mend(self) -> None:
        """Resume, and send what was held back."""
        self.carries = True
        self._flows.set()

    def block_sockets(self, *, swallow: bool = False) -> None:
        """Refuse WebSockets from now on, or take them and answer nothing; HTTP goes through."""
        self.takes_sockets = False
        self.swallows_sockets = swallow
        self.hang_up()

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection until either side ends it."""
        with contextlib.suppress(OSError):
            async with self._held(writer):
                first = await reader.read(CHUNK)
                await self._flows.wait()
                if not self.carries:
                    return
                if b" /socket.io/" in first and not self.takes_sockets:
                    while self.swallows_sockets and await reader.read(CHUNK):
                        pass
                    return
                there, back = await asyncio.open_connection("127.0.0.1", self.target)
                async with self._held(back):
                    back.write(first)
                    is_websocket = b"\r\nupgrade: websocket\r\n" in first.lower()
                    unheard = self.unheard if is_websocket else ""
                    await self._both(reader, writer, there, back, unheard)

    async def _both(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        there: asyncio.StreamReader,
        back: asyncio.StreamWriter,
        unheard: str,
    ) -> None:
        ways = [
            asyncio.create_task(self._pump(reader, None if unheard == "client" else back)),
            asyncio.create_task(self._pump(there, None if unheard == "hub" else writer)),
        ]
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter | None
    ) -> None:
        while data := await reader.read(CHUNK):
            await self._flows.wait()
            if writer is not None:
                writer.write(data)
                await writer.drain()

    @contextlib.asynccontextmanager
    async def _held(self, end: asyncio.StreamWriter) -> AsyncIterator[None]:
        self._ends.add(end)
        try:
            yield
        finally:
            self._ends.discard(end)
            end.close()


@contextlib.asynccontextmanager
async def line_to(target: int) -> AsyncIterator[Line]:
    """Open a line for the length of the context."""
    line = Line(target)
    carrying: set[asyncio.Task[None]] = set()

    def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(line.carry(reader, writer))
        carrying.add(task)
        task.add_done_callback(carrying.discard)

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    line.port = server.sockets[0].getsockname()[1]
    try:
        yield line
    finally:
        server.close()
        line.cut()
        if carrying:
            await asyncio.wait(carrying, timeout=5)
