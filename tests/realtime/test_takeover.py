"""Taking a connection over from aiohttp still works as it did, in the versions that are allowed."""

from __future__ import annotations

import asyncio
import inspect
import tomllib
from importlib.metadata import version
from pathlib import Path

from aiohttp import web
from aiohttp.base_protocol import BaseProtocol
from aiohttp.web_protocol import RequestHandler

from hub.realtime.takeover import take_over
from tests.realtime.raw import eventually

PROJECT = Path(__file__).parents[2] / "pyproject.toml"


class Echo(asyncio.Protocol):
    """Writes back what it reads."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Write it back."""
        self.transport.write(data)


def test_the_request_handler_has_what_is_reached_for() -> None:
    """The attributes and methods that `take_over` uses exist, with the same parameters."""
    assert "_message_tail" in RequestHandler.__slots__
    assert "transport" in BaseProtocol.__slots__
    assert list(inspect.signature(RequestHandler.connection_lost).parameters) == ["self", "exc"]
    assert "self._force_close" in inspect.getsource(RequestHandler.start)


async def test_a_connection_is_handed_over_whole() -> None:
    """What came with the request, and what comes later, is the protocol's; aiohttp keeps nothing.

    No task and no request handler is left, though the connection lives.
    """

    async def handle(request: web.Request) -> web.StreamResponse:
        return take_over(request, Echo(), b"greeting ")

    app = web.Application()
    app.router.add_get("/", handle)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    tasks = len(asyncio.all_tasks())
    reader, writer = await asyncio.open_connection(*runner.addresses[0][:2])
    head = b"GET / HTTP/1.1\r\nHost: hub\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
    writer.write(head + b"early ")
    assert await reader.readexactly(15) == b"greeting early "
    writer.write(b"late")
    assert await reader.readexactly(4) == b"late"
    assert runner.server is not None
    assert runner.server.connections == []
    await eventually(lambda: len(asyncio.all_tasks()) == tasks)
    writer.close()
    await runner.cleanup()


def test_no_other_version_is_allowed_than_those_that_were_tried() -> None:
    """The dependency has a cap, since a new version may change what is not public."""
    dependencies = tomllib.loads(PROJECT.read_text())["project"]["dependencies"]
    (aiohttp,) = [line for line in dependencies if line.startswith("aiohttp")]
    assert aiohttp == "aiohttp>=3.14.3,<3.15"
    assert version("aiohttp").startswith("3.14.")
