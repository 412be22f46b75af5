"""python-socketio's server, made to close what it should close.

Everything that reaches into the private parts of python-socketio and python-engineio stands in
this module, and ``tests/realtime/test_engine.py`` fails when those parts move. What is mended:

- Compression is never negotiated: it costs a hundred KiB a connection and hub frames are small.
- A refused CONNECT closes the transport, and so does a transport that never sends one.
- A close reaches clients that do not read: the TCP connection is aborted.
- A polling body is read whole, also when it arrives in pieces; one that is too long is refused.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from typing import Any

import socketio
import structlog
from aiohttp import web
from engineio.async_drivers import aiohttp as driver
from socketio import packet

log = structlog.get_logger(__name__)

CLOSE_TIMEOUT = 1.0
DRAIN_STEP = 0.01
BODY_TIMEOUT = 15.0
PING_INTERVAL = 25
PING_TIMEOUT = 20
GOING_AWAY = 1001
BINARY = (str(packet.BINARY_EVENT), str(packet.BINARY_ACK))


class _Body:
    """A request's body that was read already, as python-engineio asks for it."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    async def read(self, length: int) -> bytes:
        return self._data


class _WebSocket(driver.WebSocket):  # type: ignore[misc]
    """The driver's WebSocket, without compression, and known to its Engine.IO socket."""

    async def __call__(self, environ: dict[str, Any]) -> web.WebSocketResponse:
        request: web.Request = environ["aiohttp.request"]
        self._sock = web.WebSocketResponse(
            compress=False, timeout=CLOSE_TIMEOUT, max_msg_size=self.server.max_http_buffer_size
        )
        await self._sock.prepare(request)
        self.environ = environ
        self.transport = request.transport
        self.handler.__self__.hub_websocket = self
        await self.handler(self)
        return self._sock

    async def end(self, code: int) -> None:
        """Close in order, and if that takes too long, or at all events at last, abort."""
        with contextlib.suppress(Exception):
            async with asyncio.timeout(2 * CLOSE_TIMEOUT):
                await self._sock.close(code=code)
        if self.transport is not None:
            self.transport.abort()


async def _translate_request(request: web.Request) -> dict[str, Any]:
    environ: dict[str, Any] = driver.translate_request(request)
    environ["REMOTE_ADDR"] = request.remote or ""
    if request.method == "POST":
        async with asyncio.timeout(BODY_TIMEOUT):
            body = await request.read()
        environ["wsgi.input"] = _Body(body)
        environ["CONTENT_LENGTH"] = str(len(body))
    return environ


def _quiet(name: str) -> logging.Logger:
    # The libraries warn of what any client may send, which is no news to an operator.
    logger = logging.getLogger(name)
    logger.setLevel(logging.ERROR)
    return logger


