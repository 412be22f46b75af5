"""Proxies in front of an app ask the hub about each request, and never let one through unasked."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import secrets
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
import yaml
from aiohttp import web

from tests.deploy.balancers import (
    DEPLOY,
    NONE,
    Changes,
    changed,
    run_caddy_verify,
    run_envoy_verify,
    run_haproxy_verify,
    run_nginx,
)
from tests.deploy.hubs import Hubs
from tests.patience import PATIENCE
from tests.ports import free_port
from tests.site import running, settings, token
from tests.test_docs import ROOT

pytestmark = pytest.mark.asyncio(loop_scope="module")

FAILURES = (500, 502, 503, 504)
IDENTITY = ("X-Auth-User", "X-Auth-Session", "X-Auth-Issuer")


@dataclass
class App:
    """An app behind a proxy: what reached it of an identity, and a client in front of the proxy."""

    http: aiohttp.ClientSession
    path: str = "/"
    seen: list[dict[str, str]] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.Response:
        """Answer a request, whose body must be whole."""
        assert len(await request.read()) in (0, 1000)
        wanted = {name.lower() for name in IDENTITY}
        # An app that is called by WSGI or CGI cannot tell X_Auth_User from X-Auth-User.
        identity = {
            name: value
            for name, value in request.headers.items()
            if name.replace("_", "-").lower() in wanted and value
        }
        self.seen.append(identity)
        return web.Response(text="the app")

    async def ask(
        self, given: str | None = None, method: str = "POST", **headers: str
    ) -> aiohttp.ClientResponse:
        """Send a request to the app, with a body unless it is a GET, and return the answer."""
        if given is not None:
            headers["Authorization"] = f"Bearer {given}"
        # A path and a query of its own, which are not the hub's concern.
        async with self.http.request(
            method,
            f"{self.path}anything?access_token=x&b=c",
            headers=headers,
            data=None if method == "GET" else b"x" * 1000,
            allow_redirects=False,
        ) as answer:
            await answer.read()
            return answer


def snippet_changes() -> dict[str, str]:
    """Return the change that puts README's snippet, as it stands there, into the shipped file."""
    blocks = re.findall(r"```nginx\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    (snippet,) = (block for block in blocks if "auth_request " in block)
    shipped = (DEPLOY / "nginx-verify.conf").read_text()
    locations = shipped[shipped.index("        location / {") : shipped.rindex("    }\n}")]
    return {locations: snippet}


RUN: dict[str, Any] = {
    "nginx": partial(run_nginx, file="nginx-verify.conf", site="app"),
    "haproxy": run_haproxy_verify,
    "caddy": run_caddy_verify,
    "envoy": run_envoy_verify,
}
TO_LOGIN: dict[str, dict[str, str]] = {
    "nginx": {"# error_page 401": "error_page 401"},
    "haproxy": {"lua.ask_logout_hub /verify\n": "lua.ask_logout_hub /verify?redirect=web\n"},
    "caddy": {"uri /verify?\n": "uri /verify?redirect=web\n"},
    "envoy": {
        "path_prefix: /verify": "",
        "# path_override": "path_override",
        "# authorization_request": "authorization_request",
        "#   headers_to_add": "  headers_to_add",
    },
}
"""What each file says to change for a login page."""


@contextlib.asynccontextmanager
async def serving(
    proxy: str,
    hubs: Any,
    changes: Changes = NONE,
    path: str = "/",
    address: str = "127.0.0.1",
) -> AsyncIterator[App]:
    """Run an app behind a proxy with its shipped file, changed as `changed` does.

    Its client is at ``address``.
    """
    server, port = web.Application(), free_port()
    place = "10.0.0.21, port_value: 8000" if proxy == "envoy" else "10.0.0.21:8000"
    here = f"127.0.0.1{', port_value: ' if proxy == 'envoy' else ':'}{port}"
    with RUN[proxy](hubs, {**changes, place: here}) as front:
        async with front.client(address) as http:
            app = App(http, path)
            server.router.add_route("*", "/{anything:.*}", app.handle)
            runner = web.AppRunner(server)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", port).start()
            try:
                yield app
            finally:
                await runner.cleanup()
        sys.stdout.write(front.log)  # shown by pytest when a test failed


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=RUN)
async def kept_app(shared_hubs: Hubs, request: pytest.FixtureRequest) -> AsyncIterator[App]:
    """An app behind each proxy, with its file as it is shipped."""
    shared_hubs.heal()
    async with serving(request.param, shared_hubs) as app:
        yield app


