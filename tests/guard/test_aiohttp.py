"""The aiohttp middleware, in an app that is served."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any, cast

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from yarl import URL

from hub.errors import Unavailable
from hub.guard import Guard, cutting
from hub.guard.aiohttp_middleware import IDENTITY, setup
from tests.guard.pretended import PretendedGuard
from tests.patience import PATIENCE
from tests.realtime.raw import eventually

ADA = {"Authorization": "Bearer ada/s"}


class Site:
    """An app with an answer, a stream, and two sockets."""

    def __init__(self) -> None:
        self.ends: asyncio.Queue[str] = asyncio.Queue()
        self.guard = PretendedGuard()

    async def ended(self) -> str:
        """Return how the next handler has ended."""
        async with asyncio.timeout(PATIENCE):
            return await self.ends.get()

    async def get_home(self, request: web.Request) -> web.Response:
        """Say who asks."""
        identity = request.get(IDENTITY)
        return web.Response(text="" if identity is None else identity.sub)

    async def get_events(self, request: web.Request) -> web.StreamResponse:
        """Send something from time to time."""
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await response.write(b"tick")
                await asyncio.sleep(0.01)
        finally:
            self.ends.put_nowait("stream")

    async def log_out(self, request: web.Request) -> web.StreamResponse:
        """End the session, before the answer begins or, with ``late``, in its middle."""
        if "late" not in request.query:
            await self.guard.end_session("ada", "s")

        async def parts() -> AsyncIterator[bytes]:
            yield b"one"
            if "late" in request.query:
                await self.guard.end_session("ada", "s")
            await asyncio.sleep(0.05)  # until it would have been cut
            yield b"two"

        if request.path == "/out-parts":
            return web.Response(body=parts())
        response = web.StreamResponse()
        await response.prepare(request)
        async for part in parts():
            await response.write(part)
        return response

    async def get_parts(self, request: web.Request) -> web.Response:
        """Send what a generator makes, which says when it has ended."""

        async def parts() -> AsyncIterator[bytes]:
            try:
                yield b"tick"
                await asyncio.Event().wait()
            finally:
                self.ends.put_nowait("parts")

        response = web.Response(body=parts())
        if "early" in request.query:
            await response.prepare(request)
            await response.write_eof()
        return response

    async def get_flood(self, request: web.Request) -> web.Response:
        """Send more than a client reads."""

        async def parts() -> AsyncIterator[bytes]:
            try:
                while True:
                    yield bytes(100_000)
            finally:
                self.ends.put_nowait("flood")

        return web.Response(body=parts())

    async def get_work(self, request: web.Request) -> web.StreamResponse:
        """Finish the response, and do something else."""
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"done")
        await response.write_eof()
        try:
            await asyncio.sleep(0.2)
            self.ends.put_nowait("worked")
        except asyncio.CancelledError:
            self.ends.put_nowait("cancelled")
            raise
        return response

    async def get_tasks(self, request: web.Request) -> web.StreamResponse:
        """Send something from time to time, in a task of a group."""
        response = web.StreamResponse()
        await response.prepare(request)

        async def tick() -> None:
            while True:
                await response.write(b"tick")
                await asyncio.sleep(0.01)

        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(tick())
                group.create_task(asyncio.Event().wait())
        except ExceptionGroup as group_of_errors:
            self.ends.put_nowait("tasks")
            if "mistake" in request.query:
                raise ExceptionGroup("both", [group_of_errors, ValueError("a mistake")]) from None
            raise
        return response

    async def get_nothing(self, request: web.Request) -> web.StreamResponse:
        """Leave to aiohttp what there is to do."""
        return web.StreamResponse()

    async def get_file(self, request: web.Request) -> web.StreamResponse:
        """Send this file."""
        return web.FileResponse(__file__)

    async def get_echo(self, request: web.Request) -> web.WebSocketResponse:
        """Say what is said."""
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            await socket.send_str(message.data)
        self.ends.put_nowait("echo")
        return socket

    async def get_deaf(self, request: web.Request) -> web.WebSocketResponse:
        """Do something else for ever."""
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        try:
            await asyncio.Event().wait()
        finally:
            self.ends.put_nowait("deaf")
        return socket


@contextlib.asynccontextmanager
async def served(site: Site, guard: PretendedGuard, **options: Any) -> AsyncIterator[Any]:
    """Serve the app with a guard; the context is entered with a client."""
    app = web.Application()
    setup(app, cast(Guard, guard), **options)
    app.router.add_get("/events", site.get_events)
    app.router.add_get("/parts", site.get_parts)
    app.router.add_get("/tasks", site.get_tasks)
    app.router.add_get("/out", site.log_out)
    app.router.add_get("/out-parts", site.log_out)
    app.router.add_get("/nothing", site.get_nothing)
    app.router.add_get("/flood", site.get_flood)
    app.router.add_get("/work", site.get_work)
    app.router.add_get("/file", site.get_file)
    app.router.add_get("/echo", site.get_echo)
    app.router.add_get("/deaf", site.get_deaf)
    app.router.add_route("*", "/{any:.*}", site.get_home)
    async with TestClient(TestServer(app)) as client:
        yield client


@pytest.fixture
def guard() -> PretendedGuard:
    """A guard that accepts everybody."""
    return PretendedGuard()


@pytest.fixture
def site() -> Site:
    """The app's handlers."""
    return Site()


