"""A hub in a thread of its own, on a real socket: what a fuzzer talks to, and what it may ask."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator, MutableMapping
from typing import Any

import structlog
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from hub.app import create_app, serve
from hub.settings import Settings
from tests.patience import PATIENCE
from tests.site import settings

COOKIE = "hub_token"
APP = "https://app.example"
MODULES = ("hub.realtime.", "hub.api.", "aiohttp.", "socketio.", "engineio.", "_asyncio")
"""Where the types are of which things are made for each client; none of them may be left."""

LIBRARIES = ("aiohttp.server", "aiohttp.web", "asyncio", "hub.socketio", "engineio.server")
UNREADABLE = "an unreadable logout in the log"
"""An error that somebody else's writing into the log is, and that no client can bring about."""


class FuzzedHub:
    """One running hub; its own thread runs it, so that a test may use plain sockets."""

    def __init__(self, **changes: Any) -> None:
        self._settings = fuzzed_settings(**changes)
        self._loop = asyncio.new_event_loop()
        self._loop.set_exception_handler(self._on_exception)
        self._ready: asyncio.Future[Any] = self._loop.create_future()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._stop = asyncio.Event()
        self.failures: list[str] = []
        self.lines: list[MutableMapping[str, Any]] = []
        self.port = 0

    def start(self) -> None:
        """Start it, and return once it listens."""
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._run(), self._loop)
        self.port = asyncio.run_coroutine_threadsafe(self._started(), self._loop).result(PATIENCE)
        self._before = self.census()

    async def _started(self) -> int:
        port: int = await self._ready
        return port

    async def _run(self) -> None:
        app = create_app(self._settings)
        self._engine = _engine(app)
        async with serve(app, "127.0.0.1", 0) as port:
            self._ready.set_result(port)
            await self._stop.wait()
        self._loop.stop()

    def stop(self) -> None:
        """Stop it."""
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()
        self._loop.close()

    def _on_exception(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self.failures.append(f"{context['message']}: {context.get('exception')!r}")

    # ---- What a client does ----

    @contextlib.contextmanager
    def line(self) -> Iterator[socket.socket]:
        """Open a connection for the length of the context."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE) as line:
            line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            yield line

    def exchange(self, data: bytes, *, is_all: bool = False) -> bytes:
        """Send bytes, with ``is_all`` say that these are all, and return what comes back."""
        with self.line() as line:
            with contextlib.suppress(ConnectionError):
                line.sendall(data)
            if is_all:
                end(line)
            return read_all(line)

    # ---- What must hold afterwards ----

    def census(self) -> Counter[str]:
        """Return how much of everything there is that is kept a client."""
        return asyncio.run_coroutine_threadsafe(self._count(), self._loop).result(PATIENCE)

    async def _count(self) -> Counter[str]:
        found: Counter[str] = Counter()
        for part in _parts(self._engine):
            for name, value in _members(part):
                if isinstance(value, dict | set | list):
                    found[f"{type(part).__name__}.{name}"] += len(value)
        gc.collect()
        for thing in gc.get_objects():
            # The last error, or answer, may stay where it was noted; what it holds is counted.
            kind = type(thing)
            if kind is asyncio.Task and thing.done():
                continue
            is_kept = f"{kind.__module__}.".startswith(MODULES)
            if is_kept and not issubclass(kind, Exception):
                name = getattr(thing.get_coro(), "__qualname__", "") if kind is asyncio.Task else ""
                found[f"{kind.__module__}.{kind.__name__} {name}".strip()] += 1
        return found

    def check(self) -> None:
        """Hold the hub to have logged no error and no traceback since the last time."""
        bad = [
            str(line)
            for line in self.lines
            if line.get("exc_info")
            or (line["log_level"] in ("error", "critical") and line["event"] != UNREADABLE)
        ]
        bad += self.failures
        self.lines.clear()
        self.failures.clear()
        if bad:
            raise AssertionError(f"logged {len(bad)} errors: {bad[:3]}")

    def check_empty(self) -> None:
        """Hold the hub to keep nothing of clients that are gone, once it had time to let go."""
        end = time.monotonic() + PATIENCE
        while found := self.census() - self._before:
            if time.monotonic() > end:
                raise AssertionError(f"kept, though its client is gone: {dict(found)}")
            time.sleep(0.1)


class _Errors(logging.Handler):
    """Takes what libraries log as errors, and asyncio of tasks that failed unheard."""

    def __init__(self, failures: list[str]) -> None:
        super().__init__(logging.ERROR)
        self._failures = failures

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line, unless it says that a request could not be parsed."""
        error = record.exc_info[1] if record.exc_info else None
        if not isinstance(error, HttpProcessingError):
            self._failures.append(f"{record.name}: {record.getMessage()} {error!r}")


@contextlib.contextmanager
def _hearing(failures: list[str]) -> Iterator[None]:
    """Hear what libraries log, and let nobody else keep it: a traceback keeps its connection."""
    handler, loggers = _Errors(failures), [logging.getLogger(name) for name in LIBRARIES]
    for logger in loggers:
        logger.addHandler(handler)
        logger.propagate = False
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeHandler(handler)
            logger.propagate = True


@contextlib.contextmanager
def fuzzed(**changes: Any) -> Iterator[FuzzedHub]:
    """Run a hub for the length of the context, and hold it to what must hold at the end.

    Nothing that a client sent is logged as an error, and nothing of it is kept.
    """
    hub = FuzzedHub(**changes)
    with structlog.testing.capture_logs() as lines, _hearing(hub.failures):
        hub.lines = lines
        hub.start()
        try:
            yield hub
            hub.check_empty()
            hub.check()
        finally:
            hub.stop()


def fuzzed_settings(**changes: Any) -> Settings:
    """Return settings under which no limit hides what lies behind it."""
    unlimited = dict.fromkeys(("limit_refused", "limit_events", "limit_logouts", "limit_calls"))
    return settings(
        cookie_name=COOKIE,
        allowed_origins=(APP,),
        connect_timeout=1,
        notice_grace=0.2,
        limit_pending=5000,
        limit_admin=None,
        fence_seconds=4 * PATIENCE,
        **unlimited,
        **changes,
    )


def end(line: socket.socket) -> None:
    """Say that there is no more to come, unless the other side is gone already."""
    with contextlib.suppress(OSError):
        line.shutdown(socket.SHUT_WR)


def read_all(line: socket.socket) -> bytes:
    """Return all that comes until the other side ends the connection.

    Raises:
        TimeoutError: when it does not end it.
    """
    found = b""
    with contextlib.suppress(ConnectionError):
        while more := line.recv(65536):
            found += more
    return found


def _engine(app: web.Application) -> Any:
    for route in app.router.routes():
        if route.resource is not None and route.resource.canonical == "/socket.io/":
            return route.handler.__self__  # type: ignore[attr-defined]
    raise LookupError("no engine is served")


def _parts(engine: Any) -> list[Any]:
    # The Engine.IO server, the Socket.IO server on it, what decides, and who is connected.
    server = engine._make_receiver.args[0]
    return [engine, server, server.lingering, server.unconnected, server.application._connections]


def _members(part: Any) -> Iterator[tuple[str, Any]]:
    names = [*vars(part)] if hasattr(part, "__dict__") else [*part.__slots__]
    for name in names:
        yield name, getattr(part, name)
