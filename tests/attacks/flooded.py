"""A hub in a process of its own, and what other users notice during an attack."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
from aiohttp import web

from tests.apart import hub_process
from tests.commands import Running
from tests.patience import PATIENCE
from tests.ports import free_port
from tests.realtime.test_sockets import frame
from tests.site import Replica, token

HANDSHAKE = (
    "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: hub\r\nUpgrade: websocket\r\n"
    "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{more}\r\n"
)


@contextlib.asynccontextmanager
async def hub_apart(**environ: str) -> AsyncIterator[tuple[Replica, Running]]:
    """Run a hub on the embedded store as `logout-hub serve` does."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=PATIENCE)) as http:
        replica = Replica(web.Application(), free_port(), http)
        async with hub_process(replica.port, replica.is_ready, **environ) as process:
            yield replica, process


async def bare_socket(
    hub: Replica, mine: str | None = None, more: str = ""
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Open a WebSocket by hand, and connect it if there is a token."""
    reader, writer = await asyncio.open_connection("127.0.0.1", hub.port)
    try:
        writer.write(HANDSHAKE.format(more=more).encode())
        status = await reader.readline()
        assert b" 101 " in status, status
        await reader.readuntil(b'"maxPayload"')
        if mine is not None:
            writer.write(frame("40" + json.dumps({"token": mine})))
            await reader.readuntil(b'40{"sid"')
    except BaseException:
        writer.transport.abort()
        raise
    return reader, writer


async def p99(hub: Replica, seconds: float = 2.0, most: int = 400) -> float:
    """Return the 99th percentile in seconds of 100 calls of `/verify`, all answered with 204."""
    loop = asyncio.get_running_loop()
    mine, took, end = token("quiet", "q"), list[float](), loop.time() + seconds
    while loop.time() < end and len(took) < most:
        began = loop.time()
        assert (await hub.call("GET", "/verify", mine)).status == 204
        took.append(loop.time() - began)
        await asyncio.sleep(0.003)
    return sorted(took)[int(0.99 * (len(took) - 1))]


def processor_seconds(process: Running) -> float:
    """Return how many seconds of CPU a process has used."""
    text = Path(f"/proc/{process.pid}/stat").read_text(encoding="ascii")
    fields = text.rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_bytes(process: Running) -> int:
    """Return how much memory a process holds."""
    pages = Path(f"/proc/{process.pid}/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")
