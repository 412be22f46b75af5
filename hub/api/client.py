"""``GET /client.js`` and ``GET /elements.js``: the browser client and its elements, a file each."""

from __future__ import annotations

import hashlib
from functools import cache

from aiohttp import web

from hub.pages import read_client, read_elements


async def get_client(request: web.Request) -> web.Response:
    """Return the client, as a module that pages of any origin may import."""
    return _module(request, read_client())


async def get_elements(request: web.Request) -> web.Response:
    """Return the custom elements, in the same way."""
    return _module(request, read_elements())


def _module(request: web.Request, text: str) -> web.Response:
    tag = _tag(text)
    headers = {
        "ETag": tag,
        "Access-Control-Allow-Origin": "*",
        "Cross-Origin-Resource-Policy": "cross-origin",
    }
    if tag in request.headers.get("If-None-Match", ""):
        return web.Response(status=304, headers=headers)
    return web.Response(text=text, content_type="text/javascript", charset="utf-8", headers=headers)


@cache
def _tag(text: str) -> str:
    return f'"{hashlib.sha256(text.encode()).hexdigest()[:22]}"'
