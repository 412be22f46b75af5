"""The examples of guarded apps, beside a real hub: by HTTP, and in a real Chromium."""

from __future__ import annotations

import asyncio
import contextlib
import os
import runpy
import shutil
import sqlite3
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any
from unittest import mock

import aiohttp
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from tests.conftest import lacking
from tests.e2e.people import until_true
from tests.patience import PATIENCE
from tests.ports import free_port
from tests.realtime.raw import eventually
from tests.recipes.serving import served_asgi, served_wsgi
from tests.site import ADMIN, SECRET, Replica, running, settings

pytestmark = pytest.mark.asyncio(loop_scope="session")

EXAMPLES = Path(__file__).parents[2] / "examples"
GUARD_TOKEN = "a guard's token for tests"
PORTS = {name: free_port() for name in ("chat", "django", "express")}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def hub() -> AsyncIterator[Replica]:
    """A hub for all examples."""
    origins = tuple(address(name) for name in PORTS)
    async with running(settings(guard_token=GUARD_TOKEN, allowed_origins=origins)) as replica:
        yield replica


def address(name: str) -> str:
    """Return where browsers find an example."""
    return f"http://localhost:{PORTS[name]}"


def environ(hub: Replica) -> dict[str, str]:
    """Return what the examples are told."""
    return {
        "HUB_URL": hub.url,
        "HUB_GUARD_TOKEN": GUARD_TOKEN,
        "HUB_JWT_SECRET": SECRET,
        "HUB_ADMIN_TOKEN": ADMIN,
        "APP_SECRET": "a secret of the app",
    }


async def load(name: str, hub: Replica) -> dict[str, Any]:
    """Run an example's file, in a thread: it may wait for the hub, which runs in this loop."""
    with mock.patch.dict(os.environ, environ(hub)):
        return await asyncio.to_thread(runpy.run_path, str(EXAMPLES / name / "app.py"))


async def log_out(hub: Replica, user: str, reason: str) -> None:
    """Log somebody out, as an administrator does."""
    body = {"user": user, "reason": reason}
    assert (await hub.call("POST", "/admin/logout", ADMIN, json=body)).status == 200


# ---- By HTTP ----


async def test_fastapi_refuses_a_token_that_was_logged_out(hub: Replica) -> None:
    """With the hub's code; a new login is let in."""
    example = await load("fastapi", hub)
    async with (
        served_asgi(example["app"], lifespan="on") as url,
        aiohttp.ClientSession(url) as http,
    ):

        async def log_in() -> str:
            async with http.post("/login", json={"user": "Ada"}) as answer:
                return str((await answer.json())["token"])

        async def ask(token: str) -> Any:
            headers = {"Authorization": f"Bearer {token}"}
            async with http.get("/balance", headers=headers) as answer:
                told = await answer.json()
                return told.get("code") or told["user"]

        async def is_refused(token: str) -> bool:
            return bool(await ask(token) == "token_revoked")

        first, second = await log_in(), await log_in()
        assert [await ask(token) for token in (first, second, "junk")] == [
            "Ada",
            "Ada",
            "token_invalid",
        ]
        assert (await hub.call("POST", "/logout", first)).status == 200
        await eventually(lambda: is_refused(second))
        assert await is_refused(first)

        async def is_in_again() -> bool:
            return bool(await ask(await log_in()) == "Ada")

        await eventually(is_in_again)  # a new guard may be a second behind the hub's clock
        async with http.get("/health") as answer:
            assert (await answer.json())["staleness"] < PATIENCE