@pytest.fixture
def app(kept_app: App, hubs: Hubs) -> App:
    """The same, with both replicas running, and nothing seen yet."""
    kept_app.seen.clear()
    return kept_app


def names() -> tuple[str, str]:
    """Return a new user and session."""
    return f"user-{secrets.token_hex(4)}", f"s-{secrets.token_hex(4)}"


async def log_out(hubs: Hubs, given: str) -> None:
    """Log somebody out, at a replica itself."""
    async with (
        aiohttp.ClientSession() as http,
        http.post(f"{hubs.b.url}/logout", headers={"Authorization": f"Bearer {given}"}) as answer,
    ):
        assert answer.status == 200


@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
async def test_a_living_token_is_let_through(app: App, method: str) -> None:
    """The app learns the caller's identity from the hub, not from the client."""
    user, sid = names()
    forged = dict.fromkeys((*IDENTITY, "X_Auth_User", "x_auth_issuer"), "forged")
    answer = await app.ask(token(user, sid), method, **forged)
    assert answer.status == 200
    assert [{name.title(): value for name, value in seen.items()} for seen in app.seen] == [
        {"X-Auth-User": user, "X-Auth-Session": sid}
    ]


@pytest.mark.parametrize("named", [", ".join(IDENTITY), "close, x-auth-user, x-auth-session"])
async def test_a_client_cannot_have_the_identity_removed(app: App, named: str) -> None:
    """The app learns who calls, also if the client's ``Connection`` says to remove that."""
    user, sid = names()
    assert (await app.ask(token(user, sid), Connection=named)).status == 200
    assert [{name.title(): value for name, value in seen.items()} for seen in app.seen] == [
        {"X-Auth-User": user, "X-Auth-Session": sid}
    ]


async def test_a_preflight_is_not_let_through(app: App) -> None:
    """Without a token, what looks like a preflight does not reach the app."""
    headers = {"Origin": "https://app.example", "Access-Control-Request-Method": "POST"}
    assert (await app.ask(None, "OPTIONS", **headers)).status == 401
    assert app.seen == []


async def test_a_dead_token_is_refused(app: App, hubs: Hubs) -> None:
    """After a logout the token gets 401 and does not reach the app."""
    given = token(*names())
    assert (await app.ask(given)).status == 200
    await log_out(hubs, given)
    answer = await app.ask(given)
    assert answer.status == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert len(app.seen) == 1


@pytest.mark.parametrize("given", [None, "", "nonsense"])
async def test_no_token_is_refused(app: App, given: str | None) -> None:
    """A request without a token, or with garbage, does not reach the app."""
    assert (await app.ask(given)).status == 401
    assert app.seen == []


async def test_without_an_answer_nobody_is_let_through(app: App, hubs: Hubs) -> None:
    """One replica is enough; if none answers, good and bad tokens get an error."""
    hubs.a.kill()
    given = token(*names())
    for _ in range(4):
        assert (await app.ask(given)).status == 200
    app.seen.clear()
    hubs.b.signal(signal.SIGSTOP)
    try:
        async with asyncio.timeout(PATIENCE):
            assert (await app.ask(given)).status in FAILURES
    finally:
        hubs.b.signal(signal.SIGCONT)
    hubs.b.kill()
    assert (await app.ask(given)).status in FAILURES
    assert (await app.ask("nonsense")).status in FAILURES
    assert app.seen == []


async def test_the_readmes_snippet_does_the_same(hubs: Hubs) -> None:
    """The snippet in the README lets living tokens through, and identifies their users."""
    async with serving("nginx", hubs, snippet_changes(), "/app/") as app:
        await test_a_living_token_is_let_through(app, "POST")
        app.seen.clear()
        await test_a_dead_token_is_refused(app, hubs)


