"""The ways in which requests end: when all of them have, a guard must watch nothing.

An app under test answers ``/finish``, ``/fail`` and ``/endless`` with the stream of `parts` or
`async_parts`, behind a guard.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field

from hub.core.model import Identity
from tests.guard.pretended import PretendedGuard, PretendedSyncGuard
from tests.patience import PATIENCE
from tests.realtime.raw import eventually

TIMES = 3


def parts(name: str) -> Iterator[bytes]:
    """Return a stream that ends as its name says."""
    yield b"tick"
    if name == "fail":
        raise ValueError("the database went away")
    while name == "endless":
        time.sleep(0.01)
        yield b"tick"


async def async_parts(name: str) -> AsyncIterator[bytes]:
    """Return the same, asynchronously."""
    yield b"tick"
    if name == "fail":
        raise ValueError("the database went away")
    while name == "endless":
        await asyncio.sleep(0.01)
        yield b"tick"


class Doorstep:
    """Where requests wait to be checked while it is closed; from any thread."""

    def __init__(self) -> None:
        self.waiting = 0
        self._lock = threading.Lock()
        self._is_open = threading.Event()
        self._is_open.set()

    def wait(self) -> None:
        """Wait until it is open."""
        with self._lock:
            self.waiting += 1
        assert self._is_open.wait(PATIENCE)
        with self._lock:
            self.waiting -= 1

    @contextlib.asynccontextmanager
    async def closed(self) -> AsyncIterator[None]:
        """Have a request wait; the context is entered when one does, and left when none do."""
        self._is_open.clear()
        try:
            yield
        finally:
            self._is_open.set()
        await eventually(lambda: self.waiting == 0)


class PatientSyncGuard(PretendedSyncGuard):
    """A guard that checks a request when the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.doorstep = Doorstep()

    def check(self, token: str) -> Identity:
        """Return whose token it is, after a while."""
        self.doorstep.wait()
        return super().check(token)


class PatientGuard(PretendedGuard):
    """The same for asyncio."""

    def __init__(self) -> None:
        super().__init__()
        self.doorstep = Doorstep()

    async def check(self, token: str) -> Identity:
        """Return whose token it is, after a while."""
        await asyncio.to_thread(self.doorstep.wait)
        return self.sync.check(token)


@dataclass
class Place:
    """Where an app is served, and what is known of its guard.

    ``sids`` are the sessions of a request: several, if it is guarded several times. ``headers``
    are those of a request of such sessions.
    """

    url: str
    headers: Callable[[tuple[str, ...]], dict[str, str]]
    end: Callable[[str], None]
    watches: Callable[[], int]
    doorstep: Doorstep
    layers: int = 1
    count: Iterator[int] = field(default_factory=itertools.count)

    def sessions(self) -> tuple[str, ...]:
        """Return new sessions for a request."""
        number = next(self.count)
        return tuple(f"s{number}-{layer}" for layer in range(self.layers))

    @contextlib.asynccontextmanager
    async def asked(self, path: str, sids: tuple[str, ...]) -> AsyncIterator[asyncio.StreamReader]:
        """Send a request; its client leaves without a word when the context is left."""
        host, _, port = self.url.removeprefix("http://").partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        headers = {"Host": "app", "Connection": "close", **self.headers(sids)}
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        writer.write(f"GET {path} HTTP/1.1\r\n{lines}\r\n".encode())
        await writer.drain()
        try:
            yield reader
        finally:
            writer.transport.abort()

    @contextlib.asynccontextmanager
    async def begun(self, sids: tuple[str, ...]) -> AsyncIterator[asyncio.StreamReader]:
        """Ask for what has no end, and wait until it has begun and is watched."""
        async with self.asked("/endless", sids) as reader:
            await reader.readuntil(b"tick")
            await eventually(lambda: self.watches() == self.layers)
            yield reader

    async def end_in_every_way(self) -> None:
        """Send requests that end in every way, a few times, and wait until nothing is watched."""
        async with asyncio.timeout(PATIENCE):
            for _ in range(TIMES):
                await self.end_by_themselves()
                await self.leave()
                await self.log_out()
        await eventually(lambda: self.watches() == 0)

    async def end_by_themselves(self) -> None:
        """Finish, or fail in the middle."""
        for path in ("/finish", "/fail"):
            async with self.asked(path, self.sessions()) as reader:
                with contextlib.suppress(ConnectionError):
                    assert b"tick" in await reader.read()
        await eventually(lambda: self.watches() == 0)

    async def leave(self) -> None:
        """Leave before the check, during it, and in the middle of the response."""
        for path in ("/finish", "/endless"):
            async with self.asked(path, self.sessions()):
                pass
            async with self.doorstep.closed():
                async with self.asked(path, self.sessions()):
                    await eventually(lambda: self.doorstep.waiting > 0)
                await asyncio.sleep(0.05)  # until the server has noticed
        await eventually(lambda: self.watches() == 0)
        async with self.begun(self.sessions()):
            pass
        await eventually(lambda: self.watches() == 0)

    async def log_out(self) -> None:
        """End each of a request's sessions, which cuts its response."""
        for layer in range(self.layers):
            sids = self.sessions()
            async with self.begun(sids) as reader:
                self.end(sids[layer])
                with contextlib.suppress(ConnectionError):
                    await reader.read()
            await eventually(lambda: self.watches() == 0)
