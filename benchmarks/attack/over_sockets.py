"""Floods over WebSockets and polling: frames, packets, connects, logouts."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from benchmarks.attack.target import (
    Connection,
    Pace,
    Refused,
    Target,
    connect_frame,
    forged_tokens,
    get,
    own_token,
)
from benchmarks.frames import TEXT, frame

CHUNK = 65536
MAX_SILENT = 2000
CONTINUED = b"\x00\x80\x00\x00\x00\x00"
"""A frame that goes on with a message, brings nothing to it and does not end it."""

PONG, TEXT_START = frame(TEXT, b"3"), b"\x01\x81\x00\x00\x00\x004"


def _many(piece: bytes) -> bytes:
    return piece * (CHUNK // len(piece))


async def _pour(target: Target, connection: Connection, chunk: bytes) -> None:
    """Write the same bytes for as long as the hub takes them, reading what it sends."""
    reading = asyncio.create_task(connection.swallow())
    try:
        while not reading.done():
            await connection.say(chunk)
            target.counts["bytes"] += len(chunk)
            await asyncio.sleep(0)
        raise EOFError
    finally:
        reading.cancel()
        with contextlib.suppress(OSError, asyncio.CancelledError):
            await reading


async def frames_before_connect(target: Target) -> None:
    """Send pongs on sockets that never sent CONNECT, as fast as they are read."""
    chunk = _many(frame(TEXT, b"3"))

    async def work() -> None:
        async with target.websocket() as connection:
            await _pour(target, connection, chunk)

    await target.repeat(4, work)


def accepted(begin: bytes, piece: bytes) -> Callable[[Target], Awaitable[None]]:
    """Return a flood of the same frame, after ``begin``, on sockets that were accepted."""

    async def run(target: Target) -> None:
        chunk, numbers = _many(piece), iter(range(10**6))

        async def work() -> None:
            async with target.accepted(own_token(next(numbers) % 4)) as connection:
                await connection.say(begin)
                await _pour(target, connection, chunk)

        await target.repeat(4, work)

    return run


async def bad_connects(target: Target) -> None:
    """Connect and send CONNECT with forged tokens."""
    pace, tokens = Pace(100), forged_tokens()

    async def work() -> None:
        await pace.turn()
        async with target.websocket() as connection:
            await connection.say(connect_frame(next(tokens)))
            target.counts["requests"] += 1
            async with asyncio.timeout(2):
                await connection.swallow()

    await target.repeat(200, work)


async def polled_connects(target: Target) -> None:
    """Send CONNECT 65 times in one request, over polling."""
    pace = Pace(50)
    body = b"\x1e".join([b"40"] * 65)

    async def work() -> None:
        async with target.connect() as connection:
            await pace.turn()
            await connection.say(get("/socket.io/?EIO=4&transport=polling"))
            status, opening = await connection.answer()
            if status != 200:
                raise Refused(status)
            sid = opening.split(b'"sid": "')[-1].split(b'"')[0].decode()
            head = (
                f"POST /socket.io/?EIO=4&transport=polling&sid={sid} HTTP/1.1\r\nHost: hub\r\n"
                f"Content-Type: text/plain\r\nContent-Length: {len(body)}\r\n\r\n"
            )
            target.note(await connection.ask(head.encode() + body))

    await target.repeat(8, work)


async def silent(target: Target) -> None:
    """Open sockets that say nothing, and keep them."""
    pace = Pace(200)

    async def work() -> None:
        await pace.turn()
        async with target.websocket() as connection:
            target.counts["requests"] += 1
            await connection.swallow()

    await target.repeat(MAX_SILENT, work)


async def logouts(target: Target) -> None:
    """Write logouts over a socket, as many in flight as a socket may have."""
    sends = b"".join(frame(TEXT, b'42%d["logout",{"scope":"others"}]' % n) for n in range(8))

    async def work() -> None:
        async with target.accepted(own_token()) as connection:
            await connection.say(sends)
            left = 0
            while data := await connection.reader.read(65536):
                received = data.count(b'{"ok":')
                target.counts["requests"] += data.count(b'{"ok":true')
                target.counts["limited"] += data.count(b"rate_limited")
                left += received
                while left >= 8:
                    left -= 8
                    await connection.say(sends)
            raise EOFError

    await target.repeat(1, work)
