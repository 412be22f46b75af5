"""``GET /client.js`` and ``GET /elements.js``: the browser client and the custom elements."""

from __future__ import annotations

import hashlib
from functools import cache

from aiohttp import web

from hub.api.answers import NotModified, Script
from hub.api.services import SERVICES


async def get_client(request: web.Request) -> Script | NotModified:
    """Return the client, as a module that pages of any origin may import."""
    return _module(request, request.app[SERVICES].client_js)


async def get_elements(request: web.Request) -> Script | NotModified:
    """Return the custom elements, in the same way."""
    return _module(request, request.app[SERVICES].elements_js)


def _module(request: web.Request, text: str) -> Script | NotModified:
    tag = _tag(text)
    headers = {
        "ETag": tag,
        "Access-Control-Allow-Origin": "*",
        "Cross-Origin-Resource-Policy": "cross-origin",
    }
    if tag in request.headers.get("If-None-Match", ""):
        return NotModified(headers=headers)
    return Script(text, headers=headers)


@cache
def _tag(text: str) -> str:
    return f'"{hashlib.sha256(text.encode()).hexdigest()[:22]}"'
