"""A small app of its own origin that uses the hub's browser client, and the people in it."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from string import Template
from typing import Any

from aiohttp import web
from playwright.async_api import BrowserContext, Page, expect

from hub.settings import Settings
from tests.e2e.people import Diary
from tests.patience import PATIENCE
from tests.site import settings, token

FILES = Path(__file__).with_name("shop")
A_DAY = 86400
COOKIE = "key"

# What a browser holds for the shop, by name. Cookies that no script can read are not here.
# Without the client's own mark, that it has led a page of this tab away.
STORED = """async () => ({
  local: Object.keys(localStorage).sort(),
  session: Object.keys(sessionStorage).filter((key) => key !== "logout-hub:led").sort(),
  cookies: document.cookie.split("; ").filter(Boolean).map((pair) => pair.split("=")[0]).sort(),
  databases: (await indexedDB.databases()).map(({ name }) => name).sort(),
  caches: (await caches.keys()).sort(),
  workers: (await navigator.serviceWorker.getRegistrations()).length,
})"""
EVERYTHING = {
    "local": ["account", "theme"],
    "session": ["account", "theme"],
    "cookies": ["basket", "theme"],
    "databases": ["fonts", "orders"],
    "caches": ["fonts", "pages"],
    "workers": 1,
}
KEPT = {
    "local": ["theme"],
    "session": ["theme"],
    "cookies": ["theme"],
    "databases": ["fonts"],
    "caches": ["fonts"],
    "workers": 1,
}
NOTHING: dict[str, Any] = {**{kind: [] for kind in KEPT}, "workers": 0}


def sign(user: str, sid: str, lifetime: float = 600) -> str:
    """Return a token of somebody who logged in at the shop."""
    return token(user, sid, lifetime=lifetime)


class Shop:
    """The app's server: who is logged in, and the tokens it gave them; ``sign`` makes them."""

    def __init__(self) -> None:
        self.url = ""
        self.hub = ""
        self.lifetime = 600.0
        self.sign: Callable[[str, str, float], str] = sign
        self.diary = Diary()
        self.gives_tokens = asyncio.Event()
        self.gives_tokens.set()
        self.refuses_tokens = False
        self.fails = 0
        self.scripts: dict[str, str] = {}
        self.answers = asyncio.Event()
        self._seats: dict[str, tuple[str, str]] = {}

    def app(self) -> web.Application:
        """Return the app."""
        app = web.Application()
        app.router.add_get("/token", self._get_token)
        app.router.add_post("/login", self._post_login)
        app.router.add_get("/account/{name}", self._get_account)
        app.router.add_get("/{name}", self._get_file)
        return app

    def _seat(self, request: web.Request) -> tuple[str, str] | None:
        return self._seats.get(request.cookies.get("seat", ""))

    async def _post_login(self, request: web.Request) -> web.Response:
        user = str((await request.post())["user"])
        seat, sid = secrets.token_urlsafe(8), f"{user}-{len(self._seats) + 1}"
        self._seats[seat] = (user, sid)
        answer = web.Response(status=303, headers={"Location": "/private"})
        answer.set_cookie("seat", seat, httponly=True, max_age=A_DAY)
        # Cookies know no ports: the hub beside the shop gets this one.
        answer.set_cookie(COOKIE, self.sign(user, sid, 600), httponly=True, max_age=A_DAY)
        return answer

    async def _get_token(self, request: web.Request) -> web.Response:
        await self.gives_tokens.wait()
        seat = self._seat(request)
        if seat is None or self.refuses_tokens:
            raise web.HTTPUnauthorized
        if self.fails:
            self.fails -= 1
            raise web.HTTPServiceUnavailable
        given = self.sign(*seat, self.lifetime)
        self.diary.write("token", given)
        return web.Response(text=given)

    async def _get_account(self, request: web.Request) -> web.Response:
        self.diary.write("asked", request.path)
        await self.answers.wait()
        return web.Response(text="private")

    async def _get_file(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if name.endswith(".mjs"):
            text = self.scripts.get(name) or _read(name)
            return web.Response(text=text, content_type="text/javascript")
        page = Template(_read(f"{name}.html"))
        user, _ = self._seat(request) or ("nobody", "")
        text = page.substitute(hub=self.hub, user=user)
        return web.Response(text=text, content_type="text/html", charset="utf-8")


def _read(name: str) -> str:
    file = FILES / name
    if file.parent != FILES or not file.is_file():
        raise web.HTTPNotFound
    return file.read_text(encoding="utf-8")


def hub_settings(shop: Shop, **changes: Any) -> Settings:
    """Return the settings of a hub that serves the shop's pages, with the grace that is usual."""
    given = {"allowed_origins": [shop.url], "cookie_name": COOKIE, "notice_grace": 2}
    return settings(**given, **changes)


@contextlib.asynccontextmanager
async def open_shop() -> AsyncIterator[Shop]:
    """Serve the app on loopback for the length of the context."""
    shop = Shop()
    runner = web.AppRunner(shop.app(), access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        shop.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield shop
    finally:
        shop.gives_tokens.set()
        await runner.cleanup()


class Tab:
    """A tab of the shop, with a diary that the page writes and that outlives it."""

    def __init__(self, page: Page, shop: Shop) -> None:
        self.page = page
        self.shop = shop
        self.diary = Diary()

    async def go(self, address: str) -> None:
        """Go to a page of the shop."""
        await self.page.goto(self.shop.url + address)

    async def enter(self, address: str = "/private") -> None:
        """Go to a page that connects to the hub, and wait until it is filled and shown."""
        await self.go(address)
        await asyncio.gather(self.diary.wait("filled"), self.diary.wait("shown"))

    async def click_logout(self) -> None:
        """Press the page's button."""
        await self.page.click("#logout")

    async def reach_login(self, words: str | None = None) -> None:
        """Wait until the tab is at the login page; ``words`` say why, there or before."""
        await self.page.wait_for_url(f"{self.shop.url}/login", timeout=PATIENCE * 1000)
        if words is not None:
            await expect(self.page.locator("output")).to_have_text(words)

    async def stored(self) -> Any:
        """Return the names of what the browser holds for the shop and this tab."""
        return await self.page.evaluate(STORED)


class Visitor:
    """A browser of its own, with tabs."""

    def __init__(self, context: BrowserContext, shop: Shop) -> None:
        self.context = context
        self.shop = shop
        self.tabs: dict[Page, Tab] = {}

    async def log_in(self, user: str) -> None:
        """Log in at the shop, as a new session."""
        answer = await self.context.request.post(
            f"{self.shop.url}/login", form={"user": user}, max_redirects=0
        )
        assert answer.status == 303

    async def tab(self, address: str | None = "/private") -> Tab:
        """Open a tab, and enter a page in it."""
        page = await self.context.new_page()
        tab = self.tabs[page] = Tab(page, self.shop)
        if address is not None:
            await tab.enter(address)
        return tab

    def write(self, source: Any, what: str, value: Any = None) -> None:
        """Record an entry that a page reports."""
        self.tabs[source["page"]].diary.write(what, value)


async def visit(context: BrowserContext, shop: Shop) -> Visitor:
    """Let a browser visit the shop."""
    visitor = Visitor(context, shop)
    await context.expose_binding("tell", visitor.write)
    return visitor
