"""A bare aiohttp WebSocket that echoes messages: the least that a server on aiohttp costs."""

from __future__ import annotations

import os

import uvloop
from aiohttp import WSMsgType, web

PING_INTERVAL = 25
BACKLOG = 4096


async def echo(request: web.Request) -> web.WebSocketResponse:
    """Send the Engine.IO open packet, then echo."""
    socket = web.WebSocketResponse(compress=False, heartbeat=PING_INTERVAL)
    await socket.prepare(request)
    await socket.send_str("0{}")
    async for message in socket:
        if message.type is WSMsgType.TEXT:
            await socket.send_str(message.data)
    return socket


async def ready(request: web.Request) -> web.Response:
    """Answer that the server is listening."""
    return web.Response()


def main() -> None:
    """Serve until killed."""
    app = web.Application()
    app.router.add_get("/socket.io/", echo)
    app.router.add_get("/readyz", ready)
    web.run_app(
        app,
        host="127.0.0.1",
        port=int(os.environ["PORT"]),
        backlog=BACKLOG,
        access_log=None,
        print=None,
        loop=uvloop.new_event_loop(),
    )


if __name__ == "__main__":
    main()
