"""The demo: one page with several devices, and the tokens for it. Loopback only, short-lived."""

from __future__ import annotations

import ipaddress
import secrets
from typing import Annotated, Any, Literal

import msgspec
from aiohttp import web
from pydantic import SecretStr

from hub.access.authority import Authority
from hub.access.client import read_cookie
from hub.access.minting import mint_token
from hub.access.requests import read_request
from hub.errors import Forbidden, Unauthorized
from hub.pages.documents import serving
from hub.settings import Settings, SettingsError

TOKEN_LIFETIME = 900.0
COOKIE = "logout_hub_demo"
FILES = {"/": "demo.html", "/demo.css": "demo.css", "/demo.js": "demo.js"}


class DemoTokenRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Which of the demo's two people logs in."""

    user: Literal["ada", "grace"]
    sid: Annotated[str, msgspec.Meta(min_length=1, max_length=64)] | None = None


def suit_demo(settings: Settings) -> Settings:
    """Return the settings with what the demo needs and nobody has set.

    Raises:
        SettingsError: when the hub listens on more than loopback, or has no secret to sign with.
    """
    if not is_loopback(settings.host):
        raise SettingsError("HUB_HOST: the demo mints tokens for anybody, so it stays on loopback")
    if settings.has_key and settings.jwt_secret is None:
        raise SettingsError("HUB_JWT_SECRET: the demo needs a secret to sign tokens with")
    own = [f"http://{host}:{settings.port}" for host in ("localhost", "127.0.0.1", "[::1]")]
    changes: dict[str, Any] = {
        "admin_token": settings.admin_token or SecretStr(secrets.token_urlsafe(16)),
        "jwt_secret": settings.jwt_secret or SecretStr(secrets.token_hex(32)),
        "cookie_name": settings.cookie_name or COOKIE,
        "login_url": settings.login_url or "/demo/login",
        "allowed_origins": (*settings.allowed_origins, *own),
    }
    return settings.model_copy(update=changes)


def add_demo(app: web.Application, settings: Settings, authority: Authority) -> None:
    """Serve the demo, with settings that suit it."""

    def mint(user: str, sid: str | None) -> str:
        assert settings.jwt_secret is not None, "suit_demo has seen to it"
        return mint_token(
            settings.jwt_secret.get_secret_value(),
            user,
            lifetime=min(TOKEN_LIFETIME, settings.token_max_lifetime),
            algorithm=settings.algorithms[0],
            sid=sid,
            issuer=settings.jwt_issuer,
            audience=settings.jwt_audience,
        )

    async def post_token(request: web.Request) -> web.Response:
        _refuse_other_names(request)
        asked = read_request(DemoTokenRequest, await request.read())
        return web.json_response({"token": mint(asked.user, asked.sid)})

    async def get_login(request: web.Request) -> web.Response:
        """Log this browser in as Ada, by cookie, unless it is, and show her devices."""
        _refuse_other_names(request)
        name = settings.cookie_name or COOKIE
        answer = web.Response(status=303, headers={"Location": "/devices"})
        try:
            await authority.admit(read_cookie(request.headers, name) or "")
        except Unauthorized:
            answer.set_cookie(name, mint("ada", None), httponly=True, samesite="Lax")
        return answer

    for path, name in FILES.items():
        app.router.add_get(path, serving(name))
    app.router.add_post("/demo/token", post_token)
    app.router.add_get("/demo/login", get_login)


def is_loopback(host: str) -> bool:
    """Tell whether a host name or address is this machine's own."""
    name = host.strip("[]").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _refuse_other_names(request: web.Request) -> None:
    # Another site's page may name this machine (DNS rebinding), but not under a local name.
    if not is_loopback(request.url.host or ""):
        raise Forbidden("the demo answers under a local name only")
