"""The ASGI middleware, message by message."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any, cast

import anyio
import pytest

from hub.core.model import Identity
from hub.errors import Unavailable
from hub.guard import Guard, cutting
from hub.guard.asgi import GuardMiddleware
from hub.guard.asgi_streams import SessionEnded
from tests.guard.asgi_server import Client, Message, client
from tests.guard.pretended import PretendedGuard
from tests.realtime.raw import eventually

ADA = "Bearer ada/s"
WITH_ANSWER: Message = {"websocket.http.response": {}}


def guarded(app: Any, guard: PretendedGuard, **options: Any) -> GuardMiddleware:
    """Return an app with the middleware."""
    return GuardMiddleware(app, cast(Guard, guard), **options)


class App:
    """An app whose only endpoint is given by the test."""

    def __init__(self, serve: Callable[[Any, Any], Awaitable[None]] | None = None) -> None:
        self.serve = serve
        self.scopes: list[Any] = []
        self.told: list[Message] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer with who asks, unless the test has an endpoint."""
        self.scopes.append(scope)
        if self.serve is not None:
            await self.serve(receive, send)
        elif scope["type"] == "http":
            await receive()
            length = [(b"content-length", b"2")]
            await send({"type": "http.response.start", "status": 200, "headers": length})
            await send({"type": "http.response.body", "body": b"hi"})


@pytest.fixture
def guard() -> PretendedGuard:
    """A guard that accepts everybody."""
    return PretendedGuard()


async def answer(app: Any, path: str = "/", **options: Any) -> tuple[int, dict[str, str], Any]:
    """Send a request; return status, headers and body."""
    async with client(app, "http", path, **options) as running:
        start, body = await running.next(), await running.next()
        await running.done()
    headers = {name.decode(): value.decode() for name, value in start["headers"]}
    is_json = "json" in headers.get("content-type", "")
    assert int(headers["content-length"]) == len(body["body"])
    return start["status"], headers, json.loads(body["body"]) if is_json else body["body"]


async def test_a_living_session_comes_through_with_its_identity(guard: PretendedGuard) -> None:
    """In the scope, where any framework finds it."""
    app = App()
    assert (await answer(guarded(app, guard), authorization=ADA))[0] == 200
    identity: Identity = app.scopes[0]["hub.identity"]
    assert (identity.sub, identity.sid) == ("ada", "s")


async def test_a_dead_session_is_refused_as_the_hub_refuses_it(guard: PretendedGuard) -> None:
    """And the app is not asked."""
    guard.end("s")
    app = App()
    status, headers, problem = await answer(guarded(app, guard), authorization=ADA)
    assert (status, problem["code"], problem["reason"]) == (
        401,
        "token_revoked",
        "password_changed",
    )
    assert headers["www-authenticate"].startswith("Bearer")
    assert app.scopes == []


async def test_credentials_are_required_unless_they_are_not(guard: PretendedGuard) -> None:
    """Anonymous requests come through where they may; a dead session or a bad token never does."""
    guard.end("s")
    strict, lax = App(), App()
    assert (await answer(guarded(strict, guard)))[2]["code"] == "token_missing"
    open_to_all = guarded(lax, guard, require=False)
    assert (await answer(open_to_all))[0] == 200
    assert lax.scopes[0]["hub.identity"] is None
    assert (await answer(open_to_all, authorization=ADA))[0] == 401
    assert (await answer(open_to_all, authorization="Bearer junk"))[0] == 401


async def test_two_authorizations_are_nobodys(guard: PretendedGuard) -> None:
    """The app might read the other one, and take for verified what it says."""
    app = App()
    both = {"authorization": "Bearer eve/t", "Authorization": ADA}
    status, _, problem = await answer(guarded(app, guard), **both)
    assert (status, problem["code"], app.scopes) == (401, "token_invalid", [])


async def test_exempt_paths_and_preflights_pass(guard: PretendedGuard) -> None:
    """Nobody is asked there; an OPTIONS that is no preflight is an ordinary request."""
    app = guarded(App(), guard, exempt=("/health",))
    preflight = {"method": "OPTIONS", "access_control_request_method": "PUT"}
    assert (await answer(app, "/health", authorization="Bearer junk"))[0] == 200
    assert (await answer(app, **preflight))[0] == 200
    assert (await answer(app, method="OPTIONS"))[0] == 401


