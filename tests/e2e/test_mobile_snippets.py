"""The code on the page about mobile clients does what the page says, against a real hub."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import shutil
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

import jwt
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.conftest import lacking
from tests.e2e.people import Diary, python_client
from tests.ports import free_port
from tests.site import ADMIN, SECRET, Replica, running, settings, token

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PAGE = (ROOT / "docs" / "how-to" / "mobile.md").read_text(encoding="utf-8")
LONG = 600.0

Given = tuple[str, float]


def snippet(language: str) -> str:
    """Return the one block of code of a language on the page."""
    (code,) = re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    return str(code)


class App(Protocol):
    """An app that runs the page's code, and writes down what it does."""

    diary: Diary

    async def logout(self, scope: str) -> None:
        """Have the person log out; the hub's answer comes into the diary."""

    async def deliver(self) -> None:
        """Have the kept logout delivered; whether it was comes into the diary."""


class JavaScriptApp:
    """The page's JavaScript in a Node process, with a phone that is moved by hand."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.diary = Diary()
        self.process = process
        self.reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            entry = json.loads(line)
            self.diary.write(entry["what"], entry.get("value"))

    async def send(self, **command: Any) -> None:
        """Give the process a command."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(command).encode() + b"\n")
        await self.process.stdin.drain()

    async def logout(self, scope: str) -> None:
        """Have the person log out."""
        await self.send(scope=scope)

    async def deliver(self) -> None:
        """Have the kept logout delivered."""
        await self.send(deliver=True)


