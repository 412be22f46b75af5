"""The Engine.IO sessions of a replica, and the HTTP requests that open, use and upgrade them."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Mapping
from typing import NamedTuple, TypeAlias

from aiohttp import web
from multidict import CIMultiDictProxy

from hub.aiohttp_internals import UpgradeRequest, take_over
from hub.errors import Unavailable
from hub.protocol import engineio
from hub.protocol.engineio import PATH, CloseReason, Config, Refusal, State, check_request
from hub.protocol.frames import GOING_AWAY, encode_text
from hub.protocol.handshake import HandshakeError, answer_handshake
from hub.realtime import websocket
from hub.realtime.engine_session import EngineSession, Receiver
from hub.realtime.polling import charge_request, deliver, fetch, refuse
from hub.realtime.timer_wheel import TimerWheel
from hub.realtime.websocket import CLOSE_TIMEOUT, WebSocket

READ_SECONDS = WRITE_SECONDS = 10.0
DRAIN_SPREAD, DRAIN_STEP, DRAIN_BATCH = 3.0, 0.05, 50


class Opening(NamedTuple):
    """The request that opens a session; ``peer`` is the address of its connection."""

    headers: CIMultiDictProxy[str]
    query: Mapping[str, str]
    peer: str | None


MakeReceiver: TypeAlias = Callable[[EngineSession, Opening], Receiver]
"""Returns the receiver for a session that a request opens."""


class Engine:
    """All sessions of a replica.

    ``replica`` is the suffix of every session id, so that a load balancer can route a polling
    client to its replica by the id alone. ``make_room`` is called before a session opens, and may
    raise to refuse it. `open_directly` declines unless ``has_room``: then a session fits without
    closing another. Sessions open only while ``is_open``. Times are in seconds.
    """

    def __init__(
        self,
        config: Config,
        timers: TimerWheel,
        make_receiver: MakeReceiver,
        *,
        replica: str = "",
        read_seconds: float = READ_SECONDS,
        write_seconds: float = WRITE_SECONDS,
        make_room: Callable[[], None] = lambda: None,
        has_room: Callable[[], bool] = lambda: True,
        is_open: Callable[[], bool] = lambda: True,
    ) -> None:
        self.config = config
        self.sessions: dict[str, EngineSession] = {}
        self.is_leaving = False
        self._timers = timers
        self._make_receiver = make_receiver
        self._replica = replica
        self._read_seconds = read_seconds
        self._websockets = websocket.Config(timers, config.max_payload, write_seconds)
        self._make_room = make_room
        self._has_room = has_room
        self._is_open = is_open

    def attach(self, app: web.Application) -> None:
        """Add the routes of the engine, under `PATH`."""
        app.router.add_get(PATH, self.handle_request, allow_head=False)
        app.router.add_post(PATH, self.handle_request)

    @property
    def is_open(self) -> bool:
        """Whether sessions can be opened now."""
        return not self.is_leaving and self._is_open()

    async def handle_request(self, request: web.Request) -> web.StreamResponse:
        """Answer a request of either transport."""
        query = request.query
        refusal = check_request(self.config, query, request.method)
        if refusal is None and request.method == "GET" and request.body_exists:
            # A poll waits for long, and nobody would read the body meanwhile.
            refusal = Refusal.BAD_REQUEST
        if refusal is not None:
            return refuse(refusal)
        session_id = query.get("sid")
        if session_id is None:
            return self._open(request)
        session = self.sessions.get(session_id)
        if session is None:
            return refuse(Refusal.UNKNOWN_SESSION)
        if query["transport"] == "websocket":
            return self._probe(request, session)
        if session.websocket is not None:
            return refuse(Refusal.BAD_REQUEST)
        charge_request(session)
        if request.method == "POST":
            return await deliver(request, session, self._read_seconds)
        return await fetch(request, session)

    def _open(self, request: web.Request) -> web.StreamResponse:
        if not self.is_open:
            # For clients this is a failure of the transport, after which they retry elsewhere.
            raise Unavailable("this replica takes no sockets now")
        self._make_room()
        opening = Opening(request.headers, request.query, request.remote)
        if opening.query["transport"] == "polling":
            session = self._start(State.POLLING, opening)
            return web.Response(text=session.protocol.handshake())
        try:
            greeting = _answer_handshake(request)
        except HandshakeError:
            return refuse(Refusal.BAD_REQUEST)
        session, websocket = self._start_websocket(opening)
        greeting += encode_text(session.protocol.handshake())
        try:
            return take_over(request, websocket, greeting)
        except ConnectionResetError:
            session.close(CloseReason.TRANSPORT_CLOSED)
            session.forget()
            raise

    def open_directly(self, message: UpgradeRequest, transport: asyncio.Transport) -> bool:
        """Open a session for an upgrade that was the first request of its connection.

        `hub.api.arrival` offers such upgrades before aiohttp sees them. Does what `handle_request`
        would do, and returns True; does nothing and returns False if that would refuse it.
        """
        query = message.url.query
        is_new = query.get("transport") == "websocket" and "sid" not in query
        refusal = check_request(self.config, query, message.method)
        if not is_new or refusal is not None or not self.is_open or not self._has_room():
            return False
        try:
            greeting = answer_handshake(message.method, message.version, message.headers)
        except HandshakeError:
            return False
        name = transport.get_extra_info("peername")
        opening = Opening(message.headers, query, None if name is None else name[0])
        session, websocket = self._start_websocket(opening)
        transport.set_protocol(websocket)
        websocket.connection_made(transport)
        transport.write(greeting + encode_text(session.protocol.handshake()))
        return True

    def _start(self, state: State, opening: Opening) -> EngineSession:
        session = EngineSession(
            engineio.ServerProtocol(self._new_id(), self.config, state),
            self._timers,
            self._forget,
        )
        session.receiver = self._make_receiver(session, opening)
        self.sessions[session.id] = session
        return session

    def _start_websocket(self, opening: Opening) -> tuple[EngineSession, WebSocket]:
        session = self._start(State.WEBSOCKET, opening)
        session.websocket = WebSocket(session, self._websockets, session.budget)
        return session, session.websocket

    def _probe(self, request: web.Request, session: EngineSession) -> web.StreamResponse:
        if session.has_websocket or session.closing is not None:
            return refuse(Refusal.BAD_REQUEST)
        try:
            greeting = _answer_handshake(request)
        except HandshakeError:
            return refuse(Refusal.BAD_REQUEST)
        probe = WebSocket(session, self._websockets, session.budget)
        answer = take_over(request, probe, greeting)
        session.begin_probe(probe)
        return answer

    def _new_id(self) -> str:
        return f"{secrets.token_urlsafe(15)}.{self._replica}"

    def _forget(self, session: EngineSession) -> None:
        self.sessions.pop(session.id, None)

    # ---- The end ----

    async def drain(self, spread: float = DRAIN_SPREAD) -> None:
        """Open no more sessions, close all, and wait until they are forgotten.

        If there are many, they are closed over ``spread`` seconds, so that the replicas to which
        they reconnect are not overloaded.
        """
        self.is_leaving = True
        sessions = list(self.sessions.values())
        steps = max(1, min(round(spread / DRAIN_STEP), len(sessions) // DRAIN_BATCH))
        for step in range(steps):
            for session in sessions[step::steps]:
                session.close(CloseReason.SERVER, GOING_AWAY)
            await asyncio.sleep(DRAIN_STEP)
        for _ in range(round(2 * CLOSE_TIMEOUT / DRAIN_STEP)):
            if not self.sessions:
                break
            await asyncio.sleep(DRAIN_STEP)


def _answer_handshake(request: web.Request) -> bytes:
    return answer_handshake(request.method, request.version, request.headers)
