"""Django's sessions and the hub's end together."""

from __future__ import annotations

import asyncio
import gc
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
from asgiref.sync import sync_to_async
from django.utils.decorators import async_only_middleware

from hub.core.feed import Revocation
from hub.core.model import Reason, Scope
from hub.errors import Unavailable
from tests.django_site import PEOPLE, overridden, person
from tests.guard.endings import Doorstep, Place, async_parts, parts
from tests.guard.feed_server import TOKEN, FeedServer
from tests.patience import PATIENCE
from tests.realtime.raw import eventually
from tests.recipes.serving import served_asgi, served_wsgi
from tests.site import SECRET

Site = Callable[..., Any]

THIS = Path(__file__).read_bytes()


def views() -> tuple[Any, ...]:
    """Return an app's addresses: its own login and logout, and a page that says who asks."""
    from django.contrib import auth
    from django.http import (
        FileResponse,
        HttpRequest,
        HttpResponse,
        JsonResponse,
        StreamingHttpResponse,
    )
    from django.urls import path, re_path

    from hub.guard.django import send_ticket

    def log_in(request: HttpRequest) -> HttpResponse:
        auth.login(request, person(request.POST["pk"]))
        return HttpResponse()

    def log_out(request: HttpRequest) -> HttpResponse:
        auth.logout(request)
        return HttpResponse()

    def show(request: HttpRequest) -> HttpResponse:
        identity = request.hub_identity
        known = None if identity is None else [identity.sub, identity.sid]
        return JsonResponse({"user": request.user.get_username(), "identity": known})

    async def show_to_async(request: HttpRequest) -> HttpResponse:
        return JsonResponse({"user": (await request.auser()).get_username()})

    def stream(request: HttpRequest) -> HttpResponse:
        def parts() -> Iterator[bytes]:
            while True:
                yield b"tick"
                time.sleep(0.01)

        return StreamingHttpResponse(parts())

    async def stream_from_async(request: HttpRequest) -> HttpResponse:
        async def parts() -> AsyncIterator[bytes]:
            try:
                yield b"tick"
                await asyncio.Event().wait()
            finally:
                ended.set()

        ended = asyncio.Event()
        response = StreamingHttpResponse(parts())
        response.ended = ended
        return response

    def log_out_in_parts(request: HttpRequest) -> HttpResponse:
        def parts() -> Iterator[bytes]:
            yield b"one"
            auth.logout(request)
            yield b"two"
            yield b"three"

        if "late" not in request.GET:
            auth.logout(request)
            return StreamingHttpResponse([b"one", b"two", b"three"])
        return StreamingHttpResponse(parts())

    async def log_out_in_async_parts(request: HttpRequest) -> HttpResponse:
        async def parts() -> AsyncIterator[bytes]:
            yield b"one"
            if "late" in request.GET:
                await sync_to_async(auth.logout)(request)
            yield b"two"
            await asyncio.sleep(0.01)
            yield b"three"

        if "late" not in request.GET:
            await sync_to_async(auth.logout)(request)
        return StreamingHttpResponse(parts())

    def end_somehow(request: HttpRequest, how: str) -> HttpResponse:
        kind = async_parts if hasattr(request, "scope") else parts
        return StreamingHttpResponse(kind(how))

    def get_file(request: HttpRequest) -> HttpResponse:
        return FileResponse(open(__file__, "rb"))

    def public(request: HttpRequest) -> HttpResponse:
        return HttpResponse("public")

    return (
        path("login", log_in),
        path("logout", log_out),
        path("ticket", send_ticket),
        path("public", public),
        path("async", show_to_async),
        path("stream", stream),
        path("async-stream", stream_from_async),
        path("file", get_file),
        re_path("^(finish|fail|endless)$", end_somehow),
        path("parts", log_out_in_parts),
        path("async-parts", log_out_in_async_parts),
        path("", show),
    )


@pytest.fixture(scope="module")
def hub() -> Iterator[FeedServer]:
    """What says what a hub would say."""
    with FeedServer() as server:
        yield server


@pytest.fixture
def site(hub: FeedServer) -> Iterator[Site]:
    """A function that returns a browser of an app with options for its guard."""
    hub.snapshot.clear()
    hub.orders.clear()
    with overridden(
        HUB_GUARD={"url": hub.url, "token": TOKEN, "secret": SECRET, "admin_token": "admin"},
        MIDDLEWARE=[
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
            "hub.guard.django.GuardMiddleware",
        ],
    ):
        from django.conf import settings
        from django.test import Client, override_settings

        from hub.guard.django import get_guard

        opened = []

        def open_site(kind: Any = Client, **options: Any) -> Any:
            override = override_settings(
                ROOT_URLCONF=views(), HUB_GUARD={**settings.HUB_GUARD, **options}
            )
            override.enable()
            opened.append(override)
            return kind()

        yield open_site
        for override in reversed(opened):
            override.disable()
        if get_guard.cache_info().currsize:
            get_guard().close()
        get_guard.cache_clear()


