"""The floods: what a stranger, a user or a neighbour on the Redis can do to a hub.

Each is bounded in count, and the caller bounds it in time. ``rate`` says what the attacker tries;
what he reaches is measured.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from benchmarks.attack.bus import publish
from benchmarks.attack.field import (
    Field,
    Line,
    Pace,
    Refused,
    connect_frame,
    forged_tokens,
    get,
    own_token,
)
from benchmarks.frames import PING, TEXT, frame

CHUNK = 65536
MOST_SILENT = 2000
MANY_SESSIONS = 1000
ZEROS, ZERO_CONNECTIONS = 7_100_000, 60
CONTINUED = b"\x00\x80\x00\x00\x00\x00"
"""A frame that goes on with a message, brings nothing to it and does not end it."""


@dataclass(frozen=True)
class Flood:
    """One flood: its name, what it does and how fast, and the unit in which that is counted."""

    name: str
    title: str
    rate: str
    unit: str
    run: Callable[[Field], Awaitable[None]]
    prepare: Callable[[Field], Awaitable[None]] | None = None


def _many(piece: bytes) -> bytes:
    return piece * (CHUNK // len(piece))


async def _pour(field: Field, line: Line, chunk: bytes) -> None:
    """Write the same bytes for as long as the hub takes them, reading what it sends."""
    reading = asyncio.create_task(line.swallow())
    try:
        while not reading.done():
            await line.say(chunk)
            field.counts["bytes"] += len(chunk)
            await asyncio.sleep(0)
        raise EOFError
    finally:
        reading.cancel()
        with contextlib.suppress(OSError, asyncio.CancelledError):
            await reading


async def frames_before_connect(field: Field) -> None:
    """Send pongs on sockets that never sent CONNECT, as fast as they are read."""
    chunk = _many(frame(TEXT, b"3"))

    async def work() -> None:
        async with field.websocket() as line:
            await _pour(field, line, chunk)

    await field.repeat(4, work)


def _accepted(begin: bytes, piece: bytes) -> Callable[[Field], Awaitable[None]]:
    async def run(field: Field) -> None:
        chunk, numbers = _many(piece), iter(range(10**6))

        async def work() -> None:
            async with field.accepted(own_token(next(numbers) % 4)) as line:
                await line.say(begin)
                await _pour(field, line, chunk)

        await field.repeat(4, work)

    return run


async def zeros(field: Field) -> None:
    """Ask for something small, and send zeros after it; a bounded number of times."""
    chunk = bytes(CHUNK)
    left = iter(range(ZERO_CONNECTIONS))

    async def one() -> None:
        for _ in left:
            sent = 0
            with contextlib.suppress(OSError, EOFError, TimeoutError):
                async with field.line() as line:
                    await line.say(get("/healthz"))
                    while sent < ZEROS:
                        await line.say(chunk)
                        sent += CHUNK
                        field.counts["bytes"] += CHUNK

    await asyncio.gather(*(one() for _ in range(12)))


def _requests(
    request: Callable[[], bytes], rate: float, workers: int = 8
) -> Callable[[Field], Awaitable[None]]:
    async def run(field: Field) -> None:
        pace = Pace(rate)

        async def work() -> None:
            async with field.line() as line:
                while True:
                    await pace.turn()
                    field.note(await line.ask(request()))

        await field.repeat(workers, work)

    return run


def _cookies() -> bytes:
    text = "; ".join(f"c{number}=v" for number in range(2300))[:16000]
    return get("/verify", f"Cookie: {text}")


def _forwarded() -> bytes:
    return _FORWARDED


async def bad_connects(field: Field) -> None:
    """Connect and send CONNECT with forged tokens."""
    pace, tokens = Pace(100), forged_tokens()

    async def work() -> None:
        await pace.turn()
        async with field.websocket() as line:
            await line.say(connect_frame(next(tokens)))
            field.counts["requests"] += 1
            async with asyncio.timeout(2):
                await line.swallow()

    await field.repeat(200, work)


async def polled_connects(field: Field) -> None:
    """Send CONNECT 65 times in one request, over polling."""
    pace = Pace(50)
    body = b"\x1e".join([b"40"] * 65)

    async def work() -> None:
        async with field.line() as line:
            await pace.turn()
            await line.say(get("/socket.io/?EIO=4&transport=polling"))
            status, opening = await line.answer()
            if status != 200:
                raise Refused(status)
            sid = opening.split(b'"sid": "')[-1].split(b'"')[0].decode()
            head = (
                f"POST /socket.io/?EIO=4&transport=polling&sid={sid} HTTP/1.1\r\nHost: hub\r\n"
                f"Content-Type: text/plain\r\nContent-Length: {len(body)}\r\n\r\n"
            )
            field.note(await line.ask(head.encode() + body))

    await field.repeat(8, work)


async def silent(field: Field) -> None:
    """Open sockets that say nothing, and keep them."""
    pace = Pace(200)

    async def work() -> None:
        await pace.turn()
        async with field.websocket() as line:
            field.counts["requests"] += 1
            await line.swallow()

    await field.repeat(MOST_SILENT, work)


async def slow(field: Field) -> None:
    """Send headers and bodies byte by byte, and leave answers unread."""
    head = get("/verify", *(f"X-Slow-{number}: {'x' * 60}" for number in range(100)))
    body = b"POST /logout HTTP/1.1\r\nHost: hub\r\nContent-Length: 60000\r\n\r\n" + b" " * 60000

    async def drip(data: bytes, fast: int) -> None:
        async with field.line() as line:
            await line.say(data[:fast])
            for place in range(fast, len(data)):
                await line.say(data[place : place + 1])
                field.counts["bytes"] += 1
                await asyncio.sleep(0.2)

    async def ignore() -> None:
        async with field.line() as line:
            raw: Any = line.writer.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            line.writer.transport.pause_reading()  # type: ignore[attr-defined]
            await line.say(get("/client.js") * 60)
            await asyncio.sleep(3600)

    await asyncio.gather(
        field.repeat(200, lambda: drip(head, 1)),
        field.repeat(200, lambda: drip(body, 60)),
        field.repeat(100, ignore),
    )


async def register_many(field: Field) -> None:
    """Give the attacker so many sessions as a user may have."""
    numbers = iter(range(MANY_SESSIONS))

    async def one() -> None:
        async with field.line() as line:
            for number in numbers:
                await line.ask(get("/session", f"Authorization: Bearer {own_token(number)}"))

    await asyncio.gather(*(one() for _ in range(8)))
    field.counts.clear()


async def list_sessions(field: Field) -> None:
    """List a thousand sessions, 64 times at once, each call by another of them."""
    numbers = iter(range(10**9))

    async def work() -> None:
        async with field.line() as line:
            while True:
                token = own_token(next(numbers) % MANY_SESSIONS)
                field.note(await line.ask(get("/sessions", f"Authorization: Bearer {token}")))

    await field.repeat(64, work)


async def logouts(field: Field) -> None:
    """Write logouts over a socket, as many in flight as a socket may have."""
    sends = b"".join(frame(TEXT, b'42%d["logout",{"scope":"others"}]' % n) for n in range(8))

    async def work() -> None:
        async with field.accepted(own_token()) as line:
            await line.say(sends)
            left = 0
            while data := await line.reader.read(65536):
                heard = data.count(b'{"ok":')
                field.counts["requests"] += data.count(b'{"ok":true')
                field.counts["limited"] += data.count(b"rate_limited")
                left += heard
                while left >= 8:
                    left -= 8
                    await line.say(sends)
            raise EOFError

    await field.repeat(1, work)


def _forwarding() -> bytes:
    own = f"Authorization: Bearer {own_token()}"
    hops = [", ".join(f"10.{one}.{two}.1" for two in range(150)) for one in range(100)]
    return get("/session", own, *(f"X-Forwarded-For: {text}" for text in hops))


async def fill_metrics(field: Field) -> None:
    """Let the hub count what it counts in a usual day: all its routes, with several answers."""
    paths = (
        "/session",
        "/sessions",
        "/verify",
        "/logouts/x",
        "/admin/users/x/sessions",
        "/nowhere",
    )
    owners = ("X-Nothing: 1", f"Authorization: Bearer {own_token()}", "Authorization: Bearer x")
    methods = ("GET", "POST", "DELETE", "OPTIONS", "PUT")
    async with field.line() as line:
        for path in (*paths, "/logout", "/admin/logout", "/sessions/x"):
            for owner in owners:
                for method in methods:
                    whole = get(path, owner, "Content-Length: 0")
                    await line.ask(whole.replace(b"GET", method.encode(), 1))
    field.counts.clear()


_FORWARDED = _forwarding()
_forged = forged_tokens()


def _forged_request() -> bytes:
    return get("/verify", f"Authorization: Bearer {next(_forged)}")


FULL_SPEED = "as fast as read, 4 sockets"
PONG, TEXT_START = frame(TEXT, b"3"), b"\x01\x81\x00\x00\x00\x004"

FLOODS = (
    Flood("frames", "frames before CONNECT", FULL_SPEED, "MB", frames_before_connect),
    Flood("packets", "packets on an accepted socket", FULL_SPEED, "MB", _accepted(b"", PONG)),
    Flood("pings", "WebSocket pings on an accepted socket", FULL_SPEED, "MB",
          _accepted(b"", frame(PING, b""))),
    Flood("continuations", "continuation frames on an accepted socket", FULL_SPEED, "MB",
          _accepted(TEXT_START, CONTINUED)),
    Flood("zeros", "zeros after `GET /healthz`", "60 times 7.1 MB, 12 at once", "MB", zeros),
    Flood("cookies", "16 KB of cookies, no token", "100 a second", "requests",
          _requests(_cookies, 100)),
    Flood("forwarded", "a hundred `X-Forwarded-For`, a good token", "20 a second", "requests",
          _requests(_forwarded, 20)),
    Flood("metrics", "`GET /metrics`", "300 a second", "requests",
          _requests(lambda: get("/metrics"), 300), fill_metrics),
    Flood("readyz", "`GET /readyz`", "300 a second", "requests",
          _requests(lambda: get("/readyz"), 300)),
    Flood("openapi", "`GET /openapi.json`", "300 a second", "requests",
          _requests(lambda: get("/openapi.json"), 300)),
    Flood("forged", "forged tokens at `/verify`", "500 a second", "requests",
          _requests(_forged_request, 500)),
    Flood("connects", "forged tokens in CONNECT", "100 a second", "requests", bad_connects),
    Flood("polled", "65 packets `40` in one polling POST", "50 a second", "requests",
          polled_connects),
    Flood("silent", "sockets that never send CONNECT", "200 a second", "requests", silent),
    Flood("slow", "slow headers, slow bodies, answers unread", "500 connections", "connections",
          slow),
    Flood("sessions", "`GET /sessions` of a user with 1,000", "64 at once", "requests",
          list_sessions, register_many),
    Flood("logouts", "a socket that writes logouts", "as fast as answered, 8 in flight",
          "requests", logouts),
    Flood("bus", "PUBLISH on the hub's channels, true and forged", "2,000 a second", "requests",
          publish),
)  # fmt: skip
