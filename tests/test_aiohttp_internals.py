"""What the hub uses of aiohttp beyond its public API is in one file, and works as it did.

A failure here after an update of aiohttp says which internal has changed.
"""

from __future__ import annotations

import ast
import asyncio
import importlib
import inspect
import tomllib
from collections.abc import Awaitable, Callable, Iterator
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http_parser import HttpRequestParser, HttpRequestParserPy

from hub.aiohttp_internals import (
    UNREADABLE_BODY,
    BodyWriter,
    Handler,
    HttpConnection,
    HttpRunner,
    HttpServer,
    connection_of,
    is_pipelined,
    parse_upgrade,
    take_over,
)
from tests.patience import PATIENCE
from tests.realtime.raw import eventually

PROJECT = Path(__file__).parents[1]
INTERNALS = PROJECT / "hub" / "aiohttp_internals.py"
OTHERS = sorted(set((PROJECT / "hub").rglob("*.py")) - {INTERNALS})
AIOHTTP = Path(aiohttp.__file__).parent

USED: dict[type, set[str]] = {
    BaseProtocol: {"_drain_helper", "_buffer_paused", "_pause_transport_reading"},
    web.RequestHandler: {
        "_close",
        "_force_close",
        "_message_tail",
        "_messages",
        "_request_count",
        "_waiter",
    },
    web.Server: {"_connections", "_kwargs", "_loop"},
    web.AppRunner: {"_make_server", "_cleanup_server"},
}
"""The private names that the file uses of each class."""

MODULES = {"aiohttp": (*aiohttp.__all__, "web"), "aiohttp.web": web.__all__}
"""The public modules, with their public names."""

TYPES = {
    "aiohttp.typedefs": ("Handler", "Middleware"),
    "aiohttp.abc": ("AbstractStreamWriter",),
}
"""What middlewares and bodies are annotated with; these have no other name."""

UNDOCUMENTED = {"protocol", "writer", "task", "loop"}
"""Attributes of a request that aiohttp does not document."""

GET = b"GET / HTTP/1.1\r\nHost: hub\r\n\r\n"
UPGRADE = b"GET /?a=b HTTP/1.1\r\nHost: hub\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"


# ---- Where it is used ----


@cache
def tree_of(file: Path) -> ast.Module:
    """Return a file's syntax tree."""
    return ast.parse(file.read_text(encoding="utf-8"))


def is_private(name: str) -> bool:
    """Tell whether a name begins with one underscore."""
    return name.startswith("_") and not name.startswith("__")


def defined_in(tree: ast.AST) -> set[str]:
    """Return the private names that some code defines: methods, slots and attributes it sets."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            found.add(node.attr)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.add(node.value)  # a slot
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
    return {name for name in found if is_private(name)}


def used_in(tree: ast.AST, *, of_self: bool = True) -> dict[str, int]:
    """Return the private attributes that some code uses, or those of others, each with a line."""
    return {
        node.attr: node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and is_private(node.attr)
        and (of_self or not (isinstance(node.value, ast.Name) and node.value.id == "self"))
    }


@cache
def private_names() -> set[str]:
    """Return the private names of all of aiohttp."""
    return set[str]().union(*(defined_in(tree_of(file)) for file in AIOHTTP.glob("*.py")))


def reached_in(file: Path) -> dict[str, int]:
    """Return the private names of aiohttp that a file uses of other objects, each with a line."""
    tree = tree_of(file)
    foreign = private_names() - defined_in(tree)
    return {name: line for name, line in used_in(tree, of_self=False).items() if name in foreign}


def shared_with(kind: type) -> set[str]:
    """Return the private names that a class shares with those of aiohttp that it derives from."""
    own, *bases = (ast.parse(inspect.getsource(one)) for one in (kind, *bases_of(kind)))
    return (set(used_in(own)) | defined_in(own)) & set[str]().union(*map(defined_in, bases))


def bases_of(kind: type) -> list[type]:
    """Return the classes of aiohttp that a class derives from."""
    return [base for base in kind.__mro__ if base.__module__.startswith("aiohttp.")]


def subclasses_in(file: Path) -> Iterator[type]:
    """Yield the classes of a file that derive from one of aiohttp."""
    if "aiohttp" in file.read_text(encoding="utf-8"):
        module = importlib.import_module(".".join(Path(name_of(file)).with_suffix("").parts))
        for kind in vars(module).values():
            if isinstance(kind, type) and kind.__module__ == module.__name__ and bases_of(kind):
                yield kind


def name_of(file: Path) -> str:
    """Return a file's path inside the project."""
    return file.relative_to(PROJECT).as_posix()


