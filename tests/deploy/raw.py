"""Requests that no well-behaved client sends, and the start of an Engine.IO session."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import aiohttp

from tests.deploy.balancers import Front
from tests.patience import PATIENCE

ESTABLISHED = "01"


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


async def seconds_until_cut(front: Front) -> float:
    """Send a request line byte by byte, and return after how long the balancer has enough of it.

    Raises:
        TimeoutError: when it has not, within ``PATIENCE``.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", front.port, ssl=front.trust)
    loop = asyncio.get_running_loop()
    began = loop.time()
    ended = asyncio.create_task(reader.read())
    try:
        async with asyncio.timeout(PATIENCE):
            for byte in b"GET /session?" + b"x" * 10_000:
                writer.write(bytes((byte,)))
                await asyncio.wait([ended], timeout=0.2)
                if ended.done():
                    break
        return loop.time() - began
    finally:
        ended.cancel()
        await asyncio.gather(ended, return_exceptions=True)
        writer.transport.abort()
        await asyncio.sleep(0.1)


def connections_to(ports: set[int]) -> set[tuple[int, int]]:
    """Return the open TCP connections to ports of this machine, by both their ports."""
    found = set()
    for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]:
        _, local, remote, state, *_ = line.split()
        here, there = (int(address.partition(":")[2], 16) for address in (local, remote))
        if state == ESTABLISHED and there in ports:
            found.add((here, there))
    return found
