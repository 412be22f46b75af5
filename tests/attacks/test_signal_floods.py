"""Floods of forged signals at `/backchannel-logout` and at `/events`.

The bound: each costs one check of a signature at most, and nothing outside the hub: no command to
the store, no request for keys (a key that is not known has them fetched once in its cool-down). How
many there were is logged and recorded in the store once a second; metrics have a fixed number of
series, memory does not grow. Meanwhile the others are served, and a good signal from the same
address is taken.
"""

from __future__ import annotations

import asyncio
import functools
import itertools
import json
import secrets
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import jwt
import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer

from hub.api.events import EVENT_TYPE
from hub.core.model import user_key
from hub.store.names import Names
from tests.apart import hub_process
from tests.attacks.flooded import bare_socket, p99, resident_bytes
from tests.commands import Running
from tests.patience import PATIENCE
from tests.ports import free_port
from tests.redis_server import RedisServer, started
from tests.signals_site import LOGOUT_AUDIENCE, issuer_settings
from tests.signals_table import (
    CLIENT,
    COMMON,
    FORGED,
    ISSUER,
    TWIN,
    Case,
    Sender,
    event_token,
    logout_token,
)
from tests.site import SECRET, Answer, Replica, running, token

SENDER, STRANGER = Sender(), Sender()
ELSEWHERE = Sender("https://evil.example")
UNKNOWN_KEY = Case("a key that is not published", None, header={"kid": "new"})

NOT_NOW = 503
"""The answer to a key that may be a new one, as long as the keys are not fetched again for it."""

FLOODERS, SECONDS, TRIES = 8, 1.0, 3
MARGIN, FLOOR = 10, 0.25
"""How much worse than a quiet moment it may be, and what is never too bad on a busy machine."""
SOON = 8.0
MAX_LEFT = 40 * 1024 * 1024
"""Bytes that may stay in the process."""

SETTINGS = f"""
[[issuer]]
secret = "{SECRET}"
audience = "*"

[[issuer]]
iss = "{ISSUER}"
audience = "api"
logout_audience = "{CLIENT}"
jwks_url = "{{jwks}}"

[[transmitter]]
iss = "{ISSUER}"
aud = "{CLIENT}"
jwks_url = "{{jwks}}"
delivery = "push"
"""

Make = Callable[[Case, Sender], str]


def _logout(case: Case, sender: Sender) -> str:
    return logout_token(case, sender, time.time())


def _event(case: Case, sender: Sender) -> str:
    return event_token(case, sender, time.time())


def bad_tokens(make: Make) -> dict[str, list[str]]:
    """Return some tokens of each kind that a stranger may send."""
    of_many = range(20)
    return {
        "garbage": [secrets.token_urlsafe(1000) for _ in of_many],
        "three parts": [".".join(secrets.token_urlsafe(300) for _ in "abc") for _ in of_many],
        "large": ["x" * 65_000],
        "of another issuer": [make(TWIN, ELSEWHERE) for _ in of_many],
        "of an unknown key": [make(UNKNOWN_KEY, SENDER) for _ in of_many],
        "of the wrong key": [make(TWIN, STRANGER) for _ in of_many],
    }