@contextlib.asynccontextmanager
async def javascript_app(
    url: str, folder: Path, given: Given, fresh: list[Given]
) -> AsyncIterator[JavaScriptApp]:
    """Run the page's JavaScript for the length of the context."""
    node, packages = shutil.which("node"), ROOT / "node_modules"
    if node is None or not (packages / "socket.io-client").is_dir():
        lacking("Node with the packages of package.json")
    modules = folder / "node_modules"
    modules.mkdir(exist_ok=True)
    (modules / "react-native").symlink_to(HERE / "react_native")
    (modules / "socket.io-client").symlink_to((packages / "socket.io-client").resolve())
    (folder / "snippet.mjs").write_text(snippet("js"), encoding="utf-8")
    argument = {
        "snippet": (folder / "snippet.mjs").as_uri(),
        "url": url,
        "file": str(folder / "kept.json"),
        "given": as_token(given),
        "fresh": [as_token(one) for one in fresh],
    }
    process = await asyncio.create_subprocess_exec(
        str(node),
        str(HERE / "mobile_app.mjs"),
        json.dumps(argument),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    app = JavaScriptApp(process)
    try:
        yield app
    finally:
        process.kill()
        await process.wait()
        await app.reading


def as_token(given: Given) -> dict[str, Any]:
    """Return a token in the form in which the JavaScript takes it."""
    return {"token": given[0], "expiresIn": given[1]}


class Memory:
    """Keeps one thing, as an app does in secure storage."""

    def __init__(self) -> None:
        self.value: Any = None

    def load(self) -> Any:
        """Return what is kept, or None."""
        return self.value

    def save(self, value: Any) -> None:
        """Keep a thing instead of what is kept."""
        self.value = value

    def remove(self) -> None:
        """Keep nothing."""
        self.value = None


class PythonApp:
    """The page's Python, in this process."""

    def __init__(self, url: str, given: Given, fresh: list[Given]) -> None:
        self.diary = Diary()
        self._page = ModuleType("page")
        exec(compile(snippet("python"), "mobile.md", "exec"), self._page.__dict__)  # noqa: S102
        self._given: Given | None = given
        self._fresh = fresh
        self._url = url
        self._memory = Memory()
        self.session = self._page.LoggedIn(
            url, "Ada's phone", self._get_token, self._clear_state, self._memory
        )
        self._client = self.session._client
        self._client.on("connect", lambda: self.diary.write("shown"))

    async def _get_token(self, fresh: bool) -> Given | None:
        self.diary.write("asked", fresh)
        if fresh:
            self._given = self._fresh.pop(0) if self._fresh else None
        return self._given

    async def _clear_state(self) -> None:
        await asyncio.sleep(0.3)  # an early acknowledgement would show
        self.diary.write("cleared")

    async def run(self) -> None:
        """Be logged in until the session ends."""
        try:
            self.diary.write("login", await self.session.run())
        except self._page.Refused as refusal:
            self.diary.write("reported", {"code": refusal.args[0]})

    async def logout(self, scope: str) -> None:
        """Have the person log out."""
        self.diary.write("answer", await self.session.logout(scope))

    async def deliver(self) -> None:
        """Have the kept logout delivered."""
        self.diary.write("delivered", await self._page.deliver_logout(self._url, self._memory))


@contextlib.asynccontextmanager
async def python_app(
    url: str, folder: Path, given: Given, fresh: list[Given]
) -> AsyncIterator[PythonApp]:
    """Run the page's Python for the length of the context."""
    app = PythonApp(url, given, fresh)
    task = asyncio.create_task(app.run())
    try:
        yield app
    finally:
        if app.session._ended is None:
            await app.session.close()
        await task


Start = Callable[..., contextlib.AbstractAsyncContextManager[Any]]


@pytest.fixture(params=["JavaScript", "Python"])
def start(request: pytest.FixtureRequest, tmp_path: Path) -> Start:
    """Starts the app, with the token that it has and those that the issuer will give."""
    run = javascript_app if request.param == "JavaScript" else python_app

    def starter(url: str, given: str, *fresh: str, lifetime: float = LONG) -> Any:
        return run(url, tmp_path, (given, lifetime), [(one, LONG) for one in fresh])

    return starter


@pytest.fixture
async def hub() -> AsyncIterator[Replica]:
    """A hub in memory."""
    async with running(settings()) as replica:
        yield replica


async def ended(hub: Replica, **body: Any) -> list[dict[str, Any]]:
    """End Ada's sessions as an administrator, and return what became of each."""
    answer = await hub.call("POST", "/admin/logout?wait=10", ADMIN, json={"user": "ada", **body})
    return list(answer.body["sessions"])


async def test_a_logout_is_cleared_for_then_acknowledged(hub: Replica, start: Start) -> None:
    """The app clears before it acknowledges, shows why, and stays away."""
    async with start(hub.url, token("ada", "phone")) as app:
        await app.diary.wait("shown")
        (session,) = await ended(hub, reason="suspicious", message="Call us")
        assert session["state"] == "acknowledged"
        assert session["device"] == "Ada's phone"
        assert len(app.diary.all("cleared")) == 1
        why = await app.diary.wait("login")
        assert (why["reason"], why["message"]) == ("suspicious", "Call us")
        assert app.diary.all("asked") == [False]


async def test_a_revoked_token_clears_and_says_why(hub: Replica, start: Start) -> None:
    """A session that ended while the app was away is cleared when it comes back."""
    spent = token("ada", "phone")
    await hub.call("GET", "/session", spent)
    await ended(hub, reason="password_changed")
    async with start(hub.url, spent) as app:
        why = await app.diary.wait("login")
        assert why["reason"] == "password_changed"
        assert len(app.diary.all("cleared")) == 1
        assert app.diary.all("shown") == []


async def test_an_expired_token_is_replaced_once(hub: Replica, start: Start) -> None:
    """With a fresh token the app goes on, and clears nothing."""
    old = jwt.encode({"sub": "ada", "sid": "phone", "iat": 1000, "exp": 1600}, SECRET)
    async with start(hub.url, old, token("ada", "phone")) as app:
        await app.diary.wait("shown")
        assert app.diary.all("asked")[:2] == [False, True]
        assert app.diary.all("cleared") == []


@pytest.mark.parametrize("successors", [0, 1])
async def test_an_expired_token_without_a_good_successor_is_the_end(
    hub: Replica, start: Start, successors: int
) -> None:
    """When the issuer has no token any more, or none that is good, the app clears."""
    old = jwt.encode({"sub": "ada", "sid": "phone", "iat": 1000, "exp": 1600}, SECRET)
    async with start(hub.url, old, *[old] * successors) as app:
        assert (await app.diary.wait("login"))["reason"] == "expired"
        assert len(app.diary.all("cleared")) == 1
        assert app.diary.all("asked").count(True) == 1


async def test_a_successor_that_ended_without_a_network_is_replaced_too(start: Start) -> None:
    """The app goes on with a third token if the second ended before it could reach the hub."""
    seen: list[str] = []

    async def serve(request: web.Request) -> web.WebSocketResponse:
        """Lose the second attempt, and accept the third token alone."""
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_str('0{"sid":"e","upgrades":[],"pingInterval":25000,"pingTimeout":20000}')
        auth = json.loads((await socket.receive_str()).removeprefix("40"))
        seen.append(auth["token"])
        if len(seen) == 2:
            assert request.transport is not None
            request.transport.abort()
        elif auth["token"] == "third":
            await socket.send_str('40{"sid":"x"}')
        else:
            data = {"code": "token_expired", "title": "Expired", "retryable": False}
            await socket.send_str("44" + json.dumps({"message": data["code"], "data": data}))
        with contextlib.suppress(TypeError):  # its client is gone
            await socket.receive_str()
        return socket

    app = web.Application()
    app.router.add_get("/socket.io/", serve)
    async with (
        TestServer(app) as hub,
        start(str(hub.make_url("")), "first", "second", "third") as phone,
    ):
        await phone.diary.wait("shown")
        assert phone.diary.all("cleared") == phone.diary.all("login") == []
    assert (seen[:2], seen[-1]) == (["first", "second"], "third")


async def test_a_token_of_the_second_of_a_logout_is_replaced(hub: Replica, start: Start) -> None:
    """``token_too_old`` is waited out, since the person has most likely just logged in again."""
    answer = await hub.call("POST", "/logout", token("ada", "phone"))
    second = int(answer.body["at"])
    young = jwt.encode({"sub": "ada", "sid": "new", "iat": second, "exp": second + 600}, SECRET)
    assert (await hub.call("GET", "/session", young)).code == "token_too_old"
    async with start(hub.url, young, token("ada", "new")) as app:
        await app.diary.wait("shown")
        assert app.diary.all("cleared") == []


async def test_a_token_that_is_not_good_is_reported(hub: Replica, start: Start) -> None:
    """A token_invalid is reported, clears nothing, and is not retried."""
    async with start(hub.url, "not a token") as app:
        assert (await app.diary.wait("reported"))["code"] == "token_invalid"
        assert app.diary.all("cleared") == app.diary.all("login") == []


async def test_a_refusal_for_now_is_tried_again(start: Start) -> None:
    """A retryable refusal is retried, and clears nothing."""
    async with (
        running(settings(max_sessions=1)) as hub,
        python_client(hub, token("ada", "first")) as first,
    ):
        await first.diary.wait("connect")
        async with start(hub.url, token("ada", "phone")) as app:
            await app.diary.wait("asked")
            await asyncio.sleep(1)
            assert app.diary.all("shown") == []
            await first.emit("logout", {"scope": "session"})
            await app.diary.wait("shown")
            assert app.diary.all("cleared") == app.diary.all("login") == []


async def test_the_token_is_refreshed_before_it_ends(hub: Replica, start: Start) -> None:
    """The socket outlives the first token, without a new connection."""
    began, brief = time.monotonic(), token("ada", "phone", lifetime=15)
    # The app believes it to end earlier, so that it may take its time to start.
    async with start(hub.url, brief, token("ada", "phone"), lifetime=4) as app:
        await app.diary.wait("asked", 2)
        await asyncio.sleep(began + 16.5 - time.monotonic())
        assert app.diary.all("asked") == [False, True]
        assert len(app.diary.all("shown")) == 1
        assert app.diary.all("cleared") == []
        (session,) = await ended(hub, reason="policy")
        assert session["state"] == "acknowledged"


async def test_logging_out_ends_the_other_devices_too(hub: Replica, start: Start) -> None:
    """The hub answers, the app clears, and another device of the user is notified."""
    async with python_client(hub, token("ada", "laptop")) as laptop:
        await laptop.diary.wait("connect")
        async with start(hub.url, token("ada", "phone")) as app:
            await app.diary.wait("shown")
            asking = asyncio.create_task(app.logout("all"))
            answer = await app.diary.wait("answer")
            await asking
            assert answer["ok"] is True
            assert len(answer["sessions"]) == 2
            assert (await laptop.diary.wait("notified"))["reason"] == "user"
            await app.diary.wait("login")
            assert len(app.diary.all("cleared")) == 1
            await app.deliver()
            assert await app.diary.wait("delivered") is True


async def test_logging_out_the_others_keeps_this_one(hub: Replica, start: Start) -> None:
    """The app stays as it is when only the others were to go."""
    async with python_client(hub, token("ada", "laptop")) as laptop:
        await laptop.diary.wait("connect")
        async with start(hub.url, token("ada", "phone")) as app:
            await app.diary.wait("shown")
            await app.logout("others")
            assert (await app.diary.wait("answer"))["ok"] is True
            await laptop.diary.wait("notified")
            assert app.diary.all("cleared") == app.diary.all("login") == []


async def test_a_logout_without_a_network_is_delivered_later(start: Start) -> None:
    """The app clears at once, keeps the logout, and delivers it when the hub is back."""
    port, phone, laptop = free_port(), token("ada", "phone"), token("ada", "laptop")
    async with contextlib.AsyncExitStack() as stack:
        async with running(settings(port=port)) as hub:
            app = await stack.enter_async_context(start(hub.url, phone))
            await app.diary.wait("shown")
        await app.logout("all")
        assert await app.diary.wait("answer") == {"pending": True}
        assert len(app.diary.all("cleared")) == 1
        await app.deliver()
        assert await app.diary.wait("delivered") is False
        async with (
            running(settings(port=port)) as hub,
            python_client(hub, laptop) as other,
        ):
            await other.diary.wait("connect")
            await app.deliver()
            assert await app.diary.wait("delivered", 2) is True
            assert (await other.diary.wait("notified"))["reason"] == "user"
            assert (await hub.call("GET", "/session", phone)).code == "token_revoked"


async def test_an_app_that_comes_back_shows_nothing_before_it_is_confirmed(
    hub: Replica, tmp_path: Path
) -> None:
    """In the background private content is covered; back again, a new connection uncovers it."""
    given = (token("ada", "phone"), LONG)
    async with javascript_app(hub.url, tmp_path, given, []) as app:
        await app.diary.wait("shown")
        await app.send(state="inactive")
        await app.diary.wait("covered")
        await app.send(state="active")
        await app.diary.wait("shown", 2)
        assert len(app.diary.all("asked")) == 1
        await app.send(state="background")
        await app.diary.wait("covered", 2)
        await app.send(state="active")
        await app.diary.wait("shown", 3)
        assert len(app.diary.all("asked")) == 2


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGSTOP")
async def test_an_app_that_slept_through_a_logout_clears_when_it_wakes(
    hub: Replica, tmp_path: Path
) -> None:
    """A phone that the system had stopped shows no private content again."""
    given = (token("ada", "phone"), LONG)
    async with javascript_app(hub.url, tmp_path, given, []) as app:
        await app.diary.wait("shown")
        await app.send(state="background")
        await app.diary.wait("covered")
        app.process.send_signal(signal.SIGSTOP)
        (session,) = await ended(hub, reason="policy")
        assert session["state"] in ("notified", "cut")
        app.process.send_signal(signal.SIGCONT)
        await app.send(state="active")
        assert (await app.diary.wait("login"))["reason"] == "policy"
        assert len(app.diary.all("shown")) == 1
        assert len(app.diary.all("cleared")) == 1
