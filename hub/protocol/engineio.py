"""Engine.IO 4 as a server speaks it: a state machine without I/O and without a clock.

Implements the specification (https://socket.io/docs/v4/engine-io-protocol/), whose sections are
named in brackets. A `ServerProtocol` takes received packets and returns their meaning; the caller
sends the packets from `take_outgoing`. The caller also keeps the time: it must call `time_out`
after ``timer`` seconds, counted from the call that set ``timer``.

::

    POLLING ----2probe----> PROBING -------5-------> WEBSOCKET
       |  (a WebSocket asks    |   (the client has       |
           to take over)            stopped polling)

A session is closed once, in any state, with a `CloseReason`; its last packets can still be taken,
and an upgrade in progress can be completed so that the client receives them.

Packets are text: a character for the type, then the data [Packet encoding]. The hub has no use for
binary messages; they are reported, and the caller decides whether to close the session.
"""

from __future__ import annotations

import enum
import functools
from collections.abc import Mapping
from typing import TypeAlias

import msgspec

PATH = "/socket.io/"
"""Where stock Socket.IO clients connect, unless told otherwise."""

OPEN, CLOSE, PING, PONG, MESSAGE, UPGRADE, NOOP = "0", "1", "2", "3", "4", "5", "6"
BINARY = "b"
"""The first character of a binary packet over polling; base64 follows."""

SEPARATOR = "\x1e"
"""Separates the packets of a polling payload [HTTP long-polling]."""

MAX_PACKETS = 128
"""Packets in one payload from the client, or waiting for its next poll."""

ABANDONED_AFTER = 0.5
"""Seconds after an aborted poll within which the client may send another request."""


class ProtocolError(Exception):
    """The client sent what Engine.IO does not allow at this point."""


class Config(msgspec.Struct, frozen=True):
    """Settings of all sessions of a server; times in seconds, sizes in bytes."""

    transports: tuple[str, ...] = ("polling", "websocket")
    ping_interval: float = 25.0
    ping_timeout: float = 20.0
    max_payload: int = 65536


class Refusal(enum.Enum):
    """Why a request is refused, with the code and message of the reference server."""

    UNKNOWN_TRANSPORT = (0, "Transport unknown")
    UNKNOWN_SESSION = (1, "Session ID unknown")
    BAD_METHOD = (2, "Bad handshake method")
    BAD_REQUEST = (3, "Bad request")
    UNSUPPORTED_VERSION = (5, "Unsupported protocol version")

    def body(self) -> dict[str, object]:
        """Return the JSON body of the response, whose status is 400."""
        code, message = self.value
        return {"code": code, "message": message}


def check_request(config: Config, query: Mapping[str, str], method: str) -> Refusal | None:
    """Return why a request is invalid regardless of any session [Handshake], or None."""
    if query.get("transport") not in config.transports:
        return Refusal.UNKNOWN_TRANSPORT
    if "sid" in query:
        return None
    if query.get("EIO") != "4":
        return Refusal.UNSUPPORTED_VERSION
    return None if method == "GET" else Refusal.BAD_METHOD


def split_payload(body: bytes) -> list[str]:
    """Return the packets in a polling request's body [HTTP long-polling].

    Raises:
        ProtocolError: if it is not UTF-8, or has more than `MAX_PACKETS`.
    """
    try:
        packets = body.decode().split(SEPARATOR)
    except UnicodeDecodeError:
        raise ProtocolError("a payload that is not UTF-8") from None
    if len(packets) > MAX_PACKETS:
        raise ProtocolError(f"more than {MAX_PACKETS} packets in a payload")
    return packets


def join_payload(packets: list[str]) -> str:
    """Return the body of the response to a poll; without packets it contains a NOOP."""
    return SEPARATOR.join(packets or [NOOP])


class State(enum.Enum):
    """Which transport a session uses."""

    POLLING = enum.auto()
    PROBING = enum.auto()
    """A WebSocket has been probed; polling is still in use."""
    WEBSOCKET = enum.auto()


class Heartbeat(enum.Enum):
    """The phase of a session between two pings [Heartbeat]."""

    RESTING = enum.auto()
    AWAITING_PONG = enum.auto()
    ANSWERED = enum.auto()
    """The pong was received; the next ping is due when the time for the pong is over."""
    ABANDONED = enum.auto()
    """A poll was aborted, and the client has sent no request since."""


class CloseReason(enum.Enum):
    """Why a session ended."""

    SERVER = "server disconnect"
    CLIENT = "client disconnect"
    PING_TIMEOUT = "ping timeout"
    TRANSPORT_CLOSED = "transport close"
    TRANSPORT_ERROR = "transport error"


class Message(msgspec.Struct, frozen=True):
    """The client sent a message."""

    data: str


class PlainEvent(enum.Enum):
    """An event that carries no data."""

    BINARY = enum.auto()
    """The client sent a binary message."""
    CLOSED = enum.auto()
    """The client closed the session."""


Event: TypeAlias = Message | PlainEvent


