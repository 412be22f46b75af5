"""A small app beside logout-hub: a login by an HttpOnly cookie, and a private page."""

from __future__ import annotations

import html
import os
import secrets
import time
from pathlib import Path
from urllib.parse import unquote

import aiohttp
import jwt
from aiohttp import web

HERE = Path(__file__).parent
APP = os.environ.get("APP", "http://localhost:3000")  # where browsers find this app
HUB = os.environ.get("HUB", "http://localhost:8080")  # and where they find the hub
SECRET = os.environ["SECRET"]  # the hub's HUB_JWT_SECRET
COOKIE = "session"  # the hub's HUB_COOKIE_NAME
LIFETIME = 8 * 3600
POLICY = (
    f"default-src 'self'; script-src 'self' {HUB}; base-uri 'none'; frame-ancestors 'none'; "
    f"connect-src 'self' {HUB} ws{HUB.removeprefix('http')}; form-action 'self'"
)


def page(name: str, user: str = "") -> web.Response:
    """Return a page, with what may differ filled in."""
    text = (HERE / name).read_text(encoding="utf-8")
    text = text.replace("{{hub}}", HUB).replace("{{user}}", html.escape(user))
    headers = {"Content-Security-Policy": POLICY, "Cache-Control": "no-store"}
    return web.Response(text=text, content_type="text/html", headers=headers)


async def who(token: str | None) -> str | None:
    """Ask the hub whose session a token is, if it still is one."""
    if not token:
        return None
    headers = {"Authorization": f"Bearer {token}"}
    timeout = aiohttp.ClientTimeout(total=3)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as http,
            http.get(f"{HUB}/verify", headers=headers) as answer,
        ):
            if answer.status == 204:
                return unquote(
                    answer.headers["X-Auth-User"]
                )  # percent-encoded, as a header is ASCII
            if answer.status == 401:
                return None
    except (aiohttp.ClientError, TimeoutError):
        pass
    raise web.HTTPServiceUnavailable(text="Please try again in a moment.")


async def get_home(request: web.Request) -> web.Response:
    """Show the private page, to nobody but its owner."""
    user = await who(request.cookies.get(COOKIE))
    if user is None:
        raise web.HTTPSeeOther("/login")
    return page("index.html", user)


async def get_login(request: web.Request) -> web.Response:
    """Show the login."""
    return page("login.html")


async def post_login(request: web.Request) -> web.Response:
    """Log in; a real app checks a password here."""
    if request.headers.get("Origin") != APP:
        raise web.HTTPForbidden(text="not from this site")
    user, now = str((await request.post()).get("name", ""))[:50].strip(), time.time()
    if not user:
        raise web.HTTPSeeOther("/login")
    claims = {"sub": user, "sid": secrets.token_urlsafe(16), "iat": now, "exp": now + LIFETIME}
    answer = web.HTTPSeeOther("/")
    # Scripts cannot read it. Where app and hub are on sibling hosts, it also needs their domain.
    answer.set_cookie(
        COOKIE,
        jwt.encode(claims, SECRET),
        max_age=LIFETIME,
        httponly=True,
        secure=APP.startswith("https:"),
        samesite="Lax",
    )
    raise answer


def file(name: str) -> web.RouteDef:
    """Serve a file of this folder."""

    async def get_file(request: web.Request) -> web.FileResponse:
        return web.FileResponse(HERE / name)

    return web.get(f"/{name}", get_file)


app = web.Application()
app.add_routes(
    [
        web.get("/", get_home),
        web.get("/login", get_login),
        web.post("/login", post_login),
        file("draft.js"),
        file("style.css"),
    ]
)

if __name__ == "__main__":
    web.run_app(app, host="127.0.0.1", port=int(APP.rsplit(":", 1)[1]))
