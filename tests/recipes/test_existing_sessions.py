"""The recipes for apps that have sessions already, as they stand there, each beside a hub."""

from __future__ import annotations

import asyncio
import inspect
import os
import re
import shutil
from collections.abc import AsyncIterator
from functools import partial
from typing import Any
from unittest import mock

import aiohttp
import pytest
from aiohttp.test_utils import TestServer

from hub.guard.aiohttp_middleware import guard_middleware
from hub.guard.asgi import GuardMiddleware as AsgiMiddleware
from hub.guard.wsgi import GuardMiddleware as WsgiMiddleware
from tests.conftest import lacking
from tests.django_site import overridden, person
from tests.ports import free_port
from tests.realtime.raw import eventually
from tests.recipes.pages import DOCS, blocks, run_python
from tests.recipes.serving import browser, served_asgi, served_wsgi
from tests.site import ADMIN, SECRET, Replica, running, settings
from tests.test_docs import ROOT

PAGE = "how-to/existing-sessions.md"
GUARD_TOKEN = "a guard's token for tests"


@pytest.fixture
async def hub() -> AsyncIterator[Replica]:
    """A hub that the recipes find."""
    async with running(settings(guard_token=GUARD_TOKEN)) as replica:
        given = {
            "HUB_URL": replica.url,
            "HUB_GUARD_TOKEN": GUARD_TOKEN,
            "HUB_JWT_SECRET": SECRET,
            "HUB_ADMIN_TOKEN": ADMIN,
            "APP_SECRET": "a secret of the app",
        }
        with mock.patch.dict(os.environ, given):
            yield replica


async def page(http: aiohttp.ClientSession) -> Any:
    """Return who a page says is logged in, or where it leads; a refusal is awaited."""
    headers = {"Accept": "text/html"}
    async with http.get("/", headers=headers, allow_redirects=False) as answer:
        if answer.status in (302, 303):
            return answer.headers["Location"].partition("?")[0]
        assert answer.status == 200, await answer.text()
        return (await answer.json())["user"]


async def is_at(http: aiohttp.ClientSession, place: str) -> bool:
    """Return whether a page is, or leads, where it should."""
    return bool(await page(http) == place)


async def logs_in(http: aiohttp.ClientSession, user: str) -> bool:
    """Log in, and return whether that is newer than a logout: a new guard may be a second slow."""
    async with http.post("/login", data={"user": user}, allow_redirects=False):
        return await is_at(http, user)


async def check_sessions(url: str, hub: Replica, out: str = "/login") -> None:
    """Two browsers of Ada's and one of Grace's: who is logged out at the hub is out here."""
    async with browser(url) as laptop, browser(url) as phone, browser(url) as graces:
        for http, user in ((laptop, "ada"), (phone, "ada"), (graces, "grace")):
            async with http.post("/login", data={"user": user}, allow_redirects=False) as answer:
                assert answer.status in (302, 303)
            assert await page(http) == user
        body = {"user": "ada", "reason": "suspicious"}
        assert (await hub.call("POST", "/admin/logout", ADMIN, json=body)).status == 200
        for http in (laptop, phone):
            await eventually(partial(is_at, http, out))
        assert await page(graces) == "grace"
        await eventually(partial(logs_in, laptop, "ada"))
        assert await page(phone) == out


async def test_fastapi(hub: Replica) -> None:
    """Starlette's session, in a cookie."""
    recipe = run_python(PAGE, about="from fastapi")
    async with served_asgi(recipe["app"], lifespan="on") as url:
        await check_sessions(url, hub)


async def test_flask(hub: Replica) -> None:
    """Flask's session, in a cookie; the ticket of a page is one for the hub."""
    # It waits for the hub, which runs in this loop.
    recipe = await asyncio.to_thread(run_python, PAGE, about="from flask")
    try:
        async with served_wsgi(recipe["app"]) as url:
            await check_sessions(url, hub)
            async with browser(url) as http:
                async with http.get("/ticket") as answer:
                    assert answer.status == 401
                async with http.post("/login", data={"user": "eve"}, allow_redirects=False):
                    pass
                async with http.get("/ticket") as answer:
                    ticket = await answer.text()
            seen = await hub.call("GET", "/session", ticket)
            assert (seen.status, seen.body["user"]) == (200, "eve")
    finally:
        await asyncio.to_thread(recipe["guard"].close)


async def test_django(hub: Replica) -> None:
    """Sessions of ``django.contrib.auth``; a logout there is one at the hub."""
    import django.core.handlers.wsgi
    from django.contrib import auth
    from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
    from django.urls import path

    recipe = run_python(PAGE, about="HUB_GUARD")
    pks = {"ada": "1", "grace": "2"}

    def log_in(request: HttpRequest) -> HttpResponse:
        auth.login(request, person(pks[request.POST["user"]]))
        return HttpResponseRedirect("/")

    def show(request: HttpRequest) -> HttpResponse:
        if not request.user.is_authenticated:
            return HttpResponseRedirect("/accounts/login/")
        return JsonResponse({"user": request.user.get_username()})

    with overridden(
        MIDDLEWARE=recipe["MIDDLEWARE"],
        HUB_GUARD=recipe["HUB_GUARD"],
        ROOT_URLCONF=(path("login", log_in), path("", show)),
    ):
        from hub.guard.django import get_guard

        get_guard.cache_clear()
        app = await asyncio.to_thread(django.core.handlers.wsgi.WSGIHandler)
        async with served_wsgi(app) as url:
            await check_sessions(url, hub, out="/accounts/login/")
        await asyncio.to_thread(get_guard().close)
        get_guard.cache_clear()


async def test_aiohttp(hub: Replica) -> None:
    """An app's own sessions."""
    recipe = run_python(PAGE, about="from aiohttp")
    async with TestServer(recipe["app"]) as server:
        await check_sessions(str(server.make_url("/")), hub)


async def test_express(hub: Replica) -> None:
    """express-session, with a guard in Node."""
    (code,) = (block for block in blocks(PAGE, "js") if "express-session" in block)
    node = shutil.which("node")
    if node is None or not (ROOT / "node_modules" / "logout-hub-guard").exists():
        lacking("node with the packages of package.json")
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        *(str(node), "--input-type=module", "--eval", code),
        env={**os.environ, "PORT": str(port)},
        cwd=ROOT,
    )
    url = f"http://127.0.0.1:{port}"

    async def is_up() -> bool:
        assert process.returncode is None
        try:
            async with aiohttp.ClientSession() as http, http.get(f"{url}/login"):
                return True
        except aiohttp.ClientError:
            return False

    try:
        await eventually(is_up)
        await check_sessions(url, hub)
    finally:
        process.kill()
        await process.wait()


@pytest.mark.parametrize("middleware", [AsgiMiddleware, WsgiMiddleware, guard_middleware])
def test_the_options_are_those_of_each_middleware(middleware: Any) -> None:
    """The table names them all, and no other."""
    text = (DOCS / PAGE).read_text(encoding="utf-8")
    told = set(re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE))
    taken = {
        name
        for name, parameter in inspect.signature(middleware).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY
    }
    assert told == taken


def test_the_settings_of_the_page_are_settings() -> None:
    """Of the hub, each of them."""
    (text,) = blocks(PAGE, "sh")
    told = dict(line.split("#")[0].strip().split("=") for line in text.splitlines())
    fields = {f"HUB_{name.upper()}" for name in type(settings()).model_fields}
    assert set(told) <= fields
