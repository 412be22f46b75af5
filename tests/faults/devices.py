"""Devices: minimal WebSocket clients whose behaviour is exactly controlled.

They write down what they do and what they are told, and judge nothing.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import socket
import struct
import sys
import time
from typing import Any, cast

from benchmarks.frames import CLOSE, PING, PONG, TEXT, frame, upgrade_request
from tests.faults.cluster import Replica
from tests.faults.history import Attempt, Check, History, Logout, Notice, Socket, Token
from tests.faults.tokens import sign

PATIENCE = 12.0
"""Seconds that a client waits for an answer; longer than the hub may take."""
POLL = 0.05
TCP_ESTABLISHED = 1
CAN_LOOK = sys.platform == "linux"
"""Whether the state of a connection that is not read can be looked at."""

PROMPT, MUTE, UNREAD, SLEEPY = "prompt", "mute", "unread", "sleepy"
"""Manners: acknowledges; reads and answers nothing to a notice; reads nothing; reads later."""


class Device(asyncio.Protocol):
    """One WebSocket of one token. ``done`` is set once it is over, for whatever reason."""

    def __init__(self, history: History, number: int, token: Token, manner: str, replica: Replica):
        self.check = Check("connect", token, replica.name, time.monotonic())
        self.record: Socket | None = None
        self.done = asyncio.Event()
        self.answered = asyncio.Event()
        self._history = history
        self._number = number
        self.manner = manner
        self._port = replica.port
        self._buffer = b""
        self._upgraded = False
        self._transport: asyncio.Transport | None = None
        self._acks: dict[int, asyncio.Future[Any]] = {}
        self._ack_ids = itertools.count(1)
        self._watch: asyncio.TimerHandle | None = None

    @property
    def is_live(self) -> bool:
        """Whether it was accepted, and neither notified nor closed since."""
        return self.record is not None and not self.record.notices and not self.done.is_set()

    async def connect(self) -> str:
        """Connect, wait for the answer and return it: accepted, a code, or lost."""
        loop = asyncio.get_running_loop()
        self._history.checks.append(self.check)
        try:
            async with asyncio.timeout(PATIENCE):
                await loop.create_connection(lambda: self, "127.0.0.1", self._port)
                await self.answered.wait()
        except (OSError, TimeoutError):
            self._finish("lost")
            self.leave()
        return self.check.result

    async def ask(self, event: str, data: object) -> Any:
        """Send an event and return its acknowledgement; None when none comes."""
        ack = next(self._ack_ids)
        self._acks[ack] = answer = asyncio.get_running_loop().create_future()
        self._send(f"42{ack}{json.dumps([event, data])}")
        try:
            async with asyncio.timeout(PATIENCE):
                return await answer
        except TimeoutError:
            return None

    def sleep(self) -> None:
        """Stop reading; the operating system still buffers what arrives."""
        if self._transport is not None and not self.done.is_set():
            self._transport.pause_reading()
            self._look()

    def wake(self) -> None:
        """Resume reading."""
        if self._watch is not None:
            self._watch.cancel()
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def leave(self) -> None:
        """Abort the connection."""
        self._end("us")
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the upgrade request."""
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(upgrade_request(self._port, "a device of the fault runs"))

    def data_received(self, data: bytes) -> None:
        """Handle complete frames; the rest waits."""
        data = self._buffer + data
        if not self._upgraded:
            head, end, data = data.partition(b"\r\n\r\n")
            if not end:
                self._buffer = head
                return
            self._upgraded = True
            if not head.startswith(b"HTTP/1.1 101"):
                self.check.detail = head[:80].decode(errors="replace")
                is_busy = head.startswith(b"HTTP/1.1 503") and b"\r\nRetry-After:" in head
                self._finish("unavailable" if is_busy else "lost")
                self.leave()
                return
        while (parsed := _parse(data)) is not None:
            opcode, payload, data = parsed
            self._take(opcode, payload)
        self._buffer = data

    def connection_lost(self, error: Exception | None) -> None:
        """Note the end."""
        self._end("hub")

    def _send(self, packet: str) -> None:
        if self._transport is not None:
            self._transport.write(frame(TEXT, packet.encode()))

    def _take(self, opcode: int, payload: bytes) -> None:
        assert self._transport is not None
        if opcode == PING:
            self._transport.write(frame(PONG, payload))
        elif opcode == CLOSE:
            if self.record is not None:
                self.record.code = int.from_bytes(payload[:2], "big")
            self._transport.write(frame(CLOSE, payload[:2]))
        elif opcode == TEXT:
            self._take_packet(payload.decode())

    def _take_packet(self, packet: str) -> None:
        if packet == "2":
            self._send("3")
        elif packet.startswith("0"):
            self.check.start = time.monotonic()  # the token is only shown now
            self._send("40" + json.dumps({"token": sign(self.check.token)}))
        elif packet.startswith("40"):
            self._accept()
        elif packet.startswith("44"):
            self._finish(json.loads(packet[2:])["message"])
        elif packet.startswith("41") and self.record is not None:
            self.record.cut = time.monotonic()
        elif packet.startswith("43"):
            at = packet.index("[")
            answer = self._acks.pop(int(packet[2:at]), None)
            if answer is not None and not answer.done():
                answer.set_result(json.loads(packet[at:])[0])
        elif packet.startswith("42") and self.record is not None:
            self._take_event(packet)

    def _accept(self) -> None:
        token, replica = self.check.token, self.check.replica
        now = time.monotonic()
        self.record = Socket(self._number, token, replica, self.manner, now)
        self._history.sockets.append(self.record)
        self._finish("accepted")
        if self.manner == UNREAD:
            self.sleep()

    def _take_event(self, packet: str) -> None:
        assert self.record is not None
        at = packet.index("[")
        event, told = json.loads(packet[at:])
        if event != "logoutNotification":
            return
        self.record.notices.append(
            Notice(
                time.monotonic(),
                told["id"],
                told["reason"],
                told["scope"],
                told["sid"],
                told["at"],
            )
        )
        if self.manner != MUTE:
            self._send(f"43{packet[2:at]}[{{}}]")

    def _finish(self, result: str) -> None:
        if not self.answered.is_set():
            self.check.end, self.check.result = time.monotonic(), result
            self.answered.set()

    def _end(self, by: str) -> None:
        if self.done.is_set():
            return
        self.done.set()
        if by == "hub":
            self._finish("lost")
        # Who hangs up before the answer, as at the end of a run, has nothing to say of it.
        self.answered.set()
        if self.record is not None:
            self.record.closed, self.record.closed_by = time.monotonic(), by
        for answer in self._acks.values():
            if not answer.done():
                answer.set_result(None)

    def _look(self) -> None:
        # A paused transport does not notice that the other side hung up; the system knows.
        assert self._transport is not None
        if self.done.is_set() or self._transport.is_reading():
            return
        if CAN_LOOK:
            held: socket.socket = self._transport.get_extra_info("socket")
            state = held.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)
            if struct.unpack("B", state)[0] != TCP_ESTABLISHED:
                self._end("hub")
                self._transport.abort()
                return
        self._watch = asyncio.get_running_loop().call_later(POLL, self._look)


