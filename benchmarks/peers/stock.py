"""The usual way in Python: python-socketio with its Redis manager, on aiohttp.

It does what the Node peer does. Its library cannot ask other replicas for the sockets of a room,
so those are kept in Redis.
"""

from __future__ import annotations

import os
import time
from typing import Any, cast

import jwt
import redis.asyncio
import socketio
from aiohttp import web

LIFETIME = 86400
EVENT = "logoutNotification"
SECRET = os.environ["JWT_SECRET"]
ADMIN_TOKEN = os.environ["ADMIN_TOKEN"]
REDIS_URL = os.environ["REDIS_URL"]

store = redis.asyncio.from_url(REDIS_URL, decode_responses=True)
sio = socketio.AsyncServer(
    async_mode="aiohttp", client_manager=socketio.AsyncRedisManager(REDIS_URL)
)
routes = web.RouteTableDef()


def verify(token: str) -> dict[str, Any]:
    """Return the claims of a token."""
    return jwt.decode(token, SECRET, algorithms=["HS256"])


def bearer(request: web.Request) -> str:
    """Return the token of a request."""
    return request.headers.get("Authorization", "").removeprefix("Bearer ")


@sio.event  # type: ignore[untyped-decorator]
async def connect(sid: str, environ: dict[str, Any], auth: dict[str, str] | None) -> None:
    """Accept a socket with a good token into its user's room."""
    try:
        claims = verify((auth or {}).get("token", ""))
    except jwt.PyJWTError:
        raise socketio.exceptions.ConnectionRefusedError("token_invalid") from None
    await sio.enter_room(sid, f"user:{claims['sub']}")
    await store.hset(f"sockets:{claims['sub']}", sid, claims["sid"])


@routes.post("/logout")
async def log_out(request: web.Request) -> web.Response:
    """End the sessions of the caller."""
    try:
        user = verify(bearer(request))["sub"]
    except jwt.PyJWTError:
        raise web.HTTPUnauthorized from None
    sockets = cast(dict[str, str], await store.hgetall(f"sockets:{user}"))
    async with store.pipeline(transaction=False) as pipe:
        for session in sockets.values():
            pipe.set("revoked:" + session, "1", ex=LIFETIME)
        pipe.delete(f"sockets:{user}")
        await pipe.execute()
    notice = {"reason": "user", "at": time.time()}
    await sio.emit(EVENT, notice, room=f"user:{user}")
    for sid in sockets:
        await sio.disconnect(sid)
    return web.json_response(notice)


@routes.post("/admin/logout")
async def log_out_everyone(request: web.Request) -> web.Response:
    """End all sessions."""
    if bearer(request) != ADMIN_TOKEN:
        raise web.HTTPForbidden
    notice = {"reason": "admin", "at": time.time()}
    await store.set("revoked:before", str(notice["at"]), ex=LIFETIME)
    await sio.emit(EVENT, notice)
    for sid, _ in list(sio.manager.get_participants("/", None)):
        await sio.disconnect(sid)
    return web.json_response(notice)


@routes.get("/readyz")
async def ready(request: web.Request) -> web.Response:
    """Answer that the server is listening."""
    return web.Response()


def main() -> None:
    """Serve until killed."""
    app = web.Application()
    sio.attach(app)
    app.add_routes(routes)
    port = int(os.environ["PORT"])
    web.run_app(app, host="127.0.0.1", port=port, access_log=None, print=None)


if __name__ == "__main__":
    main()
