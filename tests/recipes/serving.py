"""Serves an app of a recipe on loopback, as its users do."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator
from typing import Any, Literal

import aiohttp

from tests.ports import free_port
from tests.realtime.raw import eventually


@contextlib.asynccontextmanager
async def served_asgi(
    app: Any, port: int | None = None, *, lifespan: Literal["on", "off"] = "off"
) -> AsyncIterator[str]:
    """Serve an ASGI app; the context is entered with its address."""
    import uvicorn  # slow to import, and every worker imports every file of tests

    port = port or free_port()
    config = uvicorn.Config(app, port=port, log_level="warning", lifespan=lifespan, ws="wsproto")
    server = uvicorn.Server(config)
    task = asyncio.create_task(server._serve())
    await eventually(lambda: server.started)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await task


@contextlib.asynccontextmanager
async def served_wsgi(app: Any) -> AsyncIterator[str]:
    """Serve a WSGI app in a thread; the context is entered with its address."""
    from werkzeug.serving import make_server

    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        await asyncio.to_thread(server.shutdown)
        server.server_close()


@contextlib.asynccontextmanager
async def browser(url: str) -> AsyncIterator[aiohttp.ClientSession]:
    """A client with cookies of its own."""
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(url, cookie_jar=jar) as http:
        yield http
