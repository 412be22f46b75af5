"""One session of the engine: its packets, its heart beat, its upgrade and its end.

A session is over one transport at a time. Its packets are text, one character of type and then the
data. Requests reach it through `hub.realtime.engine.EngineServer`.
"""

from __future__ import annotations

import asyncio
import enum
import json
from collections import deque
from typing import TYPE_CHECKING

from engineio import AsyncServer as StockServer

from hub.protocol import msgpack
from hub.protocol.frames import GOING_AWAY, NORMAL, encode_text
from hub.realtime.intake import Intake
from hub.realtime.websocket import CLOSE_TIMEOUT, WebSocket

if TYPE_CHECKING:
    from hub.realtime.engine import EngineServer

OPEN, CLOSE, PING, PONG, MESSAGE, UPGRADE, NOOP = "0", "1", "2", "3", "4", "5", "6"
PING_FRAME = encode_text(PING)

MAX_PACKETS = 128
MAX_WAITING = 64
LATE = 0.5
"""Seconds in which what a client sent before it went may arrive after it."""

reason = StockServer.reason


class Heart(enum.Enum):
    """Where a session stands between two pings."""

    RESTING = enum.auto()
    PINGED = enum.auto()
    LOST = enum.auto()
    """The poll was aborted."""
    ANSWERED = enum.auto()


