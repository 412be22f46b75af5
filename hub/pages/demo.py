"""The demo: a page with several devices, and short-lived tokens for it. On loopback only."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import Annotated, Any, Literal

import msgspec
from aiohttp import HttpVersion11, web
from pydantic import SecretStr

from hub.access.authority import Authority
from hub.access.client import read_cookie
from hub.access.minting import mint_token
from hub.access.requests import read_request
from hub.core.hosts import is_loopback
from hub.errors import Forbidden, Unauthorized
from hub.pages.documents import Handler, serving
from hub.settings import Settings, SettingsError

TOKEN_LIFETIME = 900.0
COOKIE = "logout_hub_demo"
PROXY_HEADERS = frozenset(
    {"forwarded", "via", "x-real-ip"}
    | {f"x-forwarded-{what}" for what in ("for", "host", "port", "proto", "server")}
)
FILES = {"/": "demo.html", "/demo.css": "demo.css", "/demo.js": "demo.js"}


class DemoTokenRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Who logs in, of the demo's two users."""

    user: Literal["ada", "grace"]
    sid: Annotated[str, msgspec.Meta(min_length=1, max_length=64)] | None = None


class DemoToken(msgspec.Struct, frozen=True):
    """A token of that user."""

    token: str


def suit_demo(settings: Settings) -> Settings:
    """Return the settings, completed with what the demo needs.

    The demo signs with its own secret, derived from the operator's, so that all replicas of the
    demo accept its tokens and nobody else does. Tokens signed with the operator's secret are
    accepted too.

    Raises:
        SettingsError: when the hub listens on more than loopback, verifies tokens by anything but
            a secret, or is replacing that secret.
    """
    if not is_loopback(settings.host):
        raise SettingsError("HUB_HOST: the demo mints tokens for anybody, so it stays on loopback")
    if settings.has_key and settings.jwt_secret is None:
        raise SettingsError("HUB_JWT_SECRET: the demo needs a secret to sign tokens with")
    if settings.jwt_secret_previous is not None:
        raise SettingsError("HUB_JWT_SECRET_PREVIOUS: the demo takes no secret but HUB_JWT_SECRET")
    given = settings.jwt_secret or SecretStr(secrets.token_hex(32))
    port = "" if settings.port == 80 else f":{settings.port}"  # as browsers write it
    own = [f"http://{host}{port}" for host in ("localhost", "127.0.0.1", "[::1]")]
    changes: dict[str, Any] = {
        "jwt_secret": SecretStr(_derive(given.get_secret_value())),
        "jwt_secret_previous": given,
        "bus_secret": settings.bus_secret
        or SecretStr(settings.shared_secret or secrets.token_hex()),
        "admin_token": settings.admin_token or SecretStr(secrets.token_urlsafe(16)),
        "cookie_name": settings.cookie_name or COOKIE,
        "login_url": settings.login_url or "/demo/login",
        "allowed_origins": (*settings.allowed_origins, *own),
    }
    return settings.model_copy(update=changes)


def _derive(secret: str) -> str:
    return hmac.new(secret.encode(), b"logout-hub demo", hashlib.sha256).hexdigest()


def add_demo(app: web.Application, settings: Settings, authority: Authority) -> None:
    """Serve the demo; ``settings`` are those of `suit_demo`."""

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
        asked = read_request(DemoTokenRequest, await request.read())
        body = msgspec.json.encode(DemoToken(mint(asked.user, asked.sid)))
        return web.Response(body=body, content_type="application/json")

    async def get_login(request: web.Request) -> web.Response:
        """Log this browser in as Ada, by cookie, unless somebody is, and go to her devices."""
        name = settings.cookie_name or COOKIE
        answer = web.Response(status=303, headers={"Location": "/devices"})
        try:
            await authority.admit(read_cookie(request.headers, name) or "")
        except Unauthorized:
            answer.set_cookie(name, mint("ada", None), httponly=True, samesite="Lax")
        return answer

    for path, name in FILES.items():
        app.router.add_get(path, _for_this_machine(serving(name)))
    app.router.add_post("/demo/token", _for_this_machine(post_token))
    app.router.add_get("/demo/login", _for_this_machine(get_login))


def _for_this_machine(handler: Handler) -> Handler:
    """Return a handler that answers requests from this machine only.

    A proxy on this machine would make others look local. A page of another site may resolve to this
    machine (DNS rebinding), but not under a local name.
    """

    async def answer(request: web.Request) -> web.Response:
        if not is_loopback(request.url.host or ""):
            raise Forbidden("the demo answers under a local name only")
        if was_passed_on(request):
            raise Forbidden("the demo answers this machine only, and a proxy passed this on")
        return await handler(request)

    return answer


def was_passed_on(request: web.BaseRequest) -> bool:
    """Return whether a proxy passed the request on, by its headers or its HTTP version.

    nginx with ``proxy_pass`` alone sets no such header and puts a local name into ``Host``, but
    speaks HTTP/1.0 by default.
    """
    names = {name.lower() for name in request.headers}
    is_marked = not PROXY_HEADERS.isdisjoint(names)
    return is_marked or request.version < HttpVersion11
