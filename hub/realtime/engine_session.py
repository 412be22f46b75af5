"""One Engine.IO session: the state machine of `hub.protocol.engineio` with its connections.

A session uses long-polling requests (`hub.realtime.polling`) or a `WebSocket`, and for a moment
both, during an upgrade. Its messages go to its `Receiver`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from hub.protocol import engineio, msgpack
from hub.protocol.engineio import CloseReason, Message, PlainEvent, ProtocolError, State
from hub.protocol.frames import GOING_AWAY, NORMAL, encode_text
from hub.realtime.probe import Probe
from hub.realtime.read_budget import ReadBudget
from hub.realtime.timer_wheel import TimerWheel
from hub.realtime.websocket import CLOSE_TIMEOUT, WebSocket


class Receiver(Protocol):
    """Receives the messages of a session."""

    def on_message(self, text: str) -> None:
        """Take a message."""
        ...

    def on_binary(self) -> None:
        """Handle a binary message from a client that is not connected yet; the session ends."""
        ...

    def on_closed(self) -> None:
        """Handle the end of the session; called once."""
        ...


class NoReceiver:
    """Stands in for the receiver of a session that has none yet, or has ended."""

    def on_message(self, text: str) -> None:
        """Ignore a message."""

    def on_binary(self) -> None:
        """Ignore a binary message."""

    def on_closed(self) -> None:
        """Do nothing."""


NO_RECEIVER = NoReceiver()


class EngineSession:
    """A session and its connections.

    ``poll`` is the future of the waiting poll: True if it is to be answered, False if the client
    aborted it. ``probe`` has the WebSocket that asks to take over. ``closing`` is the status code
    with which the session is being closed, or None. ``on_forgotten`` is called once the session
    has no connection any more.
    """

    __slots__ = (
        "_on_forgotten",
        "_timers",
        "budget",
        "closing",
        "due",
        "poll",
        "probe",
        "protocol",
        "receiver",
        "websocket",
    )

    def __init__(
        self,
        protocol: engineio.ServerProtocol,
        timers: TimerWheel,
        on_forgotten: Callable[[EngineSession], None],
    ) -> None:
        self._on_forgotten = on_forgotten
        self._timers = timers
        self.protocol = protocol
        self.budget = ReadBudget()
        self.websocket: WebSocket | None = None
        self.probe: Probe | None = None
        self.poll: asyncio.Future[bool] | None = None
        self.closing: int | None = None
        self.due = 0
        self.receiver: Receiver = NO_RECEIVER
        timers.start(self, protocol.timer)

    @property
    def id(self) -> str:
        """The id of the Engine.IO session, which ends in the replica's name."""
        return self.protocol.id

    @property
    def has_unsent(self) -> bool:
        """Whether packets wait for the client to read or poll."""
        unread = self.websocket is not None and self.websocket.has_unsent
        return unread or bool(self.protocol.outgoing)

    # ---- Sending ----

    def send(self, packet: str, frame: bytes | None = None) -> None:
        """Send a packet; ``frame`` is its WebSocket frame, if already encoded."""
        if self.closing is not None:
            return
        if self.websocket is not None:
            self.websocket.send(frame or encode_text(packet))
        else:
            self.protocol.send(packet)
            self._flush()

    def _flush(self) -> None:
        if self.websocket is not None:
            for packet in self.protocol.take_outgoing():
                self.websocket.send(encode_text(packet))
        else:
            self.answer_poll()
        if self.protocol.close_reason is not None:
            self.close(self.protocol.close_reason)

    def answer_poll(self) -> None:
        """Have the waiting poll, if any, answered with the packets that there are."""
        if self.poll is not None and not self.poll.done():
            self.poll.set_result(True)

    # ---- Receiving ----

    def receive(self, packet: str) -> None:
        """Take a packet from the client.

        Raises:
            ProtocolError: if clients may not send such a packet.
        """
        event = self.protocol.receive(packet)
        if isinstance(event, Message):
            if self.closing is None:
                self.receiver.on_message(event.data)
        elif event is PlainEvent.CLOSED:
            self.close(CloseReason.CLIENT)
        elif event is PlainEvent.BINARY:
            self._refuse_binary()

    def resume(self) -> None:
        """Record a request of the client, which ends the wait after an aborted poll."""
        if self.closing is None and self.protocol.resume():
            self._timers.start(self, self.protocol.timer)

    def abandon(self) -> None:
        """Record that the client aborted the waiting poll."""
        if self.poll is not None and not self.poll.done():
            self.poll.set_result(False)
            self.poll = None
            if self.closing is None:
                self.protocol.abandon()
                self._timers.start(self, self.protocol.timer)

    def _refuse_binary(self) -> None:
        if self.budget.is_trusted or self.closing is not None:
            raise ProtocolError("a binary message")
        self.receiver.on_binary()
        if self.websocket is None:
            self.protocol.outgoing += msgpack.PACKETS
        self.close(CloseReason.SERVER)

    # ---- Events of a WebSocket (`hub.realtime.websocket.WebSocketListener`) ----

    def on_text(self, websocket: WebSocket, text: str) -> None:
        """Take a packet from a WebSocket, the session's own or one that asks to take over."""
        try:
            if websocket is not self.websocket:
                self._take_probe(websocket, text)
            else:
                self.receive(text)
        except ProtocolError:
            self.close(CloseReason.TRANSPORT_ERROR)

    def _take_probe(self, websocket: WebSocket, text: str) -> None:
        try:
            answer = self.protocol.receive_probe(text)
        except ProtocolError:
            self._end_probe()
            websocket.close(NORMAL)
            return
        if answer is not None:
            websocket.send(encode_text(answer))
            self.answer_poll()
            return
        self._end_probe()
        self.websocket = websocket
        self._upgrade(websocket)

    def begin_probe(self, websocket: WebSocket) -> None:
        """Take a WebSocket that asks to take over."""
        self.probe = Probe(websocket, self._timers)

    def _end_probe(self) -> None:
        if self.probe is not None:
            self.probe.end()
            self.probe = None

    def _upgrade(self, websocket: WebSocket) -> None:
        self.answer_poll()
        if self.closing is None:
            self.resume()
            self._flush()
        else:
            self._close_websocket(websocket, self.closing)

    def binary_refusal(self, websocket: WebSocket) -> bytes:
        """Return the refusal, in msgpack, for a client that sends CONNECT in msgpack."""
        if websocket is not self.websocket or self.budget.is_trusted:
            return b""
        self.receiver.on_binary()
        return msgpack.FRAMES

    def on_failure(self, websocket: WebSocket) -> None:
        """End the session if its WebSocket broke the protocol; a failed probe is ignored."""
        if websocket is self.websocket:
            self.close(CloseReason.TRANSPORT_ERROR)

    def on_close(self, websocket: WebSocket) -> None:
        """Handle the loss of a WebSocket: that of a probe ends only the upgrade."""
        if websocket is self.websocket:
            self.close(CloseReason.TRANSPORT_CLOSED)
            self.forget()
        elif self.probe is not None and websocket is self.probe.websocket:
            self._end_probe()
            self.protocol.stop_probing()

    # ---- The end ----

    def on_timer(self) -> None:
        """Send a ping, close after a missing pong, or cut a client that did not close in time."""
        if self.closing is not None:
            self.cut()
            return
        self.protocol.time_out()
        self._timers.start(self, self.protocol.timer)
        self._flush()

    def close(self, reason: CloseReason, code: int = NORMAL, last: str = "") -> None:
        """Close the session; a client that does not complete the close in time is cut.

        ``last`` is a packet to send before the close. With the code `GOING_AWAY` the client is
        expected to connect again.
        """
        if self.closing is not None:
            return
        self.closing = code
        if self.websocket is None:
            self._timers.start(self, CLOSE_TIMEOUT)
        else:
            # A WebSocket that is closing has a timer of its own.
            self._timers.stop(self)
        self.protocol.close(reason, last, may_return=code == GOING_AWAY)
        if self.websocket is not None:
            self._close_websocket(self.websocket, code)
        else:
            self.answer_poll()
        # Replaced, since the two refer to each other, and only the garbage collector would end it.
        receiver, self.receiver = self.receiver, NO_RECEIVER
        receiver.on_closed()

    def _close_websocket(self, websocket: WebSocket, code: int) -> None:
        if code == GOING_AWAY:
            websocket.hang_up()
        else:
            packets = self.protocol.take_outgoing()
            websocket.close(code, b"".join([encode_text(packet) for packet in packets]))

    def cut(self) -> None:
        """Cut all connections."""
        if self.websocket is not None:
            self.websocket.abort()
        if self.probe is not None:
            self.probe.websocket.abort()
        self.forget()

    def forget(self) -> None:
        """Forget the session, which has no connection any more."""
        self._timers.stop(self)
        self.answer_poll()
        self._on_forgotten(self)

    @property
    def longest_poll(self) -> float | None:
        """Seconds after which a poll is answered although there is nothing to send; None: never.

        Once the probe was answered, the client waits for the end of its poll, and then stops
        polling. It may have begun another before it read the answer. So a poll waits as long as the
        probe has lasted already: it ends soon, and a probe that never goes on costs few polls.
        """
        if self.protocol.state is not State.PROBING or self.probe is None:
            return None
        return self.probe.age

    @property
    def has_websocket(self) -> bool:
        """Whether a WebSocket is in use, or is asking to take over."""
        return self.websocket is not None or self.probe is not None

    @property
    def transport(self) -> str:
        """The name of the transport in use."""
        return "websocket" if self.protocol.state is State.WEBSOCKET else "polling"
