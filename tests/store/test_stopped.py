"""A process that is stopped for a while, by a debugger or a crowded machine, and goes on."""

from __future__ import annotations

import asyncio
import secrets
import signal

import aiohttp

from hub.store.base import TIME_LIMIT
from tests.deploy.hubs import Hub
from tests.redis_server import RedisServer
from tests.site import token

HELD_BACK = 600
"""Milliseconds for which Redis holds its answers back: less than a call may take."""


async def test_what_redis_answered_meanwhile_counts(own_redis: RedisServer) -> None:
    """It was this process that was late: no request fails, and the connection is kept."""
    hub = Hub("a", own_redis.url)
    hub.start()
    try:
        hub.wait_until_ready()
        async with aiohttp.ClientSession(hub.url) as http:

            async def ask() -> int:
                bearer = {"Authorization": f"Bearer {token(secrets.token_hex(6))}"}
                async with http.get("/session", headers=bearer) as answer:
                    return answer.status

            assert await ask() == 200
            own_redis.run("CLIENT", "PAUSE", HELD_BACK, "ALL")
            asking = [asyncio.create_task(ask()) for _ in range(10)]
            await asyncio.sleep(0.2)
            hub.signal(signal.SIGSTOP)
            await asyncio.sleep(TIME_LIMIT + 0.5)
            hub.signal(signal.SIGCONT)
            assert set(await asyncio.gather(*asking)) == {200}
    finally:
        hub.kill()
