"""``logout-hub probe`` through balancers, as they are shipped and as they are in the wild."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any, NamedTuple

import jwt
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.deploy.balancers import Changes, Front, run_nginx
from tests.deploy.hubs import Hubs
from tests.ports import free_port
from tests.site import SECRET, token
from tests.test_cli import execute, finish, spawn

STEPS = ["reach", "polling", "websocket", "connect", "upgrade", "notification", "cut", "refusal"]
NO_UPGRADES = {"proxy_set_header Upgrade $upgrade_to;": 'proxy_set_header Upgrade "";'}
NOT_STICKY = {"~\\.a$   hub_a;": "~\\.x$   hub_a;", "~\\.b$   hub_b;": "~\\.y$   hub_b;"}
SOCKETS = "location /socket.io/ {"
ANOTHER_SITE = {SOCKETS: "location /elsewhere/ {", "location / {": "location /hub/ {"}
NO_LOGOUT = {SOCKETS: f"location = /logout {{ return 405; }}\n{SOCKETS}"}


class Probed(NamedTuple):
    """What a probe ended with."""

    code: int
    told: dict[str, Any]
    err: str

    @property
    def failure(self) -> dict[str, Any]:
        """The one step that did not work, which is the last."""
        *before, last = self.told["steps"]
        assert all(step["ok"] for step in before)
        assert not last["ok"]
        assert self.code == 1
        return dict(last)


async def probe(url: str, *args: str, given: str = "", **variables: str) -> Probed:
    """Run a probe, as an operator does."""
    words = ("probe", "--url", url, "--json", *args)
    known = {"HUB_JWT_SECRET": SECRET, **variables}
    if "SSL_CERT_FILE" in variables:  # read when libraries are imported
        process = await execute(*words, **known)
    else:
        process = await spawn(words, known, given)
    ended = await finish(process, patience=50)
    return Probed(ended.code, json.loads(ended.out) if ended.out else {}, ended.err)


async def test_what_is_shipped_passes(front: Front) -> None:
    """Each step works through either balancer, and is timed; so often as one asks for."""
    trust = {"SSL_CERT_FILE": str(front.certificate)}
    probed = await probe(front.url, "--count", "5", **trust)
    assert (probed.code, probed.told["ok"]) == (0, True)
    steps = [step["step"] for step in probed.told["steps"]]
    assert steps == STEPS[:3] + 5 * STEPS[3:]
    assert set(probed.told["times"]) == set(STEPS[3:])
    assert 0 < probed.told["times"]["notification"]["p50"] < 20_000
    untrusted = await probe(front.url)
    assert "certificate" in untrusted.failure["detail"].lower()


@pytest.mark.parametrize(
    ("changes", "step", "words"),
    [
        (NO_UPGRADES, "websocket", "a proxy drop Upgrade"),
        (NOT_STICKY, "polling", "reach different replicas"),
        (ANOTHER_SITE, "reach", "404"),
        (NO_LOGOUT, "notification", "405"),
    ],
    ids=["no upgrades", "not sticky", "another path", "no logout"],
)
async def test_what_is_broken_is_named(hubs: Hubs, changes: Changes, step: str, words: str) -> None:
    """The first step that does not work says what stands between the clients and the hub."""
    with run_nginx(hubs, changes) as front:
        probed = await probe(front.url, SSL_CERT_FILE=str(front.certificate))
    assert probed.failure["step"] == step
    assert words in probed.failure["detail"]


async def test_a_token_may_be_given(hubs: Hubs) -> None:
    """Its session ends, and once it has, the hub's refusal is told; so is that of a wrong clock."""
    good = token("probed", "p1")
    probed = await probe(hubs.a.url, "--token-file", "-", given=good, HUB_JWT_SECRET="")
    assert (probed.code, [step["step"] for step in probed.told["steps"]]) == (0, STEPS)
    again = await probe(hubs.a.url, "--token-file", "-", given=good)
    assert again.failure["step"] == "connect"
    assert "token_revoked" in again.failure["detail"]
    claims = {"sub": "probed", "sid": "p2", "iat": time.time(), "nbf": time.time() + 300}
    early = jwt.encode({**claims, "exp": time.time() + 600}, SECRET)
    probed = await probe(hubs.a.url, "--token-file", "-", given=early)
    assert "token_invalid" in probed.failure["detail"]
    for text in (good, early):
        assert text not in json.dumps(probed.told) + probed.err


async def test_a_hub_that_is_not_there_or_says_nothing_is_told() -> None:
    """A closed port at once, a silent one after the limit."""
    probed = await probe(f"127.0.0.1:{free_port()}")
    assert probed.failure["step"] == "reach"

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with await asyncio.start_server(say_nothing, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        probed = await probe(f"127.0.0.1:{port}")
    assert "within 10 s" in probed.failure["detail"]


@pytest.mark.parametrize(
    ("date", "opening", "step"),
    [
        ("soon", '0{"sid": "a"}', "reach"),
        ("Sat, 28 Nov 99999 00:00:00 GMT", '0{"sid": "a"}', "reach"),
        (None, "0{", "polling"),
        (None, "0{}", "polling"),
        (None, "0{" * 100_000, "polling"),
        (None, '0{"sid": "a"}', "websocket"),
    ],
)
async def test_what_is_no_hub_may_answer_anything(
    date: str | None, opening: str, step: str
) -> None:
    """The step is named at which it is no hub any more."""
    headers = {} if date is None else {"Date": date}

    async def answer(request: web.Request) -> web.Response:
        return web.Response(text=opening, headers=headers)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    async with TestServer(app) as server:
        probed = await probe(str(server.make_url("")))
    assert probed.failure["step"] == step
    assert probed.failure["detail"]


async def test_a_probe_needs_a_token() -> None:
    """One line says where it may come from, or why not more than once."""
    probed = await probe("127.0.0.1:1", HUB_JWT_SECRET="")
    assert probed.code == 2
    assert "--token-file" in probed.err
    probed = await probe("127.0.0.1:1", "--token-file", "-", "--count", "2", given="x")
    assert probed.code == 2
    assert "HUB_JWT_SECRET" in probed.err