def _parse(data: bytes) -> tuple[int, bytes, bytes] | None:
    """Return the first frame's opcode and payload, and what follows; None when it is not whole."""
    if len(data) < 2:
        return None
    begin, length = 2, data[1]
    if length >= 126:
        begin += 2 if length == 126 else 8
        length = int.from_bytes(data[2:begin], "big")
    if len(data) < begin + length:
        return None
    return data[0] & 0x0F, data[begin : begin + length], data[begin + length :]


async def log_out_over(logout: Logout, device: Device, data: dict[str, Any]) -> Attempt:
    """Ask for a logout by the socket event, as `Caller.log_out` does."""
    attempt = Attempt(device.check.replica, time.monotonic())
    logout.attempts.append(attempt)
    answer = await device.ask("logout", {**data, "idempotencyKey": logout.key})
    attempt.end = time.monotonic()
    attempt.detail = json.dumps(answer)[:120]
    if answer and answer["ok"]:
        attempt.outcome, attempt.id, attempt.at = "ok", answer["id"], answer["at"]
    elif answer and answer["error"]["code"] != "unavailable":
        attempt.outcome = "refused"
    return attempt


async def refresh_over(history: History, device: Device, token: Token) -> Check:
    """Show a newer token over the socket; return how that went."""
    check = Check("refresh", token, device.check.replica, time.monotonic())
    history.checks.append(check)
    if device.record is not None:
        device.record.refreshes.append(check)
    answer = await device.ask("refresh", {"token": sign(token)})
    check.end = time.monotonic()
    if answer is not None:
        check.result = "accepted" if answer["ok"] else answer["error"]["code"]
    return check
