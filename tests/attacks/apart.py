"""A hub in a process of its own, so that its memory shows an attack, and raw connections to it."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from tests.apart import hub_process
from tests.commands import Running
from tests.patience import PATIENCE
from tests.ports import free_port


@dataclass(frozen=True)
class Apart:
    """A hub on loopback, by its port and process."""

    port: int
    process: Running | None

    @property
    def url(self) -> str:
        """The hub's address."""
        return f"http://127.0.0.1:{self.port}"

    def memory(self) -> int:
        """Return the bytes that the process holds."""
        assert self.process is not None
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(r"VmRSS:\s+(\d+)", status)
        assert found is not None
        return int(found[1]) * 1024

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Open a bare connection."""
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def exchange(self, request: bytes) -> bytes:
        """Send bytes on a new connection, and return all that is received until it is closed."""
        reader, writer = await self.connect()
        try:
            async with asyncio.timeout(PATIENCE):
                writer.write(request)
                with contextlib.suppress(ConnectionError):
                    await writer.drain()
                return await reader.read()
        except ConnectionError:
            return b""
        finally:
            writer.close()

    async def is_well(self) -> bool:
        """Tell whether a small request is answered."""
        request = b"GET /healthz HTTP/1.1\r\nHost: hub\r\nConnection: close\r\n\r\n"
        try:
            return b" 200 " in (await self.exchange(request))[:20]
        except OSError:
            return False


@contextlib.asynccontextmanager
async def hub_apart(**environ: str) -> AsyncIterator[Apart]:
    """Run a hub as `logout-hub serve` does, with these settings, from when it answers."""
    port = free_port()
    probe = Apart(port, None)
    async with hub_process(port, probe.is_well, **environ) as process:
        yield Apart(port, process)
