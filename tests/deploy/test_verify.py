"""nginx in front of an app asks the hub about each request, and never lets one through unasked."""

from __future__ import annotations

import asyncio
import re
import secrets
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass

import aiohttp
import pytest
from aiohttp import web

from tests.deploy.balancers import DEPLOY, run_nginx
from tests.deploy.hubs import Hubs
from tests.patience import PATIENCE
from tests.ports import free_port
from tests.site import token
from tests.test_docs import ROOT


@dataclass
class App:
    """An app behind nginx: what reached it, and a client in front of nginx."""

    http: aiohttp.ClientSession
    seen: list[dict[str, str]]
    path: str

    async def ask(self, given: str | None = None, **headers: str) -> aiohttp.ClientResponse:
        """Send a request with a body to the app, and return the answer."""
        if given is not None:
            headers["Authorization"] = f"Bearer {given}"
        # A path and a query of its own: neither may reach the hub.
        target = f"{self.path}anything?access_token=x"
        async with self.http.post(target, headers=headers, data=b"x" * 1000) as answer:
            await answer.read()
            return answer


def snippet_changes() -> dict[str, str]:
    """Return the change that puts README's snippet, as it stands there, into the shipped file."""
    blocks = re.findall(r"```nginx\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    (snippet,) = (block for block in blocks if "auth_request " in block)
    shipped = (DEPLOY / "nginx-verify.conf").read_text()
    locations = shipped[shipped.index("        location / {") : shipped.rindex("    }\n}")]
    return {locations: snippet}


@pytest.fixture(params=["shipped", "README"])
async def app(hubs: Hubs, request: pytest.FixtureRequest) -> AsyncIterator[App]:
    """An app behind nginx, with the file as it is shipped, or with the snippet of the README."""
    extra, path = ({}, "/") if request.param == "shipped" else (snippet_changes(), "/app/")
    seen: list[dict[str, str]] = []

    async def handle(request: web.Request) -> web.Response:
        assert len(await request.read()) == 1000
        names = ("X-Auth-User", "X-Auth-Session", "X-Auth-Issuer")
        seen.append({name: request.headers[name] for name in names if name in request.headers})
        return web.Response(text="the app")

    server = web.Application()
    server.router.add_route("*", "/{anything:.*}", handle)
    runner = web.AppRunner(server)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    changes = {**extra, "10.0.0.21:8000": f"127.0.0.1:{port}"}
    try:
        with run_nginx(hubs, changes, file="nginx-verify.conf", site="app") as front:
            async with front.client() as http:
                yield App(http, seen, path)
    finally:
        await runner.cleanup()


def names() -> tuple[str, str]:
    """Return a user and a session that nobody knows yet."""
    return f"user-{secrets.token_hex(4)}", f"s-{secrets.token_hex(4)}"


async def log_out(hubs: Hubs, given: str) -> None:
    """Log somebody out, at a replica itself."""
    async with (
        aiohttp.ClientSession() as http,
        http.post(f"{hubs.b.url}/logout", headers={"Authorization": f"Bearer {given}"}) as answer,
    ):
        assert answer.status == 200


async def test_a_living_token_is_let_through(app: App) -> None:
    """The app hears from the hub who it is, and not from the client."""
    user, sid = names()
    forged = dict.fromkeys(("X-Auth-User", "X-Auth-Session", "X-Auth-Issuer"), "forged")
    answer = await app.ask(token(user, sid), **forged)
    assert answer.status == 200
    assert app.seen == [{"X-Auth-User": user, "X-Auth-Session": sid}]


async def test_a_dead_token_is_refused(app: App, hubs: Hubs) -> None:
    """From the logout on, the same token is 401 and does not reach the app."""
    given = token(*names())
    assert (await app.ask(given)).status == 200
    await log_out(hubs, given)
    answer = await app.ask(given)
    assert answer.status == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert len(app.seen) == 1


@pytest.mark.parametrize("given", [None, "", "nonsense"])
async def test_no_token_is_refused(app: App, given: str | None) -> None:
    """Without a token, or with what is none, the request does not reach the app."""
    assert (await app.ask(given)).status == 401
    assert app.seen == []


async def test_one_replica_is_enough(app: App, hubs: Hubs) -> None:
    """When a replica is killed, the other one is asked."""
    hubs.a.kill()
    given = token(*names())
    for _ in range(4):
        assert (await app.ask(given)).status == 200


async def test_without_a_hub_nobody_is_let_through(app: App, hubs: Hubs) -> None:
    """When no replica is there, good tokens and bad ones are 500."""
    hubs.a.kill()
    hubs.b.kill()
    assert (await app.ask(token(*names()))).status == 500
    assert (await app.ask("nonsense")).status == 500
    assert app.seen == []


async def test_a_hub_that_hangs_lets_nobody_through(app: App, hubs: Hubs) -> None:
    """When the replicas do not answer, the request is refused after their time."""
    hubs.a.kill()
    hubs.b.signal(signal.SIGSTOP)
    try:
        async with asyncio.timeout(PATIENCE):
            assert (await app.ask(token(*names()))).status == 500
        assert app.seen == []
    finally:
        hubs.b.signal(signal.SIGCONT)