async def test_flask_ends_its_session_here_and_at_the_hub(hub: Replica) -> None:
    """A logout in the app is one of that session; one at the hub is of all, and of copies."""
    example = await load("flask", hub)

    async def place(http: aiohttp.ClientSession) -> str:
        async with http.get("/", allow_redirects=False) as answer:
            assert answer.status in (200, 302)
            return answer.headers.get("Location", "")

    async def is_out(http: aiohttp.ClientSession) -> bool:
        return await place(http) == "/login"

    async with served_wsgi(example["app"]) as url, contextlib.AsyncExitStack() as stack:
        laptop, phone = [
            await stack.enter_async_context(
                aiohttp.ClientSession(url, cookie_jar=aiohttp.CookieJar(unsafe=True))
            )
            for _ in range(2)
        ]
        for http in (laptop, phone):
            async with http.post("/login", data={"user": "Flo"}) as answer:
                assert "Account of Flo" in await answer.text()
        async with phone.get("/ticket") as answer:
            ticket = await answer.text()
        assert (await hub.call("GET", "/session", ticket)).status == 200
        copy = {cookie.key: cookie.value for cookie in laptop.cookie_jar}
        async with laptop.post("/logout", allow_redirects=False) as answer:
            assert answer.headers["Location"] == "/login"
        async with aiohttp.ClientSession(url, cookies=copy) as thief:
            await eventually(lambda: is_out(thief))
        assert await place(phone) == ""
        assert (await hub.call("GET", "/session", ticket)).status == 200
        await log_out(hub, "Flo", "suspicious")
        await eventually(lambda: is_out(phone))
        assert (await hub.call("GET", "/session", ticket)).code == "token_revoked"
    await asyncio.to_thread(example["guard"].close)


# ---- In a browser ----


@contextlib.asynccontextmanager
async def people(browser: Browser, count: int) -> AsyncIterator[list[Page]]:
    """Open browsers of several people, one page in each; none of them may complain."""
    complaints: list[str] = []
    contexts = [await browser.new_context() for _ in range(count)]
    pages = [await context.new_page() for context in contexts]
    for page in pages:
        page.on("pageerror", lambda error: complaints.append(str(error)))
    try:
        yield pages
    finally:
        for context in contexts:
            await context.close()
    assert complaints == []


async def chat_as(page: Page, name: str) -> None:
    """Log in at the chat."""
    await page.goto(address("chat"))
    await page.get_by_label("Your name").fill(name)
    await page.get_by_role("button", name="Log in").click()
    await expect(page.get_by_label("Say something")).to_be_visible()


async def say(page: Page, text: str) -> None:
    """Say something in the chat."""
    await page.get_by_label("Say something").fill(text)
    await page.get_by_role("button", name="Send").click()


async def test_a_logout_closes_the_sockets_of_a_chat(hub: Replica, browser: Browser) -> None:
    """With the reason, which the page shows; others talk on, and the cookie opens no socket."""
    example = await load("chat", hub)
    async with (
        served_asgi(example["app"], PORTS["chat"], lifespan="on"),
        people(browser, 3) as (laptop, phone, graces),
    ):
        for page, name in ((laptop, "Ada"), (phone, "Ada"), (graces, "Grace")):
            await chat_as(page, name)
        await say(laptop, "hello")
        for page in (laptop, phone, graces):
            await expect(page.get_by_text("Ada: hello")).to_be_visible()
        (cookie,) = await laptop.context.cookies()
        await log_out(hub, "Ada", "suspicious")
        for page in (laptop, phone):
            await expect(page.get_by_role("status")).to_have_text("Logged out: suspicious")
            await expect(page.get_by_text("Ada: hello")).to_have_count(0)
            await expect(page.get_by_label("Say something")).not_to_be_visible()
        await say(graces, "anybody?")
        await expect(graces.get_by_text("Grace: anybody?")).to_be_visible()
        headers = {"Cookie": f"{cookie['name']}={cookie['value']}"}
        async with aiohttp.ClientSession(address("chat"), headers=headers) as thief:
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await thief.ws_connect("/chat")
            assert refused.value.status == 401
        await laptop.goto(address("chat"))
        await expect(laptop.get_by_role("heading", name="Log in")).to_be_visible()
        await graces.get_by_role("button", name="Log out everywhere").click()
        await expect(graces.get_by_role("status")).to_have_text("Logged out: user")


@pytest_asyncio.fixture(loop_scope="session")
async def database(hub: Replica, tmp_path: Path) -> AsyncIterator[Path]:
    """The database of the Django example, while that runs as its README says."""
    file = tmp_path / "app.sqlite3"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(EXAMPLES / "django" / "app.py"), str(PORTS["django"])),
        env={
            **os.environ,
            **environ(hub),
            "DATABASE": str(file),
            "PYTHONPATH": str(EXAMPLES.parent),
        },
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )

    async def is_up() -> bool:
        assert process.returncode is None
        try:
            async with aiohttp.ClientSession() as http, http.get(address("django")) as answer:
                return answer.status == 200
        except aiohttp.ClientError:
            return False

    try:
        await eventually(is_up)
        yield file
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def sessions(database: Path) -> int:
    """Return how many sessions Django has."""
    with contextlib.closing(sqlite3.connect(database)) as connection:
        (count,) = connection.execute("select count(*) from django_session").fetchone()
        return int(count)


