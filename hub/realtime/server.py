"""python-socketio's server on an engine of ours, without what it does not need.

python-socketio reads and writes Socket.IO's packets, knows namespaces and acknowledgements, and
calls the handlers. Its book-keeping is replaced: who is connected, and who is in which room, is
known already (`Connections`), so that nothing is kept twice. What this reaches for inside
python-socketio is held by ``tests/realtime/test_server.py``.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

import socketio
import structlog
from aiohttp import web
from socketio import packet

from hub.access.limits import Refusals
from hub.core.strict_json import decode
from hub.protocol.frames import GOING_AWAY, encode_text
from hub.realtime.connections import Connection, Connections
from hub.realtime.engine import EngineServer
from hub.realtime.parting import Partings
from hub.realtime.pending import Pending
from hub.realtime.session import MESSAGE
from hub.realtime.wheel import Alarm

log = structlog.get_logger(__name__)

BINARY = (str(packet.BINARY_EVENT), str(packet.BINARY_ACK))
ACK, CONNECT = str(packet.ACK), str(packet.CONNECT)
DISCONNECT = f"{MESSAGE}{packet.DISCONNECT}"
MOST_NAMESPACE = 128
"""Characters of a namespace that is named in a refusal."""

RESERVED = ("connect", "disconnect", "connect_error", "*")


class Manager(socketio.AsyncManager):  # type: ignore[misc]
    """Says who is connected: a socket's id is its engine's, and its rooms follow from its session.

    The rooms of a socket are its own id, ``user:USER`` and ``session:USER:SID``; there are no
    others, and one namespace.
    """

    def __init__(self, connections: Connections) -> None:
        super().__init__()
        self._connections = connections
        self._connected: set[str] = set()
        self._pending: set[str] = set()
        self.on_accepted: Callable[[str], None] = lambda sid: None

    async def pre_connect(self, eio_sid: str, namespace: str) -> str | None:
        """Begin to accept a socket; None when there is no such place, or it is taken."""
        if namespace != "/" or eio_sid in self._connected or eio_sid in self._pending:
            return None
        self._pending.add(eio_sid)
        return eio_sid

    async def connect(self, sid: str, namespace: str) -> str:
        """Count a socket as accepted."""
        self._pending.discard(sid)
        self._connected.add(sid)
        self.on_accepted(sid)
        return sid

    def is_entering(self, sid: str) -> bool:
        """Tell whether a socket is being accepted."""
        return sid in self._pending

    def is_connected(self, sid: str | None, namespace: str) -> bool:
        """Tell whether a socket is accepted."""
        return namespace == "/" and sid in self._connected

    def sid_from_eio_sid(self, eio_sid: str, namespace: str) -> str | None:
        """Return the socket of a transport, accepted or being accepted."""
        is_known = eio_sid in self._connected or eio_sid in self._pending
        return eio_sid if is_known and namespace == "/" else None

    def eio_sid_from_sid(self, sid: str, namespace: str) -> str | None:
        """Return the transport of a socket."""
        return self.sid_from_eio_sid(sid, namespace)

    def pre_disconnect(self, sid: str, namespace: str) -> str:
        """Count a socket as no longer accepted."""
        self._connected.discard(sid)
        return sid

    async def disconnect(self, sid: str, namespace: str, **kwargs: Any) -> None:
        """Forget a socket."""
        self._connected.discard(sid)
        self._pending.discard(sid)
        self.callbacks.pop(sid, None)

    def get_namespaces(self) -> Iterable[str]:
        """Return the one namespace."""
        return ("/",)

    def get_rooms(self, sid: str, namespace: str) -> list[str]:
        """Return the rooms of a socket."""
        connection = self._connections.get(sid)
        return [] if connection is None else [sid, *connection.rooms()]

    def get_participants(self, namespace: str, room: str | None) -> Iterator[tuple[str, str]]:
        """Yield the sockets in a room, or all."""
        for sid in [sid for sid in self._members(room) if sid in self._connected]:
            yield sid, sid

    def _members(self, room: str | None) -> Iterable[str]:
        if room is None:
            return self._connected
        if room in self._connected:
            return (room,)
        return (connection.sid for connection in self._connections.in_room(room))


def _namespace(message: str) -> str:
    """Return the namespace of a packet without attachments."""
    if message[1:2] != "/":
        return "/"
    return message[1:].partition(",")[0].partition("?")[0]


def _quiet(name: str) -> logging.Logger:
    # The library warns of what any client may send, which is no news to an operator.
    logger = logging.getLogger(name)
    logger.setLevel(logging.ERROR)
    return logger


class _Json:
    """What reads and writes packets: a payload in which a member stands twice says nothing."""

    loads = staticmethod(decode)
    dumps = staticmethod(json.dumps)


class Server(socketio.AsyncServer):  # type: ignore[misc]
    """A Socket.IO server that closes what it should close, and tells many in one frame.

    ``connect_timeout`` is in seconds, ``max_body`` in bytes. ``read_source`` returns the key of the
    address that a request is from (`address_key`).
    """

    def __init__(
        self,
        connections: Connections,
        *,
        transports: tuple[str, ...],
        connect_timeout: float,
        max_body: int,
        pending: Pending,
        read_source: Callable[[web.Request], str],
        refusals: Refusals,
        replica: str = "",
        **engine: Any,
    ) -> None:
        super().__init__(
            client_manager=Manager(connections),
            json=_Json,
            logger=_quiet("hub.socketio"),
            transports=transports,
            max_size=max_body,
            replica=replica,
            **engine,
        )
        self.eio.handle_at_once = self._take_ack
        self.manager.on_accepted = self.eio.trust
        self.on_gone: Callable[[str], None] = lambda sid: None
        self.eio.on_msgpack = lambda sid: refusals.note("msgpack", self.source(sid))
        self.eio.make_room = pending.make_room
        pending.end = partial(self.eio.end, code=GOING_AWAY)
        self.pending = pending
        self.partings = Partings(self.eio.wheel, self._part)
        self._read_source = read_source
        self._refusals = refusals
        self._connect_timeout = connect_timeout
        self._deadlines: dict[str, Alarm] = {}
        self._asked: dict[str, Callable[[str, object], None]] = {}
        self._welcomes: dict[str, dict[str, Any]] = {}
        self._numbers = 0

    def _engineio_server_class(self) -> type[EngineServer]:
        return EngineServer

    # ---- One frame to many ----

    def ask(
        self,
        sockets: Iterable[Connection],
        event: str,
        data: Any,
        on_ack: Callable[[str, object], None],
    ) -> Callable[[], None]:
        """Send an event to many sockets in one encoded frame, and hear their acknowledgements.

        ``on_ack`` is called with the socket's id and what it answered. Returns what ends hearing.
        """
        self._numbers += 1
        number = str(self._numbers)
        text = f"{MESSAGE}{packet.EVENT}{number}{json.dumps([event, data], separators=(',', ':'))}"
        frame = encode_text(text)
        self._asked[number] = on_ack
        for connection in sockets:
            socket = self.eio.sockets.get(connection.sid)
            if socket is not None:
                socket.send(text, frame)
        return partial(self._forget, number)

    def _forget(self, number: str) -> None:
        self._asked.pop(number, None)

    def _take_ack(self, eio_sid: str, message: str) -> bool:
        if not message.startswith(ACK):
            return False
        number, bracket, rest = message[1:].partition("[")
        on_ack = self._asked.get(number)
        if not bracket or on_ack is None or not self.manager.is_connected(eio_sid, "/"):
            # Not one of ours: python-socketio knows it, or nobody does.
            return False
        try:
            answer = json.loads(bracket + rest)
        except (ValueError, RecursionError):
            return False
        on_ack(eio_sid, answer[0] if answer else None)
        return True

    def source(self, sid: str) -> str:
        """Return the key of the address that a socket is from; empty when it is gone."""
        socket = self.eio.sockets.get(sid)
        return "" if socket is None else socket.source

    def has_unsent(self, sid: str) -> bool:
        """Tell whether something waits for a client that does not read, or does not poll."""
        socket = self.eio.sockets.get(sid)
        return socket is not None and socket.has_unsent

    def cut(self, sid: str) -> None:
        """End a socket for good: DISCONNECT, so that stock clients stay away, then the close."""
        self.eio.end(sid, last=DISCONNECT)

    def _part(self, sid: str, namespace: str) -> None:
        self.eio.end(sid, last=DISCONNECT + ("" if namespace == "/" else f"{namespace},"))

    # ---- What a socket that is accepted is told ----

    def welcome(self, sid: str, told: dict[str, Any]) -> None:
        """Say more in the answer to CONNECT than the socket's id, once it is given."""
        self._welcomes[sid] = told

    async def _send_packet(self, eio_sid: str, pkt: packet.Packet) -> None:
        if pkt.packet_type == packet.CONNECT:
            pkt.data.update(self._welcomes.pop(eio_sid, {}))
        await super()._send_packet(eio_sid, pkt)

    # ---- What must be closed ----

    async def _handle_eio_connect(self, eio_sid: str, environ: dict[str, Any]) -> None:
        await super()._handle_eio_connect(eio_sid, environ)
        socket = self.eio.sockets.get(eio_sid)
        if socket is not None:
            socket.source = self._read_source(environ["aiohttp.request"])
            self.pending.add(eio_sid, socket.source)
        deadline = Alarm(partial(self.eio.end, eio_sid, GOING_AWAY))
        self._deadlines[eio_sid] = deadline
        self.eio.wheel.put(deadline, self._connect_timeout)

    async def _handle_eio_disconnect(self, eio_sid: str, reason: str) -> None:
        self._meet_deadline(eio_sid)
        self.partings.drop(eio_sid)
        if not (self.eio.is_leaving or self.eio.is_closed()):
            self.pending.unanswered(eio_sid)
        self.pending.answered(eio_sid)
        try:
            await super()._handle_eio_disconnect(eio_sid, reason)
        finally:
            # One that is being accepted at this moment is let go of as soon as it is.
            if not self.manager.is_entering(eio_sid):
                await self._let_go(eio_sid)

    async def _handle_connect(self, eio_sid: str, namespace: str | None, data: Any) -> None:
        if namespace not in (None, "/"):
            await self._refuse_namespace(eio_sid, namespace)
            return
        if eio_sid not in self._deadlines:
            self._refuse_again(eio_sid)
            return
        self._meet_deadline(eio_sid)
        self.partings.drop(eio_sid)
        self.pending.answered(eio_sid)
        try:
            await super()._handle_connect(eio_sid, namespace, data)
        finally:
            await self._settle(eio_sid)
        if self.manager.sid_from_eio_sid(eio_sid, "/") is None and eio_sid in self.environ:
            self.partings.begin(eio_sid, "/")

    async def _refuse_namespace(self, eio_sid: str, namespace: str) -> None:
        """Refuse it as the reference server does; the socket in ``/``, if there is one, goes on."""
        if len(namespace) > MOST_NAMESPACE:
            raise ValueError("a namespace of a name that nobody gives")
        told = {"message": "Invalid namespace"}
        refusal = self.packet_class(packet.CONNECT_ERROR, data=told, namespace=namespace)
        await self._send_packet(eio_sid, refusal)
        deadline = self._deadlines.get(eio_sid)
        if deadline is not None and self.partings.namespace(eio_sid) is None:
            # The moment is the time for a CONNECT to ``/`` now.
            self.eio.wheel.drop(deadline)
            self.partings.begin(eio_sid, namespace)

    def _refuse_again(self, eio_sid: str) -> None:
        """Close after a second CONNECT: as a network that fails, when the first was refused.

        A client that asks again has another token, perhaps; it connects anew and is heard.
        """
        if self.partings.namespace(eio_sid) is None:
            raise ValueError("a second CONNECT")
        self.eio.end(eio_sid, GOING_AWAY)

    async def _settle(self, eio_sid: str) -> None:
        self._welcomes.pop(eio_sid, None)
        if eio_sid in self.environ:
            # The request served to accept the socket; from now on it would only cost memory.
            self.environ[eio_sid] = {}
        else:
            await self._let_go(eio_sid)

    async def _let_go(self, eio_sid: str) -> None:
        # Whatever the library believes, a transport that is gone carries no socket.
        await self.manager.disconnect(eio_sid, "/")
        self.on_gone(eio_sid)

    async def _handle_eio_message(self, eio_sid: str, data: Any) -> None:
        try:
            if data[:1] in BINARY:
                raise ValueError("the hub takes no binary packets")
            if data[:1] != CONNECT:
                self._check_place(eio_sid, data)
            await super()._handle_eio_message(eio_sid, data)
        except Exception:
            # What cannot be parsed ends the connection, as in the reference server.
            self._refusals.note("packets", self.source(eio_sid))
            self.eio.end(eio_sid)
        else:
            if data[:1] != CONNECT and self.manager.sid_from_eio_sid(eio_sid, "/") is None:
                self.eio.end(eio_sid)

    def _check_place(self, eio_sid: str, message: str) -> None:
        """Check that a packet other than CONNECT is for the socket that was accepted.

        Raises:
            ValueError: when it is not; one that was refused may still say DISCONNECT.
        """
        if _namespace(message) != "/":
            raise ValueError("a packet of a namespace that nobody can be in")
        is_refused = self.partings.namespace(eio_sid) is not None
        if is_refused and message[:1] == str(packet.DISCONNECT):
            return
        if self.manager.sid_from_eio_sid(eio_sid, "/") is None:
            raise ValueError("a packet before CONNECT")

    async def _handle_event(
        self, eio_sid: str, namespace: str | None, id: int | None, data: list[Any]
    ) -> None:
        # The library would call our handlers of these names, which are not the client's to call.
        if not isinstance(data[0], str) or data[0] in RESERVED:
            raise ValueError("an event of a reserved name")
        await super()._handle_event(eio_sid, namespace, id, data)

    def _meet_deadline(self, eio_sid: str) -> None:
        deadline = self._deadlines.pop(eio_sid, None)
        if deadline is not None:
            self.eio.wheel.drop(deadline)
