"""What the balancers let through, with which limits, and what they report about the client."""

from __future__ import annotations

import re
import secrets
import sys
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

import aiohttp
import jwt
import pytest
from aiohttp import web
from aiohttp.test_utils import RawTestServer

from hub.api.services import SERVICES
from hub.core.tokens import MAX_TOKEN_BYTES
from hub.protocol.engineio import Config
from tests.deploy.balancers import DEPLOY, RUN, Front
from tests.deploy.hubs import Hubs
from tests.deploy.raw import connections_to, seconds_until_cut, status_of
from tests.realtime.raw import eventually
from tests.site import ADMIN, SECRET, Replica, running, settings, token

TIMEOUTS = {
    "nginx.conf": ["proxy_read_timeout", "proxy_send_timeout"],
    "haproxy.cfg": ["timeout client", "timeout server", "timeout tunnel"],
}
HEADER_TIMEOUTS = {
    "nginx": ("client_header_timeout 10s", "client_header_timeout 1s"),
    "haproxy": ("timeout http-request 10s", "timeout http-request 1s"),
}
ADDRESS_LIMITS = {
    "nginx": ("limit_conn addresses 12000", "limit_conn addresses 3"),
    "haproxy": ("sc0_conn_cur gt 12000", "sc0_conn_cur gt 3"),
}
ADMIN_LISTENER: dict[str, Callable[[int], dict[str, str]]] = {
    "nginx": lambda _: {},
    "haproxy": lambda port: {
        "write: default-server check port 9090 inter": "",
        "default-server check inter": f"default-server check port {port} inter",
    },
}
"""What each file says to change for an admin listener on a port."""

LARGEST = 16 * 1024
FORGED = "192.0.2.1, 127.0.0.1"

FOR_OPERATORS = [
    "/metrics",
    "/metrics?x=1",
    "/%6detrics",
    "//metrics",
    "/./metrics",
    "/x/../metrics",
    "/readyz",
    "/admin/logout",
    "/admin/users/ada/sessions",
    "/%61dmin/users/ada/sessions",
    "/%2561dmin/users/ada/sessions",
    "//admin/users/ada/sessions",
    "/x/../admin/users/ada/sessions",
    "/x/%2e%2e/admin/users/ada/sessions",
    "/admin%2Fusers/ada/sessions",
    "http://hub/admin/users/ada/sessions",
    "http://hub/metrics",
]


def bearer(given: str) -> dict[str, str]:
    """Return the headers of a request with a token."""
    return {"Authorization": f"Bearer {given}"}


