"""What SIGHUP changes while requests are being answered: all of it at once, or nothing."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer

from hub.api.services import SERVICES
from hub.core.tokens import Header
from tests.signals_site import access_token
from tests.signals_table import ISSUER, Sender
from tests.site import Replica, running, settings

SENDER = Sender()

OTHERS = """
[[issuer]]
iss = "https://other.example"
secret = "a secret of another issuer of the tests"
audience = "*"
"""


class Site:
    """A hub whose issuer does not answer with its keys before it is told to."""

    hub: Replica

    def __init__(self, file: Path, jwks: str) -> None:
        self.file = file
        self.asked = asyncio.Event()
        self.answers = asyncio.Event()
        self.withdrawn: set[str] = set()
        self._jwks = jwks

    def entry(self, audience: str = "api") -> str:
        """Return the issuer's entry."""
        return f'[[issuer]]\niss = "{ISSUER}"\njwks_url = "{self._jwks}"\naudience = "{audience}"\n'

    def transmitter(self, iss: str) -> str:
        """Return the table of a transmitter."""
        return (
            f'[[transmitter]]\niss = "{iss}"\naud = "hub"\njwks_url = "{self._jwks}"\n'
            'issuer = "https://other.example"\ndelivery = "push"\n'
        )

    def write(self, text: str) -> None:
        """Change the file."""
        self.file.write_text(text)

    async def reload(self, text: str) -> None:
        """Do what SIGHUP does, with another file."""
        self.write(text)
        await self.hub.reload()

    @contextlib.asynccontextmanager
    async def verifying(self) -> AsyncIterator[asyncio.Task[int]]:
        """Yield a task that asks ``/verify``, which waits for the keys by now."""

        async def ask() -> int:
            return (await self.hub.call("POST", "/verify", access_token(SENDER))).status

        asking = asyncio.create_task(ask())
        await self.asked.wait()
        yield asking


@pytest_asyncio.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    """A hub with one issuer."""
    made: Site | None = None

    async def get_keys(request: web.Request) -> web.Response:
        assert made is not None
        made.asked.set()
        await made.answers.wait()
        keys = [key for key in SENDER.jwks()["keys"] if key["kid"] not in made.withdrawn]
        return web.json_response({"keys": keys})

    app = web.Application()
    app.router.add_get("/jwks", get_keys)
    async with TestServer(app) as server:
        made = Site(tmp_path / "issuers.toml", str(server.make_url("/jwks")))
        made.write(made.entry())
        async with running(settings(issuers=str(made.file), jwt_secret=None)) as hub:
            made.hub = hub
            yield made
            made.answers.set()


async def test_a_key_that_a_transmitter_withdrew_signs_nothing_after_sighup(site: Site) -> None:
    """A stolen key must not end sessions for another hour."""
    site.answers.set()
    text = OTHERS + site.transmitter(ISSUER)
    await site.reload(text)
    (client,) = site.hub.app[SERVICES].transmitters.clients
    header = Header("ES256", "ES256")
    (key,) = await client.keys.find(header)
    assert client.keys.has(header, key)
    site.withdrawn.add("ES256")
    await site.reload(text)
    assert site.hub.app[SERVICES].transmitters.clients == (client,)
    assert not client.keys.has(header, key)


async def test_who_waits_for_keys_that_are_not_used_any_more_is_answered(site: Site) -> None:
    """With 503: whoever asks again gets the verdict of the new settings."""
    async with site.verifying() as asking:
        await site.reload(OTHERS)
        assert await asking == 503
    assert (await site.hub.call("GET", "/verify", access_token(SENDER))).status == 401


async def test_no_token_is_accepted_by_settings_that_were_replaced(site: Site) -> None:
    """Also if the keys, which arrive later, are the same."""
    async with site.verifying() as asking:
        await site.reload(site.entry(audience="another"))
        site.answers.set()
        assert await asking == 503
    assert (await site.hub.call("GET", "/verify", access_token(SENDER))).status == 401


async def test_of_two_reloads_at_once_the_later_counts(site: Site) -> None:
    """In everything, however long the earlier takes to close what it does not need."""
    earlier, later = "https://earlier.example", "https://later.example"
    async with site.verifying() as asking, asyncio.TaskGroup() as tasks:
        tasks.create_task(site.reload(OTHERS + site.transmitter(earlier)))
        await asyncio.sleep(0)
        tasks.create_task(site.reload(OTHERS + site.transmitter(later)))
    assert await asking == 503
    clients = site.hub.app[SERVICES].transmitters.clients
    assert [client.transmitter.iss for client in clients] == [later]