async def test_only_living_sessions_come_through(site: Site, guard: PretendedGuard) -> None:
    """With their identity; the others get the hub's answer, except where nobody is asked."""
    async with served(site, guard, exempt=("/health",), login_url="/login") as client:
        assert await (await client.get("/", headers=ADA)).text() == "ada"
        guard.end("s")
        refused = await client.get("/", headers=ADA)
        assert (refused.status, (await refused.json())["code"]) == (401, "token_revoked")
        assert "WWW-Authenticate" in refused.headers
        assert (await client.get("/health")).status == 200
        preflight = {"Access-Control-Request-Method": "PUT"}
        assert (await client.options("/", headers=preflight)).status == 200
        page = await client.get("/a?b=c", headers={"Accept": "text/html"}, allow_redirects=False)
        assert (page.status, page.headers["Location"]) == (303, "/login?next=%2Fa%3Fb%3Dc")
        guard.sync.failure = Unavailable()
        refused = await client.get("/", headers=ADA)
        assert (refused.status, refused.headers["Retry-After"]) == (503, "1")


async def test_an_encoded_slash_makes_no_path_exempt(site: Site, guard: PretendedGuard) -> None:
    """The router takes it for a part of a name, and so for a page of another kind."""
    async with served(site, guard, exempt=["/static/*", "/static/x"]) as client:
        for path, status in (("/static/x", 200), ("/static%2Fx", 401), ("/static%2fy", 401)):
            async with client.get(URL(path, encoded=True)) as answer:
                assert answer.status == status


async def test_sessions_of_the_apps_own_and_anonymous_requests(
    site: Site, guard: PretendedGuard
) -> None:
    """A function finds the session, asynchronous as that of aiohttp-session."""

    async def session(request: web.Request) -> tuple[str, str, float] | None:
        sid = request.cookies.get("sid")
        return None if sid is None else ("eve", sid, 5.0)

    async with served(site, guard, session=session, require=False) as client:
        assert await (await client.get("/")).text() == ""
        sent = {"Cookie": "sid=s"}
        assert await (await client.get("/", headers=sent)).text() == "eve"
        guard.end("s")
        assert (await client.get("/", headers=sent)).status == 401


async def test_a_socket_is_refused_and_closed_later(site: Site, guard: PretendedGuard) -> None:
    """With 4401 and the reason; the handler's loop ends as if the client had left."""
    async with served(site, guard, cookie="s") as client:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await client.ws_connect("/echo")
        assert refused.value.status == 401
        foreign = {"Cookie": "s=ada/s", "Origin": "https://evil.example"}
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await client.ws_connect("/echo", headers=foreign)
        assert refused.value.status == 403
        async with client.ws_connect("/echo", headers=ADA) as socket:
            await socket.send_str("hello")
            assert await socket.receive_str() == "hello"
            guard.end("s")
            close = await socket.receive()
            assert (close.type, close.data) == (aiohttp.WSMsgType.CLOSE, 4401)
            assert close.extra == "password_changed"
        assert await site.ended() == "echo"
    assert guard.sync.watches == []