@dataclass
class Attacked:
    """A hub in a process of its own, with its Redis, its log, and the keys that it fetches."""

    hub: Replica
    process: Running
    redis: RedisServer
    log: Path
    fetched: list[float] = field(default_factory=list)

    async def send(self, path: str, text: str) -> Answer:
        """Send a token as its sender does."""
        if path == "/events":
            headers = {"Content-Type": EVENT_TYPE}
            return await self.hub.call("POST", path, data=text, headers=headers)
        return await self.hub.call("POST", path, data={"logout_token": text})

    def calls(self, *commands: str) -> int:
        """Return how often Redis has run some commands."""
        with self.redis.client() as client:
            stats: Any = client.info("commandstats")
        return sum(stats.get(f"cmdstat_{name}", {"calls": 0})["calls"] for name in commands)

    def logouts(self) -> int:
        """Return how many logouts were written in the partition of the user of good signals."""
        with self.redis.client() as client:
            return int(client.xlen(Names(user_key(ISSUER, "ada")).log))

    def lines(self) -> list[str]:
        """Return what was logged of refusals."""
        told = map(json.loads, self.log.read_text().splitlines())
        return [line["event"] for line in told if line["level"] in ("warning", "error")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def attacked(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Attacked]:
    """A hub that has its issuer's keys, and limits no address."""
    folder, fetched = tmp_path_factory.mktemp("attacked"), list[float]()

    async def get_keys(request: web.Request) -> web.Response:
        fetched.append(time.monotonic())
        return web.json_response(SENDER.jwks())

    app = web.Application()
    app.router.add_get("/jwks", get_keys)
    timeout = aiohttp.ClientTimeout(total=PATIENCE)
    with started(RedisServer(folder)) as redis, (folder / "log").open("wb") as log:
        async with TestServer(app) as keys, aiohttp.ClientSession(timeout=timeout) as http:
            file = folder / "issuers.toml"
            file.write_text(SETTINGS.format(jwks=keys.make_url("/jwks")))
            hub = Replica(web.Application(), free_port(), http)
            environ = {
                "HUB_JWT_SECRET": "",
                "HUB_ISSUERS": str(file),
                "HUB_REDIS_URL": redis.url,
                "HUB_LOG_FORMAT": "json",
                "HUB_LIMIT_REFUSED": "off",
                "HUB_LIMIT_READ_SECONDS": "1",
            }
            async with hub_process(hub.port, hub.is_ready, log.fileno(), **environ) as process:
                made = Attacked(hub, process, redis, folder / "log", fetched)
                await check_taken(made)
                yield made


async def check_taken(at: Attacked) -> None:
    """Check that good signals are accepted and written."""
    written = at.logouts()
    assert (await at.send("/backchannel-logout", _logout(TWIN, SENDER))).status == 200
    assert (await at.send("/events", _event(TWIN, SENDER))).status == 202
    assert at.logouts() == written + 2


async def flood(at: Attacked, path: str, tokens: list[str], answers: list[int]) -> None:
    """Send tokens, one after the other, until cancelled."""
    for text in itertools.cycle(tokens):
        answers.append((await at.send(path, text)).status)


async def be_told(at: Attacked) -> float:
    """Return how many seconds after a logout another device is notified."""
    reader, writer = await bare_socket(at.hub, token("eve", secrets.token_hex(8)))
    try:
        began = asyncio.get_running_loop().time()
        asked = at.hub.call("POST", "/logout", token("eve", "laptop"), json={"scope": "others"})
        told = asyncio.wait_for(reader.readuntil(b"logoutNotification"), PATIENCE)
        answer, _ = await asyncio.gather(asked, told)
        assert answer.status == 200
        return asyncio.get_running_loop().time() - began
    finally:
        writer.transport.abort()


@pytest.mark.skipif(sys.platform != "linux", reason="it reads /proc")
@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("path", "make"), [("/backchannel-logout", _logout), ("/events", _event)], ids=["form", "event"]
)
async def test_a_flood_of_bad_signals_costs_a_signature_each_and_nothing_else(
    attacked: Attacked, path: str, make: Make
) -> None:
    """During a flood of every kind, other users and good signals are not delayed."""
    at, loop = attacked, asyncio.get_running_loop()
    quiet, calm = await p99(at.hub, SECONDS), at.calls("evalsha", "hset", "xadd")
    began = loop.time()
    await asyncio.sleep(SECONDS)
    usual = (at.calls("evalsha", "hset", "xadd") - calm) / (loop.time() - began)
    held, lines, fetched = resident_bytes(at.process), len(at.lines()), len(at.fetched)
    seen = []
    for _ in range(TRIES):
        answers: list[int] = []
        before, began = at.calls("evalsha", "hset", "xadd"), loop.time()
        floods = [
            asyncio.create_task(flood(at, path, tokens, answers))
            for tokens in bad_tokens(make).values()
            for _ in range(FLOODERS // 4)
        ]
        await asyncio.sleep(2 * SECONDS)
        took, commands = loop.time() - began, at.calls("evalsha", "hset", "xadd") - before
        sent = len(answers)
        felt, told = await p99(at.hub, SECONDS), await be_told(at)
        await check_taken(at)
        for task in floods:
            task.cancel()
        await asyncio.gather(*floods, return_exceptions=True)
        assert set(answers) <= {400, NOT_NOW}
        assert commands < 2 * usual * took + sent / 10, (commands, usual, took, sent)
        seen.append((felt, told))
        if max(felt, told) < max(FLOOR, MARGIN * quiet):
            break
    else:
        pytest.fail(f"{quiet} s while it was quiet, {seen} beside the flood")
    # The issuer and the transmitter each have keys, and fetch them at most twice a minute.
    assert len(at.fetched) - fetched <= 2
    took = loop.time() - began + len(seen) * 8 * SECONDS
    assert len(at.lines()) - lines <= took
    assert resident_bytes(at.process) - held < MAX_LEFT


@pytest.mark.asyncio(loop_scope="module")
async def test_metrics_have_no_word_of_a_stranger(attacked: Attacked) -> None:
    """Labels are only channels, reasons and configured senders."""
    for make, path in ((_logout, "/backchannel-logout"), (_event, "/events")):
        for sender in (ELSEWHERE, STRANGER):
            assert (await attacked.send(path, make(TWIN, sender))).status == 400
    text = (await attacked.hub.call("GET", "/metrics")).body
    rows = [row for row in text.splitlines() if row.startswith("hub_signals_refused_total")]
    assert 0 < len(rows) < 30
    assert ELSEWHERE.iss not in text


@pytest.mark.asyncio(loop_scope="module")
async def test_bodies_are_read_for_so_long_and_so_far(attacked: Attacked) -> None:
    """More than 64 KiB are refused, and a slow body is read for no longer than the setting."""
    for path in ("/backchannel-logout", "/events"):
        assert (await attacked.send(path, "x" * 66_000)).status == 413
    began = time.monotonic()
    said = await asyncio.gather(*(drip(attacked.hub, path) for path in ("/events",) * 20))
    # A client that writes on for too long, on a busy machine, loses the answer with the connection.
    answers = [answer for answer in said if answer]
    assert answers
    assert all(b" 408 " in answer for answer in answers)
    assert time.monotonic() - began < SOON
    await check_taken(attacked)


async def drip(hub: Replica, path: str) -> bytes:
    """Send a body as slowly as possible, and return the response, or nothing if it was cut."""
    reader, writer = await asyncio.open_connection("127.0.0.1", hub.port)
    head = f"POST {path} HTTP/1.1\r\nHost: hub\r\nContent-Type: {EVENT_TYPE}\r\n"
    writer.write(f"{head}Content-Length: 5000\r\n\r\n".encode())

    async def go_on() -> None:
        with suppress(ConnectionError):
            while True:
                writer.write(b"x")
                await asyncio.sleep(0.2)

    going = asyncio.create_task(go_on())
    answer = b""
    try:
        async with asyncio.timeout(PATIENCE):
            with suppress(ConnectionError):
                while block := await reader.read(4096):
                    going.cancel()
                    answer += block
        return answer
    finally:
        going.cancel()
        writer.transport.abort()


async def test_no_bad_signal_has_more_than_one_signature_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None is checked at all if the form, type, issuer or key is wrong."""
    checked = []
    check = jwt.PyJWS.decode

    def count(*given: Any, **named: Any) -> Any:
        checked.append(given)
        return check(*given, **named)

    monkeypatch.setattr(jwt.PyJWS, "decode", count)
    more = SETTINGS[SETTINGS.index("[[transmitter]]") :]
    async with (
        issuer_settings(tmp_path, SENDER, LOGOUT_AUDIENCE, more, limit_refused=None) as given,
        running(given) as served,
    ):
        at = functools.partial(Attacked.send, Attacked(served, None, None, tmp_path))  # type: ignore[arg-type]
        for path, make in (("/backchannel-logout", _logout), ("/events", _event)):
            for case in (*FORGED, *COMMON):
                checked.clear()
                assert (await at(path, make(case, SENDER))).status in {200, 202, 400, NOT_NOW}
                assert len(checked) <= 1, case
            for kind, tokens in bad_tokens(make).items():
                checked.clear()
                expected = {400, NOT_NOW} if kind == "of an unknown key" else {400}
                assert (await at(path, tokens[0])).status in expected
                assert len(checked) == (kind == "of the wrong key"), kind
