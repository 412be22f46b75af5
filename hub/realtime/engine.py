"""An Engine.IO 4 server on aiohttp: sessions over WebSocket, polling, and from one to the other.

Written from the protocol's document (https://socket.io/docs/v4/engine-io-protocol/). A session is
a `hub.realtime.session.Socket`. Binary packets are not taken: the hub has no use for them.
`EngineServer` offers what python-socketio asks of an Engine.IO server.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import Any, Protocol, cast

from aiohttp import web
from engineio.packet import Packet

from hub.errors import InvalidRequest, RateLimited, Unavailable
from hub.protocol.frames import GOING_AWAY, NORMAL, encode_text
from hub.realtime.session import MAX_PACKETS, MESSAGE, NOOP, Socket, reason
from hub.realtime.websocket import CLOSE_TIMEOUT, Terms, upgrade
from hub.realtime.wheel import Wheel

SEPARATOR = "\x1e"

PING_INTERVAL = 25.0
PING_TIMEOUT = 20.0
READ_SECONDS = WRITE_SECONDS = 10.0
DRAIN_SPREAD, DRAIN_STEP, DRAIN_BATCH = 3.0, 0.05, 50

TRANSPORT_UNKNOWN = (0, "Transport unknown")
SESSION_UNKNOWN = (1, "Session ID unknown")
BAD_HANDSHAKE = (2, "Bad handshake method")
BAD_REQUEST = (3, "Bad request")
BAD_VERSION = (5, "Unsupported protocol version")


class Losable(Protocol):
    """An HTTP connection that says when it is lost (`hub.api.connection.Connection`)."""

    on_lost: Callable[[], None] | None


class EngineServer:
    """All sessions of a replica, and the requests by which they are opened and polled.

    Times are seconds, ``max_size`` is bytes. ``replica`` ends every session id, so that a balancer
    can keep a polling client on its replica by the id alone.
    """

    reason = reason
    async_mode = "aiohttp"

    def __init__(
        self,
        *,
        transports: tuple[str, ...] = ("polling", "websocket"),
        replica: str = "",
        max_size: int = 65536,
        ping_interval: float = PING_INTERVAL,
        ping_timeout: float = PING_TIMEOUT,
        read_seconds: float = READ_SECONDS,
        write_seconds: float = WRITE_SECONDS,
        **ignored: Any,
    ) -> None:
        self.transports = transports
        self.replica = replica
        self.max_size = max_size
        self.ping_interval = ping_interval
        self.ping_timeout = ping_timeout
        self.sockets: dict[str, Socket] = {}
        self.wheel = Wheel()
        self._read_seconds = read_seconds
        self.terms = Terms(self.wheel, max_size, write_seconds)
        self.is_leaving = False
        self.make_room: Callable[[], None] = lambda: None
        self.is_closed: Callable[[], bool] = lambda: False
        self.handle_at_once: Callable[[str, str], bool] = lambda sid, message: False
        self.on_msgpack: Callable[[str], None] = lambda sid: None
        self._handlers: dict[str, Callable[..., Awaitable[None]]] = {}
        self._tasks: set[asyncio.Task[Any]] = set()

    # ---- HTTP ----

    def attach(self, app: web.Application, path: str = "socket.io") -> None:
        """Serve the engine under a path."""
        app.router.add_get(f"/{path}/", self.handle_request, allow_head=False)
        app.router.add_post(f"/{path}/", self.handle_request)

    async def handle_request(self, request: web.Request) -> web.StreamResponse:
        """Answer a request of either transport."""
        query = request.query
        transport, sid = query.get("transport"), query.get("sid")
        if transport not in self.transports:
            return _refuse(TRANSPORT_UNKNOWN)
        if sid is None:
            if query.get("EIO") != "4":
                return _refuse(BAD_VERSION)
            if self.is_leaving or self.is_closed():
                # A failure of the transport, which clients try again elsewhere by themselves.
                raise Unavailable("this replica takes no sockets now")
            return await self._open(request, transport)
        socket = self.sockets.get(sid)
        if socket is None:
            return _refuse(SESSION_UNKNOWN)
        if transport == "websocket":
            return self._probe(request, socket)
        if socket.websocket is not None:
            return _refuse(BAD_REQUEST)
        if socket.closing is None:
            self._pay(socket)
        if request.method == "POST":
            return await self._post(request, socket)
        return await self._poll(request, socket)

    async def _open(self, request: web.Request, transport: str) -> web.StreamResponse:
        if request.method != "GET":
            return _refuse(BAD_HANDSHAKE)
        self.make_room()
        socket = Socket(self, self.generate_id())
        if transport == "websocket":
            try:
                opening = encode_text(socket.opening([]))
                socket.websocket, answer = upgrade(
                    request, socket, self.terms, socket.intake, opening
                )
            except InvalidRequest:
                return _refuse(BAD_REQUEST)
        else:
            upgrades = [name for name in self.transports if name != "polling"]
            answer = web.Response(text=socket.opening(upgrades))
        self.sockets[socket.sid] = socket
        socket.rest(self.ping_interval)
        await self.trigger("connect", socket.sid, {"aiohttp.request": request})
        return answer

    def _probe(self, request: web.Request, socket: Socket) -> web.StreamResponse:
        if socket.websocket is not None or socket.probe is not None or socket.closing is not None:
            return _refuse(BAD_REQUEST)
        try:
            socket.probe, answer = upgrade(request, socket, self.terms, socket.intake)
            socket.probed = False
        except InvalidRequest:
            return _refuse(BAD_REQUEST)
        return answer

    async def _poll(self, request: web.Request, socket: Socket) -> web.StreamResponse:
        if socket.poll is not None:
            socket.end(reason.TRANSPORT_ERROR)
            return _refuse(BAD_REQUEST)
        socket.revive()
        if not socket.outbox and socket.closing is None and socket.probe is None:
            await self._wait(request, socket)
        if request.transport is None:
            # Who asked is gone, and what was for it would be lost without a word.
            socket.end(reason.TRANSPORT_CLOSE)
        if socket.closing is not None and socket.websocket is None and socket.probe is None:
            socket.forget()
            if socket.closing == GOING_AWAY and not socket.outbox:
                # Clients take a close packet for final, and a session that is gone for a failure
                # of the transport, after which they connect again.
                return _refuse(SESSION_UNKNOWN)
        packets = socket.outbox or [NOOP]
        socket.outbox = []
        return web.Response(text=SEPARATOR.join(packets))

    async def _wait(self, request: web.Request, socket: Socket) -> None:
        """Wait until there is something for a poll.

        Raises:
            ConnectionResetError: when the client aborted it.
        """
        poll = socket.poll = asyncio.get_running_loop().create_future()
        # aiohttp tells a handler only when it writes, which may be at the next ping.
        connection = cast("Losable", request.protocol)
        connection.on_lost = socket.on_poll_lost
        try:
            is_there = await poll
        finally:
            connection.on_lost = None
            if socket.poll is poll:
                socket.poll = None
        if not is_there:
            raise ConnectionResetError("the client aborted its poll")

    async def _post(self, request: web.Request, socket: Socket) -> web.StreamResponse:
        try:
            async with asyncio.timeout(self._read_seconds):
                packets = (await request.read()).decode().split(SEPARATOR)
        except (UnicodeDecodeError, TimeoutError, web.HTTPRequestEntityTooLarge) as error:
            socket.end(reason.TRANSPORT_ERROR)
            if isinstance(error, web.HTTPRequestEntityTooLarge):
                raise
            return _refuse(BAD_REQUEST)
        if len(packets) > MAX_PACKETS:
            socket.end(reason.TRANSPORT_ERROR)
            return _refuse(BAD_REQUEST)
        for packet in packets:
            socket.intake.charge(asyncio.get_running_loop().time(), len(packet))
        if not all(socket.receive(packet) for packet in packets):
            socket.end(reason.TRANSPORT_ERROR)
            return _refuse(BAD_REQUEST)
        return web.Response(text="ok")

    def _pay(self, socket: Socket) -> None:
        """Count a request; a session that asks faster than it is read ends."""
        now = asyncio.get_running_loop().time()
        wait = socket.intake.wait(now)
        if wait:
            socket.end(reason.TRANSPORT_ERROR)
            raise RateLimited("the session sends faster than it is read", retry_after=wait)
        socket.intake.charge(now, 0)

    # ---- What python-socketio asks of an Engine.IO server ----

    def on(self, event: str, handler: Callable[..., Awaitable[None]]) -> None:
        """Register the handler of ``connect``, ``message`` or ``disconnect``."""
        self._handlers[event] = handler

    async def trigger(self, event: str, *args: Any) -> None:
        """Call the handler of an event."""
        await self._handlers[event](*args)

    def spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Do some work beside this, and keep hold of it until it is done."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def send(self, sid: str, data: str) -> None:
        """Send a message."""
        socket = self.sockets.get(sid)
        if socket is not None:
            socket.send(MESSAGE + data)

    async def send_packet(self, sid: str, packet: Packet) -> None:
        """Send a packet of python-engineio's."""
        socket = self.sockets.get(sid)
        if socket is not None:
            socket.send(packet.encode())

    async def disconnect(self, sid: str) -> None:
        """End a session."""
        self.end(sid)

    def end(self, sid: str, code: int = NORMAL, last: str = "") -> None:
        """End a session, with ``last`` as its last packet.

        Its WebSocket is closed with ``code``, and cut if that takes long.
        """
        socket = self.sockets.get(sid)
        if socket is not None:
            socket.end(reason.SERVER_DISCONNECT, code, last)

    def trust(self, sid: str) -> None:
        """Read more of a session from now on: somebody is answerable for it."""
        socket = self.sockets.get(sid)
        if socket is not None:
            socket.intake.trust()

    def leave(self, sids: Iterable[str] | None = None) -> None:
        """End these sessions, or all, at once with 1001, so that clients connect elsewhere."""
        for sid in list(self.sockets) if sids is None else sids:
            self.end(sid, GOING_AWAY)

    async def end_all(self, spread: float = DRAIN_SPREAD) -> None:
        """End every session with 1001, so that clients connect elsewhere, and wait for it.

        Many are ended little by little, over ``spread`` seconds, for the sake of whoever takes
        them next.
        """
        self.is_leaving = True
        sids = list(self.sockets)
        steps = max(1, min(round(spread / DRAIN_STEP), len(sids) // DRAIN_BATCH))
        for step in range(steps):
            for sid in sids[step::steps]:
                self.end(sid, GOING_AWAY)
            await asyncio.sleep(DRAIN_STEP)
        for _ in range(round(2 * CLOSE_TIMEOUT / DRAIN_STEP)):
            if not self.sockets and not self._tasks:
                break
            await asyncio.sleep(DRAIN_STEP)

    async def shutdown(self) -> None:
        """Stop; there is nothing in the background but the wheel, which stops by itself."""

    def transport(self, sid: str) -> str:
        """Return the name of the transport that a session uses."""
        return "polling" if self.sockets[sid].websocket is None else "websocket"

    def generate_id(self) -> str:
        """Return a new session id, which ends in the replica's name."""
        return f"{secrets.token_urlsafe(15)}.{self.replica}"

    def start_background_task(
        self, target: Callable[..., Coroutine[Any, Any, Any]], *args: Any, **kwargs: Any
    ) -> asyncio.Task[Any]:
        """Run a coroutine function beside this."""
        return self.spawn(target(*args, **kwargs))

    async def sleep(self, seconds: float = 0) -> None:
        """Wait."""
        await asyncio.sleep(seconds)

    def create_event(self) -> asyncio.Event:
        """Return an event."""
        return asyncio.Event()


def _refuse(problem: tuple[int, str]) -> web.Response:
    code, message = problem
    return web.json_response({"code": code, "message": message}, status=400)