def large_token() -> str:
    """Return a token that is nearly as large as a token may be."""
    claims = jwt.decode(token("ada"), options={"verify_signature": False})
    padding = "x" * (MAX_TOKEN_BYTES * 3 // 4 - 400)
    given = jwt.encode({**claims, "padding": padding}, SECRET)
    assert 0.9 * MAX_TOKEN_BYTES < len(given) <= MAX_TOKEN_BYTES
    return given


async def test_the_files_are_taken_without_a_warning(
    front: Front, http: aiohttp.ClientSession
) -> None:
    """The balancer logs no warning, at its start or at a first request."""
    async with http.get("/healthz") as answer:
        assert answer.status == 200
    assert not re.search(r"\[(warn|warning|alert|emerg|error)\]", front.log, re.IGNORECASE)


@pytest.mark.parametrize("file", TIMEOUTS)
def test_a_socket_that_only_pings_is_left_alone(file: str) -> None:
    """No idle timeout is shorter than the hub's ping interval and timeout."""
    text = (DEPLOY / file).read_text(encoding="utf-8")
    if file == "nginx.conf":
        text = text[text.index("location /socket.io/") :]
    for name in TIMEOUTS[file]:
        found = re.findall(rf"^ *{name} +(\d+)s;?$", text, re.MULTILINE)
        assert len(found) == 1
        assert int(found[0]) > Config().ping_interval + Config().ping_timeout


@pytest.mark.parametrize("name", RUN)
async def test_slow_headers_are_cut(name: str, hubs: Hubs) -> None:
    """A client that sends a request line byte by byte is cut when its time is over."""
    with RUN[name](hubs, changes=dict([HEADER_TIMEOUTS[name]])) as front:
        assert await seconds_until_cut(front) > 0.5


async def test_large_headers_pass(front: Front, http: aiohttp.ClientSession) -> None:
    """The largest token passes, and so does a request with 16 KB of headers."""
    headers = bearer(large_token())
    async with http.get("/session", headers=headers) as answer:
        assert answer.status == 200
    rest = LARGEST - sum(len(name) + len(value) + 4 for name, value in headers.items())
    async with http.get("/session", headers={**headers, "X-Rest": "x" * (rest - 10)}) as answer:
        assert answer.status == 200


async def test_huge_headers_are_refused(front: Front, http: aiohttp.ClientSession) -> None:
    """A header that the hub would refuse is refused by the balancer."""
    async with http.get("/session", headers={"X-Huge": "x" * 3 * LARGEST}) as answer:
        assert answer.status in (400, 431)
        assert answer.content_type == "text/html"


async def test_too_many_headers_are_refused_or_cheap(
    front: Front, http: aiohttp.ClientSession
) -> None:
    """Two hundred small headers reach no hub through HAProxy; nginx counts their bytes only."""
    headers = {f"X-Many-{number}": "x" for number in range(200)}
    async with http.get("/healthz", headers=headers) as answer:
        assert answer.status in ((400, 431) if front.name == "haproxy" else (200, 400, 431))


async def test_browsers_are_told_to_use_https(front: Front, http: aiohttp.ClientSession) -> None:
    """Every response has Strict-Transport-Security once, for at least a year."""
    for path in ("/healthz", "/session", "/metrics", "/nothing"):
        async with http.get(path) as answer:
            (policy,) = answer.headers.getall("Strict-Transport-Security")
            found = re.search(r"max-age=(\d+)", policy)
            assert found is not None
            assert int(found[1]) >= 365 * 86_400


@pytest.mark.skipif(sys.platform != "linux", reason="127.0.0.2 is an address on Linux only")
@pytest.mark.parametrize("name", RUN)
async def test_one_address_cannot_have_all_connections(name: str, hubs: Hubs) -> None:
    """Who holds as many sockets as an address may gets no more, and other addresses do."""
    with RUN[name](hubs, changes=dict([ADDRESS_LIMITS[name]])) as front:
        async with front.client("127.0.0.2") as greedy, front.client() as other:
            held = []
            refused = False
            for number in range(6):
                try:
                    socket = await greedy.ws_connect(
                        "/socket.io/?EIO=4&transport=websocket", autoclose=False
                    )
                    held.append(socket)
                except aiohttp.ClientError:
                    refused = True
                    assert number >= 2
            assert refused
            async with other.get("/healthz") as answer:
                assert answer.status == 200
            for socket in held:
                await socket.close()


async def test_a_large_body_is_refused_by_the_hub(
    front: Front, http: aiohttp.ClientSession
) -> None:
    """A body a little over the hub's limit gets the hub's own error."""
    async with http.post("/logout", headers=bearer(token("ada")), data=b" " * 70_000) as answer:
        assert answer.status == 413
        assert (await answer.json(content_type=None))["code"] == "payload_too_large"


async def test_a_huge_body_is_refused(front: Front, http: aiohttp.ClientSession) -> None:
    """A body far over the hub's limit is refused by the balancer, by its length alone."""
    headers = {**bearer(token("ada")), "Expect": "100-continue"}
    async with http.post("/logout", headers=headers, data=b" " * 1_000_000) as answer:
        assert answer.status == 413
        assert answer.content_type == "text/html"


@pytest.mark.skipif(sys.platform != "linux", reason="127.0.0.2 is an address on Linux only")
async def test_the_hub_sees_the_clients_address(front: Front) -> None:
    """A session's address is the client's, whatever X-Forwarded-For the client sends."""
    for address in ("127.0.0.2", "127.0.0.1"):
        async with front.client(address) as client:
            for forged in ({}, {"X-Forwarded-For": "192.0.2.1"}, {"X-Forwarded-For": FORGED}):
                headers = {**bearer(token(f"ada-{secrets.token_hex(4)}")), **forged}
                async with client.get("/session", headers=headers) as answer:
                    assert answer.status == 200
                    assert (await answer.json())["ip"] == address


async def test_what_is_for_operators_is_not_outside(front: Front) -> None:
    """Metrics, readiness and admin calls are 404 from outside, in whatever spelling."""
    statuses = {target: await status_of(front, target) for target in FOR_OPERATORS}
    assert statuses == dict.fromkeys(FOR_OPERATORS, 404)


async def test_the_rest_is_outside(front: Front, http: aiohttp.ClientSession) -> None:
    """Calls for clients are reachable; an admin token opens no operators' call."""
    for path in ("/healthz", "/client.js", "/openapi.json"):
        async with http.get(path) as answer:
            assert answer.status == 200
    async with http.post("/admin/logout", headers=bearer(ADMIN), json={"user": "x"}) as answer:
        assert answer.status == 404


@pytest.mark.parametrize("name", RUN)
async def test_replicas_may_have_an_admin_listener(name: str) -> None:
    """With the change that the file names, a replica that is ready there gets requests."""
    async with running(settings(admin_port=0)) as hub:
        (port,) = hub.app[SERVICES].admin_ports
        hubs: Any = SimpleNamespace(a=hub, b=hub)
        with RUN[name](hubs, ADMIN_LISTENER[name](port)) as front:
            # HAProxy takes replicas for alive until it has checked each of them twice.
            checks = 4 if ADMIN_LISTENER[name](port) else 0
            await eventually(partial(has_answered, hub.beside(port), "/readyz", checks))
            async with front.client() as client, client.get("/healthz") as answer:
                assert answer.status == 200
            assert await status_of(front, "/readyz") == 404


async def has_answered(operators: Replica, route: str, times: int) -> bool:
    """Say whether a hub has answered as many requests for a route, by its metrics."""
    metrics = (await operators.call("GET", "/metrics")).body
    found = re.findall(rf'hub_requests_total{{.*"{route}",.*}} (\S+)', metrics)
    return sum(map(float, found)) >= times


@pytest.mark.parametrize("name", RUN)
async def test_other_upgrades_are_not_passed_on(name: str, hubs: Hubs) -> None:
    """An upgrade to HTTP/2 reaches a replica as an ordinary request."""
    heard: list[str | None] = []

    async def handle(request: web.BaseRequest) -> web.Response:
        if request.path == "/here":
            heard.append(request.headers.get("Upgrade"))
        return web.Response()

    async with RawTestServer(handle, host="127.0.0.1") as replica:
        changes = dict.fromkeys(("10.0.0.11:8080", "10.0.0.12:8080"), f"127.0.0.1:{replica.port}")
        with RUN[name](hubs, changes) as front:
            headers = {"Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c"}
            async with front.client() as client, client.get("/here", headers=headers) as answer:
                assert answer.status == 200
    assert heard == [None]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lists its connections in a file")
async def test_connections_to_the_hub_are_kept(front: Front, http: aiohttp.ClientSession) -> None:
    """Requests on a kept connection reach the hub on kept connections too."""
    ports = {front.hubs.a.port, front.hubs.b.port}

    async def ask() -> set[tuple[int, int]]:
        for _ in range(6):
            async with http.get("/healthz") as answer:
                assert answer.status == 200
        return connections_to(ports)

    assert await ask() & await ask()