async def test_an_encoded_slash_makes_no_path_exempt(guard: PretendedGuard) -> None:
    """An app that goes by the path as it was sent takes it for a part of a name."""
    statuses = []

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Any) -> None:
        statuses.append(message.get("status"))

    app = guarded(App(), guard, exempt=("/static/*",))
    base = {
        "type": "http",
        "method": "GET",
        "path": "/static/x",
        "query_string": b"",
        "headers": [],
    }
    for raw in (b"/static/x", None, b"/static%2fx"):
        await app({**base, "headers": [], "raw_path": raw}, receive, send)
    assert [status for status in statuses if status] == [200, 200, 401]


async def test_nothing_is_allowed_when_nothing_is_known(guard: PretendedGuard) -> None:
    """503, and when to come back; also for a page."""
    guard.sync.failure = Unavailable()
    app = guarded(App(), guard, login_url="/login")
    status, headers, problem = await answer(app, authorization=ADA, sec_fetch_mode="navigate")
    assert (status, problem["code"], headers["retry-after"]) == (503, "unavailable", "1")


async def test_a_browser_is_sent_to_the_login(guard: PretendedGuard) -> None:
    """Which is not guarded itself, and a script is told what is wrong."""
    app = guarded(App(), guard, login_url="/login")
    status, headers, _ = await answer(app, "/a b", accept="text/html")
    assert (status, headers["location"]) == (303, "/login?next=%2Fa%2520b")
    assert (await answer(app, "/login", accept="text/html"))[0] == 200
    assert (await answer(app, accept="application/json"))[0] == 401


async def test_a_cookie_is_not_for_other_sites(guard: PretendedGuard) -> None:
    """They may navigate with it, but neither send anything nor open a socket."""
    app = guarded(App(), guard, cookie="s")
    ours, others = {"origin": "https://a", "host": "a"}, {"origin": "https://b", "host": "a"}
    assert (await answer(app, cookie="s=ada/s"))[0] == 200
    assert (await answer(app, cookie="s=ada/s", method="POST", **ours))[0] == 200
    assert (await answer(app, cookie="s=ada/s", method="POST", **others))[0] == 403
    async with client(app, "websocket", cookie="s=ada/s", **others) as socket:
        assert (await socket.next())["type"] == "websocket.close"


async def test_an_app_may_have_sessions_of_its_own(guard: PretendedGuard) -> None:
    """A function finds them, asynchronous or not; then tokens do not count."""
    logins = {b"1": ("ada", "s", 5.0), b"2": ("eve", "t", 5.0)}

    def find(scope: Any) -> tuple[str, str, float] | None:
        return logins.get(dict(scope["headers"]).get(b"login", b""))

    async def look_up(scope: Any) -> tuple[str, str, float] | None:
        return find(scope)

    guard.end("t")
    for session in (find, look_up):
        app = App()
        site = guarded(app, guard, session=session)
        assert (await answer(site, login="1"))[0] == 200
        assert app.scopes[0]["hub.identity"].sub == "ada"
        assert (await answer(site, login="2"))[2]["code"] == "token_revoked"
        assert (await answer(site, authorization=ADA))[2]["code"] == "token_missing"


async def test_sessions_and_tokens_are_both_judged_by_two_layers(guard: PretendedGuard) -> None:
    """Whoever sends either comes through; who sends a dead one as well does not."""
    app = App()
    inner = guarded(app, guard)
    both = guarded(
        inner,
        guard,
        require=False,
        session=lambda scope: ("ada", "s", 5.0) if (b"login", b"1") in scope["headers"] else None,
    )
    assert (await answer(both))[0] == 401
    assert (await answer(both, login="1"))[0] == 200
    assert (await answer(both, authorization="Bearer eve/t"))[0] == 200
    assert [scope["hub.identity"].sub for scope in app.scopes] == ["ada", "eve"]
    guard.end("s")
    assert (await answer(both, login="1", authorization="Bearer eve/t"))[0] == 401


async def test_the_lifespan_is_the_apps(guard: PretendedGuard) -> None:
    """It has no headers."""
    app = App()
    async with client(guarded(app, guard), "lifespan") as running:
        await running.done()
    assert app.scopes[0]["type"] == "lifespan"