def login_of(browser: Any) -> dict[str, Any]:
    """Return what the Django session says of its login."""
    login: dict[str, Any] = browser.session["hub_login"]
    return login


async def end(hub: FeedServer, pk: str = "1") -> None:
    """End a person's sessions, and wait until the guard has heard of it."""
    from hub.guard.django import get_guard

    heard: list[Revocation] = []
    unsubscribe = get_guard().on_logout(heard.append)
    hub.logout(Revocation(Scope.ALL, Reason.PASSWORD_CHANGED, hub.now(), user=pk))
    await eventually(lambda: bool(heard))
    unsubscribe()


async def test_a_logout_at_the_hub_flushes_the_session(site: Site, hub: FeedServer) -> None:
    """The request goes on as that of nobody; the hub is not told what it knows."""
    ada, grace = site(), site()
    for browser, pk in ((ada, "1"), (grace, "2")):
        browser.post("/login", {"pk": pk})
        sid = login_of(browser)["sid"]
        assert browser.get("/").json() == {"user": PEOPLE[pk], "identity": [pk, sid]}
    key = ada.session.session_key
    await end(hub)
    assert ada.get("/").json() == {"user": "", "identity": None}
    assert not ada.session.exists(key)
    assert grace.get("/").json()["user"] == "grace"
    assert hub.orders == []
    ada.post("/login", {"pk": "1"})
    assert ada.get("/").json()["user"] == "ada"


async def test_so_it_is_under_asgi(site: Site, hub: FeedServer) -> None:
    """The middleware is asynchronous where the server is."""
    from django.test import AsyncClient

    ada = site(AsyncClient)
    await ada.post("/login", {"pk": "1"})
    assert (await ada.get("/")).json()["user"] == "ada"
    await end(hub)
    assert (await ada.get("/")).json() == {"user": "", "identity": None}


async def test_who_was_known_before_the_guard_was_asked_is_forgotten(
    site: Site, hub: FeedServer
) -> None:
    """Also by asynchronous views, if another middleware has asked who it is."""
    from django.conf import settings
    from django.test import AsyncClient, override_settings

    first = "tests.guard.test_django.ask_who_it_is"
    middleware = [*settings.MIDDLEWARE[:2], first, *settings.MIDDLEWARE[2:]]
    with override_settings(MIDDLEWARE=middleware):
        ada = site(AsyncClient)
        await ada.post("/login", {"pk": "1"})
        assert (await ada.get("/async")).json()["user"] == "ada"
        await end(hub)
        assert (await ada.get("/async")).json()["user"] == ""


