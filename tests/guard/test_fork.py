"""A guard that was started before its server forked works in each worker."""

from __future__ import annotations

import asyncio
import os
import sys

import aiohttp
import jwt
import pytest

from hub.core.feed import Revocation
from hub.core.model import Reason, Scope
from tests.guard.feed_server import TOKEN, FeedServer
from tests.patience import PATIENCE
from tests.ports import free_port
from tests.site import SECRET


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no processes are forked here")
async def test_each_worker_refuses_after_the_logout() -> None:
    """Though the thread that follows the feed was not forked along.

    The first that a worker may be asked for is a login, which it must not date by its own clock.
    """
    ports = [free_port(), free_port()]
    with FeedServer() as hub:
        hub.offset = -3600.0
        environ = {"HUB_URL": hub.url, "HUB_GUARD_TOKEN": TOKEN, "HUB_JWT_SECRET": SECRET}
        server = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.guard.preforked", *map(str, ports)),
            env={**os.environ, **environ},
        )
        try:
            async with asyncio.timeout(PATIENCE):
                told = await _when(200, ports[0], "", "/now")
                assert abs(float(told) - hub.now()) < PATIENCE
                mine, graces = [_token(hub, *who) for who in (("ada", "s"), ("grace", "t"))]
                pids = [await _when(200, port, mine) for port in ports]
                assert len({server.pid, *map(int, pids)}) == 3
                hub.logout(Revocation(Scope.ALL, Reason.USER, hub.now(), user="ada"))
                for port in ports:
                    assert "token_revoked" in await _when(401, port, mine)
                    assert await _when(200, port, graces)
        finally:
            server.terminate()
            await server.wait()


def _token(hub: FeedServer, user: str, sid: str) -> str:
    claims = {"sub": user, "sid": sid, "iat": hub.now(), "exp": hub.now() + 600}
    return jwt.encode(claims, SECRET)


async def _when(status: int, port: int, mine: str, path: str = "/") -> str:
    """Return what a worker answers, once it does so with this status."""
    headers = {"Authorization": f"Bearer {mine}"}
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as http:
        while True:
            try:
                async with http.get(path, headers=headers) as answer:
                    if answer.status == status:
                        return await answer.text()
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.05)