class Engine(socketio.AsyncServer):  # type: ignore[misc]
    """A Socket.IO server on aiohttp; ``connect_timeout`` is in seconds, ``max_body`` in bytes."""

    def __init__(
        self, *, transports: tuple[str, ...], connect_timeout: float, max_body: int
    ) -> None:
        super().__init__(
            async_mode="aiohttp",
            json=json,
            transports=list(transports),
            http_compression=False,
            cors_allowed_origins=[],
            max_http_buffer_size=max_body,
            ping_interval=PING_INTERVAL,
            ping_timeout=PING_TIMEOUT,
            logger=_quiet("hub.socketio"),
            engineio_logger=_quiet("hub.engineio"),
        )
        self._connect_timeout = connect_timeout
        self._deadlines: dict[str, asyncio.TimerHandle] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self.eio._async = {
            **self.eio._async,
            "websocket": _WebSocket,
            "translate_request": _translate_request,
        }

    async def _handle_eio_connect(self, eio_sid: str, environ: dict[str, Any]) -> None:
        await super()._handle_eio_connect(eio_sid, environ)
        self._deadlines[eio_sid] = asyncio.get_running_loop().call_later(
            self._connect_timeout, self._end_soon, eio_sid
        )

    async def _handle_eio_disconnect(self, eio_sid: str, reason: str) -> None:
        self._meet_deadline(eio_sid)
        await super()._handle_eio_disconnect(eio_sid, reason)

    async def _handle_connect(self, eio_sid: str, namespace: str | None, data: Any) -> None:
        self._meet_deadline(eio_sid)
        try:
            await super()._handle_connect(eio_sid, namespace, data)
        finally:
            await self._forget_if_closed(eio_sid)

    async def _forget_if_closed(self, eio_sid: str) -> None:
        # The library forgets no socket whose transport closes while it is being accepted.
        sid = self.manager.sid_from_eio_sid(eio_sid, "/")
        if sid is not None and eio_sid not in self.environ:
            await self._trigger_event("disconnect", "/", sid, self.reason.TRANSPORT_CLOSE)
            await self.manager.disconnect(sid, "/", ignore_queue=True)

    async def _handle_eio_message(self, eio_sid: str, data: Any) -> None:
        try:
            if not isinstance(data, str) or data[:1] in BINARY:
                raise ValueError("the hub takes no binary packets")
            await super()._handle_eio_message(eio_sid, data)
        except Exception as error:
            # What cannot be parsed ends the connection, as in the reference server.
            log.info("a socket sent what is no packet", error=type(error).__name__)
            self._end_soon(eio_sid)
        else:
            self._end_unless_connected(eio_sid)

    def _end_unless_connected(self, eio_sid: str) -> None:
        waits_for_connect = eio_sid in self._deadlines
        if not waits_for_connect and self.manager.sid_from_eio_sid(eio_sid, "/") is None:
            self._end_soon(eio_sid)

    async def disconnect(
        self, sid: str, namespace: str | None = None, ignore_queue: bool = False
    ) -> None:
        """End a socket for good: DISCONNECT, so that stock clients stay away, then the cut."""
        eio_sid = self.manager.eio_sid_from_sid(sid, namespace or "/")
        if eio_sid is None:
            return
        await self._send_packet(eio_sid, self.packet_class(packet.DISCONNECT, namespace="/"))
        await self.end_transport(eio_sid, 1000)

    async def end_transport(self, eio_sid: str, code: int = GOING_AWAY) -> None:
        """Close a transport; stock clients connect again unless DISCONNECT came before."""
        socket = self.eio.sockets.get(eio_sid)
        if socket is None:
            return
        await self._drain(socket)
        if not socket.upgraded:
            await self._end_polling(eio_sid, socket)
        websocket = getattr(socket, "hub_websocket", None)
        if websocket is not None:
            await websocket.end(code)

    async def _end_polling(self, eio_sid: str, socket: Any) -> None:
        await socket.close(wait=False, reason=self.reason.SERVER_DISCONNECT)
        await self._drain(socket)
        # From now on polls are refused, and one that still waits is answered.
        self.eio.sockets.pop(eio_sid, None)
        socket.queue.put_nowait(None)

    async def end_all(self) -> None:
        """Close every transport with 1001, so that clients connect elsewhere."""
        ends = [self.end_transport(eio_sid) for eio_sid in list(self.eio.sockets)]
        await asyncio.gather(*ends, *self._closing, return_exceptions=True)
        await self.shutdown()

    async def _drain(self, socket: Any) -> None:
        """Let what was said reach the client: over its next poll, or once its upgrade is done."""
        steps = round(CLOSE_TIMEOUT / DRAIN_STEP)
        while steps and (socket.upgrading or socket.queue.qsize()):
            await asyncio.sleep(DRAIN_STEP)
            steps -= 1
        # The writer, or the answer to a poll, took the last packet: let it be written.
        await asyncio.sleep(DRAIN_STEP)

    def _end_soon(self, eio_sid: str) -> None:
        task = asyncio.create_task(self.end_transport(eio_sid))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    def _meet_deadline(self, eio_sid: str) -> None:
        deadline = self._deadlines.pop(eio_sid, None)
        if deadline is not None:
            deadline.cancel()
