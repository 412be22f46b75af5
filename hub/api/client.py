"""``GET /client.js``: the browser client, one file."""

from __future__ import annotations

import hashlib
from functools import cache

from aiohttp import web

from hub.pages import read_client


async def get_client(request: web.Request) -> web.Response:
    """Return the client, as a module that pages of any origin may import."""
    text, tag = _client()
    headers = {
        "ETag": tag,
        "Access-Control-Allow-Origin": "*",
        "Cross-Origin-Resource-Policy": "cross-origin",
    }
    if tag in request.headers.get("If-None-Match", ""):
        return web.Response(status=304, headers=headers)
    return web.Response(text=text, content_type="text/javascript", charset="utf-8", headers=headers)


@cache
def _client() -> tuple[str, str]:
    text = read_client()
    return text, f'"{hashlib.sha256(text.encode()).hexdigest()[:22]}"'
