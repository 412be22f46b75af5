"""The recipes for web frameworks: a session that was ended anywhere is over in the app."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from tests.django_site import overridden
from tests.ports import free_port
from tests.recipes.pages import run_python
from tests.recipes.serving import browser, served_asgi, served_wsgi
from tests.site import ADMIN, SECRET, Replica, running, settings, token

PAGE = "how-to/web-frameworks.md"


@pytest.fixture
async def hub(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Replica]:
    """A hub that the recipes find."""
    async with running(settings()) as replica:
        monkeypatch.setenv("LOGOUT_HUB", replica.url)
        monkeypatch.setenv("HUB_JWT_SECRET", SECRET)
        monkeypatch.setenv("APP_SECRET", "a secret of the app")
        yield replica


async def test_fastapi_refuses_who_was_logged_out(hub: Replica) -> None:
    """With the hub's code; and says 503 when the hub does not answer."""
    recipe = run_python(PAGE, about="FastAPI")
    async with served_asgi(recipe["app"]) as url, aiohttp.ClientSession(url) as http:

        async def ask(mine: str | None) -> tuple[int, Any]:
            sent = {} if mine is None else {"Authorization": f"Bearer {mine}"}
            async with http.get("/balance", headers=sent) as answer:
                return answer.status, await answer.json()

        mine = token("ada", "s")
        assert (await ask(mine))[1]["user"] == "ada"
        assert (await ask(token("Zoë 50%25", "s")))[1]["user"] == "Zoë 50%25"
        assert await ask(None) == (401, {"detail": "token_missing"})
        await hub.call("POST", "/logout", mine)
        assert await ask(mine) == (401, {"detail": "token_revoked"})
        await recipe["hub"].aclose()
        gone = f"http://127.0.0.1:{free_port()}"
        recipe["hub"] = recipe["httpx"].AsyncClient(base_url=gone)
        assert (await ask(mine))[0] == 503
        await recipe["hub"].aclose()


async def check_sessions(url: str, hub: Replica) -> None:
    """An app with sessions of its own: two browsers of one person, and one of another."""
    async with browser(url) as laptop, browser(url) as phone, browser(url) as graces:
        for http, user in ((laptop, "ada"), (phone, "ada"), (graces, "grace")):
            async with http.post("/login", data={"user": user}) as answer:
                assert (await answer.json())["user"] == user
        stolen = {cookie.key: cookie.value for cookie in phone.cookie_jar}

        async def place(http: aiohttp.ClientSession, **more: Any) -> str | None:
            async with http.get("/", allow_redirects=False, **more) as answer:
                assert answer.status in (200, 302)
                return answer.headers.get("Location")

        assert await place(phone) is None
        async with laptop.post("/logout", allow_redirects=False) as answer:
            assert answer.status == 302
        assert await place(laptop) == "/login"
        assert await place(phone) == "/login"
        assert await place(graces) is None
        # A copy of the cookie is worth nothing either, a second later too.
        await asyncio.sleep(1.1)
        async with aiohttp.ClientSession(url, cookies=stolen) as thief:
            assert await place(thief) == "/login"
        async with phone.post("/login", data={"user": "ada"}) as answer:
            assert (await answer.json())["user"] == "ada"
        body = {"user": "ada", "reason": "suspicious"}
        assert (await hub.call("POST", "/admin/logout", ADMIN, json=body)).status == 200
        assert await place(phone) == "/login"


async def test_flask_sessions_end_with_the_logins(hub: Replica) -> None:
    """Also copies of the cookie; the browser client gets a token that the hub takes."""
    recipe = run_python(PAGE, about="from flask")
    recipe["app"].get("/login")(lambda: recipe["jsonify"](user=None))
    async with served_wsgi(recipe["app"]) as url:
        async with browser(url) as http:
            async with http.post("/login", data={"user": "eve"}) as answer:
                assert answer.status == 200
            async with http.get("/api/token") as answer:
                assert (await hub.call("GET", "/session", await answer.text())).status == 200
        await check_sessions(url, hub)


async def test_django_sessions_end_with_the_logins(hub: Replica) -> None:
    """The middleware, over Django's sessions in signed cookies."""
    # Slow to import, and every worker imports every file of tests.
    import django.core.handlers.wsgi
    import django.http
    import django.urls

    recipe = run_python(PAGE, about="from django")

    def log_in(request: Any) -> Any:
        recipe["begin"](request, request.POST["user"])
        return django.http.HttpResponseRedirect("/")

    def log_out(request: Any) -> Any:
        recipe["end_everywhere"](request)
        request.session.flush()
        return django.http.HttpResponseRedirect("/login")

    def page(request: Any) -> Any:
        if "login" not in request.session:
            return django.http.HttpResponseRedirect("/login")
        return django.http.JsonResponse({"user": request.session["login"]["sub"]})

    path = django.urls.path
    global Middleware
    Middleware = recipe["LogoutHubMiddleware"]
    site = overridden(
        SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies",
        ROOT_URLCONF=(path("login", log_in), path("logout", log_out), path("", page)),
        MIDDLEWARE=[
            "django.contrib.sessions.middleware.SessionMiddleware",
            "tests.recipes.test_web_frameworks.Middleware",
        ],
    )
    with site:
        async with served_wsgi(django.core.handlers.wsgi.WSGIHandler()) as url:
            await check_sessions(url, hub)


Middleware: Any = None