def test_the_table_names_all_that_is_used() -> None:
    """Each private name of aiohttp that the file uses is in the table, and exists."""
    used = set(reached_in(INTERNALS)).union(*map(shared_with, subclasses_in(INTERNALS)))
    assert used == set[str]().union(*USED.values())
    for kind, names in USED.items():
        assert names <= defined_in(ast.parse(inspect.getsource(kind)))


def test_no_other_file_uses_what_is_private() -> None:
    """Neither of an object of aiohttp's, nor by deriving from a class and sharing a name."""
    assert not [
        f"{name_of(file)}:{line} uses {name}"
        for file in OTHERS
        for name, line in reached_in(file).items()
    ]
    assert not [
        f"{name_of(file)}:{inspect.getsourcelines(kind)[1]} shares {shared} by {kind.__name__}"
        for file in OTHERS
        for kind in subclasses_in(file)
        if (shared := shared_with(kind))
    ]


def not_public(node: ast.AST) -> set[str]:
    """Return the names of aiohttp that are not exported and that a piece of code gets at."""
    if isinstance(node, ast.Import):
        return {one.name for one in node.names if one.name.startswith("aiohttp")} - set(MODULES)
    if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("aiohttp"):
        exported = {**MODULES, **TYPES}.get(node.module or "", ())
        return {one.name for one in node.names} - set(exported)
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        if node.value.id == "request":
            return {node.attr} & UNDOCUMENTED
        module = {"web": web.__all__, "aiohttp": MODULES["aiohttp"]}.get(node.value.id)
        return set() if module is None else {node.attr} - set(module)
    return set()


def test_no_other_file_imports_what_is_not_public() -> None:
    """Of aiohttp, a file imports names that are exported, and uses no others by way of those."""
    assert not [
        f"{name_of(file)}:{getattr(node, 'lineno', 1)} uses {name}"
        for file in OTHERS
        for node in ast.walk(tree_of(file))
        for name in not_public(node)
    ]


def test_no_other_version_is_allowed_than_those_that_were_tried() -> None:
    """The dependency has a cap, since a new version may change what is not public."""
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    (dependency,) = [line for line in project["dependencies"] if line.startswith("aiohttp")]
    assert dependency == "aiohttp>=3.14.3,<3.15"
    assert version("aiohttp").startswith("3.14.")


# ---- How it behaves ----


class Line(asyncio.Transport):
    """A transport that goes nowhere, and keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.is_paused = False
        self.is_closed = self.is_aborted = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Keep it."""
        self.written += data

    def get_write_buffer_size(self) -> int:
        """Return the size of all that was written."""
        return len(self.written)

    def pause_reading(self) -> None:
        """Note it."""
        self.is_paused = True

    def resume_reading(self) -> None:
        """Note it."""
        self.is_paused = False

    def is_closing(self) -> bool:
        """Tell whether it was closed."""
        return self.is_closed

    def close(self) -> None:
        """Note it."""
        self.is_closed = True

    def abort(self) -> None:
        """Note it."""
        self.is_closed = self.is_aborted = True


async def answer(request: web.BaseRequest) -> web.StreamResponse:
    """Answer with no content."""
    return web.Response(status=204)