async def test_a_handler_that_does_not_react_is_cancelled(
    site: Site, guard: PretendedGuard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After its grace; the client was told before."""
    monkeypatch.setattr(cutting, "GRACE", 0.1)
    async with served(site, guard) as client, client.ws_connect("/deaf", headers=ADA) as socket:
        guard.end("s")
        assert (await socket.receive()).data == 4401
        assert await site.ended() == "deaf"


async def test_a_stream_ends_with_its_session(site: Site, guard: PretendedGuard) -> None:
    """Where the app does not say otherwise; what has left is not watched."""
    async with served(site, guard) as client:
        answer = await client.get("/events", headers=ADA)
        assert await answer.content.readexactly(4) == b"tick"
        guard.end("s")
        assert set(await answer.read()) <= set(b"tick")
        assert await site.ended() == "stream"
    assert guard.sync.watches == []


@pytest.mark.parametrize("query", ["", "?mistake"])
async def test_tasks_that_cannot_write_any_more_are_no_error(
    site: Site, guard: PretendedGuard, caplog: pytest.LogCaptureFixture, query: str
) -> None:
    """Their group raises a group of errors, which is the app's only if one of them is."""
    async with served(site, guard) as client:
        answer = await client.get(f"/tasks{query}", headers=ADA)
        assert await answer.content.readexactly(4) == b"tick"
        guard.end("s")
        with contextlib.suppress(aiohttp.ClientError):
            await answer.read()
        assert await site.ended() == "tasks"
    assert ("a mistake" in caplog.text) == ("mistake" in query)
    assert bool(caplog.records) == ("mistake" in query)
    assert guard.sync.watches == []


async def test_an_app_and_its_subapp_watch_a_stream_once_each(
    site: Site, guard: PretendedGuard
) -> None:
    """Though aiohttp asks both about it; when its client has left, nobody watches it."""
    app, subapp = web.Application(), web.Application()
    for one in (app, subapp, subapp):
        setup(one, cast(Guard, guard))
    subapp.router.add_get("/parts", site.get_parts)
    subapp.router.add_get("/events", site.get_events)
    app.add_subapp("/sub", subapp)
    async with TestClient(TestServer(app)) as client:
        for path, name in (("/sub/parts", "parts"), ("/sub/events", "stream")):
            answer = await client.get(path, headers=ADA)
            assert await answer.content.readexactly(4) == b"tick"
            await eventually(lambda: len(guard.sync.watches) == 3)
            answer.close()
            assert await site.ended() == name
            await eventually(lambda: guard.sync.watches == [])


@pytest.mark.parametrize("path", ["/parts", "/parts?early"])
async def test_a_generator_is_cut_with_its_session(
    site: Site, guard: PretendedGuard, path: str
) -> None:
    """At once, even while it waits; the connection goes on to serve others."""
    async with served(site, guard) as client:
        answer = await client.get(path, headers=ADA)
        assert await answer.content.readexactly(4) == b"tick"
        guard.end("s")
        assert await answer.read() == b""
        assert await site.ended() == "parts"
        other = await client.get("/", headers={"Authorization": "Bearer eve/t"})
        assert await other.text() == "eve"
    assert guard.sync.watches == []


@pytest.mark.parametrize("path", ["/out", "/out?late", "/out-parts", "/out-parts?late"])
async def test_a_stream_that_answers_its_own_logout_is_finished(
    site: Site, guard: PretendedGuard, path: str
) -> None:
    """Whether it logs out before it begins or later; another of the session is cut."""
    site.guard = guard
    async with served(site, guard) as client:
        other = await client.get("/parts", headers=ADA)
        assert await other.content.readexactly(4) == b"tick"
        answer = await client.get(path, headers=ADA)
        assert await answer.text() == "onetwo"
        assert await other.read() == b""
    assert guard.sync.watches == []


async def test_who_leaves_a_generator_is_not_watched_any_more(
    site: Site, guard: PretendedGuard
) -> None:
    """And the generator ends as without a guard."""
    async with served(site, guard) as client:
        answer = await client.get("/parts", headers=ADA)
        assert await answer.content.readexactly(4) == b"tick"
        assert len(guard.sync.watches) == 1
        answer.close()
    assert await site.ended() == "parts"
    assert guard.sync.watches == []


async def test_a_generator_is_closed_though_its_client_reads_nothing(
    site: Site, guard: PretendedGuard
) -> None:
    """Which may keep the response for as long as it likes."""
    async with served(site, guard) as client:
        answer = await client.get("/flood", headers=ADA)
        await asyncio.sleep(0.1)  # until nothing more can be sent
        guard.end("s")
        assert await site.ended() == "flood"
        answer.close()


async def test_what_a_handler_does_after_its_response_is_left_alone(
    site: Site, guard: PretendedGuard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of it reaches the client."""
    monkeypatch.setattr(cutting, "GRACE", 0.0)
    async with served(site, guard) as client:
        answer = await client.get("/work", headers=ADA)
        assert await answer.read() == b"done"
        guard.end("s")
        assert await site.ended() == "worked"


@pytest.mark.parametrize("path", ["/nothing", "/file"])
async def test_what_is_begun_after_its_handler_and_ends_by_itself_is_not_watched(
    site: Site, guard: PretendedGuard, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    """Or what is served next over the same connection would be cancelled."""
    monkeypatch.setattr(cutting, "GRACE", 0.0)
    async with served(site, guard) as client:
        answer = await client.get(path, headers=ADA)
        await answer.read()
        assert guard.sync.watches == []
        guard.end("s")
        async with client.ws_connect("/echo", headers={"Authorization": "Bearer eve/t"}) as socket:
            await asyncio.sleep(0.05)
            await socket.send_str("hello")
            assert await socket.receive_str() == "hello"
