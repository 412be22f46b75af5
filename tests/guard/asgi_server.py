"""An ASGI server for one request at a time, driven by a test message by message."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from tests.patience import PATIENCE

Message = dict[str, Any]


class Client:
    """One request or WebSocket: what the app is given, and what it sends."""

    def __init__(self, app: Any, scope: Message) -> None:
        self.scope = scope
        self.given: asyncio.Queue[Message] = asyncio.Queue()
        self.sent: asyncio.Queue[Message] = asyncio.Queue()
        self.serving = asyncio.create_task(app(scope, self.given.get, self._send))

    async def _send(self, message: Message) -> None:
        self.sent.put_nowait(message)
        if message["type"] == "http.response.body" and not message.get("more_body"):
            self.given.put_nowait({"type": "http.disconnect"})

    async def next(self) -> Message:
        """Return the next message that the server is sent."""
        async with asyncio.timeout(PATIENCE):
            return await self.sent.get()

    async def done(self) -> None:
        """Wait until the app has returned."""
        async with asyncio.timeout(PATIENCE):
            await self.serving


@contextlib.asynccontextmanager
async def client(
    app: Any,
    kind: str,
    path: str = "/",
    *,
    method: str = "GET",
    extensions: Any = None,
    **headers: str,
) -> AsyncIterator[Client]:
    """Send a request, or open a WebSocket, without waiting for anything."""
    scope = {
        "type": kind,
        "path": path,
        "query_string": b"",
        "headers": [
            (name.lower().replace("_", "-").encode(), value.encode())
            for name, value in headers.items()
        ],
        "extensions": extensions,
    }
    if kind == "http":
        scope["method"] = method
    running = Client(app, scope)
    first = {"type": "http.request", "body": b"", "more_body": False}
    running.given.put_nowait(first if kind == "http" else {"type": "websocket.connect"})
    try:
        yield running
    finally:
        running.serving.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running.serving