async def connect(handler: Handler = answer) -> tuple[HttpConnection, Line]:
    """Return a connection whose requests are answered by a handler, waiting for the first."""
    server = HttpServer(handler, access_log=None)
    connection, line = HttpConnection(server, **server.connection_options), Line()
    connection.connection_made(line)
    await eventually(lambda: connection.is_idle)
    return connection, line


async def test_a_request_is_seen_when_its_head_has_arrived() -> None:
    """Not before; the connection is idle until then, and once the request is answered."""
    connection, line = await connect()
    assert (connection.parse(GET[:9]), connection.is_idle) == (False, True)
    assert (connection.parse(GET[9:]), connection.is_idle) == (True, False)
    assert connection.is_body_whole
    await eventually(lambda: connection.is_idle)
    assert line.written.startswith(b"HTTP/1.1 204 ")


async def test_a_body_is_whole_when_it_has_arrived() -> None:
    """It may come later than the head."""
    connection, _ = await connect()
    begin = b"POST / HTTP/1.1\r\nHost: hub\r\nContent-Length: 4\r\n\r\nab"
    assert (connection.parse(begin), connection.is_body_whole) == (True, False)
    assert (connection.parse(b"cd"), connection.is_body_whole) == (False, True)


async def test_after_what_cannot_be_parsed_nothing_is_read() -> None:
    """It is answered, and its error keeps no traceback, which would keep the bytes."""
    connection, line = await connect()
    assert connection.parse(b"\0\0\0\r\n\r\n")
    assert connection.is_over
    assert line.is_paused
    error: Any = connection._messages[-1][0]
    assert error.exc.__traceback__ is None
    await eventually(lambda: line.is_closed)
    assert line.written.startswith(b"HTTP/1.0 400 ")


async def test_a_head_is_refused_while_it_arrives() -> None:
    """The error is answered as if the request had been parsed."""
    connection, line = await connect()
    connection.parse(GET[:9])
    connection.refuse_head(431, "the headers are too large")
    assert connection.is_over
    await eventually(lambda: line.is_closed)
    assert line.written.startswith(b"HTTP/1.0 431 ")


async def test_requests_queue_behind_the_one_that_is_handled() -> None:
    """Up to a bound, at which nothing is read; all are answered, and then more is read."""
    may_answer = asyncio.Event()

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        await may_answer.wait()
        assert connection_of(request) is connection
        seen.append(is_pipelined(request))
        return web.Response(status=204)

    seen: list[bool] = []
    connection, line = await connect(handle)
    assert connection.parse(GET * 50)
    assert (connection.is_full, line.is_paused) == (True, True)
    may_answer.set()
    await eventually(lambda: connection.is_idle)
    assert seen == [True] * 49 + [False]
    assert (connection.is_full, line.is_paused) == (False, False)


async def test_a_connection_that_closes_reads_no_more() -> None:
    """Whether aiohttp closes it after the answer, or at once."""
    for close in (HttpConnection.close, HttpConnection.force_close):
        connection, _ = await connect()
        before = connection.is_over
        close(connection)
        assert (before, connection.is_over) == (False, True)


async def test_what_fails_is_explained_unless_an_answer_has_begun() -> None:
    """Then the connection can only be closed."""

    async def fail(request: web.BaseRequest) -> web.StreamResponse:
        raise ValueError

    async def fail_late(request: web.BaseRequest) -> web.StreamResponse:
        await web.StreamResponse().prepare(request)
        raise ValueError

    for handle, status in ((fail, b" 500 "), (fail_late, b" 200 ")):
        connection, line = await connect(handle)
        connection.data_received(GET)
        await eventually(lambda line=line: line.is_closed)
        assert line.written.count(b"HTTP/1.1") == line.written.count(status) == 1


async def test_a_handler_learns_that_its_connection_is_lost() -> None:
    """Once, and when the transport is gone; there is nothing to abort then."""
    connection, _ = await connect()
    told: list[bool] = []
    connection.on_lost = lambda: told.append(connection.transport is None)
    connection.connection_lost(None)
    connection.connection_lost(None)
    assert told == [True]
    connection.abort()


