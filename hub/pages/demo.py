"""The demo: one page with several devices, and the tokens for it. Loopback only, short-lived."""

from __future__ import annotations

import ipaddress
from typing import Annotated, Literal

import msgspec
from aiohttp import web

from hub.access.minting import mint_token
from hub.access.requests import read_request
from hub.errors import Forbidden
from hub.pages import read_page
from hub.settings import Settings, SettingsError

TOKEN_LIFETIME = 900.0
FILES = {
    "/": ("demo.html", "text/html"),
    "/demo.css": ("demo.css", "text/css"),
    "/demo.js": ("demo.js", "text/javascript"),
}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self' ws: wss:; "
    "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class DemoTokenRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Which of the demo's two people logs in."""

    user: Literal["ada", "grace"]
    sid: Annotated[str, msgspec.Meta(min_length=1, max_length=64)] | None = None


def add_demo(app: web.Application, settings: Settings) -> None:
    """Serve the demo.

    Raises:
        SettingsError: when the hub listens on more than loopback, or has no secret to sign with.
    """
    if not is_loopback(settings.host):
        raise SettingsError("HUB_HOST: the demo mints tokens for anybody, so it stays on loopback")
    if settings.jwt_secret is None:
        raise SettingsError("HUB_JWT_SECRET: the demo needs a secret to sign tokens with")
    secret = settings.jwt_secret.get_secret_value()

    async def post_token(request: web.Request) -> web.Response:
        # Another site's page may name this machine (DNS rebinding), but not under a local name.
        if not is_loopback(request.url.host or ""):
            raise Forbidden("the demo answers under a local name only")
        asked = read_request(DemoTokenRequest, await request.read())
        token = mint_token(
            secret,
            asked.user,
            lifetime=min(TOKEN_LIFETIME, settings.token_max_lifetime),
            algorithm=settings.algorithms[0],
            sid=asked.sid,
            issuer=settings.jwt_issuer,
            audience=settings.jwt_audience,
        )
        return web.json_response({"token": token})

    for path, (name, kind) in FILES.items():
        app.router.add_get(path, _page(name, kind))
    app.router.add_post("/demo/token", post_token)


def is_loopback(host: str) -> bool:
    """Tell whether a host name or address is this machine's own."""
    name = host.strip("[]").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _page(name: str, kind: str) -> web.Handler:  # type: ignore[name-defined]
    async def get_page(request: web.Request) -> web.Response:
        return web.Response(
            text=read_page(name),
            content_type=kind,
            charset="utf-8",
            headers={"Content-Security-Policy": POLICY, "X-Frame-Options": "DENY"},
        )

    return get_page
