"""Two replicas in processes of their own, on one Redis, and a transmitter that they poll."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from hub.access.stream_notes import Kind
from hub.access.transmitters import name_of
from hub.core.model import SECOND
from hub.store.redis import RedisStore
from tests.access.stream_support import settings_for
from tests.patience import PATIENCE
from tests.ports import free_port
from tests.realtime.raw import eventually
from tests.site import SECRET, token
from tests.ssf_transmitter import Transmitter
from tests.test_cli import Process, spawn


class Hub:
    """A replica in a process of its own."""

    def __init__(self, name: str, variables: dict[str, str]) -> None:
        self.name = name
        self.port = free_port()
        self._variables = variables | {"HUB_REPLICA": name, "HUB_PORT": str(self.port)}
        self.process: Process | None = None

    async def start(self) -> None:
        """Start it, and wait until it is ready."""
        self.process = await spawn(["serve"], self._variables)
        await eventually(self.is_ready)

    async def is_ready(self) -> bool:
        """Return whether it is ready."""
        return await self.ask("/readyz") == 200

    async def ask(self, path: str, token: str | None = None) -> int | None:
        """Return the status of an answer, or None if there is none."""
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        async with aiohttp.ClientSession() as http:
            with contextlib.suppress(aiohttp.ClientError):
                async with http.get(
                    f"http://127.0.0.1:{self.port}{path}", headers=headers
                ) as answer:
                    return answer.status
        return None

    async def stop(self, how: signal.Signals) -> int | None:
        """End it, and return its exit code."""
        assert self.process is not None
        if self.process.returncode is None:
            self.process.send_signal(how)
        async with asyncio.timeout(PATIENCE):
            await self.process.communicate()
        return self.process.returncode


@pytest.fixture
async def served() -> AsyncIterator[Transmitter]:
    """A running transmitter with a stream for polls."""
    async with Transmitter().serve() as transmitter:
        transmitter.long_poll = 2.0
        transmitter.open_polled()
        yield transmitter


@pytest.fixture
async def hubs(tmp_path: Path, served: Transmitter, redis_url: str) -> AsyncIterator[list[Hub]]:
    """Two replicas that poll the transmitter in turn."""
    file = tmp_path / "issuers.toml"
    file.write_text(
        f'[[issuer]]\nsecret = "{SECRET}"\n'
        f'[[transmitter]]\niss = "{served.iss}"\naud = "{served.aud}"\ndelivery = "poll"\n'
        f'token = "{served.bearer}"\npoll_interval = 1\n'
    )
    variables = {"HUB_ISSUERS": str(file), "HUB_REDIS_URL": redis_url}
    both = [Hub(name, variables) for name in ("a", "b")]
    try:
        for hub in both:
            await hub.start()
        yield both
    finally:
        for hub in both:
            if hub.process is not None:
                await hub.stop(signal.SIGKILL)


async def revoke(served: Transmitter, user: str) -> None:
    """Have the transmitter say that a user's sessions were revoked, and wait until it is heard."""
    subject = {"format": "iss_sub", "iss": served.iss, "sub": user}
    jti = await served.emit(sub_id=subject)
    (stream,) = served.streams.values()
    await served.wait_until(lambda: jti in {*stream.acknowledged, *stream.errors}, PATIENCE)
    assert stream.errors == {}


async def polled_by(store: RedisStore, served: Transmitter) -> str | None:
    """Return the name of the replica that was the last to poll, if that is known yet."""
    note = (await store.notes(name_of(settings_for(served)))).get(Kind.POLLED)
    return None if note is None else note.text


async def test_polling_goes_on_when_the_replica_that_polls_is_killed(
    hubs: list[Hub], served: Transmitter, redis_url: str
) -> None:
    """An event ends sessions at all replicas; the next one does, too, though a replica was killed.

    The one that is left ends with exit code 0 when it is told to.
    """
    name = name_of(settings_for(served))
    ada, eve = token("ada", "s1"), token("eve", "s2")
    async with RedisStore(redis_url, lifetime=3600 * SECOND) as store:
        assert [await hub.ask("/session", ada) for hub in hubs] == [200, 200]
        await revoke(served, "ada")
        assert [await hub.ask("/session", ada) for hub in hubs] == [401, 401]
        await eventually(lambda: polled_by(store, served))
        polling = await polled_by(store, served)
        (killed,) = (hub for hub in hubs if hub.name == polling)
        (left,) = (hub for hub in hubs if hub.name != polling)
        assert await left.ask("/session", eve) == 200
        await killed.stop(signal.SIGKILL)
        await revoke(served, "eve")
        assert await left.ask("/session", eve) == 401
        assert await left.stop(signal.SIGTERM) == 0
        # What it held is free at once.
        assert await store.hold(name, "another", 1)
