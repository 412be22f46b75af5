"""How long a guard takes to start with many logouts in force, and how that slows down others."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Iterator

from benchmarks.calls import Calls
from benchmarks.guards.issuer import ISS, mint
from benchmarks.measures import percentile, quiet
from benchmarks.servers import ROOT, Server
from hub.core.model import Logout, Reason, Scope, user_key

RATE = 100.0
PATIENCE = 300.0
FAILED = float("inf")
"""The duration recorded for a call that was not answered with 204."""


def logouts(count: int) -> Iterator[Logout]:
    """Yield logouts, alternately of users and of sessions."""
    at = time.time_ns() // 1000
    for number in range(count):
        is_named = number % 2 == 1
        yield Logout(
            id=f"logout-{number}",
            user=user_key(ISS, f"gone-{number}"),
            scope=Scope.SESSION if is_named else Scope.ALL,
            reason=Reason.USER,
            sid=f"gone-{number}-session" if is_named else None,
            at=at + number,
        )


async def measure(server: Server, seconds: float) -> dict[str, float]:
    """Return how long two guards take to start, and the p99 of ``/verify`` meanwhile and after.

    The replica has just started: for the first guard it reads what is in force from the log.
    """
    calls = Calls(server.ports[0])
    result: dict[str, float] = {}
    for which in ("first", "second"):
        took: list[float] = []
        starting = asyncio.create_task(_start(server.ports[0]))
        await _ask_until(calls, took, starting)
        start = await starting
        result |= {f"{which} {name}": value for name, value in start.items()}
        result |= {f"{which} p99": percentile(took, 0.99), f"{which} failed": took.count(FAILED)}
    await quiet(server.pids)
    took = []
    await _ask_until(calls, took, asyncio.create_task(asyncio.sleep(seconds)))
    calls.close()
    return result | {"quiet p99": percentile(took, 0.99)}


async def _ask_until(calls: Calls, took: list[float], work: asyncio.Task[object]) -> None:
    """Ask ``/verify`` at a steady rate until some work is done."""
    token = mint("HS256", "caller", "caller-session")
    head = f"GET /verify HTTP/1.1\r\nHost: hub\r\nAuthorization: Bearer {token}\r\n\r\n"
    due = time.perf_counter()
    tasks = []

    async def ask(due: float) -> None:
        status, answered = await calls.call(head.encode(), PATIENCE)
        took.append(answered - due if status == 204 else FAILED)

    while not work.done():
        due += 1 / RATE
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        tasks.append(asyncio.create_task(ask(due)))
    await asyncio.gather(*tasks)


async def _start(port: int) -> dict[str, float]:
    """Start a guard in a separate process; return how long that took, and its memory."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.guards.starting", f"http://127.0.0.1:{port}",
        cwd=ROOT, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    said, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError("the guard did not start")
    found: dict[str, float] = json.loads(said)
    return found
