"""The hub that is attacked, and the attacker's connections to it, all from one address."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field

from benchmarks.frames import BROWSERS, TEXT, frame, upgrade_request
from benchmarks.tokens import mint

ADDRESS = "127.0.0.66"
"""The attacker's address; the other clients have another. The hub trusts it as a proxy, which is
the worst case (see `benchmarks.attack.run`)."""

PAUSE = 0.02
"""Seconds until a closed connection is opened again."""

ANSWER_PATIENCE = 10.0
REFUSED = (429, 408, 413, 431)

Work = Callable[[], Awaitable[None]]


class Refused(ConnectionError):
    """The hub did not give the attacker what the flood needs."""


class Pace:
    """Limits a loop to a rate, shared by all its workers; missed turns are not made up for."""

    def __init__(self, rate: float) -> None:
        self._step = 1 / rate
        self._due = time.perf_counter()

    async def turn(self) -> None:
        """Wait for the next turn."""
        now = time.perf_counter()
        self._due = max(self._due + self._step, now - 5 * self._step)
        if self._due > now:
            await asyncio.sleep(self._due - now)


@dataclass
class Connection:
    """A connection of the attacker."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def say(self, data: bytes) -> None:
        """Write as fast as the other side reads.

        Raises:
            EOFError: when the other side has closed the connection.
        """
        if self.writer.transport.is_closing():
            raise EOFError
        self.writer.write(data)
        await self.writer.drain()

    async def ask(self, request: bytes) -> int:
        """Return the status of an answer, which is read whole."""
        async with asyncio.timeout(ANSWER_PATIENCE):
            await self.say(request)
            return (await self.answer())[0]

    async def answer(self) -> tuple[int, bytes]:
        """Return the status and the body of the next answer."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        size = 0
        for text in head.lower().split(b"\r\n"):
            if text.startswith(b"content-length:"):
                size = int(text.partition(b":")[2])
        return int(head[9:12]), await self.reader.readexactly(size)

    async def swallow(self) -> None:
        """Read and forget, until the connection ends."""
        while await self.reader.read(65536):
            pass


@dataclass
class Target:
    """The ports of the hub and its Redis, and what the attacker has counted so far."""

    port: int
    redis_port: int
    counts: Counter[str] = field(default_factory=Counter)

    @contextlib.asynccontextmanager
    async def connect(self) -> AsyncIterator[Connection]:
        """Open a connection for the length of the context."""
        async with asyncio.timeout(ANSWER_PATIENCE):
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", self.port, local_addr=(ADDRESS, 0)
            )
        self.counts["connections"] += 1
        try:
            yield Connection(reader, writer)
        finally:
            writer.transport.abort()

    @contextlib.asynccontextmanager
    async def websocket(self) -> AsyncIterator[Connection]:
        """Open a WebSocket that has not sent CONNECT, for the length of the context.

        Raises:
            Refused: when the hub does not take it.
        """
        async with self.connect() as connection, asyncio.timeout(ANSWER_PATIENCE) as patience:
            await connection.say(upgrade_request(self.port, BROWSERS[0]))
            head = await connection.reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 101"):
                raise Refused(head[:40])
            patience.reschedule(None)
            yield connection

    @contextlib.asynccontextmanager
    async def accepted(self, token: str) -> AsyncIterator[Connection]:
        """Open a WebSocket and have it accepted, for the length of the context.

        Raises:
            Refused: when the hub does not accept it.
        """
        async with self.websocket() as connection:
            async with asyncio.timeout(ANSWER_PATIENCE):
                await connection.say(connect_frame(token))
                received = b""
                while b"40{" not in received:
                    more = await connection.reader.read(65536)
                    received += more
                    if not more or b"44{" in received:
                        raise Refused("CONNECT_ERROR")
            yield connection

    async def repeat(self, workers: int, work: Work) -> None:
        """Repeat some work in several workers, also after errors; runs until cancelled."""

        async def one() -> None:
            while True:
                try:
                    await work()
                except Refused:
                    self.counts["refused"] += 1
                    await asyncio.sleep(PAUSE)
                except (OSError, EOFError, TimeoutError, asyncio.LimitOverrunError):
                    self.counts["closed on the attacker"] += 1
                    await asyncio.sleep(PAUSE)

        await asyncio.gather(*(one() for _ in range(workers)))

    def note(self, status: int) -> None:
        """Count an answer."""
        self.counts["requests"] += 1
        self.counts["limited" if status in REFUSED else f"answered {status}"] += 1


def own_token(number: int = 0) -> str:
    """Return a valid token of the attacker, for one of many sessions."""
    return mint("attacker", f"attacker-{number}")


def connect_frame(token: str) -> bytes:
    """Return a frame with CONNECT."""
    return frame(TEXT, b'40{"token":"%s"}' % token.encode())


def forged_tokens() -> Iterator[str]:
    """Yield different tokens with wrong signatures."""
    number = 0
    while True:
        number += 1
        good = mint("somebody", f"forged-{number}")
        yield good[:-8] + "AAAAAAAA"


def get(path: str, *headers: str) -> bytes:
    """Return a GET."""
    lines = [f"GET {path} HTTP/1.1", "Host: hub", *headers, "", ""]
    return "\r\n".join(lines).encode()