async def test_a_connection_can_be_aborted() -> None:
    """The transport is."""
    connection, line = await connect()
    connection.abort()
    assert line.is_aborted


@pytest.mark.parametrize(
    ("is_chunked", "body"),
    [(True, b"\r\n\r\n3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"), (False, b"\r\n\r\nonetwo")],
)
async def test_a_body_is_written_at_once(is_chunked: bool, body: bytes) -> None:
    """It follows the headers, ends as aiohttp ends it, and fails once the connection is closed."""

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        response, writer = web.StreamResponse(), BodyWriter(request, is_chunked=is_chunked)
        if is_chunked:
            response.enable_chunked_encoding()
        await response.prepare(request)
        assert writer.write(b"one")
        assert writer.write(b"two")
        assert writer.unsent == len(line.written)
        await response.write_eof()
        writer.abort()
        assert not writer.write(b"three")
        return response

    connection, line = await connect(handle)
    connection.data_received(GET if is_chunked else GET.replace(b"1.1", b"1.0"))
    await eventually(lambda: line.is_closed)
    assert line.is_aborted
    assert line.written.endswith(body)


@pytest.mark.parametrize("is_lost", [False, True])
async def test_draining_waits_while_writing_is_paused(is_lost: bool) -> None:
    """Until it goes on, or the connection is lost, which is an error."""

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        await BodyWriter(request, is_chunked=True).drain()
        steps.append("not paused")
        connection.pause_writing()
        try:
            await BodyWriter(request, is_chunked=True).drain()
        except ConnectionError:
            steps.append("lost")
        else:
            steps.append("resumed")
        return web.Response()

    steps: list[str] = []
    connection, _ = await connect(handle)
    connection.data_received(GET)
    await eventually(lambda: steps == ["not paused"])
    if is_lost:
        connection.connection_lost(ConnectionResetError())
    else:
        connection.resume_writing()
    await eventually(lambda: steps[1:] == ["lost" if is_lost else "resumed"])


@pytest.mark.parametrize(
    ("data", "is_upgrade"),
    [
        (UPGRADE, True),
        (GET, False),
        (UPGRADE[:-2], False),
        (UPGRADE + b"more", False),
        (UPGRADE + UPGRADE, False),
        (GET + UPGRADE, False),
        (UPGRADE.replace(b"Host", b"Expect: 100-continue\r\nHost"), False),
        (UPGRADE.replace(b"Host", b"Content-Length: 2\r\nHost") + b"ab", False),
        (UPGRADE.replace(b"Host", b"X: " + b"x" * 300 + b"\r\nHost"), False),
        (UPGRADE.replace(b"Host", b"X: 1\r\nY: 2\r\nHost"), False),
        (UPGRADE.replace(b"Host", b"Host: other\r\nHost"), False),
        (b"\0" + UPGRADE, False),
    ],
)
async def test_one_whole_upgrade_is_parsed(data: bytes, is_upgrade: bool) -> None:
    """Nothing else, and not beyond the limits of a server."""
    server = HttpServer(answer, max_line_size=200, max_field_size=200, max_headers=4)
    assert server.parser_limits == {"max_line_size": 200, "max_field_size": 200, "max_headers": 4}
    upgrade = parse_upgrade(data, server.parser_limits)
    assert (upgrade is not None) is is_upgrade
    if upgrade is not None:
        assert (upgrade.method, upgrade.version) == ("GET", aiohttp.HttpVersion11)
        assert upgrade.headers["host"] == "hub"
        assert dict(upgrade.url.query) == {"a": "b"}


