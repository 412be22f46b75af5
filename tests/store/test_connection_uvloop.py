"""A Redis that hangs up while a connection logs in, under uvloop, is a lost connection."""

from __future__ import annotations

import asyncio
from typing import cast

import uvloop
from redis.exceptions import RedisError

from hub.store.connection import RedisConnection, connection_pool

TRIES = 40


class HangingUp(asyncio.Protocol):
    """Answers once, unasked, and resets the connection."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Answer and hang up."""
        made = cast(asyncio.Transport, transport)
        made.pause_reading()
        made.write(b"+OK\r\n")
        made.abort()


async def connect_often() -> list[str]:
    """Connect many times, and return the errors that are not Redis' or the system's."""
    server = await asyncio.get_running_loop().create_server(HangingUp, "127.0.0.1", 0)
    pool = connection_pool(f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0")
    others = []
    for _ in range(TRIES):
        # Several at once: a loop that has much to do writes after it has heard of the loss.
        opening = (
            RedisConnection(lambda answer: None, lambda connection: None).open(pool)
            for _ in range(8)
        )
        for end in await asyncio.gather(*opening, return_exceptions=True):
            if not isinstance(end, RedisError | OSError | None):
                others.append(type(end).__name__)
    server.close()
    return others


def test_a_connection_that_is_lost_while_logging_in_is_called_so() -> None:
    """Nothing but errors of Redis and of the system comes out of `RedisConnection.open`."""
    assert uvloop.run(connect_often()) == []
