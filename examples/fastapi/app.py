"""An API with JWTs that refuses a session from the moment when it was logged out anywhere."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import Body, FastAPI, Request

from hub.guard import Guard
from hub.guard.asgi import GuardMiddleware

guard = Guard.from_environ()  # HUB_URL, HUB_GUARD_TOKEN, HUB_JWT_SECRET


@contextlib.asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Follow the hub's feed of logouts while the app runs."""
    async with guard:
        yield


app = FastAPI(lifespan=lifespan)
app.add_middleware(GuardMiddleware, guard=guard, exempt=("/login", "/health"))


@app.get("/health")
async def get_health() -> dict[str, float]:
    """Say how old is what this process knows of logouts, in seconds."""
    return {"staleness": guard.staleness}


@app.post("/login")
async def log_in(user: Annotated[str, Body(embed=True)]) -> dict[str, str]:
    """Give out a token; a real app checks a password here, or has an identity provider do it."""
    sid, now = secrets.token_urlsafe(16), guard.now()
    return {"token": guard.mint_ticket(user, sid, login_time=now, lifetime=8 * 3600)}


@app.get("/balance")
async def get_balance(request: Request) -> dict[str, Any]:
    """Say something private; the middleware has made sure of who asks."""
    return {"user": request.scope["hub.identity"].sub, "balance": "£2,481.07"}