@pytest.mark.skipif(sys.platform != "linux", reason="127.0.0.2 is an address on Linux only")
@pytest.mark.parametrize(
    "variant", [*RUN, *(f"{proxy} with a login page" for proxy in RUN), "README"]
)
async def test_a_client_does_not_choose_its_address(tmp_path: Path, variant: str) -> None:
    """The hub's audit log has the client's own, whatever X-Forwarded-For the client sends."""
    file, proxy = tmp_path / "audit.log", variant.partition(" ")[0]
    changes, path = TO_LOGIN[proxy] if proxy != variant else NONE, "/"
    if variant == "README":
        proxy, changes, path = "nginx", snippet_changes(), "/app/"
    given = settings(
        audit_file=str(file),
        trusted_proxies="127.0.0.1",
        verify_redirects="web=https://login.example/",
    )
    async with running(given) as hub:
        hubs = SimpleNamespace(a=hub, b=hub)
        async with serving(proxy, hubs, changes, path, "127.0.0.2") as app:
            for forged in ("192.0.2.1", "192.0.2.1, 127.0.0.1"):
                named = {"X-Forwarded-For": forged, "Sec-Fetch-Mode": "navigate"}
                answer = await app.ask("nonsense", "GET", **named)
                assert answer.status in (401, 303)
    entries = [json.loads(line) for line in file.read_text().splitlines()]
    refusals = [one["facts"] for one in entries if one["event"] == "refused"]
    assert {one["address"] for one in refusals} == {"127.0.0.2"}


@pytest.mark.parametrize("proxy", TO_LOGIN)
async def test_browsers_are_sent_to_log_in(hubs: Hubs, proxy: str) -> None:
    """With the change that each file names, browsers are redirected, and programs get 401."""
    host = {"Host": "app.example"}
    page = {**host, "Sec-Fetch-Mode": "navigate", "X-Forwarded-Uri": "/forged"}
    async with serving(proxy, hubs, TO_LOGIN[proxy]) as app:
        for method in ("GET", "POST"):
            answer = await app.ask(None, method, **page)
            assert answer.status == 303
            back = "https%3A%2F%2Fapp.example%2Fanything%3Faccess_token%3Dx%26b%3Dc"
            assert answer.headers["Location"] == f"https://login.example/?next={back}"
        refused = await app.ask("nonsense", **host)
        assert refused.status == 401
        assert refused.headers["WWW-Authenticate"].startswith("Bearer")
        elsewhere = await app.ask(None, **{**page, "Host": "evil.example"})
        assert elsewhere.headers["Location"] == "https://login.example/"
        assert app.seen == []
        assert (await app.ask(token(*names()), **page)).status == 200


async def test_nginx_keeps_an_answer_as_long_as_the_hub_allows() -> None:
    """With HUB_VERIFY_CACHE, nginx asks once per token in that time, and caches no refusal."""
    cache = {
        "limit_conn_zone": "proxy_cache_path cache keys_zone=verdicts:1m;\n    limit_conn_zone",
        "            proxy_pass http://hub/verify;": "            proxy_pass http://hub/verify;\n"
        "            proxy_cache verdicts;\n"
        "            proxy_cache_key $http_authorization$http_cookie;",
    }
    async with running(settings(verify_cache=4)) as hub:
        hubs = SimpleNamespace(a=hub, b=hub)
        async with serving("nginx", hubs, cache) as app:
            good, bad = token(*names()), token("ada", lifetime=-9)
            for _ in range(3):
                assert (await app.ask(good)).status == 200
                assert (await app.ask(bad)).status == 401
            metrics = (await hub.call("GET", "/metrics")).body
            counted = set(re.findall(r'requests_total{.*"/verify",status=("\d+"} \S+)', metrics))
            assert counted == {'"204"} 1.0', '"401"} 3.0'}
            assert (await hub.call("POST", "/logout", good)).status == 200
            async with asyncio.timeout(PATIENCE):
                while (await app.ask(good)).status == 200:  # noqa: ASYNC110
                    await asyncio.sleep(0.5)


async def test_traefiks_file_names_what_the_hub_answers() -> None:
    """What no test runs is at least YAML, and copies each header of the hub."""
    made = yaml.safe_load(changed("traefik-verify.yaml", NONE))
    asked = made["http"]["middlewares"]["logout-hub"]["forwardAuth"]
    assert asked["authResponseHeaders"] == list(IDENTITY)
    assert asked["trustForwardHeader"] is False
