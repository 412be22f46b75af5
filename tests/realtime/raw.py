"""A client that writes bare frames, to send what no well-behaved client sends."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import time
from collections.abc import AsyncIterator
from typing import Any

import aiohttp

from tests.patience import PATIENCE
from tests.site import Replica


class RawSocket:
    """An Engine.IO WebSocket, frame by frame."""

    def __init__(self, websocket: aiohttp.ClientWebSocketResponse) -> None:
        self.websocket = websocket

    async def send(self, frame: str | bytes) -> None:
        """Send one frame."""
        if isinstance(frame, bytes):
            await self.websocket.send_bytes(frame)
        else:
            await self.websocket.send_str(frame)

    async def receive(self) -> str | None:
        """Return the next frame, pings answered; None once the connection is closed."""
        async with asyncio.timeout(PATIENCE):
            while True:
                message = await self.websocket.receive()
                if message.type is not aiohttp.WSMsgType.TEXT:
                    return None
                if message.data != "2":
                    return str(message.data)
                await self.websocket.send_str("3")

    async def connect(self, token: str | None = None, **auth: Any) -> str | None:
        """Send CONNECT and return the answer."""
        given = {"token": token, **auth} if token is not None else auth
        await self.send("40" + (json.dumps(given) if given else ""))
        return await self.receive()

    async def refusal(self) -> dict[str, Any]:
        """Return the data of the next frame, a CONNECT_ERROR."""
        return await self.closing_refusal(await self.receive())

    async def closing_refusal(self, frame: str | None) -> dict[str, Any]:
        """Return the data of a CONNECT_ERROR, and close, as clients do that treat it as final."""
        assert frame is not None
        assert frame.startswith("44"), frame
        await self.websocket.close()
        refusal: dict[str, Any] = json.loads(frame[2:])
        return refusal

    async def receive_all(self) -> list[str]:
        """Return every frame until the connection is closed."""
        frames = []
        while (frame := await self.receive()) is not None:
            frames.append(frame)
        return frames


@contextlib.asynccontextmanager
async def raw_socket(
    replica: Replica, query: str = "", headers: dict[str, str] | None = None
) -> AsyncIterator[RawSocket]:
    """Open a WebSocket for the length of the context, and read the engine's opening."""
    address = f"{replica.url}/socket.io/?EIO=4&transport=websocket{query}"
    async with (
        aiohttp.ClientSession() as http,
        http.ws_connect(address, headers=headers, compress=15) as websocket,
    ):
        raw = RawSocket(websocket)
        opening = await raw.receive()
        assert opening is not None
        assert opening.startswith("0{")
        yield raw


def is_reset(connection: socket.socket) -> bool:
    """Tell whether the other side has aborted a connection."""
    try:
        connection.send(b"x")
    except (ConnectionResetError, BrokenPipeError):
        return True
    return False


async def eventually(check: Any, patience: float = PATIENCE) -> None:
    """Wait until a check holds."""
    end = time.monotonic() + patience
    while True:
        found = check()
        if asyncio.iscoroutine(found):
            found = await found
        if found:
            return
        assert time.monotonic() < end, "it never came true"
        await asyncio.sleep(0.02)
