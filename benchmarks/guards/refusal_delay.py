"""How long guards still accept tokens after their logout was answered, on two replicas."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import AsyncExitStack

from benchmarks.calls import Calls
from benchmarks.frames import post_request
from benchmarks.guards.issuer import GUARD_TOKEN, ISS, entries, mint
from benchmarks.servers import Server
from benchmarks.tokens import ADMIN_TOKEN
from hub.errors import TokenRevoked
from hub.guard import Guard

PATIENCE = 10.0
LOOK = 0.0005
"""Seconds between two checks of a token."""


async def measure(server: Server, logouts: int, rate: float) -> list[float]:
    """Return the seconds from the 200 of each logout until each replica's guard refused."""
    calls = Calls(server.ports[0])
    samples: list[float] = []
    async with AsyncExitStack() as stack:
        guards = [
            await stack.enter_async_context(
                Guard(f"http://127.0.0.1:{port}", token=GUARD_TOKEN, issuers=entries())
            )
            for port in server.ports
        ]
        begun = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for number in range(logouts):
                await asyncio.sleep(max(0.0, begun + number / rate - time.perf_counter()))
                group.create_task(_log_out(calls, guards, f"refused-{number}", samples))
    calls.close()
    return samples


async def _log_out(calls: Calls, guards: list[Guard], user: str, samples: list[float]) -> None:
    token = mint("HS256", user, f"{user}-session")
    for guard in guards:
        await guard.check(token)
    body = json.dumps({"user": user, "iss": ISS, "reason": "admin"}).encode()
    refused = [asyncio.create_task(_refused(guard, token)) for guard in guards]
    status, answered = await calls.call(post_request("/admin/logout", ADMIN_TOKEN, body), PATIENCE)
    if status != 200:
        raise RuntimeError(f"POST /admin/logout answered {status}")
    samples += [max(0.0, at - answered) for at in await asyncio.gather(*refused)]


async def _refused(guard: Guard, token: str) -> float:
    """Return when a guard refused a token."""
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                await guard.check(token)
            except TokenRevoked:
                return time.perf_counter()
            await asyncio.sleep(LOOK)