@pytest.mark.parametrize(
    ("parser", "header", "body"),
    [
        (HttpRequestParser, b"Content-Length: 7\r\nContent-Encoding: gzip", b"no gzip"),
        (HttpRequestParserPy, b"Content-Length: 7\r\nContent-Encoding: gzip", b"no gzip"),
        (HttpRequestParser, b"Transfer-Encoding: chunked", b"x\r\n"),
        (HttpRequestParserPy, b"Transfer-Encoding: chunked", b"x\r\n"),
    ],
)
async def test_a_body_that_cannot_be_read_raises_what_is_listed(
    monkeypatch: pytest.MonkeyPatch, parser: type, header: bytes, body: bytes
) -> None:
    """By aiohttp's compiled parser, and by the one that takes its place where it is missing."""
    monkeypatch.setattr("aiohttp.web_protocol.HttpRequestParser", parser)

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        with pytest.raises(UNREADABLE_BODY):
            await request.read()
        return web.Response(status=204)

    connection, line = await connect(handle)
    connection.parse(b"POST / HTTP/1.1\r\nHost: hub\r\n" + header + b"\r\n\r\n")
    connection.parse(body)
    await eventually(lambda: line.written != b"")
    assert line.written.startswith(b"HTTP/1.1 204 ")


class Runner(HttpRunner):
    """A runner that notes what it is asked."""

    __slots__ = ("asked",)

    def __init__(self, app: web.Application, **options: Any) -> None:
        super().__init__(app, **options)
        self.asked: list[str] = []

    def make_server(self, handler: Handler, **options: Any) -> HttpServer:
        """Return a server whose factory makes connections of ours."""
        self.asked.append("make")
        asked = self.asked

        class Server(HttpServer):
            """A server that notes what it is asked."""

            def __call__(self) -> HttpConnection:
                return HttpConnection(self, **self.connection_options)

            def close_unused(self) -> None:
                asked.append("close")

        return Server(handler, **options)

    async def stop_server(self) -> None:
        """Note it."""
        self.asked.append("stop")


async def serve(
    handle: Callable[[web.Request], Awaitable[web.StreamResponse]], **options: Any
) -> Runner:
    """Return a runner that serves a handler on a free port."""
    app = web.Application()
    app.router.add_get("/", handle)
    runner = Runner(app, **options)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return runner


async def test_a_runner_has_a_server_of_ours() -> None:
    """With aiohttp's options, the application's requests, and the connections that are open."""

    async def handle(request: web.Request) -> web.StreamResponse:
        assert request.app is runner.app
        assert isinstance(runner.server, HttpServer)
        assert list(runner.server.open_connections) == [connection_of(request)]
        return web.Response(text="hello")

    runner = await serve(handle, max_line_size=100, keepalive_timeout=9.0)
    server = runner.server
    assert isinstance(server, HttpServer)
    assert server.connection_options["keepalive_timeout"] == 9.0
    assert server.parser_limits == {"max_line_size": 100}
    assert abs(server.now() - asyncio.get_running_loop().time()) < 1.0
    address = "http://{}:{}/".format(*runner.addresses[0][:2])
    async with aiohttp.ClientSession() as http:
        async with http.get(address) as response:
            assert await response.text() == "hello"
        assert len(server.open_connections) == 1
        async with http.get(address + "?" + "x" * 200) as response:
            assert response.status == 400
    await eventually(lambda: not server.open_connections)
    await runner.cleanup()
    assert runner.asked == ["make", "close", "stop"]


class Echo(asyncio.Protocol):
    """Writes back what it reads."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Write it back."""
        self.transport.write(data)


async def test_a_connection_is_handed_over_whole() -> None:
    """What came with the request, and what comes later, is the protocol's; aiohttp keeps nothing.

    No task and no request handler is left, though the connection lives.
    """

    async def handle(request: web.Request) -> web.StreamResponse:
        return take_over(request, Echo(), b"greeting ")

    runner = await serve(handle)
    tasks = len(asyncio.all_tasks())
    reader, writer = await asyncio.open_connection(*runner.addresses[0][:2])
    async with asyncio.timeout(PATIENCE):
        writer.write(UPGRADE + b"early ")
        assert await reader.readexactly(15) == b"greeting early "
        writer.write(b"late")
        assert await reader.readexactly(4) == b"late"
    assert runner.server is not None
    assert runner.server.connections == []
    await eventually(lambda: len(asyncio.all_tasks()) == tasks)
    writer.close()
    await runner.cleanup()