async def test_whom_django_takes_for_nobody_has_no_identity_and_no_ticket(
    site: Site, hub: FeedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as a user who was deleted, or whose password is another one by now."""
    ada, eve = site(adopt=hub.now() - 60), site(adopt=hub.now() - 60)
    ada.post("/login", {"pk": "1"})
    assert ada.get("/ticket").status_code == 200
    eve.post("/login", {"pk": "2"})
    session = eve.session
    del session["hub_login"]  # as it was before there was a guard
    session.save()
    monkeypatch.setattr("tests.django_site.Backend.get_user", lambda self, pk: None)
    for browser in (ada, eve):
        assert browser.get("/").json() == {"user": "", "identity": None}
        assert browser.get("/ticket").status_code == 401


@async_only_middleware  # type: ignore[untyped-decorator]
def ask_who_it_is(get_response: Callable[[Any], Any]) -> Any:
    """Return a middleware that does so."""

    async def ask(request: Any) -> Any:
        await request.auser()
        return await get_response(request)

    return ask


async def test_a_session_need_not_come_in_a_cookie(site: Site, hub: FeedServer) -> None:
    """An app may have its session's key from a header."""
    from django.conf import settings
    from django.test import Client, override_settings

    sessions = "tests.guard.test_django.sessions_by_header"
    with override_settings(MIDDLEWARE=[sessions, *settings.MIDDLEWARE[1:]]):
        ada = site()
        ada.post("/login", {"pk": "1"})
        headers = {"X-Session": ada.session.session_key}
        assert Client().get("/", headers=headers).json()["user"] == "ada"
        await end(hub)
        assert Client().get("/", headers=headers).json()["user"] == ""


def sessions_by_header(get_response: Callable[[Any], Any]) -> Any:
    """Return a middleware that finds sessions by a header."""
    from django.contrib.sessions.middleware import SessionMiddleware

    class Sessions(SessionMiddleware):  # type: ignore[misc]
        def process_request(self, request: Any) -> None:
            request.session = self.SessionStore(request.headers.get("X-Session"))

    return Sessions(get_response)


async def test_a_logout_in_django_ends_the_session_at_the_hub(site: Site, hub: FeedServer) -> None:
    """That session, and no other."""
    ada = site(user="username")
    ada.post("/login", {"pk": "1"})
    sid = login_of(ada)["sid"]
    assert ada.post("/logout").status_code == 200
    order = {"user": "ada", "sid": sid, "scope": "session", "reason": "user"}
    assert hub.orders == [order]
    assert ada.get("/").json()["user"] == ""


async def test_a_logout_that_the_hub_does_not_hear_is_told_again(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """In the background, a bounded number of times; the person is logged out here at once."""
    from hub.guard import django as module

    caplog.set_level(logging.WARNING)
    monkeypatch.setattr(module, "PAUSES", (0.01, 0.01, 0.01))
    ada = site()
    asked: list[str] = []

    def fail(user: str, sid: str, **_: Any) -> None:
        asked.append(user)
        raise Unavailable("nobody is there")

    for times in (4, 8):
        ada.post("/login", {"pk": "1"})
        monkeypatch.setattr(module.get_guard(), "end_session", fail)
        assert ada.post("/logout").status_code == 200
        assert ada.get("/").json()["user"] == ""
        await eventually(lambda times=times: len(asked) == times)
        await eventually(lambda: "is still alive at the hub" in caplog.records[-1].getMessage())
    assert set(asked) == {"1"}
    assert "nobody is there" in caplog.text


async def test_a_browser_is_sent_to_the_login_where_the_app_says_so(
    site: Site, hub: FeedServer
) -> None:
    """Others get the hub's answer; the session is flushed for both."""
    ada = site(login_url="/login")
    for headers, status in (({"accept": "text/html"}, 303), ({"accept": "*/*"}, 401)):
        ada.post("/login", {"pk": "1"})
        await end(hub)
        answer = ada.get("/?page=2", headers=headers)
        assert answer.status_code == status
        assert answer.headers.get("Location") in (None, "/login?next=%2F%3Fpage%3D2")
        assert ada.get("/").json()["user"] == ""


async def test_while_nothing_is_known_nothing_is_allowed_nor_lost(
    site: Site, hub: FeedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """503 for sessions, and they go on later; exempt pages and strangers are not concerned."""
    from hub.guard import django as module

    ada, stranger = site(exempt=["/public"]), site(exempt=["/public"])
    ada.post("/login", {"pk": "1"})

    def fail(*_: Any, **__: Any) -> None:
        raise Unavailable()

    with monkeypatch.context() as patch:
        patch.setattr(module.get_guard(), "check_session", fail)
        answer = ada.get("/", headers={"accept": "text/html"})
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
        assert answer.json()["code"] == "unavailable"
        assert ada.get("/public").content == b"public"
        assert stranger.get("/").json()["user"] == ""
    assert ada.get("/").json()["user"] == "ada"


async def test_nobody_logs_in_by_another_clock(site: Site, hub: FeedServer) -> None:
    """Before the guard has heard of the hub it knows no time that logouts are dated by."""
    hub.is_ready = False
    try:
        ada = site(start_timeout=0.1)
        assert ada.post("/login", {"pk": "1"}).status_code == 503
        assert ada.get("/").json()["user"] == ""
    finally:
        hub.is_ready = True


async def test_who_has_no_session_is_not_asked_for_one(site: Site) -> None:
    """A public page stays cacheable for all."""
    assert "Vary" not in site().get("/public").headers


@pytest.mark.parametrize("adopt", [None, 60.0])
async def test_a_session_from_before_the_guard(
    site: Site, hub: FeedServer, adopt: float | None
) -> None:
    """Is ended, unless the app says as of when it counts; then a logout since ends it."""
    options = {} if adopt is None else {"adopt": hub.now() - adopt}
    ada = site(**options)
    ada.post("/login", {"pk": "1"})
    session = ada.session
    del session["hub_login"]
    session.save()
    assert ada.get("/").json()["user"] == ("" if adopt is None else "ada")
    if adopt is not None:
        assert login_of(ada)["at"] == options["adopt"]
        await end(hub)
        assert ada.get("/").json()["user"] == ""


async def test_a_page_gets_its_ticket(site: Site) -> None:
    """Of its own session and login, never to be kept; nobody else gets one."""
    ada = site(user="username")
    assert ada.get("/ticket").json()["code"] == "token_missing"
    ada.post("/login", {"pk": "1"})
    login = login_of(ada)
    answer = ada.get("/ticket")
    assert answer.headers["Cache-Control"] == "no-store"
    claims = jwt.decode(answer.content, SECRET, ["HS256"])
    assert (claims["sub"], claims["sid"]) == ("ada", login["sid"])
    assert claims["auth_time"] == login["at"]
    assert claims["exp"] - claims["iat"] == 300


async def test_a_guard_without_settings_says_so() -> None:
    """Where Django looks for such mistakes."""
    with overridden():
        from django.core.exceptions import ImproperlyConfigured

        from hub.guard.django import options

        with pytest.raises(ImproperlyConfigured, match="HUB_GUARD"):
            options()


def watches() -> int:
    """Return how many sessions are watched."""
    from hub.guard.django import get_guard

    return len(get_guard()._core.watches._of(None))


async def test_a_stream_ends_with_its_session(site: Site, hub: FeedServer) -> None:
    """Before its next part, and unless the app wants to cut streams itself."""
    for options in ({}, {"cut_streams": False}):
        ada = site(**options)
        ada.post("/login", {"pk": "1"})
        answer = ada.get("/stream")
        parts = iter(answer.streaming_content)
        assert next(parts) == b"tick"
        assert watches() == (0 if options else 1)
        await end(hub)
        if options:
            assert next(parts) == b"tick"
        else:
            assert set(parts) <= {b"tick"}
        answer.close()
        assert watches() == 0


async def begin_stream(site: Site) -> tuple[Any, AsyncIterator[bytes]]:
    """Return the response of an asynchronous stream, and its parts after the first."""
    from django.test import AsyncClient

    ada = site(AsyncClient)
    await ada.post("/login", {"pk": "1"})
    answer = await ada.get("/async-stream")
    parts = aiter(answer.streaming_content)
    assert await anext(parts) == b"tick"
    return answer, parts


async def test_an_asynchronous_stream_ends_with_its_session_at_once(
    site: Site, hub: FeedServer
) -> None:
    """Even while its generator waits, which is cancelled."""
    answer, parts = await begin_stream(site)
    waiting = asyncio.ensure_future(anext(parts, b"the end"))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    await end(hub)
    async with asyncio.timeout(PATIENCE):
        assert await waiting == b"the end"
        await answer.ended.wait()
    assert watches() == 0


async def test_an_asynchronous_stream_that_is_not_waited_for_is_closed_in_the_end(
    site: Site, hub: FeedServer
) -> None:
    """When the server asks for the next part, though the response is not gone yet."""
    answer, parts = await begin_stream(site)
    await end(hub)
    async with asyncio.timeout(PATIENCE):
        assert await anext(parts, b"the end") == b"the end"
        await answer.ended.wait()


async def end_session(hub: FeedServer, sid: str) -> None:
    """Have the hub tell of the end of a session, and wait until the guard has heard of it."""
    from hub.guard.django import get_guard

    heard: list[Revocation] = []
    unsubscribe = get_guard().on_logout(heard.append)
    hub.logout(Revocation(Scope.SESSION, Reason.USER, hub.now(), user="1", sid=sid))
    await eventually(lambda: bool(heard))
    unsubscribe()


@pytest.mark.parametrize("query", ["", "?late"])
async def test_a_stream_that_answers_its_own_logout_is_finished(
    site: Site, hub: FeedServer, query: str
) -> None:
    """Whether it logs out first or meanwhile; another stream of the session is cut."""
    ada = site()
    ada.post("/login", {"pk": "1"})
    sid = login_of(ada)["sid"]
    other = iter(ada.get("/stream").streaming_content)
    assert next(other) == b"tick"
    answer = ada.get(f"/parts{query}")
    parts = iter(answer.streaming_content)
    assert [next(parts), next(parts)] == [b"one", b"two"]
    await end_session(hub, sid)
    assert list(parts) == [b"three"]
    assert set(other) <= {b"tick"}
    assert [order["sid"] for order in hub.orders] == [sid]
    answer.close()


@pytest.mark.parametrize("query", ["", "?late"])
async def test_an_asynchronous_stream_that_answers_its_own_logout_is_finished(
    site: Site, hub: FeedServer, query: str
) -> None:
    """Even while its generator waits."""
    from django.test import AsyncClient

    ada = site(AsyncClient)
    await ada.post("/login", {"pk": "1"})
    sid = (await sync_to_async(login_of)(ada))["sid"]
    answer = await ada.get(f"/async-parts{query}")
    parts = aiter(answer.streaming_content)
    assert [await anext(parts), await anext(parts)] == [b"one", b"two"]
    await end_session(hub, sid)
    assert [part async for part in parts] == [b"three"]
    assert [order["sid"] for order in hub.orders] == [sid]
    answer.close()


async def test_who_leaves_a_stream_is_not_watched_any_more(site: Site) -> None:
    """The server closes the response; one that nobody reads is not watched at all."""
    from django.test import AsyncClient

    ada = site(AsyncClient)
    await ada.post("/login", {"pk": "1"})
    answer = await ada.get("/async-stream")
    assert watches() == 0
    assert await anext(aiter(answer.streaming_content)) == b"tick"
    assert watches() == 1
    answer.close()
    assert watches() == 0


async def serve(path: str, cookie: str, send: Any) -> None:
    """Have Django answer one request as under ASGI."""
    from django.core.handlers.asgi import ASGIHandler

    given: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    given.put_nowait({"type": "http.request", "body": b""})
    scope = {
        "type": "http",
        "method": "GET",
        "path": path,
        "query_string": b"",
        "headers": [(b"host", b"app"), (b"cookie", f"sessionid={cookie}".encode())],
    }
    await ASGIHandler()(scope, given.get, send)


unclosed_by_django = pytest.mark.filterwarnings("ignore:Unclosed file:ResourceWarning")
"""It does not close the body of a request whose response fails."""


@unclosed_by_django
@pytest.mark.parametrize("whose", ["the app", "the server"])
async def test_a_stream_that_fails_is_not_watched_any_more(site: Site, whose: str) -> None:
    """Whoever fails in the middle of it; Django does not close its response then."""
    from django.test import AsyncClient

    ada = site(AsyncClient)
    await ada.post("/login", {"pk": "1"})
    watched = []

    async def send(message: dict[str, Any]) -> None:
        watched.append(watches())
        if whose == "the server" and message["type"] == "http.response.body":
            raise OSError("the app went away")

    path = "/fail" if whose == "the app" else "/async-stream"
    with pytest.raises((ValueError, OSError), match="went away"):
        await serve(path, ada.cookies["sessionid"].value, send)
    assert watched == [0, 1]
    gc.collect()  # Django leaves the response in a cycle
    await eventually(lambda: watches() == 0)


@unclosed_by_django
@pytest.mark.parametrize("interface", ["ASGI", "WSGI"])
async def test_nothing_is_watched_when_all_requests_are_over(
    site: Site, hub: FeedServer, monkeypatch: pytest.MonkeyPatch, interface: str
) -> None:
    """Finished, failed, left at any time, or cut, with a server in front of Django."""
    from django.core.handlers.asgi import ASGIHandler
    from django.core.handlers.wsgi import WSGIHandler
    from django.test import Client

    from hub.guard import django

    site()
    sids: dict[str, str] = {}
    doorstep, identify = Doorstep(), django.identify

    def identify_later(request: Any) -> Any:
        doorstep.wait()
        return identify(request)

    def log_in(names: tuple[str, ...]) -> dict[str, str]:
        browser = Client()
        browser.post("/login", {"pk": "1"})
        sids[names[0]] = login_of(browser)["sid"]
        return {"Cookie": f"sessionid={browser.cookies['sessionid'].value}"}

    def end_one(name: str) -> None:
        hub.logout(Revocation(Scope.SESSION, Reason.USER, hub.now(), user="1", sid=sids[name]))

    monkeypatch.setattr(django, "identify", identify_later)
    served = served_asgi(ASGIHandler()) if interface == "ASGI" else served_wsgi(WSGIHandler())
    async with served as url:
        await Place(url, log_in, end_one, watches, doorstep).end_in_every_way()
    gc.collect()


async def test_a_file_states_its_length_and_is_finished(site: Site, hub: FeedServer) -> None:
    """Whoever may begin to load it may have it."""
    ada = site()
    ada.post("/login", {"pk": "1"})
    answer = ada.get("/file")
    await end(hub)
    assert b"".join(answer.streaming_content) == THIS
