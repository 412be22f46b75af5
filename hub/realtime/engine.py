"""The Engine.IO sessions of a replica, and the HTTP requests that open, use and upgrade them."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from typing import TypeAlias

from aiohttp import web

from hub.errors import Unavailable
from hub.protocol import engineio
from hub.protocol.engineio import CloseReason, Config, Refusal, State, check_request
from hub.protocol.frames import GOING_AWAY, encode_text
from hub.protocol.handshake import HandshakeError, answer_handshake
from hub.realtime import websocket
from hub.realtime.engine_session import EngineSession, Receiver
from hub.realtime.polling import charge_request, deliver, fetch, refuse
from hub.realtime.takeover import take_over
from hub.realtime.timer_wheel import TimerWheel
from hub.realtime.websocket import CLOSE_TIMEOUT, WebSocket

PATH = "/socket.io/"
READ_SECONDS = WRITE_SECONDS = 10.0
DRAIN_SPREAD, DRAIN_STEP, DRAIN_BATCH = 3.0, 0.05, 50

MakeReceiver: TypeAlias = Callable[[EngineSession, web.Request], Receiver]
"""Returns the receiver for a session that a request opens."""


class Engine:
    """All sessions of a replica.

    ``replica`` is the suffix of every session id, so that a load balancer can route a polling
    client to its replica by the id alone. ``make_room`` is called before a session opens, and may
    raise to refuse it; sessions open only while ``is_open``. Times are in seconds.
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
        is_polling = request.query["transport"] == "polling"
        try:
            greeting = b"" if is_polling else _answer_handshake(request)
        except HandshakeError:
            return refuse(Refusal.BAD_REQUEST)
        state = State.POLLING if is_polling else State.WEBSOCKET
        protocol = engineio.Session(self._new_id(), self.config, state)
        session = EngineSession(
            protocol,
            self._timers,
            lambda session: self._make_receiver(session, request),
            self._forget,
        )
        self.sessions[session.id] = session
        if is_polling:
            return web.Response(text=protocol.handshake())
        session.websocket = WebSocket(session, self._websockets, session.budget)
        greeting += encode_text(protocol.handshake())
        try:
            return take_over(request, session.websocket, greeting)
        except ConnectionResetError:
            session.close(CloseReason.TRANSPORT_CLOSED)
            session.forget()
            raise

    def _probe(self, request: web.Request, session: EngineSession) -> web.StreamResponse:
        if session.is_carried or session.closing is not None:
            return refuse(Refusal.BAD_REQUEST)
        try:
            greeting = _answer_handshake(request)
        except HandshakeError:
            return refuse(Refusal.BAD_REQUEST)
        probe = WebSocket(session, self._websockets, session.budget)
        answer = take_over(request, probe, greeting)
        session.probe = probe
        return answer

    def _new_id(self) -> str:
        return f"{secrets.token_urlsafe(15)}.{self._replica}"

    def _forget(self, session: EngineSession) -> None:
        self.sessions.pop(session.id, None)

    # ---- The end ----

    async def drain(self, spread: float = DRAIN_SPREAD) -> None:
        """Open no more sessions, close all, and wait until they are gone.

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
    version = request.version
    return answer_handshake(request.method, (version.major, version.minor), request.headers)
