"""The ASGI middleware around Starlette apps that uvicorn serves: what clients and apps notice."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from typing import Any, cast

import aiohttp
import pytest

from hub.guard import Guard
from hub.guard.asgi import GuardMiddleware
from tests.guard.pretended import PretendedGuard
from tests.patience import PATIENCE
from tests.recipes.serving import served_asgi

ADA = {"Authorization": "Bearer ada/s"}


class Site:
    """An app with a stream, and a socket that only sends."""

    def __init__(self, *, with_middleware: bool) -> None:
        # Slow to import, and every worker imports every file of tests.
        from starlette.applications import Starlette
        from starlette.middleware import Middleware
        from starlette.middleware.base import BaseHTTPMiddleware
        from starlette.routing import Route, WebSocketRoute

        async def pass_on(request: Any, call_next: Any) -> Any:
            return await call_next(request)

        self.guard = PretendedGuard()
        self.ended = asyncio.Event()
        middleware = [Middleware(GuardMiddleware, guard=cast(Guard, self.guard))]
        if with_middleware:
            middleware.append(Middleware(BaseHTTPMiddleware, dispatch=pass_on))
        self.app = Starlette(
            routes=[Route("/events", self.get_events), WebSocketRoute("/ticks", self.get_ticks)],
            middleware=middleware,
        )

    async def get_events(self, request: Any) -> Any:
        """Send events for ever."""
        from starlette.responses import StreamingResponse

        async def events() -> AsyncIterator[bytes]:
            while True:
                yield b"data: tick\n\n"
                await asyncio.sleep(0.01)

        class Events(StreamingResponse):
            # Not in the generator, which ends when the garbage collector finds it.
            async def __call__(response, scope: Any, receive: Any, send: Any) -> None:  # noqa: N805
                try:
                    await super().__call__(scope, receive, send)
                finally:
                    self.ended.set()

        return Events(events(), media_type="text/event-stream")

    async def get_ticks(self, socket: Any) -> None:
        """Send something for ever, and never look whether anybody is there."""
        await socket.accept()
        try:
            while True:
                await socket.send_text("tick")
                await asyncio.sleep(0.01)
        finally:
            self.ended.set()


@contextlib.asynccontextmanager
async def served(*, with_middleware: bool = False) -> AsyncIterator[tuple[Site, Any]]:
    """Serve the app; the context is entered with it and a client."""
    site = Site(with_middleware=with_middleware)
    async with served_asgi(site.app) as url, aiohttp.ClientSession(url, headers=ADA) as http:
        yield site, http


@pytest.mark.parametrize("with_middleware", [False, True])
async def test_events_end_with_the_session(
    caplog: pytest.LogCaptureFixture, with_middleware: bool
) -> None:
    """As a complete response, also through Starlette's own middleware; nothing is logged of it."""
    caplog.set_level(logging.WARNING)
    async with served(with_middleware=with_middleware) as (site, http), asyncio.timeout(PATIENCE):
        async with http.get("/events") as answer:
            assert await answer.content.readline() == b"data: tick\n"
            site.guard.end("s")
            await answer.read()
            await site.ended.wait()
        async with http.get("/events") as answer:
            assert answer.status == 401
    assert site.guard.sync.watches == []
    assert caplog.records == []


async def test_who_leaves_a_stream_is_not_watched_any_more() -> None:
    """Whatever the reason."""
    async with served() as (site, http), asyncio.timeout(PATIENCE):
        async with http.get("/events") as answer:
            await answer.content.readline()
            assert len(site.guard.sync.watches) == 1
        await site.ended.wait()
    assert site.guard.sync.watches == []


async def test_a_socket_that_only_sends_ends_with_the_session(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The client is told by the code, the app by an error that Starlette knows, the log by none."""
    caplog.set_level(logging.WARNING)
    async with served() as (site, http), asyncio.timeout(PATIENCE):
        async with http.ws_connect("/ticks") as socket:
            assert await socket.receive_str() == "tick"
            site.guard.end("s")
            while (message := await socket.receive()).type is aiohttp.WSMsgType.TEXT:
                pass
            assert (message.data, message.extra) == (4401, "password_changed")
        await site.ended.wait()
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await http.ws_connect("/ticks")
        assert refused.value.status == 401
    assert caplog.records == []
