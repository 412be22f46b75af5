"""Sockets whose issuer entry or key is withdrawn while they are open."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from subprocess import PIPE
from types import SimpleNamespace
from typing import Any, cast
from unittest.mock import Mock

import jwt
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from hub.access.issuers import Issuers
from hub.access.minting import mint_token
from hub.core.issuers_document import read_document
from hub.core.key_schedule import KEY_SET_LIFETIME
from hub.realtime.connections import Connections
from hub.realtime.withdrawals import CLOSED_AT_ONCE, PAUSE, Withdrawals
from tests.commands import run_command
from tests.e2e.people import StockClient, stock_client
from tests.patience import PATIENCE
from tests.realtime.raw import eventually
from tests.signals_table import Sender
from tests.site import SECRET, Replica, running, settings

SENDER = Sender()
NEXT = SECRET[::-1]
LONG_SECRET = 3 * SECRET
OURS, THEIRS = "https://id.example", "https://other.example"


def entry(iss: str = OURS, *secrets: str, more: str = "") -> str:
    """Return an issuer entry with secrets."""
    return f'[[issuer]]\niss = "{iss}"\nsecret = {json.dumps(secrets or (SECRET,))}\n{more}\n'


def token(iss: str = OURS, secret: str = SECRET, **more: Any) -> str:
    """Return a token of one of these issuers."""
    return mint_token(secret, "ada", lifetime=600, issuer=iss, **more)


@contextlib.asynccontextmanager
async def connected(hub: Replica, given: str, **options: Any) -> AsyncIterator[StockClient]:
    """Run a stock client, over WebSocket unless other options are given."""
    async with stock_client(hub, given, **options or {"transports": ["websocket"]}) as one:
        await one.diary.wait("connect")
        yield one


async def is_refused(client: StockClient) -> None:
    """Check that a client was closed without DISCONNECT, reconnected, and was refused for good."""
    refusal = await client.diary.wait("refused")
    assert (refusal["message"], refusal["active"]) == ("token_invalid", False)
    (how,) = client.diary.all("disconnect")
    assert how in ("transport close", "transport error")
    assert client.diary.all("notified") == []


async def is_untouched(client: StockClient, hub: Replica, given: str) -> None:
    """Check that a client is still connected, and its token accepted."""
    assert (await hub.call("GET", "/verify", given)).status == 204
    assert (await client.emit("no such event", {}))["error"]["code"] == "not_found"
    assert [what for what, _ in client.diary.entries] == ["connect", "answer"]


class Site:
    """A hub in this process, with an issuers file and an issuer that publishes keys."""

    hub: Replica

    def __init__(self, file: Path) -> None:
        self.file = file
        self.published = SENDER.jwks()["keys"]
        self.asked = 0

    def write(self, text: str) -> None:
        """Change the file."""
        self.file.write_text(text)

    async def reload(self, text: str) -> None:
        """Do what SIGHUP does."""
        self.write(text)
        await self.hub.reload()

    async def get_keys(self, request: web.Request) -> web.Response:
        """Answer with the published keys."""
        self.asked += 1
        return web.json_response({"keys": self.published})

    def withdraw(self, kid: str) -> None:
        """Stop publishing a key."""
        self.published = [key for key in self.published if key["kid"] != kid]


@contextlib.asynccontextmanager
async def site_with(file: Path, text: str = "") -> AsyncIterator[Site]:
    """Run a hub with an issuers file: this text, or an issuer that publishes keys."""
    site, app = Site(file), web.Application()
    app.router.add_get("/jwks", site.get_keys)
    async with TestServer(app) as server:
        published = f'[[issuer]]\niss = "{OURS}"\njwks_url = "{server.make_url("/jwks")}"\n'
        site.write(text or published + 'audience = "*"\n')
        async with running(settings(issuers=str(file), jwt_secret=None)) as hub:
            site.hub = hub
            yield site


def signed_with(alg: str) -> str:
    """Return a token that is signed with a published key."""
    now = int(time.time()) - 2
    claims = {"iss": OURS, "aud": "any", "sub": "ada", "sid": alg, "iat": now, "exp": now + 600}
    return jwt.encode(claims, SENDER.keys[alg], alg, {"kid": alg})


@contextlib.asynccontextmanager
async def served(file: Path) -> AsyncIterator[tuple[Replica, Callable[[], None]]]:
    """Run a hub in a process of its own, and yield it with a function that sends it SIGHUP."""
    environ = {**os.environ, "HUB_ISSUERS": str(file), "HUB_LOG_FORMAT": "json"}
    process = await run_command(["serve", "--port", "0"], environ, stderr=PIPE)
    assert process.stderr is not None
    try:
        async with asyncio.timeout(PATIENCE):
            while "logout-hub on http" not in (line := (await process.stderr.readline()).decode()):
                pass
        port = int(json.loads(line)["event"].split()[2].rstrip(",").rpartition(":")[2])
        async with running(settings()) as any_hub:
            yield any_hub.beside(port), lambda: process.send_signal(signal.SIGHUP)
    finally:
        process.kill()
        await process.communicate()


async def test_sockets_of_an_issuer_that_sighup_removes_are_refused_as_http_refuses(
    tmp_path: Path,
) -> None:
    """On both transports they are closed, reconnect, and are refused; others stay."""
    file, theirs = tmp_path / "issuers.toml", token(THEIRS)
    file.write_text(entry() + entry(THEIRS))
    async with (
        served(file) as (hub, send_hangup),
        connected(hub, token()) as over_websocket,
        connected(hub, token(), transports=["polling"]) as over_polling,
        connected(hub, token(), reconnectionDelay=100) as upgraded,
        connected(hub, theirs) as other,
    ):
        file.write_text(entry(THEIRS))
        send_hangup()
        for client in (over_websocket, over_polling, upgraded):
            await is_refused(client)
        assert (await hub.call("GET", "/verify", token())).status == 401
        await is_untouched(other, hub, theirs)


async def test_a_removed_secret_disconnects_what_it_signed_and_nothing_else(
    tmp_path: Path,
) -> None:
    """At the end of a rotation, sockets of tokens signed with the remaining secret stay."""
    fresh = token(secret=NEXT)
    async with (
        site_with(tmp_path / "issuers.toml", entry(OURS, SECRET, NEXT)) as site,
        connected(site.hub, token()) as old,
        connected(site.hub, fresh) as new,
    ):
        await site.reload(entry(OURS, NEXT))
        await is_refused(old)
        await is_untouched(new, site.hub, fresh)


async def test_a_token_that_the_changed_rules_accept_comes_back(tmp_path: Path) -> None:
    """A socket that may no longer be accepted is closed, and its token judged again."""
    audience = 'audience = "shop"'
    async with (
        site_with(tmp_path / "issuers.toml", entry()) as site,
        connected(site.hub, token(audience="shop")) as fits,
        connected(site.hub, token(audience="bank")) as does_not,
    ):
        await site.reload(entry(more=audience))
        await is_refused(does_not)
        await fits.diary.wait("connect", 2)
        assert [what for what, _ in fits.diary.entries] == ["connect", "disconnect", "connect"]


async def test_a_reload_that_changes_nothing_disconnects_nobody(tmp_path: Path) -> None:
    """A new title or another issuer disconnects nobody either."""
    mine = token()
    async with (
        site_with(tmp_path / "issuers.toml", entry()) as site,
        connected(site.hub, mine) as client,
    ):
        await site.reload(entry(THEIRS) + entry(more='title = "our sign-in"'))
        await asyncio.sleep(2.5)
        await is_untouched(client, site.hub, mine)


@pytest.mark.parametrize(
    ("written", "rewritten"),
    [
        ('audience = ["shop", "bank"]', 'audience = ["bank", "shop", "bank"]'),
        ('audience_claims = ["aud", "azp"]', 'audience_claims = ["azp", "aud"]'),
        ('algorithms = ["HS256", "HS512"]', 'algorithms = ["HS512", "HS256"]'),
        ('aliases = ["https://a.example", "b"]', 'aliases = ["b", "https://a.example"]'),
        ("", "max_lifetime = 3600"),
    ],
)
async def test_the_same_rules_written_differently_disconnect_nobody(
    written: str, rewritten: str
) -> None:
    """A socket stays where only the order of a list has changed that has none."""
    assert await outlasts(written, rewritten)


@pytest.mark.parametrize(
    ("written", "rewritten"),
    [
        ('user = ["sub", "uid"]', 'user = ["uid", "sub"]'),
        ('session = ["sid", "jti"]', 'session = ["jti", "sid"]'),
        ('login_time = ["auth_time", "at"]', 'login_time = ["at", "auth_time"]'),
        ('aliases = ["a", "b"]', 'aliases = ["a"]'),
        ('audience = ["shop", "bank"]', 'audience = ["bank"]'),
        ('audience = "shop"', 'audience = "*"'),
        ("", 'audience = "shop"'),
        ("", "max_lifetime = 3601"),
        ("", "leeway = 1"),
    ],
)
async def test_rules_that_read_tokens_differently_disconnect_their_sockets(
    written: str, rewritten: str
) -> None:
    """A socket is judged again where claims are read in another order, or other tokens fit."""
    assert not await outlasts(written, rewritten)


async def outlasts(written: str, rewritten: str) -> bool:
    """Return whether a socket that these rules accepted stays when they are replaced."""
    read = functools.partial(read_document, max_lifetime=3600, leeway=0)
    issuers = Issuers(read(entry(OURS, LONG_SECRET, more=written)).entries)
    identity = await issuers.verify(token(secret=LONG_SECRET, audience="shop"))
    await issuers.replace(read(entry(OURS, LONG_SECRET, more=rewritten)).entries)
    return issuers.accepts(identity.proof)


async def test_sighup_fetches_keys_again_and_disconnects_what_a_withdrawn_one_signed(
    tmp_path: Path,
) -> None:
    """After a key was stolen, an operator need not wait for the hourly fetch."""
    stays = signed_with("RS256")
    async with (
        site_with(tmp_path / "issuers.toml") as site,
        connected(site.hub, signed_with("ES256")) as stolen,
        connected(site.hub, stays) as client,
    ):
        site.withdraw("ES256")
        await site.reload(site.file.read_text())
        await is_refused(stolen)
        await is_untouched(client, site.hub, stays)


async def test_the_hourly_fetch_disconnects_too_though_nobody_presents_a_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keys are fetched hourly while there are only sockets and no requests."""
    passed = 0.0
    # Only for the keys: the event loop's time must not jump.
    clock = SimpleNamespace(monotonic=lambda: time.monotonic() + passed)
    monkeypatch.setattr("hub.access.keys.time", clock)
    async with (
        site_with(tmp_path / "issuers.toml") as site,
        connected(site.hub, signed_with("ES256")) as client,
    ):
        site.withdraw("ES256")
        passed = KEY_SET_LIFETIME + 1
        await is_refused(client)


