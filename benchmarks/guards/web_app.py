"""A bare FastAPI route, behind a guard's middleware where ``GUARD`` names a hub."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from benchmarks.guards.issuer import GUARD_TOKEN
from benchmarks.tokens import SECRET
from hub.guard import Guard
from hub.guard.asgi import GuardMiddleware

guard = None
if url := os.environ.get("GUARD"):
    guard = Guard(url, token=GUARD_TOKEN, secret=SECRET)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Follow the hub for as long as the app runs."""
    if guard is None:
        yield
        return
    async with guard:
        yield


app = FastAPI(lifespan=lifespan)
if guard is not None:
    app.add_middleware(GuardMiddleware, guard=guard)


@app.get("/")
async def get() -> dict[str, bool]:
    """Answer."""
    return {"ok": True}
