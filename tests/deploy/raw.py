"""Requests that no well-behaved client sends, and the start of an Engine.IO session."""

from __future__ import annotations

import asyncio
import json

import aiohttp

from tests.deploy.balancers import Front

PATIENCE = 15.0


async def handshake(http: aiohttp.ClientSession) -> str:
    """Open an Engine.IO session by polling, and return its id."""
    async with http.get("/socket.io/", params={"EIO": "4", "transport": "polling"}) as answer:
        assert answer.status == 200
        return str(json.loads((await answer.text())[1:])["sid"])


async def status_of(front: Front, target: str) -> int:
    """Send a GET with a target as it is, and return the status of the answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", front.port, ssl=front.trust)
    try:
        writer.write(f"GET {target} HTTP/1.1\r\nHost: hub\r\nConnection: close\r\n\r\n".encode())
        async with asyncio.timeout(PATIENCE):
            return int((await reader.readline()).split()[1])
    finally:
        writer.close()
        await writer.wait_closed()
