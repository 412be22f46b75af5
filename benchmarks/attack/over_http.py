"""Floods over HTTP: expensive requests, zeros, and slow clients."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable
from typing import Any

from benchmarks.attack.target import (
    Pace,
    Target,
    forged_tokens,
    get,
    own_token,
)

CHUNK = 65536
MANY_SESSIONS = 1000
ZEROS, ZERO_CONNECTIONS = 7_100_000, 60


async def zeros(target: Target) -> None:
    """Ask for something small, and send zeros after it; a bounded number of times."""
    chunk = bytes(CHUNK)
    left = iter(range(ZERO_CONNECTIONS))

    async def one() -> None:
        for _ in left:
            sent = 0
            with contextlib.suppress(OSError, EOFError, TimeoutError):
                async with target.connect() as connection:
                    await connection.say(get("/healthz"))
                    while sent < ZEROS:
                        await connection.say(chunk)
                        sent += CHUNK
                        target.counts["bytes"] += CHUNK

    await asyncio.gather(*(one() for _ in range(12)))


def requests(
    request: Callable[[], bytes], rate: float, workers: int = 8
) -> Callable[[Target], Awaitable[None]]:
    """Return a flood of requests at a rate, over a few connections."""

    async def run(target: Target) -> None:
        pace = Pace(rate)

        async def work() -> None:
            async with target.connect() as connection:
                while True:
                    await pace.turn()
                    target.note(await connection.ask(request()))

        await target.repeat(workers, work)

    return run


def cookies() -> bytes:
    """Return a request with 16,000 bytes of cookies and no token."""
    text = "; ".join(f"c{number}=v" for number in range(2300))[:16000]
    return get("/verify", f"Cookie: {text}")


def forwarded() -> bytes:
    """Return a request that claims to have passed 15,000 proxies."""
    return _FORWARDED


async def slow(target: Target) -> None:
    """Send headers and bodies byte by byte, and leave answers unread."""
    head = get("/verify", *(f"X-Slow-{number}: {'x' * 60}" for number in range(100)))
    body = b"POST /logout HTTP/1.1\r\nHost: hub\r\nContent-Length: 60000\r\n\r\n" + b" " * 60000
    pace = Pace(250)

    async def drip(data: bytes, fast: int) -> None:
        await pace.turn()
        async with target.connect() as connection:
            await connection.say(data[:fast])
            for place in range(fast, len(data)):
                await connection.say(data[place : place + 1])
                target.counts["bytes"] += 1
                await asyncio.sleep(0.2)

    async def ignore() -> None:
        await pace.turn()
        async with target.connect() as connection:
            raw: Any = connection.writer.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            await connection.say(get("/client.js") * 60)
            await asyncio.sleep(3600)

    await asyncio.gather(
        target.repeat(200, lambda: drip(head, 1)),
        target.repeat(200, lambda: drip(body, 60)),
        target.repeat(100, ignore),
    )


async def register_many(target: Target) -> None:
    """Register the maximum number of sessions for the attacker."""
    numbers = iter(range(MANY_SESSIONS))

    async def one() -> None:
        async with target.connect() as connection:
            for number in numbers:
                await connection.ask(get("/session", f"Authorization: Bearer {own_token(number)}"))

    await asyncio.gather(*(one() for _ in range(8)))
    target.counts.clear()


async def list_sessions(target: Target) -> None:
    """List a thousand sessions, 64 times at once, each call by another of them."""
    numbers = iter(range(10**9))

    async def work() -> None:
        async with target.connect() as connection:
            while True:
                token = own_token(next(numbers) % MANY_SESSIONS)
                target.note(
                    await connection.ask(get("/sessions", f"Authorization: Bearer {token}"))
                )

    await target.repeat(64, work)


def _forwarding() -> bytes:
    own = f"Authorization: Bearer {own_token()}"
    hops = [", ".join(f"10.{one}.{two}.1" for two in range(150)) for one in range(100)]
    return get("/session", own, *(f"X-Forwarded-For: {text}" for text in hops))


async def fill_metrics(target: Target) -> None:
    """Fill the hub's metrics as in production: all routes, with several statuses."""
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
    async with target.connect() as connection:
        for path in (*paths, "/logout", "/admin/logout", "/sessions/x"):
            for owner in owners:
                for method in methods:
                    whole = get(path, owner, "Content-Length: 0")
                    await connection.ask(whole.replace(b"GET", method.encode(), 1))
    target.counts.clear()


_FORWARDED = _forwarding()
_forged = forged_tokens()


def forged_request() -> bytes:
    """Return a request with a forged token, a different one each time."""
    return get("/verify", f"Authorization: Bearer {next(_forged)}")