async def log_in(page: Page, name: str) -> None:
    """Log in at the Django example, and write something that is private."""
    await page.goto(address("django"))
    await page.get_by_label("Username").fill(name)
    await page.get_by_label("Password").fill("secret")
    await page.get_by_role("button", name="Log in").click()
    await page.get_by_label("A draft").fill("private")
    assert await page.evaluate("localStorage.draft") == "private"


async def is_out(page: Page) -> None:
    """See the login, and nothing left; the page may get there twice, by the app and by the hub."""
    await expect(page.get_by_role("heading", name="Log in")).to_be_visible()
    await until_true(page, "Object.keys(localStorage).length === 0")


async def test_django_sessions_end_with_the_hubs_and_the_other_way(
    hub: Replica, browser: Browser, database: Path
) -> None:
    """A logout in Django ends that session at the hub; one at the hub clears pages and sessions."""

    async def known() -> int:
        listed = await hub.call("GET", "/admin/users/ada/sessions", ADMIN)
        return len(listed.body["sessions"])

    async with people(browser, 2) as (laptop, phone):
        for page in (laptop, phone):
            await log_in(page, "ada")
        await eventually(lambda: _is(known, 2))
        await laptop.get_by_role("button", name="Log out here").click()
        await is_out(laptop)
        assert (sessions(database), await known()) == (1, 1)
        await expect(phone.get_by_label("A draft")).to_be_visible()

        await log_in(laptop, "ada")
        assert sessions(database) == 2
        await log_out(hub, "ada", "password_changed")
        for page in (laptop, phone):
            await is_out(page)
            await page.goto(address("django"))
            await is_out(page)
        assert (sessions(database), await known()) == (0, 0)


async def _is(ask: Callable[[], Awaitable[int]], wanted: int) -> bool:
    return await ask() == wanted


@pytest_asyncio.fixture(loop_scope="session")
async def express(hub: Replica) -> AsyncIterator[str]:
    """The address of the Express example, while that runs as its README says."""
    node = shutil.which("node")
    if node is None or not (EXAMPLES.parent / "node_modules" / "logout-hub-guard").exists():
        lacking("node with the packages of package.json")
    process = await asyncio.create_subprocess_exec(
        *(str(node), str(EXAMPLES / "express" / "server.js")),
        env={**os.environ, **environ(hub), "PORT": str(PORTS["express"])},
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        assert await asyncio.wait_for(process.stdout.readline(), PATIENCE)
        yield address("express")
    finally:
        process.kill()
        await process.wait()


async def test_express_sessions_end_with_the_hubs_and_the_other_way(
    hub: Replica, browser: Browser, express: str
) -> None:
    """A logout in the app ends that session at the hub; one by the page's button ends all."""
    async with people(browser, 3) as (laptop, phone, graces):
        for page, name in ((laptop, "ada"), (phone, "ada"), (graces, "grace")):
            await page.goto(express)
            await page.get_by_label("Your name").fill(name)
            await page.get_by_role("button", name="Log in").click()
            await expect(page.get_by_role("heading", name=f"Account of {name}")).to_be_visible()
        await laptop.get_by_role("button", name="Log out here").click()
        await expect(laptop.get_by_role("heading", name="Log in")).to_be_visible()
        await expect(phone.get_by_role("heading", name="Account of ada")).to_be_visible()
        await laptop.get_by_label("Your name").fill("ada")
        await laptop.get_by_role("button", name="Log in").click()
        await expect(laptop.get_by_role("heading", name="Account of ada")).to_be_visible()
        await laptop.get_by_role("button", name="Log out everywhere").click()
        for page in (laptop, phone):
            await expect(page.get_by_role("heading", name="Log in")).to_be_visible()
            await page.goto(express)
            await expect(page.get_by_role("heading", name="Log in")).to_be_visible()
        await expect(graces.get_by_role("heading", name="Account of grace")).to_be_visible()