async def test_keys_are_fetched_hourly_though_there_is_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A withdrawn key is not accepted because nobody has presented a token for hours."""
    passed = 0.0
    clock = SimpleNamespace(monotonic=lambda: time.monotonic() + passed)
    monkeypatch.setattr("hub.access.keys.time", clock)
    async with site_with(tmp_path / "issuers.toml") as site:
        stolen = signed_with("ES256")
        assert (await site.hub.call("GET", "/verify", stolen)).status == 204
        site.withdraw("ES256")
        asked = site.asked
        passed = 5 * KEY_SET_LIFETIME
        await eventually(lambda: site.asked > asked)

        async def is_forgotten() -> bool:
            return (await site.hub.call("GET", "/verify", stolen)).status == 401

        await eventually(is_forgotten)


async def test_a_key_set_that_cannot_be_fetched_disconnects_nobody(tmp_path: Path) -> None:
    """The last keys stay in use, for sockets as for HTTP."""
    mine = signed_with("ES256")
    async with site_with(tmp_path / "issuers.toml") as site, connected(site.hub, mine) as client:
        site.published = []
        await site.reload(site.file.read_text())
        await asyncio.sleep(2.5)
        await is_untouched(client, site.hub, mine)


class FakeSocket:
    """A socket that counts how many were closed in the same iteration of the loop."""

    closed_at_once = 0

    def __init__(self, number: int) -> None:
        self.id = str(number)

    def close_transport(self) -> None:
        """Close."""
        FakeSocket.closed_at_once += 1


async def test_what_is_refreshed_while_others_are_closed_stays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A socket whose turn has not come yet may have a token of the new key by then."""
    issuers = Issuers([])
    monkeypatch.setattr(issuers, "accepts", lambda proof: proof == "new")
    sockets = [
        SimpleNamespace(socket=Mock(), identity=SimpleNamespace(proof="old"))
        for _ in range(CLOSED_AT_ONCE + 1)
    ]
    began = asyncio.Event()
    sockets[0].socket.close_transport.side_effect = began.set
    monkeypatch.setattr("hub.realtime.withdrawals.EVERY", 0.0)
    looking = asyncio.create_task(Withdrawals(issuers, cast("Connections", sockets)).run())
    await issuers.replace([])
    await asyncio.wait_for(began.wait(), PATIENCE)
    sockets[-1].identity = SimpleNamespace(proof="new")
    await asyncio.sleep(5 * PAUSE)
    looking.cancel()
    assert [one.socket.close_transport.called for one in sockets] == [True] * CLOSED_AT_ONCE + [
        False
    ]


