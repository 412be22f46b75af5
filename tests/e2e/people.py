"""Clients of every kind, each with a record of the notifications that it got."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Protocol

import socketio
from playwright.async_api import Browser, BrowserContext, Page, async_playwright, expect

from tests.conftest import lacking
from tests.patience import PATIENCE
from tests.site import Replica

HERE = Path(__file__).parent
# Chromium heeds the last list alone, so this has Playwright's own as well. Without the first two
# each window loads two pages for what its address bar would show, at half of a test's CPU.
DISABLED_FEATURES = [
    "WebUIOmniboxPopup",
    "WebUIOmniboxAimPopup",
    "AimEnabled",
    "AvoidCorsURLLoaderRestartOnRedirect",
    "AvoidUnnecessaryBeforeUnloadCheckSync",
    "DestroyProfileOnBrowserClose",
    "HttpsFirstBalancedModeAutoEnable",
    "HttpsUpgrades",
    "LensOverlay",
    "MediaRouter",
    "NetworkTimeServiceQuerying",
    "OptimizationHints",
    "PaintHolding",
    "PreconnectToSearch",
    "TcpPortRandomizationWin",
    "ThirdPartyStoragePartitioning",
]
CHROMIUM_OPTIONS = [
    f"--disable-features={','.join(DISABLED_FEATURES)}",
    "--no-sandbox",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
SHELLS = ("chromium-headless-shell", "chrome-headless-shell")
"""Chromium's engine without the windows of a browser: pages take two thirds of the CPU. It neither
keeps pages for the Back button nor freezes tabs."""

expect.set_options(timeout=PATIENCE * 1000)


class Diary:
    """The notifications and events that a client received, in order."""

    def __init__(self) -> None:
        self.entries: list[tuple[str, Any]] = []
        self._news = asyncio.Event()

    def write(self, what: str, value: Any = None) -> None:
        """Add an entry."""
        self.entries.append((what, value))
        self._news.set()

    def all(self, what: str) -> list[Any]:
        """Return the values of all entries of a kind."""
        return [value for kind, value in self.entries if kind == what]

    async def wait(self, what: str, count: int = 1, patience: float = PATIENCE) -> Any:
        """Return the value of the ``count``-th entry of a kind, once it is there."""
        try:
            async with asyncio.timeout(patience):
                while len(self.all(what)) < count:
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise AssertionError(f"no {what} number {count} in {self.entries}") from None
        return self.all(what)[count - 1]


class Person(Protocol):
    """A client that is logged in."""

    diary: Diary

    async def emit(self, event: str, payload: Any) -> Any:
        """Send an event and return what the hub acknowledged."""
        ...


class PythonClient:
    """python-socketio's client over WebSocket."""

    def __init__(self) -> None:
        self.diary = Diary()
        self.io = socketio.AsyncClient(reconnection=False, request_timeout=PATIENCE)
        self.io.on("connect", lambda: self.diary.write("connect"))
        self.io.on("connect_error", lambda data: self.diary.write("refused", data))
        self.io.on("disconnect", lambda reason: self.diary.write("disconnect", reason))
        self.io.on("logoutNotification", self._on_notification)

    def _on_notification(self, notification: Any) -> dict[str, bool]:
        self.diary.write("notified", notification)
        return {"cleared": True}

    async def connect(self, replica: Replica, token: str | None, **options: Any) -> None:
        """Connect; a refusal is in the diary."""
        auth, patience = {"token": token}, int(PATIENCE)
        options = {"transports": ["websocket"], "auth": auth, "wait_timeout": patience, **options}
        with contextlib.suppress(socketio.exceptions.ConnectionError):
            await self.io.connect(replica.url, **options)

    async def emit(self, event: str, payload: Any) -> Any:
        """Send an event and return what the hub acknowledged."""
        return await self.io.call(event, payload, timeout=int(PATIENCE))


@contextlib.asynccontextmanager
async def python_client(
    replica: Replica, token: str | None, **options: Any
) -> AsyncIterator[PythonClient]:
    """Connect python-socketio's client for the length of the context."""
    person = PythonClient()
    await person.connect(replica, token, **options)
    try:
        yield person
    finally:
        await person.io.disconnect()
        # Its closing handshake needs a moment, and unclosed sockets are errors here.
        await asyncio.sleep(0)