async def test_a_socket_is_refused_before_it_is_accepted(guard: PretendedGuard) -> None:
    """With an answer where the server can send one, and else with the code."""
    app = App()
    site = guarded(app, guard)
    async with client(site, "websocket", extensions=WITH_ANSWER) as socket:
        start, body = await socket.next(), await socket.next()
        assert (start["type"], start["status"]) == ("websocket.http.response.start", 401)
        assert json.loads(body["body"])["code"] == "token_missing"
    async with client(site, "websocket") as socket:
        assert await socket.next() == {"type": "websocket.close", "code": 4401}
        await socket.done()
    assert app.scopes == []


def chat(app: App, *, in_pieces: bool = False) -> Callable[[Any, Any], Awaitable[None]]:
    """Return an endpoint that says what it is told, and gives up waiting from time to time."""

    async def serve(receive: Any, send: Any) -> None:
        assert (await receive())["type"] == "websocket.connect"
        await send({"type": "websocket.accept"})
        while True:
            try:
                async with asyncio.timeout(0.01 if in_pieces else None):
                    message = await receive()
            except TimeoutError:
                continue
            app.told.append(message)
            if message["type"] == "websocket.disconnect":
                return
            await send({"type": "websocket.send", "text": message["text"]})

    return serve


async def say(socket: Client, text: str) -> None:
    """Send something and see that the app says it."""
    socket.given.put_nowait({"type": "websocket.receive", "text": text})
    assert (await socket.next())["text"] == text


@pytest.mark.parametrize("in_pieces", [False, True])
async def test_a_socket_is_closed_when_its_session_ends(
    guard: PretendedGuard, in_pieces: bool
) -> None:
    """With 4401 and the reason; the app is told by a disconnect, and has missed no message."""
    app = App()
    app.serve = chat(app, in_pieces=in_pieces)
    site = guarded(app, guard)
    async with client(site, "websocket", authorization=ADA) as socket:
        assert (await socket.next())["type"] == "websocket.accept"
        for text in ("a", "b", "c"):
            await say(socket, text)
            await asyncio.sleep(0.03 if in_pieces else 0)
        guard.end("s")
        close = {"type": "websocket.close", "code": 4401, "reason": "password_changed"}
        assert await socket.next() == close
        await socket.done()
    assert [message.get("text") for message in app.told] == ["a", "b", "c", None]
    assert app.told[-1]["code"] == 4401
    assert guard.sync.watches == []


async def test_who_leaves_is_not_watched_any_more(guard: PretendedGuard) -> None:
    """Nor is anything sent to them."""
    app = App()
    app.serve = chat(app)
    async with client(guarded(app, guard), "websocket", authorization=ADA) as socket:
        await socket.next()
        await say(socket, "a")
        assert len(guard.sync.watches) == 1
        socket.given.put_nowait({"type": "websocket.disconnect", "code": 1001})
        await socket.done()
    await asyncio.sleep(0)
    assert guard.sync.watches == []
    guard.end("s")
    assert socket.sent.empty()


async def after_its_client(app: Any, kind: str, guard: PretendedGuard) -> None:
    """Let an app end what it has open, then the session, and wait until the app is done."""
    async with client(guarded(app, guard), kind, authorization=ADA) as running:
        await running.next()
        await running.next()
        await asyncio.sleep(0)
        assert guard.sync.watches == []
        guard.end("s")
        await running.done()
        assert running.sent.empty()


