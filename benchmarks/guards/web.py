"""Requests per second of a bare FastAPI route, alternately with and without guard middleware."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

from benchmarks.calls import Calls
from benchmarks.measures import cpu_seconds, median
from benchmarks.servers import ROOT, SERVER_CORE, on_cores
from benchmarks.tokens import mint
from tests.ports import free_port

CALLERS = 16
PATIENCE = 20.0
ROUNDS = 5


@dataclass(frozen=True)
class App:
    """An app that runs."""

    port: int
    pid: int


async def measure(hub: int, seconds: float) -> dict[str, float]:
    """Return requests a second, and a second of CPU, with a guard and without.

    ``hub`` is the port of a hub.
    """
    token = mint("ada", "ada-session")
    request = f"GET / HTTP/1.1\r\nHost: app\r\nAuthorization: Bearer {token}\r\n\r\n".encode()
    rates: dict[str, list[float]] = {}
    # Processes of their own in each round: the same app is some percent faster in one than in
    # another.
    for _ in range(ROUNDS):
        async with _running(f"http://127.0.0.1:{hub}") as guarded, _running("") as bare:
            apps = {"with": guarded, "without": bare}
            for app in apps.values():
                await _count(app, request, seconds / 4)
            for name in ("with", "without", "without", "with"):
                before = cpu_seconds([apps[name].pid])
                count = await _count(apps[name], request, seconds / 2)
                used = cpu_seconds([apps[name].pid]) - before
                rates.setdefault(name, []).append(count / (seconds / 2))
                rates.setdefault(f"{name} of CPU", []).append(count / used)
    return {name: median(values) for name, values in rates.items()}


async def _count(app: App, request: bytes, seconds: float) -> int:
    """Return how many requests were answered in so many seconds."""
    calls = Calls(app.port)
    end = time.perf_counter() + seconds

    async def ask() -> int:
        count = 0
        while time.perf_counter() < end:
            status, _ = await calls.call(request, PATIENCE)
            if status != 200:
                raise RuntimeError(f"the app answered {status}")
            count += 1
        return count

    counts = await asyncio.gather(*(ask() for _ in range(CALLERS)))
    calls.close()
    return sum(counts)


@contextlib.asynccontextmanager
async def _running(hub: str) -> AsyncIterator[App]:
    """Run the app on the server's core for the length of the context."""
    port = free_port()
    command = [
        sys.executable, "-m", "uvicorn", "benchmarks.guards.web_app:app",
        "--port", str(port), "--log-level", "warning", "--no-access-log",
    ]  # fmt: skip
    with on_cores({SERVER_CORE}):
        process = await asyncio.create_subprocess_exec(
            *command, cwd=ROOT, env={**os.environ, "GUARD": hub}
        )
    try:
        await _wait_until_open(port)
        yield App(port, process.pid)
    finally:
        process.kill()
        await process.wait()


async def _wait_until_open(port: int) -> None:
    deadline = time.perf_counter() + PATIENCE
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            if time.perf_counter() > deadline:
                raise
            await asyncio.sleep(0.1)
        else:
            writer.close()
            return
