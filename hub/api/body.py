"""Reads the body of a request, limited in size and time."""

from __future__ import annotations

import asyncio

from aiohttp import web

from hub.api.services import SERVICES


async def read_body(request: web.Request, most: int | None = None) -> bytes:
    """Return the body, of at most ``most`` bytes (by default HUB_MAX_BODY).

    Raises:
        HTTPRequestEntityTooLarge: when it is larger.
        TimeoutError: when it has not arrived within HUB_LIMIT_READ_SECONDS.
    """
    limited = request if most is None else request.clone(client_max_size=most)
    if limited.content.is_eof():
        # It arrived with the head of the request, as most do.
        return await _read(limited)
    async with asyncio.timeout(request.app[SERVICES].settings.limit_read_seconds):
        return await _read(limited)


async def _read(request: web.Request) -> bytes:
    try:
        return await request.read()
    except BaseException as error:
        # The traceback would keep the body in memory, in a reference cycle.
        raise error.with_traceback(None) from None