class Socket:
    """One session of the engine.

    A session polls until it is upgraded. While it polls, what is sent waits in ``outbox`` for the
    next poll; ``poll`` is the one that waits meanwhile, for whether it is to be answered.
    ``waiting`` holds messages that came while an earlier one is still being handled, so that they
    are handled in order.
    """

    __slots__ = (
        "closing",
        "due",
        "heart",
        "intake",
        "outbox",
        "poll",
        "probe",
        "probed",
        "server",
        "sid",
        "source",
        "waiting",
        "websocket",
    )

    def __init__(self, server: EngineServer, sid: str) -> None:
        self.server = server
        self.sid = sid
        self.source = ""
        self.websocket: WebSocket | None = None
        self.probe: WebSocket | None = None
        self.probed = False
        self.outbox: list[str] = []
        self.poll: asyncio.Future[bool] | None = None
        self.waiting: deque[str] | None = None
        self.heart = Heart.RESTING
        self.intake = Intake()
        self.closing: int | None = None
        self.due = 0

    def opening(self, upgrades: list[str]) -> str:
        """Return the open packet."""
        server = self.server
        return OPEN + json.dumps(
            {
                "sid": self.sid,
                "upgrades": upgrades,
                "pingInterval": round(server.ping_interval * 1000),
                "pingTimeout": round(server.ping_timeout * 1000),
                "maxPayload": server.max_size,
            }
        )

    def send(self, packet: str, frame: bytes | None = None) -> None:
        """Send a packet; ``frame`` is its WebSocket frame when that is at hand."""
        if self.closing is not None:
            return
        if self.websocket is not None:
            self.websocket.send(frame or encode_text(packet))
            return
        self.outbox.append(packet)
        if len(self.outbox) > MAX_PACKETS:
            self.end(reason.TRANSPORT_ERROR)
        self.answer_poll()

    @property
    def has_unsent(self) -> bool:
        """Whether something waits for the client to read it."""
        unread = self.websocket is not None and self.websocket.has_unsent
        return unread or bool(self.outbox)

    def answer_poll(self) -> None:
        """Let the poll that waits go home with what there is."""
        if self.poll is not None and not self.poll.done():
            self.poll.set_result(True)

    def on_poll_lost(self) -> None:
        """Note that the client aborted its poll: it is gone, unless it polls again at once.

        What it has sent before may still be on its way, an acknowledgement for one.
        """
        if self.poll is not None and not self.poll.done():
            self.poll.set_result(False)
            self.poll = None
            if self.closing is None:
                self.heart = Heart.LOST
                self.server.wheel.put(self, LATE)

    def revive(self) -> None:
        """Note that a client is there after all whose poll was aborted."""
        if self.heart is Heart.LOST and self.closing is None:
            self.rest(self.server.ping_interval)

    def receive(self, packet: str) -> bool:
        """Take a packet from the client; False when it is none that a client may send."""
        kind = packet[:1]
        if kind == MESSAGE:
            self.take(packet[1:])
        elif kind == PONG:
            if self.heart is Heart.PINGED:
                self.heart = Heart.ANSWERED
        elif kind == CLOSE:
            self.end(reason.CLIENT_DISCONNECT)
        elif kind == msgpack.BINARY and not self.intake.is_trusted and self.closing is None:
            self.server.on_msgpack(self.sid)
            self.outbox += msgpack.PACKETS
            self.end(reason.SERVER_DISCONNECT)
        else:
            return False
        return True

    def take(self, message: str) -> None:
        """Handle a message, after those that came before it."""
        if self.closing is not None or self.server.handle_at_once(self.sid, message):
            return
        if self.waiting is None:
            self.waiting = deque((message,))
            self.server.spawn(self.work())
        elif len(self.waiting) < MAX_WAITING:
            self.waiting.append(message)
        else:
            self.end(reason.TRANSPORT_ERROR)

    async def work(self) -> None:
        """Handle what waits, one after the other, until the session ends."""
        while self.waiting and self.closing is None:
            await self.server.trigger("message", self.sid, self.waiting.popleft())
        self.waiting = None

    def on_text(self, websocket: WebSocket, text: str) -> None:
        """Take a packet from a WebSocket, the session's own or one that asks to take over."""
        if websocket is self.probe:
            self.on_probe(websocket, text)
        elif not self.receive(text):
            self.end(reason.TRANSPORT_ERROR)

    def on_probe(self, websocket: WebSocket, text: str) -> None:
        """Take a step of the upgrade: ``2probe``, then ``5``."""
        if text == PING + "probe" and not self.probed:
            self.probed = True
            websocket.send(encode_text(PONG + "probe"))
            self.answer_poll()
        elif text == UPGRADE and self.probed:
            self.probe, self.websocket = None, websocket
            self.revive()
            for packet in self.outbox:
                websocket.send(encode_text(packet))
            self.outbox.clear()
            self.answer_poll()
            if self.closing is not None:
                self.close_websocket(websocket, self.closing)
        else:
            websocket.close(NORMAL)
            self.probe = None

    def on_failure(self, websocket: WebSocket) -> None:
        """End the session whose WebSocket broke the protocol; a failed probe ends nothing."""
        if websocket is self.websocket:
            self.end(reason.TRANSPORT_ERROR)

    def last_words(self, websocket: WebSocket) -> bytes:
        """Refuse in its own manner who sends CONNECT in msgpack."""
        if websocket is not self.websocket or self.intake.is_trusted:
            return b""
        self.server.on_msgpack(self.sid)
        return msgpack.FRAMES

    def on_close(self, websocket: WebSocket) -> None:
        """Note that a WebSocket is gone."""
        if websocket is self.probe:
            self.probe = None
        elif websocket is self.websocket:
            self.end(reason.TRANSPORT_CLOSE)
            self.forget()

    def on_time(self) -> None:
        """Ping, or miss the answer to a ping, or cut what does not close by itself."""
        if self.closing is not None:
            self.cut()
        elif self.heart is Heart.RESTING:
            self.heart = Heart.PINGED
            self.send(PING, PING_FRAME)
            self.server.wheel.put(self, self.server.ping_timeout)
        elif self.heart is Heart.LOST:
            self.end(reason.TRANSPORT_CLOSE)
        elif self.heart is Heart.ANSWERED:
            self.rest(self.server.ping_interval - self.server.ping_timeout)
        else:
            self.end(reason.PING_TIMEOUT)

    def rest(self, seconds: float) -> None:
        """Wait until it is time for a ping."""
        self.heart = Heart.RESTING
        self.server.wheel.put(self, max(0.0, seconds))

    def end(self, why: str, code: int = NORMAL, last: str = "") -> None:
        """End the session: in order where the client goes along, by a cut where it does not.

        ``last`` is a packet that leaves before the close, and with it.
        """
        if self.closing is not None:
            return
        self.closing = code
        self.server.wheel.put(self, CLOSE_TIMEOUT)
        if self.websocket is not None:
            self.close_websocket(self.websocket, code, last)
        else:
            self.outbox += [last] if last else []
            if why != reason.CLIENT_DISCONNECT and code != GOING_AWAY:
                self.outbox.append(CLOSE)
        self.answer_poll()
        self.server.spawn(self.server.trigger("disconnect", self.sid, why))

    def close_websocket(self, websocket: WebSocket, code: int, last: str = "") -> None:
        """Close in order, or hang up on whoever is to connect again (`GOING_AWAY`)."""
        if code == GOING_AWAY:
            websocket.hang_up()
        else:
            websocket.close(code, encode_text(last) if last else b"")

    def cut(self) -> None:
        """Cut whatever connection there is."""
        for websocket in (self.websocket, self.probe):
            if websocket is not None:
                websocket.abort()
        self.forget()

    def forget(self) -> None:
        """Leave the server's table."""
        self.server.wheel.drop(self)
        self.server.sockets.pop(self.sid, None)
        self.answer_poll()