class StockClient:
    """The stock JavaScript client, in a Node process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.diary = Diary()
        self._process = process
        self.reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            entry = json.loads(line)
            self.diary.write(entry["what"], entry.get("value"))

    async def send(self, command: dict[str, Any]) -> None:
        """Give the process a command."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(command).encode() + b"\n")
        await self._process.stdin.drain()

    async def emit(self, event: str, payload: Any) -> Any:
        """Send an event and return what the hub acknowledged."""
        count = len(self.diary.all("answer"))
        await self.send({"emit": [event, payload]})
        return await self.diary.wait("answer", count + 1)


@contextlib.asynccontextmanager
async def stock_client(
    replica: Replica, token: str | None, **options: Any
) -> AsyncIterator[StockClient]:
    """Run the stock JavaScript client, with its default options unless others are given."""
    node = shutil.which("node")
    if node is None or not (HERE.parents[1] / "node_modules" / "socket.io-client").is_dir():
        lacking("Node with the packages of package.json")
    argument = json.dumps({"url": replica.url, "token": token, "options": options})
    process = await asyncio.create_subprocess_exec(
        str(node),
        str(HERE / "stock_client.mjs"),
        argument,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    person = StockClient(process)
    try:
        yield person
    finally:
        process.kill()
        await process.wait()
        await person.reading


class BrowserTab:
    """A tab of a real Chromium with the hub's own client."""

    def __init__(self, page: Page) -> None:
        self.page = page

    @property
    def diary(self) -> Any:
        """Not available: the page keeps its own diary; use `told` and `wait`."""
        raise NotImplementedError("ask the page")

    async def told(self, what: str) -> list[Any]:
        """Return the values of all entries of a kind in the page's diary."""
        entries = await self.page.evaluate("window.diary ?? []")
        return [value for kind, value in entries if kind == what]

    async def wait(self, what: str) -> Any:
        """Return the first entry of a kind, once it is there."""
        found = "what => (window.diary ?? []).some(([kind]) => kind === what)"
        await until_true(self.page, found, what)
        return (await self.told(what))[0]

    async def storage(self) -> dict[str, list[str]]:
        """Return the keys in the page's storages."""
        return dict(
            await self.page.evaluate(
                "({local: Object.keys(localStorage), session: Object.keys(sessionStorage)})"
            )
        )


async def until_true(page: Page, expression: str, argument: Any = None) -> None:
    """Wait until an expression is true in a page, or what a function returns for the argument.

    It is asked by a timer. Playwright's way, at each frame, has the page painted all the time.
    """
    await page.wait_for_function(expression, arg=argument, polling=50, timeout=PATIENCE * 1000)


@contextlib.asynccontextmanager
async def chromium(
    *arguments: str, with_windows: bool = False, **options: Any
) -> AsyncIterator[Browser]:
    """Run a real Chromium for the length of the context, ``with_windows`` as people have it."""
    async with async_playwright() as playwright:
        own = chromium_options(*arguments, with_windows=with_windows)
        browser = await playwright.chromium.launch(**own, **options)
        try:
            yield browser
        finally:
            await browser.close()


def chromium_options(*arguments: str, with_windows: bool = False) -> dict[str, Any]:
    """Return what Playwright is to launch; skips the test where there is no Chromium."""
    names = BROWSERS if with_windows else (*SHELLS, *BROWSERS)
    path = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    if path is None:
        lacking("Chromium")
    return {"executable_path": path, "args": [*CHROMIUM_OPTIONS, *arguments]}


async def open_tab(context: BrowserContext, replica: Replica, token: str) -> BrowserTab:
    """Open a page of an app in a tab, logged in at ``replica`` and holding private things."""
    page = await context.new_page()
    given = json.dumps({"token": token, "device": "A browser tab"})
    await page.add_init_script(
        f"""if (!sessionStorage.getItem("given")) {{
            sessionStorage.setItem("given", {json.dumps(given)});
            sessionStorage.setItem("draft", "private");
            localStorage.setItem("account", "private");
            localStorage.setItem("theme", "dark");
        }}"""
    )
    await page.goto(f"{replica.url}/app.html")
    return BrowserTab(page)
