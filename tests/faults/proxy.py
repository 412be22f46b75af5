"""A TCP proxy before Redis or a replica that can be cut, held, slowed, or made to lose.

What is held is sent on later, as TCP does after a network that was away for a while.
"""

from __future__ import annotations

import asyncio
import contextlib
from types import TracebackType
from typing import Self

CHUNK = 65536
MAX_CHUNKS = 16
"""How many are under way at once to whoever asked."""


class Proxy:
    """Forwards connections to ``target`` on loopback. It, and switches, may be set at any time.

    ``cut``: connections are reset and new ones are closed at once. ``held_up``, ``held_down``:
    nothing passes to Redis, or from it. ``delay``: seconds that each chunk waits on its way;
    ``uneven``: but not to connections that have subscribed.
    ``deaf``: what Redis sends to connections that have subscribed is lost. ``lag``: seconds by
    which all that the target sends arrives later, however much there is.
    """

    def __init__(self, target: int) -> None:
        self.port = 0
        self.cut = False
        self.held_up = False
        self.held_down = False
        self.delay = 0.0
        self.uneven = False
        self.deaf = False
        self.lag = 0.0
        self.target = target
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._changed = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._server is not None
        self._server.close()
        self.set(cut=True)
        await self._server.wait_closed()

    def set(
        self,
        *,
        cut: bool = False,
        held_up: bool = False,
        held_down: bool = False,
        delay: float = 0.0,
        uneven: bool = False,
        deaf: bool = False,
        lag: float = 0.0,
    ) -> None:
        """Set all switches at once; without arguments the link is whole again."""
        self.cut, self.held_up, self.held_down = cut, held_up, held_down
        self.delay, self.uneven, self.deaf, self.lag = delay, uneven, deaf, lag
        self._changed.set()
        self._changed = asyncio.Event()
        if cut:
            for writer in self._writers:
                writer.transport.abort()

    async def _serve(self, near: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        self._writers.add(back)
        forth = None
        try:
            if self.cut:
                return
            far, forth = await asyncio.open_connection("127.0.0.1", self.target)
            self._writers.add(forth)
            link = _Link(self)
            async with asyncio.TaskGroup() as both:
                both.create_task(link.carry_up(near, forth))
                both.create_task(link.take_down(far))
                both.create_task(link.carry_down(back))
        except* (OSError, asyncio.IncompleteReadError):
            pass  # one end is gone; the other is closed below
        finally:
            for writer in filter(None, (back, forth)):
                self._writers.discard(writer)
                writer.transport.abort()

    async def wait_up(self) -> None:
        """Return once what goes to Redis may go."""
        await asyncio.sleep(self.delay)
        while self.held_up:
            await self._changed.wait()

    async def wait_down(self, *, subscribed: bool) -> None:
        """Return once what comes from Redis may go on; a subscription may have it at once."""
        if not (subscribed and self.uneven):
            await asyncio.sleep(self.delay)
        while self.held_down:
            await self._changed.wait()


class _Link:
    def __init__(self, proxy: Proxy) -> None:
        self._proxy = proxy
        self._subscribed = False
        self._down: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(MAX_CHUNKS)
        self._held: tuple[float, bytes] | None = None

    async def carry_up(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while data := await source.read(CHUNK):
            await self._proxy.wait_up()
            self._subscribed = self._subscribed or b"SUBSCRIBE" in data
            sink.write(data)
            await sink.drain()
        raise ConnectionResetError

    async def take_down(self, source: asyncio.StreamReader) -> None:
        now = asyncio.get_running_loop().time
        while data := await source.read(CHUNK):
            await self._down.put((now() + self._proxy.lag, data))
        await self._down.put((now(), b""))

    async def carry_down(self, sink: asyncio.StreamWriter) -> None:
        while data := await self._due():
            await self._proxy.wait_down(subscribed=self._subscribed)
            if self._subscribed and self._proxy.deaf:
                continue
            sink.write(data)
            with contextlib.suppress(ConnectionResetError):
                await sink.drain()
        raise ConnectionResetError

    async def _due(self) -> bytes:
        """Return all that is due, once anything is; nothing at the end."""
        now = asyncio.get_running_loop().time
        due, data = self._held or await self._down.get()
        await asyncio.sleep(due - now())
        self._held = None
        while data and not self._down.empty():
            self._held = due, more = self._down.get_nowait()
            if due > now() or not more:
                break
            data, self._held = data + more, None
        return data
