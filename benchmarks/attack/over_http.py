"""Floods over HTTP: requests that cost much, zeros, and clients that take their time."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable
from typing import Any

from benchmarks.attack.field import (
    Field,
    Pace,
    forged_tokens,
    get,
    own_token,
)

CHUNK = 65536
MANY_SESSIONS = 1000
ZEROS, ZERO_CONNECTIONS = 7_100_000, 60


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


def requests(
    request: Callable[[], bytes], rate: float, workers: int = 8
) -> Callable[[Field], Awaitable[None]]:
    """Return a flood that makes so many requests a second, over a few connections."""

    async def run(field: Field) -> None:
        pace = Pace(rate)

        async def work() -> None:
            async with field.line() as line:
                while True:
                    await pace.turn()
                    field.note(await line.ask(request()))

        await field.repeat(workers, work)

    return run


def cookies() -> bytes:
    """Return a request with 16,000 bytes of cookies and no token."""
    text = "; ".join(f"c{number}=v" for number in range(2300))[:16000]
    return get("/verify", f"Cookie: {text}")


def forwarded() -> bytes:
    """Return a request that claims to have passed 15,000 proxies."""
    return _FORWARDED


async def slow(field: Field) -> None:
    """Send headers and bodies byte by byte, and leave answers unread."""
    head = get("/verify", *(f"X-Slow-{number}: {'x' * 60}" for number in range(100)))
    body = b"POST /logout HTTP/1.1\r\nHost: hub\r\nContent-Length: 60000\r\n\r\n" + b" " * 60000
    pace = Pace(250)

    async def drip(data: bytes, fast: int) -> None:
        await pace.turn()
        async with field.line() as line:
            await line.say(data[:fast])
            for place in range(fast, len(data)):
                await line.say(data[place : place + 1])
                field.counts["bytes"] += 1
                await asyncio.sleep(0.2)

    async def ignore() -> None:
        await pace.turn()
        async with field.line() as line:
            raw: Any = line.writer.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
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


def forged_request() -> bytes:
    """Return a request with a token that is signed wrongly, each time another."""
    return get("/verify", f"Authorization: Bearer {next(_forged)}")
