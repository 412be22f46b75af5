"""Floods over WebSockets and polling: frames, packets, connects, logouts."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

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
from benchmarks.frames import TEXT, frame

CHUNK = 65536
MOST_SILENT = 2000
CONTINUED = b"\x00\x80\x00\x00\x00\x00"
"""A frame that goes on with a message, brings nothing to it and does not end it."""

PONG, TEXT_START = frame(TEXT, b"3"), b"\x01\x81\x00\x00\x00\x004"


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


def accepted(begin: bytes, piece: bytes) -> Callable[[Field], Awaitable[None]]:
    """Return a flood of the same frame, after ``begin``, on sockets that were accepted."""

    async def run(field: Field) -> None:
        chunk, numbers = _many(piece), iter(range(10**6))

        async def work() -> None:
            async with field.accepted(own_token(next(numbers) % 4)) as line:
                await line.say(begin)
                await _pour(field, line, chunk)

        await field.repeat(4, work)

    return run


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
