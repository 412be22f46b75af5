"""The link between a replica and Redis: whole, cut, held and deaf."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.faults.proxy import Proxy
from tests.patience import PATIENCE
from tests.redis_server import RedisServer

SHORTLY = 0.2
PING, PONG = b"PING\r\n", b"+PONG\r\n"


@pytest.fixture
async def link(redis_server: RedisServer) -> AsyncIterator[Proxy]:
    """A link to a real Redis."""
    async with Proxy(redis_server.port) as made:
        yield made


class Client:
    """A connection through the link that speaks inline commands."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    def send(self, line: bytes) -> None:
        """Send a command."""
        self._writer.write(line)

    async def receive(self, within: float = PATIENCE) -> bytes | None:
        """Return what comes next, nothing when the connection is closed, None when it is silent."""
        try:
            async with asyncio.timeout(within):
                return await self._reader.read(1000)
        except TimeoutError:
            return None
        except ConnectionResetError:
            return b""

    def close(self) -> None:
        """Close the connection."""
        self._writer.close()


@pytest.fixture
async def client(link: Proxy) -> AsyncIterator[Client]:
    """A client whose connection works."""
    made = Client(*await asyncio.open_connection("127.0.0.1", link.port))
    made.send(PING)
    assert await made.receive() == PONG
    yield made
    made.close()


async def test_a_link_that_is_cut_resets_and_takes_nothing(link: Proxy, client: Client) -> None:
    """A cut resets open and new connections; afterwards connections work again."""
    link.set(cut=True)
    assert await client.receive() == b""
    another = Client(*await asyncio.open_connection("127.0.0.1", link.port))
    assert await another.receive() == b""
    another.close()
    link.set()
    third = Client(*await asyncio.open_connection("127.0.0.1", link.port))
    third.send(PING)
    assert await third.receive() == PONG
    third.close()


@pytest.mark.parametrize("which", ["held_up", "held_down"])
async def test_what_is_held_comes_later(link: Proxy, client: Client, which: str) -> None:
    """Nothing passes while a direction is held, and all of it afterwards."""
    link.set(**{which: True})
    client.send(PING)
    assert await client.receive(SHORTLY) is None
    link.set()
    assert await client.receive() == PONG


async def test_a_link_that_lags_keeps_the_order_and_the_spacing(
    link: Proxy, client: Client
) -> None:
    """Everything is delayed by the same time, so that order and spacing stay."""
    loop = asyncio.get_running_loop()
    link.set(lag=2 * SHORTLY)
    begun = loop.time()
    for _ in range(3):
        client.send(PING)
        await asyncio.sleep(SHORTLY)
    link.set()
    client.send(PING)
    heard = b""
    while len(heard) < 4 * len(PONG):
        heard += await client.receive() or b""
    assert heard == 4 * PONG
    assert loop.time() - begun >= 4 * SHORTLY


async def test_a_deaf_link_loses_what_is_published(
    link: Proxy, client: Client, redis_server: RedisServer
) -> None:
    """A subscription receives nothing, other connections work, and what it missed is lost."""
    client.send(b"SUBSCRIBE news\r\n")
    assert b"subscribe" in (await client.receive() or b"")
    other = Client(*await asyncio.open_connection("127.0.0.1", link.port))
    link.set(deaf=True)
    with redis_server.client() as redis:
        assert redis.publish("news", "missed") == 1
        other.send(PING)
        assert await other.receive() == PONG
        assert await client.receive(SHORTLY) is None
        link.set()
        redis.publish("news", "heard")
    assert b"heard" in (heard := await client.receive() or b"")
    assert b"missed" not in heard
    other.close()
