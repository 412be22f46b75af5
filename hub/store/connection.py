"""A raw connection to Redis: opened by redis-py, then read and written without it.

redis-py handles addresses, TLS, logins and Sentinels. Its reading and writing costs more than all
other work of a logout, so it is bypassed: the open transport is taken over, and hiredis parses
replies as they arrive. ``tests/store/test_connection.py`` tests the internals of redis-py that this
relies on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import hiredis
from redis.asyncio import ConnectionPool
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError
from redis.exceptions import ConnectionError as Lost
from redis.exceptions import NoPermissionError as Denied

from hub.store.base import TIME_LIMIT

NOTHING = object()


def connection_options(seconds: float) -> dict[str, Any]:
    """Return options of redis-py for a time limit, and for no retries."""
    return {
        "socket_timeout": seconds,
        "socket_connect_timeout": seconds,
        "retry": Retry(NoBackoff(), 0),
        "protocol": 2,
    }


def connection_pool(url: str, seconds: float | None = None) -> ConnectionPool:
    """Return a pool for ``url`` without retries, and with `TIME_LIMIT` if no limit is given."""
    limit = TIME_LIMIT if seconds is None else seconds
    return ConnectionPool.from_url(url, **connection_options(limit))


def describe_failure(error: BaseException) -> str:
    """Return a short reason why Redis could not be used, without secrets."""
    text = str(error)
    if isinstance(error, AuthenticationError) or text.startswith(("NOAUTH", "WRONGPASS")):
        wants = "required" in text or text.startswith("NOAUTH")
        return "it asks for a password" if wants else "it refuses the user or the password"
    if isinstance(error, Denied) or text.startswith("NOPERM"):
        return f"its ACL does not let this user: {text}"
    return type(error).__name__


class RedisConnection(asyncio.Protocol):
    """One connection: ``on_answer`` is called with each answer in order, ``on_loss`` once."""

    def __init__(
        self, on_answer: Callable[[Any], None], on_loss: Callable[[RedisConnection], None]
    ) -> None:
        self._on_answer = on_answer
        self._on_loss = on_loss
        self._parser = hiredis.Reader(notEnoughData=NOTHING)
        self._connection: AbstractConnection | None = None
        self._transport: asyncio.WriteTransport | None = None

    async def open(self, pool: ConnectionPool) -> None:
        """Connect and log in.

        Raises:
            RedisError, OSError: if that fails, or takes longer than the time limit.
        """
        connection: AbstractConnection = pool.make_connection()  # type: ignore[no-untyped-call]
        try:
            await connection.connect()  # type: ignore[no-untyped-call]
            writer = connection._writer
            if writer is None or writer.transport.is_closing():
                raise Lost("the connection was closed at once")
        except RuntimeError as error:
            # uvloop raises this on a write to a connection that was just closed.
            await connection.disconnect(nowait=True)
            raise Lost(str(error)) from error
        except BaseException:
            await connection.disconnect(nowait=True)
            raise
        # Kept, since it closes the transport when it is garbage-collected.
        self._connection = connection
        self._transport = writer.transport
        writer.transport.set_protocol(self)

    @property
    def address(self) -> tuple[str, int] | None:
        """The peer's host and port, as configured; None if closed."""
        connection: Any = self._connection
        return None if connection is None else (connection.host, connection.port)

    def write(self, packed: bytes) -> None:
        """Send packed commands."""
        if self._transport is not None:
            self._transport.write(packed)

    def data_received(self, data: bytes) -> None:
        """Pass on every complete answer."""
        try:
            self._parser.feed(data)
            while self._transport and (answer := self._parser.gets()) is not NOTHING:
                self._on_answer(answer)
        except hiredis.ProtocolError:
            self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Report the loss."""
        if self._connection is not None:
            self._connection._reader = self._connection._writer = None
        self._connection = self._transport = None
        self._on_loss(self)

    def abort(self) -> None:
        """Close at once; no more answers are passed on."""
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.abort()


async def check_answers(pool: ConnectionPool) -> None:
    """Check that Redis answers over a new connection.

    Raises:
        RedisError, OSError, RuntimeError: if it does not, or not in time.
    """
    connection: AbstractConnection = pool.make_connection()  # type: ignore[no-untyped-call]
    try:
        async with asyncio.timeout(TIME_LIMIT):
            await connection.connect()  # type: ignore[no-untyped-call]
            await connection.send_command("TIME")
            await connection.read_response()
    finally:
        await connection.disconnect(nowait=True)


def pack(*parts: str | bytes | int) -> bytes:
    """Encode a command in Redis' protocol.

    Raises:
        UnicodeEncodeError: if UTF-8 cannot encode a part.
    """
    packed: bytes = hiredis.pack_command(parts)  # type: ignore[arg-type]
    return packed
