"""The Socket.IO server: one client in the namespace ``/`` on each Engine.IO session.

The path of a CONNECT: `WebSocket.data_received`, or `deliver` in `hub.realtime.polling`, passes a
packet to the `EngineSession`, which passes the message to `Socket.on_message` here. The state
machine in `hub.protocol.socketio` parses it, and `Handlers.connect` in `hub.realtime.handlers`, the
`Application`, accepts or refuses. The answer takes the same path back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Protocol

import structlog
from aiohttp import web

from hub.access.client import Client
from hub.access.limits import Refusals, address_key
from hub.protocol import socketio
from hub.protocol.engineio import MESSAGE, CloseReason, Config
from hub.protocol.frames import GOING_AWAY, POLICY
from hub.protocol.socketio import (
    Ack,
    Connect,
    Emit,
    Event,
    ProtocolError,
    Reconnect,
    State,
    UnknownNamespace,
    encode_ack,
    encode_disconnect,
)
from hub.realtime.acknowledgements import Acknowledgements
from hub.realtime.engine import DRAIN_STEP, Engine, Opening
from hub.realtime.engine_session import EngineSession
from hub.realtime.lingering import Lingering
from hub.realtime.timer_wheel import TimerWheel
from hub.realtime.unconnected import Unconnected

log = structlog.get_logger(__name__)

DISCONNECT = MESSAGE + encode_disconnect()


class ConnectRefused(Exception):
    """CONNECT is refused; ``code`` and ``data`` are the contents of CONNECT_ERROR."""

    def __init__(self, code: str, data: dict[str, Any]) -> None:
        super().__init__(code)
        self.code = code
        self.data = data


class Application(Protocol):
    """Accepts or refuses sockets, and answers their events."""

    async def connect(self, socket: Socket, auth: Any) -> dict[str, Any]:
        """Accept a socket, and return what the answer to CONNECT contains besides its id.

        Raises:
            ConnectRefused: if the socket is refused.
        """
        ...

    async def answer(self, socket: Socket, event: str, args: list[Any]) -> Any:
        """Handle an event, and return its acknowledgement; must not raise."""
        ...

    def disconnected(self, socket: Socket) -> None:
        """Handle the end of a socket, once `connect` has finished if it was called."""
        ...


class Socket:
    """One client of the replica.

    ``id`` is that of its Engine.IO session, ``client`` describes it, ``source`` is the key of its
    address (`address_key`), and ``opening`` is the request that opened the session, kept until
    CONNECT is answered. Its timer runs until CONNECT comes.
    """

    __slots__ = (
        "_is_counted",
        "_protocol",
        "_refused_namespace",
        "_server",
        "client",
        "due",
        "id",
        "opening",
        "session",
        "source",
    )

    def __init__(self, server: Server, session: EngineSession, opening: Opening) -> None:
        self._server = server
        self._protocol = socketio.ServerProtocol()
        self._is_counted = False
        self._refused_namespace = socketio.NAMESPACE
        self.session = session
        self.id = session.id
        self.opening: Opening | None = opening
        self.client = server.read_client(opening)
        self.source = address_key(self.client.ip)
        self.due = 0
        server.timers.start(self, server.connect_timeout)
        server.unconnected.add(self)

    @property
    def is_open(self) -> bool:
        """Whether the session is not closing."""
        return self.session.closing is None

    @property
    def has_unsent(self) -> bool:
        """Whether packets wait for the client to read or poll."""
        return self.session.has_unsent

    def send(self, packet: str, frame: bytes | None = None) -> None:
        """Send an Engine.IO packet; ``frame`` is its WebSocket frame, if already encoded."""
        self.session.send(packet, frame)

    # ---- How it ends ----

    def disconnect(self) -> None:
        """Cut the socket: send DISCONNECT, after which stock clients do not reconnect, and close.

        A client that does not close its side in time is cut by `EngineSession` or `WebSocket`.
        """
        self.session.close(CloseReason.SERVER, last=DISCONNECT)

    def dismiss(self) -> None:
        """Send DISCONNECT and close; called by `Lingering` after the refusal delay."""
        last = MESSAGE + encode_disconnect(self._refused_namespace)
        self.session.close(CloseReason.SERVER, last=last)

    def close_transport(self) -> None:
        """Close the transport without DISCONNECT, so that stock clients reconnect."""
        self.session.close(CloseReason.SERVER, GOING_AWAY)

    def close_for_policy(self) -> None:
        """Close because the client broke a rule, after the answer that is being sent."""
        close = partial(self.session.close, CloseReason.SERVER, POLICY)
        asyncio.get_running_loop().call_soon(close)

    # ---- The session's events (`hub.realtime.engine_session.Receiver`) ----

    def on_message(self, text: str) -> None:
        """Take a Socket.IO packet."""
        try:
            event = self._protocol.receive(text)
        except ProtocolError:
            self._break_off()
        else:
            if event is not None:
                self._handle(event)

    def on_binary(self) -> None:
        """Count a client that uses msgpack."""
        self._server.refusals.note("msgpack", self.source)

    def on_closed(self) -> None:
        """Release the socket; if the application is deciding on CONNECT, it is notified later."""
        server, state = self._server, self._protocol.state
        if state is State.OPENED:
            if server.engine.is_open:
                server.unconnected.remove_failed(self)
            self._stop_awaiting_connect()
        server.lingering.remove(self)
        if self._is_counted:
            server.unconnected.note_closed(self.source)
        if state is not State.CONNECTING:
            self.opening = None
            server.application.disconnected(self)

    def _break_off(self) -> None:
        # A packet that cannot be parsed ends the connection, as in the reference server.
        self._server.refusals.note("packets", self.source)
        self.session.close(CloseReason.SERVER)

    def _handle(self, event: Event) -> None:
        match event:
            case Ack():
                self._server.acknowledgements.take(self.id, event)
            case Emit():
                self._server.spawn(self._answer(event))
            case Connect():
                self._begin_to_connect(event)
            case UnknownNamespace():
                self._refuse_namespace(event)
            case Reconnect():
                # Perhaps it has a new token: let it reconnect to be considered again.
                self.close_transport()
            case _:
                self.session.close(CloseReason.SERVER)

    # ---- CONNECT ----

    def on_timer(self) -> None:
        """Close, since CONNECT did not come in time."""
        self.close_transport()

    def _begin_to_connect(self, event: Connect) -> None:
        self._stop_awaiting_connect()
        if not self._server.engine.is_open:
            # For clients this is a failure of the transport, after which they retry elsewhere.
            self.close_transport()
            return
        self._server.lingering.remove(self)
        self._server.spawn(self._connect(event.auth))

    def _stop_awaiting_connect(self) -> None:
        self._server.unconnected.remove(self)
        self._server.timers.stop(self)

    async def _connect(self, auth: Any) -> None:
        try:
            data = await self._server.application.connect(self, auth)
        except ConnectRefused as refused:
            refusal = {"message": refused.code, "data": refused.data}
            self.send(MESSAGE + self._protocol.refuse(refusal))
            self._release()
            return
        answer = self._protocol.accept({"sid": self.id, **data})
        if not self.is_open:
            self._release()
            return
        self.opening = None
        self.session.budget.trust()
        self._is_counted = True
        self._server.unconnected.note_connected(self.source)
        self.send(MESSAGE + answer)
        try:
            for event in self._protocol.take_waiting():
                if self.session.closing is not None:
                    break
                self._handle(event)
        except ProtocolError:
            self._break_off()

    def _release(self) -> None:
        self.opening = None
        if self.is_open:
            self._server.lingering.add(self)
        else:
            self._server.application.disconnected(self)

    def _refuse_namespace(self, event: UnknownNamespace) -> None:
        """Refuse it as the reference server does; a socket in ``/`` stays connected."""
        self.send(MESSAGE + event.refusal)
        is_first = self._protocol.state is State.OPENED and self not in self._server.lingering
        if is_first:
            # From now on the refusal delay limits the time for a CONNECT to ``/``.
            self._server.timers.stop(self)
            self._refused_namespace = event.namespace
            self._server.lingering.add(self)

    # ---- Events ----

    async def _answer(self, event: Emit) -> None:
        answer = await self._server.application.answer(self, event.name, event.args)
        if event.id is not None:
            self.send(MESSAGE + encode_ack(event.id, answer))


class Server:
    """All sockets of a replica.

    ``connect_timeout`` is the time for CONNECT in seconds. ``read_client`` returns the client of a
    request. ``engine`` are further arguments of `Engine`.
    """

    def __init__(
        self,
        config: Config,
        application: Application,
        acknowledgements: Acknowledgements,
        unconnected: Unconnected,
        timers: TimerWheel,
        refusals: Refusals,
        *,
        connect_timeout: float,
        read_client: Callable[[Opening], Client],
        **engine: Any,
    ) -> None:
        self.application = application
        self.acknowledgements = acknowledgements
        self.unconnected = unconnected
        self.timers = timers
        self.refusals = refusals
        self.connect_timeout = connect_timeout
        self.read_client = read_client
        self.lingering = Lingering(timers)
        self.engine = Engine(
            config,
            timers,
            partial(Socket, self),
            make_room=unconnected.make_room,
            has_room=lambda: unconnected.has_room,
            **engine,
        )
        self._tasks: set[asyncio.Task[None]] = set()

    def attach(self, app: web.Application) -> None:
        """Add the routes of the engine."""
        self.engine.attach(app)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run some work in a task, which is referenced until it is done."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def drain(self) -> None:
        """Close all sockets so that clients connect elsewhere, and wait until they are gone."""
        await self.engine.drain()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=2 * DRAIN_STEP)
