"""Whatever becomes of a request, its guard watches nothing when it is over."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager as Context
from typing import Any, TypeAlias, cast

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from hub.guard import Guard, SyncGuard, aiohttp_middleware, asgi, wsgi
from tests.guard.endings import (
    PatientGuard,
    PatientSyncGuard,
    Place,
    async_parts,
    parts,
)
from tests.guard.pretended import AT
from tests.realtime.raw import eventually
from tests.recipes.serving import served_asgi, served_wsgi

Serve: TypeAlias = Callable[[Any, int], Context[str]]

SESSION = "X-Session"


def headers_of(sids: tuple[str, ...]) -> dict[str, str]:
    """Return a token of the innermost session, and the app's own session outside of it."""
    headers = {"Authorization": f"Bearer ada/{sids[-1]}"}
    return headers if len(sids) == 1 else {**headers, SESSION: sids[0]}


def login(sid: str | None) -> tuple[str, str, float] | None:
    """Return the login of the app's own session."""
    return None if sid is None else ("ada", sid, AT)


def outer(session: Callable[[Any], Any]) -> dict[str, Any]:
    """Return the options of the outer one of two guards."""
    return {"session": session, "require": False}


async def write_stream(request: web.Request) -> web.StreamResponse:
    """Write parts as they come."""
    response = web.StreamResponse()
    await response.prepare(request)
    async for part in async_parts(request.match_info["name"]):
        await response.write(part)
    return response


async def return_body(request: web.Request) -> web.StreamResponse:
    """Leave the parts to aiohttp."""
    return web.Response(body=async_parts(request.match_info["name"]))


async def talk(request: web.Request) -> web.WebSocketResponse:
    """Say what is said, over a WebSocket."""
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    async for message in socket:
        await socket.send_str(message.data)
    return socket


def aiohttp_app(guard: PatientGuard, handler: Any, layers: int) -> web.Application:
    """Return an app of aiohttp, guarded once or twice."""
    app = web.Application()
    if layers == 2:
        options = outer(lambda request: login(request.headers.get(SESSION)))
        aiohttp_middleware.setup(app, cast(Guard, guard), **options)
    aiohttp_middleware.setup(app, cast(Guard, guard))
    app.router.add_get("/{name:.*}", handler)
    return app


def served_by_aiohttp(handler: Any) -> Serve:
    """Return a function that serves a handler."""

    @contextlib.asynccontextmanager
    async def serve(guard: PatientGuard, layers: int) -> AsyncIterator[str]:
        async with TestServer(aiohttp_app(guard, handler, layers)) as server:
            yield str(server.make_url("")).rstrip("/")

    return serve


@contextlib.asynccontextmanager
async def served_by_uvicorn(guard: PatientGuard, layers: int) -> AsyncIterator[str]:
    """Serve an app of Starlette."""
    from starlette.applications import Starlette
    from starlette.responses import StreamingResponse
    from starlette.routing import Route

    async def answer(request: Any) -> Any:
        return StreamingResponse(async_parts(request.path_params["name"]))

    def session(scope: Any) -> Any:
        value = dict(scope["headers"]).get(SESSION.lower().encode())
        return login(None if value is None else value.decode())

    app: Any = Starlette(routes=[Route("/{name:path}", answer)])
    app = asgi.GuardMiddleware(app, cast(Guard, guard))
    if layers == 2:
        app = asgi.GuardMiddleware(app, cast(Guard, guard), **outer(session))
    async with served_asgi(app) as url:
        yield url


@contextlib.asynccontextmanager
async def served_by_werkzeug(guard: PatientSyncGuard, layers: int) -> AsyncIterator[str]:
    """Serve a WSGI app."""

    def answer(environ: Any, start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return parts(environ["PATH_INFO"].strip("/"))

    app: Any = wsgi.GuardMiddleware(answer, cast(SyncGuard, guard))
    if layers == 2:
        options = outer(lambda environ: login(environ.get("HTTP_X_SESSION")))
        app = wsgi.GuardMiddleware(app, cast(SyncGuard, guard), **options)
    async with served_wsgi(app) as url:
        yield url


SERVERS: dict[str, tuple[Serve, type[PatientGuard | PatientSyncGuard]]] = {
    "aiohttp-stream": (served_by_aiohttp(write_stream), PatientGuard),
    "aiohttp-body": (served_by_aiohttp(return_body), PatientGuard),
    "asgi": (served_by_uvicorn, PatientGuard),
    "wsgi": (served_by_werkzeug, PatientSyncGuard),
}


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("name", SERVERS)
async def test_nothing_is_watched_when_all_requests_are_over(name: str, layers: int) -> None:
    """Finished, failed, left at any time, or cut; also with two guards, either of which cuts."""
    serve, kind = SERVERS[name]
    guard = kind()
    sync = guard if isinstance(guard, PatientSyncGuard) else guard.sync
    async with serve(guard, layers) as url:
        place = Place(url, headers_of, guard.end, lambda: len(sync.watches), guard.doorstep, layers)
        await place.end_in_every_way()


async def test_a_socket_with_two_sessions_ends_with_either() -> None:
    """Each is watched once, and not at all when the client has left."""
    guard = PatientGuard()
    async with (
        served_by_aiohttp(talk)(guard, 2) as url,
        aiohttp.ClientSession(url) as http,
    ):
        for ended in ("outer", "inner", None):
            guard.sync.ended.clear()
            async with http.ws_connect("/", headers=headers_of(("outer", "inner"))) as socket:
                await socket.send_str("hello")
                assert await socket.receive_str() == "hello"
                assert {sid for sid, _ in guard.sync.watches} == {"outer", "inner"}
                assert len(guard.sync.watches) == 2
                if ended is not None:
                    guard.end(ended)
                    close = await socket.receive()
                    assert (close.type, close.data) == (aiohttp.WSMsgType.CLOSE, 4401)
            await eventually(lambda: guard.sync.watches == [])
