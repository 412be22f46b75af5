"""Socket.IO 5 on a server, with the single namespace ``/``: a state machine without I/O.

Implements the specification (https://socket.io/docs/v4/socket-io-protocol/), whose sections are
named in brackets. `ServerProtocol.receive` takes the text of an Engine.IO message and returns its
meaning. Only text packets are supported. An unexpected packet raises `ProtocolError`, after which
the connection must be closed.

::

    OPENED ------CONNECT------> CONNECTING ----accept()----> CONNECTED
                                    |                            |
                                 refuse()               DISCONNECT, either way
                                    v                            v
                                 REFUSED ----DISCONNECT-----> CLOSED

==========  ===========  ==========  =============  ============
packet      OPENED       CONNECTING  CONNECTED      REFUSED
==========  ===========  ==========  =============  ============
CONNECT     `Connect`    error       error          `Reconnect`
EVENT       error        waits       `Emit`         error
ACK         error        waits       `Ack`          error
DISCONNECT  error        waits       `Disconnect`   `Disconnect`
==========  ===========  ==========  =============  ============

CONNECT to another namespace is refused in every state (`UnknownNamespace`) and changes nothing.
Packets that wait are returned by `ServerProtocol.take_waiting` after `accept`, in order.
"""

from __future__ import annotations

import enum
import json
import re
from collections import deque
from collections.abc import Iterator
from typing import Any, TypeAlias

import msgspec

from hub.core.strict_json import decode as decode_json

CONNECT, DISCONNECT, EVENT, ACK, CONNECT_ERROR = "0", "1", "2", "3", "4"
NAMESPACE = "/"
MAX_WAITING = 64
"""Packets that may wait until CONNECT is answered."""

MAX_NAMESPACE = 128
"""Characters in the name of a namespace; a longer one is a protocol error."""

RESERVED = frozenset(
    ("connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener")
)
"""Events that no client may send, as in the reference server's parser."""

HEADER = re.compile(r"([0-9])(?:(/[^,]*)(?:,|$))?([0-9]{0,15})")
"""Type, namespace and acknowledgement id [Packet encoding]."""


class ProtocolError(Exception):
    """The client sent what Socket.IO does not allow at this point."""


class Packet(msgspec.Struct, frozen=True):
    """A decoded packet; ``data`` is None if it has none."""

    kind: str
    namespace: str
    id: int | None
    data: Any


class Connect(msgspec.Struct, frozen=True):
    """The client requests a connection; answer with `accept` or `refuse` of `ServerProtocol`."""

    auth: Any


class Reconnect(msgspec.Struct, frozen=True):
    """A client that was refused sent CONNECT again, perhaps with another token."""


class UnknownNamespace(msgspec.Struct, frozen=True):
    """The client sent CONNECT to an unknown namespace; ``refusal`` is the answer to send."""

    namespace: str
    refusal: str


class Emit(msgspec.Struct, frozen=True):
    """The client sent an event; if ``id`` is set, it expects an acknowledgement (`encode_ack`)."""

    name: str
    args: list[Any]
    id: int | None


class Ack(msgspec.Struct, frozen=True):
    """The client acknowledged the event with this id."""

    id: int
    args: list[Any]


class Disconnect(msgspec.Struct, frozen=True):
    """The client left the namespace."""


Event: TypeAlias = Connect | Reconnect | UnknownNamespace | Emit | Ack | Disconnect


class State(enum.Enum):
    """The state of a client; see the table above."""

    OPENED = enum.auto()
    CONNECTING = enum.auto()
    CONNECTED = enum.auto()
    REFUSED = enum.auto()
    CLOSED = enum.auto()


