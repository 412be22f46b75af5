"""What the hub reaches for inside its libraries is still there; fails when a library moves."""

from __future__ import annotations

import asyncio
import inspect
import socket

import engineio
import socketio
from aiohttp import web
from aiohttp.test_utils import TestServer
from engineio.async_drivers import aiohttp as driver
from engineio.async_socket import AsyncSocket

from hub.realtime.engine import Engine, _WebSocket
from tests.realtime.raw import eventually, is_reset


def test_the_handlers_that_the_engine_extends_exist() -> None:
    """The private methods of python-socketio that are overridden have the same parameters."""
    for name in ("_handle_eio_connect", "_handle_eio_disconnect", "_handle_eio_message"):
        stock = inspect.signature(getattr(socketio.AsyncServer, name))
        assert list(stock.parameters) == list(inspect.signature(getattr(Engine, name)).parameters)
    stock = inspect.signature(socketio.AsyncServer._handle_connect)
    assert list(stock.parameters) == ["self", "eio_sid", "namespace", "data"]
    assert "ignore_queue" in inspect.signature(socketio.AsyncServer.disconnect).parameters


def test_the_driver_can_be_replaced_per_server() -> None:
    """python-engineio looks its driver up in a table of the instance."""
    engine = Engine(transports=("websocket",), connect_timeout=1, max_body=1000)
    assert {"websocket", "translate_request"} <= set(driver._async)
    assert engine.eio._async is not driver._async
    assert engine.eio._async["websocket"] is not driver.WebSocket
    assert engine.eio.max_http_buffer_size == 1000
    assert engine.eio.cors_allowed_origins == []


def test_a_websocket_knows_its_socket() -> None:
    """The driver hands the bound method of the Engine.IO socket to the WebSocket."""
    source = inspect.getsource(AsyncSocket._upgrade_websocket)
    assert "self.server._async['websocket'](" in source
    assert "self._websocket_handler, self.server" in source
    assert {"compress", "timeout"} <= set(inspect.signature(web.WebSocketResponse).parameters)


def test_connections_are_found_by_their_engine_id() -> None:
    """The manager and the server keep the tables that closing needs."""
    engine = Engine(transports=("websocket",), connect_timeout=1, max_body=1000)
    assert engine.eio.sockets == {}
    assert engine.manager.sid_from_eio_sid("none", "/") is None
    assert engine.manager.eio_sid_from_sid("none", "/") is None
    assert {"wait", "reason"} <= set(inspect.signature(AsyncSocket.close).parameters)
    assert hasattr(engineio.AsyncServer, "shutdown")


class Stuck:
    """Stands for an Engine.IO socket that has more to say than its client will read."""

    max_http_buffer_size = 1000

    def __init__(self) -> None:
        self.ended = asyncio.Event()

    async def handle(self, websocket: _WebSocket) -> None:
        """Fill every buffer on the way, then close."""
        sending = asyncio.create_task(websocket.send("x" * 50_000_000))
        await asyncio.sleep(0.1)
        assert not sending.done()
        try:
            await websocket.end(1000)
            self.ended.set()
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)


async def test_a_close_does_not_wait_for_full_buffers() -> None:
    """What a client has not read is thrown away by the cut, and its connection is reset."""
    stuck = Stuck()

    async def handle(request: web.Request) -> web.StreamResponse:
        return await _WebSocket(stuck.handle, stuck)({"aiohttp.request": request})

    app = web.Application()
    app.router.add_get("/", handle)
    headers = ["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13"]
    request = ["GET / HTTP/1.1", "Host: hub", *headers, f"Sec-WebSocket-Key: {'A' * 22}==", "", ""]
    async with TestServer(app) as server:
        with socket.create_connection(("127.0.0.1", server.port)) as silent:
            silent.sendall("\r\n".join(request).encode())
            async with asyncio.timeout(10):
                await stuck.ended.wait()
            await eventually(lambda: is_reset(silent))
