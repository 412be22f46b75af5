"""Redis behind Sentinels: all partitions are on the current master.

redis-py's pool asks for the master for each new connection. This differs from redis-py's own
`Sentinel` in two ways:

- All Sentinels are asked at once, a majority of them must answer, and the newest answer counts. A
  Sentinel that hangs costs half the time limit, and one that is partitioned together with an old
  master does no harm.
- They are asked again every `ASK_INTERVAL` seconds. An old master that hangs, or that only the
  others cannot reach, does not always close its connections, so the hub drops them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import structlog
from redis.asyncio import Redis, SSLConnection
from redis.asyncio.connection import parse_url
from redis.asyncio.sentinel import MasterNotFoundError, SentinelConnectionPool
from redis.exceptions import RedisError

from hub.core.servers import Servers
from hub.store.base import TIME_LIMIT
from hub.store.cancellation import cancel
from hub.store.connection import connection_options, connection_pool
from hub.store.durability import NO_WAIT, Durability
from hub.store.single_server import SingleServer

Address: TypeAlias = tuple[str, int]
State: TypeAlias = Mapping[str, Any]

log = structlog.get_logger(__name__)

ASK_LIMIT = TIME_LIMIT / 2
"""Seconds in which Sentinels must answer, so that time is left to connect to the master."""

ASK_INTERVAL = 1.0
"""Seconds between two queries for the master."""

PATIENCE = 3.0
"""Seconds without a majority's answer after which the master counts as unknown."""


class Sentinels:
    """The Sentinels of a master; ``on_master`` is called with its address, None if unknown.

    From the first `discover_master` on, they are asked repeatedly until `close`.
    """

    def __init__(
        self, servers: Servers, on_master: Callable[[Address | None], None] = lambda master: None
    ) -> None:
        self._master = servers.master
        self._clients = [Redis.from_pool(connection_pool(url, ASK_LIMIT)) for url in servers.seeds]
        self._on_master = on_master
        self._watching: asyncio.Task[None] | None = None

    async def discover_master(self, service_name: str) -> Address:
        """Return the master's address; called by redis-py's pool.

        Raises:
            MasterNotFoundError: if no majority answers, or the Sentinels consider it down.
        """
        if self._watching is None:
            self._watching = asyncio.create_task(self._watch())
        return await self._find()

    async def ask(self) -> list[State | None]:
        """Return each Sentinel's state of the master; None for one that does not answer."""
        return await asyncio.gather(*(self._ask(client) for client in self._clients))

    async def close(self) -> None:
        """Stop asking, and close the connections."""
        if self._watching is not None:
            await cancel([self._watching])
        for client in self._clients:
            await client.aclose()

    async def _ask(self, client: Redis) -> State | None:
        try:
            async with asyncio.timeout(ASK_LIMIT):
                state: Any = await client.sentinel_master(self._master)
        except (RedisError, OSError, RuntimeError):  # the last from uvloop, when just closed
            return None
        return dict(state)

    async def _find(self) -> Address:
        states = [state for state in await self.ask() if state is not None]
        if 2 * len(states) <= len(self._clients):
            count = f"{len(states)} of {len(self._clients)}"
            raise MasterNotFoundError(f"{count} Sentinels know the master")
        # Each failover increments the epoch, so an outdated Sentinel has a smaller one.
        newest = max(states, key=lambda state: state["config-epoch"])
        if newest["is_odown"]:
            raise MasterNotFoundError("the Sentinels consider the master down")
        return newest["ip"], newest["port"]

    async def _watch(self) -> None:
        clock = asyncio.get_running_loop().time
        answered_at = clock()
        while True:
            await asyncio.sleep(ASK_INTERVAL)
            try:
                master = await self._find()
            except MasterNotFoundError:
                if clock() - answered_at > PATIENCE:
                    self._on_master(None)
            except Exception:
                log.exception("the Sentinels could not be asked")
            else:
                answered_at = clock()
                self._on_master(master)


class SentinelMaster(SingleServer):
    """A `hub.store.topology.Topology`: the current master, according to its Sentinels."""

    def __init__(self, servers: Servers, durability: Durability = NO_WAIT) -> None:
        self._sentinels = Sentinels(servers, self._check_master)
        super().__init__(master_pool(servers, self._sentinels), durability)

    async def close(self) -> None:
        """Close the pipeline and the Sentinels."""
        await super().close()
        await self._sentinels.close()

    def _check_master(self, master: Address | None) -> None:
        if self._pipeline.address != master:
            self._pipeline.drop_connection()


def master_pool(servers: Servers, sentinels: Sentinels) -> SentinelConnectionPool:
    """Return a pool that connects to whichever server is the master at the time."""
    options: dict[str, Any] = dict(parse_url(servers.at("", 0)))
    options["ssl"] = options.pop("connection_class", None) is SSLConnection
    for name in ("host", "port"):
        options.pop(name, None)
    return SentinelConnectionPool(  # type: ignore[no-untyped-call]
        servers.master, sentinels, **{**connection_options(TIME_LIMIT), **options}
    )