async def test_a_look_that_failed_is_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next one does not take for granted what this one did not finish."""
    issuers, failures = Issuers([]), [OSError()]

    def accept(proof: object) -> bool:
        if failures:
            raise failures.pop()
        return False

    monkeypatch.setattr(issuers, "accepts", accept)
    monkeypatch.setattr("hub.realtime.withdrawals.EVERY", 0.0)
    closed, socket = asyncio.Event(), Mock()
    socket.close_transport.side_effect = closed.set
    one = SimpleNamespace(socket=socket, identity=SimpleNamespace(proof="old"))
    looking = asyncio.create_task(Withdrawals(issuers, cast("Connections", [one])).run())
    await issuers.replace([])
    await asyncio.wait_for(closed.wait(), PATIENCE)
    looking.cancel()


async def test_who_is_known_by_a_secret_does_not_show_it() -> None:
    """An identity names by what it was verified, and may be printed in an error."""
    (entry_with_secret,) = read_document(entry(), max_lifetime=3600, leeway=0).entries
    identity = await Issuers([entry_with_secret]).verify(token())
    assert identity.proof is not None
    assert SECRET not in repr(identity)


async def test_thousands_of_sockets_are_closed_a_few_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Other requests are answered between the batches."""
    monkeypatch.setattr("hub.realtime.withdrawals.EVERY", 0.0)
    issuers = Issuers([])
    sockets = [
        SimpleNamespace(
            id=str(n), socket=FakeSocket(n), identity=SimpleNamespace(proof=n % 2, user="|ada")
        )
        for n in range(1000)
    ]
    connections = cast("Connections", sockets)
    looking = asyncio.create_task(Withdrawals(issuers, connections).run())
    await issuers.replace([])
    most = total = 0
    async with asyncio.timeout(PATIENCE):
        while total < len(sockets):
            await asyncio.sleep(0)
            most = max(most, FakeSocket.closed_at_once)
            total, FakeSocket.closed_at_once = total + FakeSocket.closed_at_once, 0
    looking.cancel()
    assert 0 < most <= CLOSED_AT_ONCE
