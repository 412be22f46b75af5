"""A connection that is taken over from redis-py, and what that relies on inside it."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest
from hiredis import ReplyError
from redis.exceptions import RedisError

from hub.store.connection import RedisConnection, connection_pool, pack
from tests.patience import PATIENCE
from tests.redis_server import RedisServer


class Ears:
    """Hears what a connection says."""

    def __init__(self) -> None:
        self.answers: asyncio.Queue[Any] = asyncio.Queue()
        self.losses = 0
        self.lost = asyncio.Event()
        self.connection = RedisConnection(self.answers.put_nowait, self.lose)

    def lose(self, connection: RedisConnection) -> None:
        """Count a loss."""
        assert connection is self.connection
        self.losses += 1
        self.lost.set()

    async def next(self) -> Any:
        """Return the next answer."""
        async with asyncio.timeout(PATIENCE):
            return await self.answers.get()


async def test_answers_come_in_order(own_redis: RedisServer) -> None:
    """Also those that are errors, and those that come in pieces."""
    ears, big = Ears(), b"x" * 300_000
    await ears.connection.open(connection_pool(own_redis.url))
    ears.connection.write(
        pack("SET", "a", big) + pack("GET", "a") + pack("NONSENSE") + pack("ECHO", 5)
    )
    assert await ears.next() == b"OK"
    assert await ears.next() == big
    assert isinstance(await ears.next(), ReplyError)
    assert await ears.next() == b"5"
    ears.connection.abort()


async def test_a_link_lives_as_long_as_it_is_held(own_redis: RedisServer) -> None:
    """What redis-py would close when it forgets its connection stays open."""
    ears = Ears()
    pool = connection_pool(own_redis.url)
    await ears.connection.open(pool)
    await pool.aclose()
    del pool
    gc.collect()
    await asyncio.sleep(0.05)
    ears.connection.write(pack("PING"))
    assert await ears.next() == b"PONG"
    assert ears.losses == 0
    ears.connection.abort()


async def test_a_loss_is_told_once_and_leaves_nothing_open(own_redis: RedisServer) -> None:
    """Whoever closes; afterwards nothing is written and nothing warns of an open connection."""
    for end in ("server", "abort"):
        ears = Ears()
        await ears.connection.open(connection_pool(own_redis.url))
        if end == "server":
            with own_redis.client() as client:
                client.client_kill_filter(skipme=True)
        else:
            ears.connection.abort()
            ears.connection.abort()
        async with asyncio.timeout(PATIENCE):
            await ears.lost.wait()
        ears.connection.write(pack("PING"))
        await asyncio.sleep(0.05)
        assert ears.losses == 1
        assert ears.answers.empty()
        del ears
        gc.collect()


async def test_no_answer_comes_after_the_abort(own_redis: RedisServer) -> None:
    """Not even one that had arrived together with the one at which the connection was given up."""
    heard = []

    def give_up(answer: object) -> None:
        heard.append(answer)
        connection.abort()

    connection = RedisConnection(give_up, lambda connection: None)
    await connection.open(connection_pool(own_redis.url))
    connection.write(pack("ECHO", "1") + pack("ECHO", "2"))
    await asyncio.sleep(0.1)
    assert heard == [b"1"]


async def test_what_is_no_redis_is_given_up() -> None:
    """A server that speaks something else fails the opening, or loses the connection."""

    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await reader.read(1)
        writer.close()

    server = await asyncio.start_server(babble, "127.0.0.1", 0)
    ears = Ears()
    port = server.sockets[0].getsockname()[1]
    with pytest.raises((RedisError, OSError)):
        await ears.connection.open(connection_pool(f"redis://127.0.0.1:{port}"))
    server.close()
    await server.wait_closed()


async def test_nobody_there_fails_the_opening() -> None:
    """And the connection may be thrown away as it is."""
    ears = Ears()
    with pytest.raises((RedisError, OSError)):
        await ears.connection.open(connection_pool("redis://127.0.0.1:1"))
    ears.connection.write(pack("PING"))
    ears.connection.abort()
    assert ears.losses == 0