@pytest.mark.parametrize("kind", ["http", "websocket"])
async def test_what_an_app_does_after_its_client_is_its_own_affair(
    guard: PretendedGuard, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """A task in the background is not cancelled with the session."""
    monkeypatch.setattr(cutting, "GRACE", 0.0)
    done: list[str] = []

    async def serve(receive: Any, send: Any) -> None:
        if kind == "http":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await asyncio.sleep(0)
            await send({"type": "http.response.body", "body": b"all"})
        else:
            await send({"type": "websocket.accept"})
            await asyncio.sleep(0)
            await send({"type": "websocket.close", "code": 1000})
        await asyncio.sleep(0.1)
        done.append(kind)

    await after_its_client(App(serve), kind, guard)
    assert done == [kind]


async def test_an_app_that_only_sends_is_told_by_an_error(guard: PretendedGuard) -> None:
    """Which is an OSError, as servers raise it; the framework's own error is no news either."""
    raised: list[Exception] = []

    async def serve(receive: Any, send: Any) -> None:
        await send({"type": "websocket.accept"})
        try:
            while True:
                await send({"type": "websocket.send", "text": "tick"})
                await asyncio.sleep(0.01)
        except OSError as error:
            raised.append(error)
            raise ValueError("the framework's own") from None

    async with client(guarded(App(serve), guard), "websocket", authorization=ADA) as socket:
        await socket.next()
        guard.end("s")
        await socket.done()
    assert isinstance(raised[0], SessionEnded)


@pytest.mark.parametrize("kind", ["http", "websocket"])
@pytest.mark.parametrize("make_group", [asyncio.TaskGroup, anyio.create_task_group])
@pytest.mark.parametrize("is_nested", [False, True])
async def test_tasks_that_are_told_by_an_error_are_no_news_either(
    guard: PretendedGuard, kind: str, make_group: Callable[[], Any], is_nested: bool
) -> None:
    """Their group raises a group of errors, maybe of groups, which the server would log."""

    async def tick(send: Any) -> None:
        message = {"type": "http.response.body", "body": b"tick", "more_body": True}
        if kind == "websocket":
            message = {"type": "websocket.send", "text": "tick"}
        while True:
            await send(message)
            await asyncio.sleep(0.01)

    async def run(send: Any, is_nested: bool) -> None:
        async with make_group() as group:
            start = getattr(group, "start_soon", None)
            for work, *given in ((run, send, False) if is_nested else (tick, send), (wait,)):
                if start is not None:
                    start(work, *given)
                else:
                    group.create_task(work(*given))

    async def wait() -> None:
        await asyncio.Event().wait()

    async def serve(receive: Any, send: Any) -> None:
        start: Message = {"type": "websocket.accept"}
        if kind == "http":
            start = {"type": "http.response.start", "status": 200, "headers": []}
        await send(start)
        await run(send, is_nested)

    async with client(guarded(App(serve), guard), kind, authorization=ADA) as running:
        await running.next()
        await running.next()
        guard.end("s")
        await running.done()
    assert guard.sync.watches == []


async def test_an_error_of_the_app_among_those_of_the_cut_stays_one(guard: PretendedGuard) -> None:
    """The server logs the group."""

    async def serve(receive: Any, send: Any) -> None:
        await send({"type": "websocket.accept"})
        await receive()
        await receive()
        try:
            await send({"type": "websocket.send", "text": "tick"})
        except OSError as error:
            raise ExceptionGroup("both", [error, ValueError("a mistake")]) from None

    async with client(guarded(App(serve), guard), "websocket", authorization=ADA) as socket:
        await socket.next()
        guard.end("s")
        with pytest.raises(ExceptionGroup):
            await socket.done()
        socket.serving = asyncio.create_task(asyncio.sleep(0))


@pytest.mark.parametrize("kind", ["http", "websocket"])
@pytest.mark.parametrize("sid", ["s", "t"])
async def test_what_has_two_sessions_ends_with_either(
    guard: PretendedGuard, kind: str, sid: str
) -> None:
    """That of the inner layer or of the outer; the app is told, and nothing is watched then."""

    async def serve(receive: Any, send: Any) -> None:
        if kind == "http":
            await events(receive, send)
            return
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": "hello"})
        assert (await receive())["code"] == cutting.ENDED

    inner = guarded(App(serve), guard)
    both = guarded(inner, guard, session=lambda _: ("eve", "t", 5.0), require=False)
    async with client(both, kind, authorization=ADA) as running:
        await running.next()
        await running.next()
        await eventually(lambda: len(guard.sync.watches) == 2)
        guard.end(sid)
        last = await running.next()
        assert last.get("code", cutting.ENDED) == cutting.ENDED
        assert not last.get("more_body")
        await running.done()
    await eventually(lambda: guard.sync.watches == [])


async def test_an_error_of_the_app_stays_one(guard: PretendedGuard) -> None:
    """The server logs it as ever."""

    async def serve(receive: Any, send: Any) -> None:
        raise ValueError("a mistake")

    async with client(guarded(App(serve), guard), "websocket", authorization=ADA) as socket:
        with pytest.raises(ValueError, match="a mistake"):
            await socket.done()
        socket.serving = asyncio.create_task(asyncio.sleep(0))


async def test_an_app_that_does_not_react_is_cancelled(
    guard: PretendedGuard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After its grace, which an app that tidies up may use; the server does not notice."""
    monkeypatch.setattr(cutting, "GRACE", 0.1)
    cancelled = asyncio.Event()

    async def serve(receive: Any, send: Any) -> None:
        await send({"type": "websocket.accept"})
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    async with client(guarded(App(serve), guard), "websocket", authorization=ADA) as socket:
        await socket.next()
        guard.end("s")
        assert (await socket.next())["code"] == 4401
        assert not cancelled.is_set()
        await socket.done()
    assert cancelled.is_set()
    assert not socket.serving.cancelled()


async def test_a_socket_that_cannot_be_watched_is_closed(
    guard: PretendedGuard, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody would end it; the log says why."""
    monkeypatch.setattr(guard, "watch", lambda *_: 1 / 0)
    app = App()
    app.serve = chat(app)
    async with client(guarded(app, guard), "websocket", authorization=ADA) as socket:
        await socket.done()
    assert "ZeroDivisionError" in caplog.text


async def test_a_server_that_cancels_is_obeyed(guard: PretendedGuard) -> None:
    """A cancellation that is not of the guard passes through."""
    app = App()
    app.serve = chat(app)
    async with client(guarded(app, guard), "websocket", authorization=ADA) as socket:
        await socket.next()
        socket.serving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await socket.serving


async def events(receive: Any, send: Any) -> None:
    """Answer with a stream that goes on until its client is gone."""
    await receive()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"data: 1\n\n", "more_body": True})
    await receive()


