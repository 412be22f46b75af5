"""The load generator: thousands of Socket.IO clients over raw WebSockets, with counters.

Frames are encoded in advance; a client parses what it receives, and allocates next to nothing.
Everything that waits is bounded in count and time.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
import zlib
from collections import Counter
from collections.abc import Iterator
from itertools import cycle
from typing import cast

from benchmarks.calls import Calls
from benchmarks.frames import (
    BROWSERS,
    CLOSE,
    COMPRESSED,
    PING,
    PONG,
    TAIL,
    TEXT,
    frame,
    post_request,
    upgrade_request,
)
from benchmarks.tokens import ADMIN_TOKEN, DEVICES, mint_users

CONNECTS_AT_ONCE = 100
PATIENCE = 30.0
SOCKETS_PER_ADDRESS = 20_000
ENGINE_PONG = frame(TEXT, b"3")
EVENT = b'["logoutNotification"'
ANSWER = b'[{"cleared":true}]'
"""The acknowledgement that the documentation's clients send."""
EVERYONE = post_request("/admin/logout", ADMIN_TOKEN, b'{"everyone":true,"reason":"admin"}')


class TimedLogout:
    """One logout of one user, with its response and the devices notified and closed so far."""

    __slots__ = ("answered", "at", "closed", "done", "notified", "notified_at", "status")

    def __init__(self, at: float) -> None:
        self.at = at
        self.status: int | None = None
        self.answered = 0.0
        self.notified = 0
        self.notified_at = 0.0
        self.closed = 0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def has_succeeded(self) -> bool:
        """Whether it was answered 200 and all devices were notified and closed."""
        return self.status == 200 and self.notified == DEVICES == self.closed

    @property
    def latency(self) -> float:
        """Seconds from the request, when it was due, to the last device notified."""
        return self.notified_at - self.at

    def check(self) -> None:
        """Complete ``done`` once the response and all closes have arrived."""
        if self.status is not None and self.closed == DEVICES and not self.done.done():
            self.done.set_result(None)


