"""Subscribes to the channels of all partitions: the fast, unreliable path of a logout.

A subscription is on one server. If that server dies or becomes silent, it is replaced, on another
node if there are several. Nothing is lost meanwhile: the streams contain everything that was
published (`hub.store.reader`).
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import secrets
from collections.abc import Callable, Collection
from typing import Any

import structlog
from redis.exceptions import RedisError

from hub.errors import Unavailable
from hub.store.base import CHECK_INTERVAL, TIME_LIMIT
from hub.store.connection import RedisConnection, pack
from hub.store.topology import Topology

log = structlog.get_logger(__name__)

SILENCE = 3 * CHECK_INTERVAL
"""Seconds without receiving its own messages after which a subscription counts as dead."""

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 1.0


class Subscription:
    """Keeps a subscription to ``channels`` for as long as `run` runs.

    ``on_message`` is called with the channel and the payload of each message, ``on_open`` whenever
    a subscription begins: earlier messages are only in the streams.
    """

    def __init__(
        self,
        topology: Topology,
        channels: Collection[bytes],
        on_message: Callable[[bytes, bytes], None],
        on_open: Callable[[], None],
    ) -> None:
        self._topology = topology
        self._channels = channels
        self._on_message = on_message
        self._on_open = on_open
        self._probe = f"hub:probe:{secrets.token_hex(8)}".encode()
        self._opened = asyncio.Event()
        self._lost = asyncio.Event()
        self._opening: asyncio.Future[None] | None = None
        self._unconfirmed = 0
        self._probed_at = 0.0
        self._is_failing = False

    async def wait(self, seconds: float) -> None:
        """Wait until there is a subscription, for at most this many seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._opened.wait()

    async def run(self) -> None:
        """Subscribe, again whenever the subscription ends; runs until cancelled."""
        self._opened.clear()
        pause = FIRST_PAUSE
        while True:
            try:
                await self._listen()
            except (Unavailable, RedisError, OSError) as error:
                if not self._is_failing:
                    log.warning("the subscription failed", error=type(error).__name__)
                self._is_failing = True
            except Exception:
                log.exception("the subscription failed")
            if self._opened.is_set():
                pause = FIRST_PAUSE
            self._opened.clear()
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - a jitter
            pause = min(2 * pause, LONGEST_PAUSE)

    async def _listen(self) -> None:
        """Subscribe, and return once the subscription has ended."""
        clock = asyncio.get_running_loop().time
        self._lost.clear()
        self._unconfirmed = 1 + len(self._channels)
        self._opening = asyncio.get_running_loop().create_future()
        connection = RedisConnection(self._take, lambda connection: self._lose())
        try:
            async with asyncio.timeout(2 * TIME_LIMIT):
                await connection.open(await self._topology.pool())
                connection.write(pack(b"SUBSCRIBE", self._probe, *self._channels))
                await self._opening
            self._opened.set()
            self._is_failing = False
            self._probed_at = clock()
            self._on_open()
            while not self._lost.is_set() and clock() - self._probed_at <= SILENCE:
                await self._publish_probe()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(CHECK_INTERVAL):
                        await self._lost.wait()
        finally:
            connection.abort()

    async def _publish_probe(self) -> None:
        """Publish to our own channel: a dead connection that is not closed raises no error."""
        with contextlib.suppress(Unavailable):
            await self._topology.command("PUBLISH", self._probe, "")

    def _take(self, pushed: Any) -> None:
        match pushed:
            case [b"message", self._probe, _]:
                self._probed_at = asyncio.get_running_loop().time()
            case [b"message", bytes(channel), bytes(data)]:
                self._on_message(channel, data)
            case [b"subscribe", _, _]:
                self._unconfirmed -= 1
                if not self._unconfirmed and self._opening is not None and not self._opening.done():
                    self._opening.set_result(None)
            case _:
                # Most likely an error of Redis.
                self._lose()

    def _lose(self) -> None:
        self._lost.set()
        if self._opening is not None and not self._opening.done():
            self._opening.set_exception(ConnectionError("the subscription ended"))