class ServerProtocol:
    """The server's side of one client in the namespace ``/``."""

    __slots__ = ("_waiting", "state")

    def __init__(self) -> None:
        self.state = State.OPENED
        self._waiting: deque[Packet] | None = None

    def receive(self, text: str) -> Event | None:
        """Take a packet and return its meaning; None if it waits until CONNECT is answered.

        Raises:
            ProtocolError: if it is not a packet, or not one that the client may send now.
        """
        packet = decode(text)
        if packet.kind == CONNECT:
            return self._connect(packet)
        if packet.namespace != NAMESPACE:
            raise ProtocolError("a packet for a namespace other than /")
        if self.state is State.CONNECTING:
            self._keep(packet)
            return None
        return self._read(packet)

    def accept(self, data: dict[str, Any]) -> str:
        """Accept CONNECT, and return the answer; then handle the packets of `take_waiting`."""
        self.state = State.CONNECTED
        return CONNECT + _dump(data)

    def refuse(self, data: dict[str, Any]) -> str:
        """Refuse CONNECT, and return the answer; packets that waited are discarded."""
        self.state, self._waiting = State.REFUSED, None
        return CONNECT_ERROR + _dump(data)

    def take_waiting(self) -> Iterator[Event]:
        """Yield the events that arrived before CONNECT was answered.

        Raises:
            ProtocolError: as `receive` does.
        """
        waiting, self._waiting = self._waiting or deque(), None
        while waiting:
            yield self._read(waiting.popleft())

    def _connect(self, packet: Packet) -> Event:
        if packet.namespace != NAMESPACE:
            if len(packet.namespace) > MAX_NAMESPACE:
                raise ProtocolError("the name of the namespace is too long")
            refusal = _dump({"message": "Invalid namespace"})
            name = packet.namespace
            return UnknownNamespace(name, f"{CONNECT_ERROR}{name},{refusal}")
        if self.state is State.REFUSED:
            return Reconnect()
        if self.state is not State.OPENED:
            raise ProtocolError("a second CONNECT")
        self.state = State.CONNECTING
        return Connect(packet.data)

    def _keep(self, packet: Packet) -> None:
        self._waiting = self._waiting or deque()
        self._waiting.append(packet)
        if len(self._waiting) > MAX_WAITING:
            raise ProtocolError(f"more than {MAX_WAITING} packets before CONNECT was answered")

    def _read(self, packet: Packet) -> Event:
        if packet.kind == DISCONNECT and self.state in (State.CONNECTED, State.REFUSED):
            self.state = State.CLOSED
            return Disconnect()
        if self.state is not State.CONNECTED:
            raise ProtocolError("a packet of a client that is not connected")
        if packet.kind == EVENT:
            return _read_event(packet)
        if packet.kind == ACK and packet.id is not None and isinstance(packet.data, list):
            return Ack(packet.id, packet.data)
        raise ProtocolError("a packet that clients do not send")


def _read_event(packet: Packet) -> Emit:
    data = packet.data
    if not isinstance(data, list) or not data or not isinstance(data[0], str):
        raise ProtocolError("an event without a name")
    if data[0] in RESERVED:
        raise ProtocolError("an event of a reserved name")
    return Emit(data[0], data[1:], packet.id)


def decode(text: str) -> Packet:
    """Decode a packet [Packet encoding].

    Raises:
        ProtocolError: if it is malformed, or a binary packet.
    """
    header = HEADER.match(text)
    if header is None or header[1] > CONNECT_ERROR:
        raise ProtocolError("not a text packet of Socket.IO")
    kind, namespace, number = header.groups()
    rest = text[header.end() :]
    try:
        # Most acknowledgements are empty.
        data = [] if rest == "[]" else decode_json(rest) if rest else None
    except (ValueError, RecursionError):
        raise ProtocolError("a packet whose data is not JSON") from None
    namespace = NAMESPACE if namespace is None else namespace.partition("?")[0]
    return Packet(kind, namespace, int(number) if number else None, data)


def encode_event(name: str, data: object, number: int) -> str:
    """Return the packet of an event that expects an acknowledgement with this id."""
    return f"{EVENT}{number}{_dump([name, data])}"


def encode_ack(number: int, data: object) -> str:
    """Return the packet that acknowledges the client's event with this id."""
    return f"{ACK}{number}{_dump([data])}"


def encode_disconnect(namespace: str = NAMESPACE) -> str:
    """Return the packet after which clients do not reconnect by themselves."""
    return DISCONNECT if namespace == NAMESPACE else f"{DISCONNECT}{namespace},"


def _dump(data: object) -> str:
    try:
        return msgspec.json.encode(data).decode()
    except UnicodeEncodeError:
        # A lone surrogate, which a refusal may quote from the client's packet, must be escaped.
        return json.dumps(data)