class Device(asyncio.Protocol):
    """One client on its WebSocket."""

    __slots__ = (
        "_buffer",
        "_crowd",
        "_inflater",
        "entered",
        "index",
        "notified",
        "state",
        "transport",
    )

    def __init__(self, crowd: Crowd, index: int) -> None:
        self._crowd = crowd
        self._buffer = b""
        self._inflater: zlib._Decompress | None = None
        self.index = index
        self.state = "upgrading"
        self.notified = 0
        self.transport: asyncio.Transport | None = None
        self.entered: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the upgrade request."""
        self.transport = cast(asyncio.Transport, transport)
        self.transport.write(self._crowd.upgrades[self.index % len(self._crowd.upgrades)])

    def data_received(self, data: bytes) -> None:
        """Handle complete frames, and buffer the rest."""
        if self._buffer:
            data = self._buffer + data
        position = 0
        if self.state == "upgrading":
            position = self._read_upgrade(data)
            if not position:
                self._buffer = data
                return
        size = len(data)
        while size - position >= 2:
            first, length = data[position], data[position + 1]
            begin = position + 2
            if length == 126:
                begin, length = begin + 2, int.from_bytes(data[begin : begin + 2], "big")
            elif length == 127:
                begin, length = begin + 8, int.from_bytes(data[begin : begin + 8], "big")
            if begin > size or size - begin < length:
                break
            position = begin + length
            self._take_frame(first, data[begin:position])
        self._buffer = data[position:]

    def _read_upgrade(self, data: bytes) -> int:
        end = data.find(b"\r\n\r\n") + 4
        if end < 4:
            return 0
        if not data.startswith(b"HTTP/1.1 101"):
            self._crowd.counts["not upgraded"] += 1
            self._enter(False)
            self.leave()
        elif b"permessage-deflate" in data[:end]:
            self._crowd.counts["compressed"] += 1
            self._inflater = zlib.decompressobj(-15)
        self.state = "opening"
        return end

    def _take_frame(self, first: int, payload: bytes) -> None:
        assert self.transport is not None
        opcode = first & 0x0F
        if first & COMPRESSED and self._inflater is not None:
            payload = self._inflater.decompress(payload + TAIL)
        if opcode == TEXT:
            self._take_packet(payload)
        elif opcode == PING:
            self._crowd.counts["pings"] += 1
            self.transport.write(frame(PONG, payload))
        elif opcode == CLOSE:
            self._close(payload[:2])

    def _close(self, code: bytes) -> None:
        # A closing handshake, as a browser does it: the server is the one to end the connection.
        if self.state != "closing" and self.transport is not None:
            self.state = "closing"
            self.transport.write(frame(CLOSE, code))

    def _take_packet(self, packet: bytes) -> None:
        assert self.transport is not None
        kind = packet[:2]
        if packet == b"2":
            self._crowd.counts["pings"] += 1
            self.transport.write(ENGINE_PONG)
        elif kind == b"42":
            self._take_event(packet)
        elif kind == b"40":
            self.state = "accepted"
            self._crowd.counts["accepted"] += 1
            self._enter(True)
        elif kind == b"41":
            self._crowd.counts["disconnect packets"] += 1
            self._close(b"\x03\xe8")  # as the stock client does, which has no more to say
        elif kind == b"44":
            self._crowd.counts["refused"] += 1
            self._enter(False)
        elif packet[:1] == b"0":
            self.transport.write(self._crowd.connects[self.index])

    def _take_event(self, packet: bytes) -> None:
        assert self.transport is not None
        at = packet.find(b"[")
        if not packet.startswith(EVENT, at):
            return
        if at > 2:
            self._crowd.counts["acknowledged"] += 1
            self.transport.write(frame(TEXT, b"43" + packet[2:at] + ANSWER))
        self.notified += 1
        self._crowd.note_notified(self)

    def connection_lost(self, error: Exception | None) -> None:
        """Count the close, unless the generator itself dropped the connection."""
        if self.state != "left":
            self._crowd.note_closed(self)
            self.state = "closed"
        self._enter(False)

    def _enter(self, accepted: bool) -> None:
        if not self.entered.done():
            self.entered.set_result(accepted)

    def leave(self) -> None:
        """Drop the connection without closing it, like a phone in a tunnel."""
        if self.state not in ("closed", "left") and self.transport is not None:
            self.state = "left"
            self.transport.abort()


class Crowd:
    """Users with four devices each, spread over the ports of one server's replicas."""

    def __init__(self, ports: list[int], name: str, sockets: int) -> None:
        self.ports = ports
        self.tokens = mint_users(name, sockets)
        self.connects = [frame(TEXT, b'40{"token":"%s"}' % token.encode()) for token in self.tokens]
        # A device's index selects its port, and with the same stride its upgrade request.
        self.upgrades = [
            upgrade_request(port, browser)
            for browser, port in zip(BROWSERS, cycle(ports), strict=False)
        ]
        self.counts: Counter[str] = Counter()
        self.notified_at = 0.0
        self.closed_at = 0.0
        self._devices: list[Device | None] = [None] * sockets
        self._logouts: dict[int, TimedLogout] = {}
        self._calls = [Calls(port) for port in ports]
        self._everyone: asyncio.Future[None] | None = None

    @property
    def size(self) -> int:
        """How many devices there are, connected or not."""
        return len(self._devices)

    async def connect(self, first: int = 0, count: int | None = None) -> float:
        """Connect devices, a bounded number at a time; return the seconds until all are accepted.

        Raises:
            RuntimeError: when not all were accepted in time.
        """
        count = self.size - first if count is None else count
        queue = iter(range(first, first + count))
        accepted = self.counts["accepted"]
        began = time.perf_counter()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE + count / 50):
                await asyncio.gather(*(self._connect_from(queue) for _ in range(CONNECTS_AT_ONCE)))
        took = time.perf_counter() - began
        accepted = self.counts["accepted"] - accepted
        if accepted < count:
            raise RuntimeError(f"{accepted} of {count} sockets accepted: {dict(self.counts)}")
        return took

    async def _connect_from(self, queue: Iterator[int]) -> None:
        loop = asyncio.get_running_loop()
        for index in queue:
            device = Device(self, index)
            self._devices[index] = device
            port = self.ports[index % len(self.ports)]
            # One source address has too few ports for very many sockets.
            address = index // SOCKETS_PER_ADDRESS
            source = (f"127.0.0.{address + 1}", 0) if address else None
            try:
                await loop.create_connection(
                    lambda device=device: device,
                    "127.0.0.1",
                    port,
                    local_addr=source,
                )
            except OSError:
                self.counts["not connected"] += 1
                continue
            await device.entered

    def drop(self) -> None:
        """Drop all connections at once."""
        for device in self._devices:
            if device is not None:
                device.leave()
        self._devices = [None] * self.size

    def close(self) -> None:
        """Drop all connections, also those for calls."""
        self.drop()
        for calls in self._calls:
            calls.close()

    def note_notified(self, device: Device) -> None:
        """Note that a device was notified."""
        self.notified_at = time.perf_counter()
        self.counts["notified"] += 1
        if device.notified > 1:
            self.counts["notified twice"] += 1
        logout = self._logouts.get(device.index // DEVICES)
        if logout is not None:
            logout.notified += 1
            logout.notified_at = self.notified_at
        elif self._everyone is None:
            self.counts["notified without cause"] += 1

    def note_closed(self, device: Device) -> None:
        """Note that the server closed a device's connection."""
        self.closed_at = time.perf_counter()
        self.counts["closed"] += 1
        logout = self._logouts.get(device.index // DEVICES)
        if logout is not None:
            logout.closed += 1
            logout.check()
        elif self._everyone is None:
            self.counts["closed without cause"] += 1
        elif self.counts["closed"] == self.size and not self._everyone.done():
            self._everyone.set_result(None)

    async def log_out_at_rate(self, users: range, rate: float) -> list[TimedLogout]:
        """Log users out at a fixed rate, without waiting for responses; return all logouts."""
        began = time.perf_counter() + 0.05
        tasks = []
        for place, user in enumerate(users):
            due = began + place / rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            tasks.append(asyncio.create_task(self._log_out(user, due)))
        return list(await asyncio.gather(*tasks))

    async def log_out_in_flight(
        self, users: range, in_flight: int
    ) -> tuple[float, list[TimedLogout]]:
        """Log users out, always ``in_flight`` at once; return the seconds taken and the logouts."""
        queue = iter(users)
        logouts: list[TimedLogout] = []

        async def work() -> None:
            for user in queue:
                logouts.append(await self._log_out(user, time.perf_counter()))

        began = time.perf_counter()
        await asyncio.gather(*(work() for _ in range(in_flight)))
        return time.perf_counter() - began, logouts

    async def _log_out(self, user: int, due: float) -> TimedLogout:
        logout = self._logouts[user] = TimedLogout(due)
        calls = self._calls[user % len(self._calls)]
        request = post_request("/logout", self.tokens[user * DEVICES])
        logout.status, logout.answered = await calls.call(request, PATIENCE / 3)
        logout.check()
        try:
            async with asyncio.timeout(PATIENCE / 3):
                await logout.done
        except TimeoutError:
            self.counts["logouts not done in time"] += 1
        if logout.status != 200:
            self.counts["logouts not answered 200"] += 1
        return logout

    async def log_out_everyone(self) -> tuple[float, float]:
        """Log everyone out once; return the seconds until the last was notified, and closed.

        Raises:
            RuntimeError: when not all were notified and closed in time.
        """
        self._everyone = asyncio.get_running_loop().create_future()
        before = self.counts["notified"], self.counts["closed"]
        began = time.perf_counter()
        status, _ = await self._calls[0].call(EVERYONE, PATIENCE)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                await self._everyone
        notified, closed = self.counts["notified"] - before[0], self.counts["closed"] - before[1]
        if status != 200 or min(notified, closed) < self.size:
            found = f"{notified} notified, {closed} closed of {self.size}"
            raise RuntimeError(f"everyone: {status}, {found}")
        return self.notified_at - began, self.closed_at - began