async def test_a_stream_ends_with_its_session(guard: PretendedGuard) -> None:
    """The body is complete, as far as HTTP is concerned, and the app is told."""
    app = App(events)
    async with client(guarded(app, guard), "http", authorization=ADA) as running:
        await running.next()
        assert (await running.next())["more_body"] is True
        guard.end("s")
        end = {"type": "http.response.body", "body": b"", "more_body": False}
        assert await running.next() == end
        await running.done()
    assert guard.sync.watches == []


@pytest.mark.parametrize("is_early", [True, False])
async def test_a_stream_that_answers_its_own_logout_is_finished(
    guard: PretendedGuard, is_early: bool
) -> None:
    """Whether it logs out before it begins or later, and in whichever task."""
    told = asyncio.Event()

    async def log_out() -> None:
        await guard.end_session("ada", "s")

    async def serve(receive: Any, send: Any) -> None:
        await receive()
        if is_early:
            await log_out()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        if not is_early:
            await asyncio.create_task(log_out())
        await send({"type": "http.response.body", "body": b"one", "more_body": True})
        await told.wait()
        await send({"type": "http.response.body", "body": b"two"})

    app = guarded(App(serve), guard)
    async with client(app, "http", authorization=ADA) as running:
        await running.next()
        assert (await running.next())["body"] == b"one"
        await asyncio.sleep(0.05)  # until it would have been cut
        told.set()
        assert (await running.next())["body"] == b"two"
        await running.done()
    assert guard.sync.watches == []


async def test_a_socket_that_ends_its_own_session_is_closed(guard: PretendedGuard) -> None:
    """As any other: it is not the answer to anything."""

    async def serve(receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await guard.end_session("ada", "s")
        await receive()

    async with client(guarded(App(serve), guard), "websocket", authorization=ADA) as socket:
        await socket.next()
        assert (await socket.next())["code"] == cutting.ENDED
        await socket.done()


async def test_a_response_with_a_length_is_not_watched(guard: PretendedGuard) -> None:
    """It ends by itself, and costs nothing."""
    async with client(guarded(App(), guard), "http", authorization=ADA) as running:
        await running.done()
        assert guard.sync.watches == []
        assert running.sent.qsize() == 2


async def test_streams_are_left_alone_where_the_app_says_so(guard: PretendedGuard) -> None:
    """With ``cut_streams=False`` only sockets are closed."""
    app = guarded(App(events), guard, cut_streams=False)
    async with client(app, "http", authorization=ADA) as running:
        await running.next()
        guard.end("s")
        await asyncio.sleep(0.05)
        assert (await running.next())["more_body"] is True
        assert running.sent.empty()


async def test_a_body_in_parts_arrives_whole(guard: PretendedGuard) -> None:
    """While it is read, nothing stands between the app and the server."""
    parts: list[bytes] = []

    async def serve(receive: Any, send: Any) -> None:
        while True:
            message = await receive()
            parts.append(message["body"])
            if not message["more_body"]:
                break
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    app = guarded(App(serve), guard)
    async with client(app, "http", method="POST", authorization=ADA) as running:
        running.given.get_nowait()
        for body, more in ((b"a", True), (b"b", True), (b"c", False)):
            running.given.put_nowait({"type": "http.request", "body": body, "more_body": more})
        await running.done()
    assert parts == [b"a", b"b", b"c"]
