"""A chat on WebSockets: a user who is logged out anywhere leaves the chat at the same moment."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import parse_qs

from fastapi import FastAPI, Request, Response, WebSocket
from fastapi.responses import HTMLResponse, PlainTextResponse, RedirectResponse

from hub.guard import Guard
from hub.guard.asgi import GuardMiddleware

HERE = Path(__file__).parent
HUB = os.environ.get("HUB_URL", "http://localhost:8080")
COOKIE, LIFETIME = "chat", 8 * 3600
guard = Guard.from_environ()  # HUB_URL, HUB_GUARD_TOKEN, HUB_JWT_SECRET
sockets: set[WebSocket] = set()


@contextlib.asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Follow the hub's feed of logouts while the app runs."""
    async with guard:
        yield


app = FastAPI(lifespan=lifespan)
app.add_middleware(GuardMiddleware, guard=guard, cookie=COOKIE, login_url="/login")


@app.get("/login")
async def show_login() -> HTMLResponse:
    """Show the login."""
    return HTMLResponse((HERE / "login.html").read_text(encoding="utf-8"))


@app.post("/login")
async def log_in(request: Request) -> Response:
    """Log in; a real app checks a password here."""
    user = parse_qs((await request.body()).decode())["user"][0]
    sid, now = secrets.token_urlsafe(16), guard.now()
    token = guard.mint_ticket(user, sid, login_time=now, lifetime=LIFETIME)
    answer = RedirectResponse("/", 303)
    answer.set_cookie(COOKIE, token, max_age=LIFETIME, httponly=True, samesite="lax")
    return answer


@app.get("/ticket")
async def get_ticket(request: Request) -> Response:
    """Give the page what it connects to the hub with."""
    return PlainTextResponse(request.cookies[COOKIE], headers={"Cache-Control": "no-store"})


@app.get("/")
async def show_chat() -> HTMLResponse:
    """Show the chat."""
    page = (HERE / "chat.html").read_text(encoding="utf-8").replace("{{hub}}", HUB)
    return HTMLResponse(page, headers={"Cache-Control": "no-store"})


@app.websocket("/chat")
async def chat(socket: WebSocket) -> None:
    """Pass on what is said. There is nothing about logouts here: the middleware closes."""
    await socket.accept()
    sockets.add(socket)
    try:
        async for text in socket.iter_text():
            line = f"{socket.scope['hub.identity'].sub}: {text}"
            for other in tuple(sockets):
                with contextlib.suppress(Exception):  # that one is leaving
                    await other.send_text(line)
    finally:
        sockets.discard(socket)
