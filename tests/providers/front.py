"""What stands before a hub where logout tokens come in, and may fail them there."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import jwt
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.ssf_transmitter import Answer, saying


class LogoutToken:
    """A logout token that came in: its header and claims, and what the hub answered, if asked."""

    def __init__(self, token: str) -> None:
        self.header: dict[str, Any] = jwt.get_unverified_header(token)
        self.claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
        self.status: int | None = None


class Front:
    """A proxy that passes logout tokens on to ``hub``.

    ``instead`` is answered in place of asking the hub, ``after`` in place of its answer.
    """

    def __init__(self) -> None:
        self.url = ""
        self.hub = ""
        self.instead: Answer | None = None
        self.after: Answer | None = None
        self.tokens: list[LogoutToken] = []

    async def take(self, request: web.Request) -> web.StreamResponse:
        """Take a logout token."""
        body = await request.read()
        came = LogoutToken(str((await request.post())["logout_token"]))
        self.tokens.append(came)
        if self.instead is not None:
            return await self.instead(request)
        headers = {"Content-Type": request.headers["Content-Type"]}
        async with (
            aiohttp.ClientSession() as http,
            http.post(f"{self.hub}/backchannel-logout", data=body, headers=headers) as answer,
        ):
            came.status, text = answer.status, await answer.text()
        if self.after is not None:
            return await self.after(request)
        return await saying(text, answer.content_type, came.status)(request)


@contextlib.asynccontextmanager
async def open_front() -> AsyncIterator[Front]:
    """Open a proxy on loopback; the hub behind it is named later."""
    front = Front()
    app = web.Application()
    app.router.add_post("/backchannel-logout", front.take)
    async with TestServer(app) as server:
        front.url = str(server.make_url("/backchannel-logout"))
        yield front
