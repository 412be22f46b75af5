"""One Engine.IO session: the state machine of `hub.protocol.engineio`, and what carries it.

A session is carried by requests (`hub.realtime.polling`) or by a `WebSocket`, and for a moment by
both, while it changes from one to the other. What it says goes to its `Receiver`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from hub.protocol import engineio, msgpack
from hub.protocol.engineio import CloseReason, Message, ProtocolError, Signal, State
from hub.protocol.frames import GOING_AWAY, NORMAL, encode_text
from hub.realtime.read_budget import ReadBudget
from hub.realtime.timer_wheel import TimerWheel
from hub.realtime.websocket import CLOSE_TIMEOUT, WebSocket


class Receiver(Protocol):
    """What hears a session."""

    def on_message(self, text: str) -> None:
        """Take a message."""
        ...

    def on_binary(self) -> None:
        """Note a binary message of a client that is not connected yet; the session ends."""
        ...

    def on_closed(self) -> None:
        """Note that the session has ended; called once."""
        ...


class Session:
    """A session and its connections.

    ``poll`` is the request that waits for something to be sent, with whether it is to be answered;
    ``probe`` is the WebSocket that asks to take over. ``closing`` is the status code with which the
    session is being closed. ``on_forgotten`` is called once nothing carries the session any more.
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
        protocol: engineio.Session,
        timers: TimerWheel,
        make_receiver: Callable[[Session], Receiver],
        on_forgotten: Callable[[Session], None],
    ) -> None:
        self._on_forgotten = on_forgotten
        self._timers = timers
        self.protocol = protocol
        self.budget = ReadBudget()
        self.websocket: WebSocket | None = None
        self.probe: WebSocket | None = None
        self.poll: asyncio.Future[bool] | None = None
        self.closing: int | None = None
        self.due = 0
        self.receiver = make_receiver(self)
        timers.start(self, protocol.timer)

    @property
    def id(self) -> str:
        """The engine's id of the session, which ends in the replica's name."""
        return self.protocol.id

    @property
    def has_unsent(self) -> bool:
        """Whether something waits for the client to read it."""
        unread = self.websocket is not None and self.websocket.has_unsent
        return unread or bool(self.protocol.outgoing)

    # ---- What leaves ----

    def send(self, packet: str, frame: bytes | None = None) -> None:
        """Send a packet; ``frame`` is its WebSocket frame when that is at hand."""
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
        """Let the poll that waits be answered with what there is."""
        if self.poll is not None and not self.poll.done():
            self.poll.set_result(True)

    # ---- What arrives ----

    def receive(self, packet: str) -> None:
        """Take a packet from the client.

        Raises:
            ProtocolError: when it is none that a client may send.
        """
        event = self.protocol.receive(packet)
        if isinstance(event, Message):
            if self.closing is None:
                self.receiver.on_message(event.data)
        elif event is Signal.CLOSED:
            self.close(CloseReason.CLIENT)
        elif event is Signal.BINARY:
            self._refuse_binary()

    def resume(self) -> None:
        """Note that the client is there after all, whose poll was aborted."""
        if self.closing is None and self.protocol.resume():
            self._timers.start(self, self.protocol.timer)

    def abandon(self) -> None:
        """Note that the client aborted the poll that waits."""
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

    # ---- What a WebSocket says (`hub.realtime.websocket.Listener`) ----

    def on_text(self, websocket: WebSocket, text: str) -> None:
        """Take a packet from a WebSocket, the session's own or one that asks to take over."""
        try:
            if websocket is self.probe:
                self._take_probe(websocket, text)
            else:
                self.receive(text)
        except ProtocolError:
            self.close(CloseReason.TRANSPORT_ERROR)

    def _take_probe(self, websocket: WebSocket, text: str) -> None:
        try:
            answer = self.protocol.receive_probe(text)
        except ProtocolError:
            self.probe = None
            websocket.close(NORMAL)
            return
        if answer is not None:
            websocket.send(encode_text(answer))
            self.answer_poll()
            return
        self.probe, self.websocket = None, websocket
        self._upgrade(websocket)

    def _upgrade(self, websocket: WebSocket) -> None:
        self.answer_poll()
        if self.closing is None:
            self._timers.start(self, self.protocol.timer)
            self._flush()
        else:
            self._close_websocket(websocket, self.closing)

    def binary_refusal(self, websocket: WebSocket) -> bytes:
        """Return what refuses a client that sends CONNECT in msgpack, in its own manner."""
        if websocket is not self.websocket or self.budget.is_trusted:
            return b""
        self.receiver.on_binary()
        return msgpack.FRAMES

    def on_failure(self, websocket: WebSocket) -> None:
        """End the session whose WebSocket broke the protocol; a failed probe ends nothing."""
        if websocket is self.websocket:
            self.close(CloseReason.TRANSPORT_ERROR)

    def on_close(self, websocket: WebSocket) -> None:
        """Note that a WebSocket is gone."""
        if websocket is self.probe:
            self.probe = None
            self.protocol.stop_probing()
        elif websocket is self.websocket:
            self.close(CloseReason.TRANSPORT_CLOSED)
            self.forget()

    # ---- The end ----

    def on_timer(self) -> None:
        """Ping, or miss the answer to a ping, or cut what does not close by itself."""
        if self.closing is not None:
            self.cut()
            return
        self.protocol.time_out()
        self._timers.start(self, self.protocol.timer)
        self._flush()

    def close(self, reason: CloseReason, code: int = NORMAL, last: str = "") -> None:
        """End the session: in order where the client goes along, by a cut where it does not.

        ``last`` is a packet that leaves before the close, and with it. With the code `GOING_AWAY`
        the client is to connect again.
        """
        if self.closing is not None:
            return
        self.closing = code
        self._timers.start(self, CLOSE_TIMEOUT)
        self.protocol.close(reason, last, may_return=code == GOING_AWAY)
        if self.websocket is not None:
            self._close_websocket(self.websocket, code)
        self.answer_poll()
        self.receiver.on_closed()

    def _close_websocket(self, websocket: WebSocket, code: int) -> None:
        if code == GOING_AWAY:
            websocket.hang_up()
        else:
            packets = self.protocol.take_outgoing()
            websocket.close(code, b"".join(encode_text(packet) for packet in packets))

    def cut(self) -> None:
        """Cut whatever connection there is."""
        for websocket in (self.websocket, self.probe):
            if websocket is not None:
                websocket.abort()
        self.forget()

    def forget(self) -> None:
        """Note that nothing carries the session any more."""
        self._timers.stop(self)
        self.answer_poll()
        self._on_forgotten(self)

    @property
    def is_carried(self) -> bool:
        """Whether a WebSocket carries the session, or is about to."""
        return self.websocket is not None or self.probe is not None

    @property
    def transport(self) -> str:
        """The name of the transport in use."""
        return "websocket" if self.protocol.state is State.WEBSOCKET else "polling"