@functools.cache
def _parameters(config: Config, state: State) -> str:
    """Return the JSON of the handshake without the id, which is the same for many sessions."""
    can_upgrade = state is State.POLLING and "websocket" in config.transports
    members = {
        "upgrades": ["websocket"] if can_upgrade else [],
        "pingInterval": round(config.ping_interval * 1000),
        "pingTimeout": round(config.ping_timeout * 1000),
        "maxPayload": config.max_payload,
    }
    return _dump(members)[1:]


def _dump(value: object) -> str:
    return msgspec.json.encode(value).decode()


class ServerProtocol:
    """One client's session.

    ``outgoing`` are the packets to send; over polling they wait for the next poll.
    """

    __slots__ = ("_config", "_heartbeat", "close_reason", "id", "outgoing", "state", "timer")

    def __init__(self, session_id: str, config: Config, state: State) -> None:
        self.id = session_id
        self.state = state
        self.outgoing: list[str] = []
        self.close_reason: CloseReason | None = None
        self._config = config
        self._heartbeat = Heartbeat.RESTING
        self.timer = config.ping_interval

    def handshake(self) -> str:
        """Return the packet that opens the session [Handshake]."""
        return f'{OPEN}{{"sid":{_dump(self.id)},{_parameters(self._config, self.state)}'

    # ---- Receiving ----

    def receive(self, packet: str) -> Event | None:
        """Take a packet of the transport in use; returns None if the caller need not act on it.

        Raises:
            ProtocolError: if clients may not send such a packet; nothing has changed.
        """
        kind = packet[:1]
        if kind == MESSAGE:
            return Message(packet[1:])
        if kind == PONG:
            if self._heartbeat is Heartbeat.AWAITING_PONG:
                self._heartbeat = Heartbeat.ANSWERED
            return None
        if kind == CLOSE:
            self.close(CloseReason.CLIENT)
            return PlainEvent.CLOSED
        if kind == BINARY:
            return PlainEvent.BINARY
        raise ProtocolError("a packet that clients do not send")

    def receive_probe(self, packet: str) -> str | None:
        """Take a packet of a WebSocket that asks to take over [Upgrade]: ``2probe``, then ``5``.

        Returns the answer to send over that WebSocket, or None after the second step: then the
        state is WEBSOCKET, and ``outgoing`` is for the WebSocket.

        Raises:
            ProtocolError: if this is not the next step; the session continues to poll.
        """
        is_probed = self.state is State.PROBING
        if packet == PING + "probe" and self.state is State.POLLING:
            self.state = State.PROBING
            return PONG + "probe"
        if packet == UPGRADE and is_probed:
            self.state = State.WEBSOCKET
            return None
        self.stop_probing()
        raise ProtocolError("not the next step of an upgrade")

    def stop_probing(self) -> None:
        """End an upgrade and continue to poll, since the WebSocket has closed."""
        if self.state is State.PROBING:
            self.state = State.POLLING

    def abandon(self) -> None:
        """Record that the client aborted its poll.

        Its next request may already be on its way, so it has `ABANDONED_AFTER` seconds to arrive.
        """
        self._heartbeat = Heartbeat.ABANDONED
        self.timer = ABANDONED_AFTER

    def resume(self) -> bool:
        """Record a request of the client; returns whether the session had been abandoned."""
        was_abandoned = self._heartbeat is Heartbeat.ABANDONED
        if was_abandoned:
            self._rest(self._config.ping_interval)
        return was_abandoned

    # ---- Sending ----

    def send(self, packet: str) -> None:
        """Queue a packet; closes the session if too many are queued."""
        self.outgoing.append(packet)
        if len(self.outgoing) > MAX_PACKETS:
            self.close(CloseReason.TRANSPORT_ERROR)

    def take_outgoing(self) -> list[str]:
        """Return the queued packets, and empty the queue."""
        packets, self.outgoing = self.outgoing, []
        return packets

    def close(self, reason: CloseReason, last: str = "", *, may_return: bool = False) -> None:
        """Close the session, with ``last`` as its last packet; only the first call counts.

        Over polling a close packet follows [Close], unless the client closed the session, or
        ``may_return``: for clients a close packet is final, but they reconnect after a failure of
        the transport.
        """
        if self.close_reason is not None:
            return
        self.close_reason = reason
        if last:
            self.outgoing.append(last)
        is_polling = self.state is not State.WEBSOCKET
        if is_polling and reason is not CloseReason.CLIENT and not may_return:
            self.outgoing.append(CLOSE)

    # ---- The heartbeat ----

    def time_out(self) -> None:
        """Handle the end of ``timer``: send a ping, or close a client that did not answer one."""
        config = self._config
        if self._heartbeat is Heartbeat.RESTING:
            self._heartbeat = Heartbeat.AWAITING_PONG
            self.timer = config.ping_timeout
            self.send(PING)
        elif self._heartbeat is Heartbeat.ANSWERED:
            self._rest(config.ping_interval - config.ping_timeout)
        elif self._heartbeat is Heartbeat.ABANDONED:
            self.close(CloseReason.TRANSPORT_CLOSED)
        else:
            self.close(CloseReason.PING_TIMEOUT)

    def _rest(self, seconds: float) -> None:
        self._heartbeat = Heartbeat.RESTING
        self.timer = max(0.0, seconds)
