"""Redis behind Sentinels: all partitions are on the master, and who that is changes.

redis-py's pool asks who the master is for each new connection. Two things are done otherwise here
than in redis-py's own `Sentinel`:

- All Sentinels are asked at once, a majority of them must answer, and their newest word counts.
  One that hangs costs half the time limit, and one that is cut off with an old master misleads
  nobody.
- They are asked again every `ASK_INTERVAL` seconds. An old master that hangs, or that only the
  others cannot reach, does not always close its connections; so they are left.
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
from hub.store.connection import connection_options, connection_pool
from hub.store.durability import NO_WAIT, Durability
from hub.store.single_server import SingleServer

Address: TypeAlias = tuple[str, int]
State: TypeAlias = Mapping[str, Any]

log = structlog.get_logger(__name__)

ASK_LIMIT = TIME_LIMIT / 2
"""Seconds that Sentinels have to answer, so that time is left to connect to the master."""

ASK_INTERVAL = 1.0
"""Seconds between two questions who the master is."""

PATIENCE = 3.0
"""Seconds without a majority's word after which the last one counts no more."""


class Sentinels:
    """Those who know the master; ``on_word`` is told who it is, and None when it is unknown.

    From the first question on they are asked again and again, until `close`.
    """

    def __init__(
        self, servers: Servers, on_word: Callable[[Address | None], None] = lambda word: None
    ) -> None:
        self._master = servers.master
        self._clients = [Redis.from_pool(connection_pool(url, ASK_LIMIT)) for url in servers.seeds]
        self._on_word = on_word
        self._watching: asyncio.Task[None] | None = None

    async def discover_master(self, service_name: str) -> Address:
        """Return where the master is; redis-py's pool asks this.

        Raises:
            MasterNotFoundError: when no majority answers, or it holds the master for dead.
        """
        if self._watching is None:
            self._watching = asyncio.create_task(self._watch())
        return await self._find()

    async def ask(self) -> list[State | None]:
        """Return what each Sentinel says of the master, None for one that does not answer."""
        return await asyncio.gather(*(self._ask(client) for client in self._clients))

    async def close(self) -> None:
        """Ask no more."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)
        for client in self._clients:
            await client.aclose()

    async def _ask(self, client: Redis) -> State | None:
        try:
            async with asyncio.timeout(ASK_LIMIT):
                state: Any = await client.sentinel_master(self._master)
        except (RedisError, OSError, RuntimeError):  # uvloop's word for a connection just closed
            return None
        return dict(state)

    async def _find(self) -> Address:
        states = [state for state in await self.ask() if state is not None]
        if 2 * len(states) <= len(self._clients):
            heard = f"{len(states)} of {len(self._clients)}"
            raise MasterNotFoundError(f"{heard} Sentinels tell of the master")
        # A failover makes an epoch; who has not heard of it yet tells of the one before.
        newest = max(states, key=lambda state: state["config-epoch"])
        if newest["is_odown"]:
            raise MasterNotFoundError("the Sentinels hold the master for dead")
        return newest["ip"], newest["port"]

    async def _watch(self) -> None:
        clock = asyncio.get_running_loop().time
        heard_at = clock()
        while True:
            await asyncio.sleep(ASK_INTERVAL)
            try:
                word = await self._find()
            except MasterNotFoundError:
                if clock() - heard_at > PATIENCE:
                    self._on_word(None)
            except Exception:
                log.exception("the Sentinels could not be asked")
            else:
                heard_at = clock()
                self._on_word(word)


class SentinelMaster(SingleServer):
    """A `hub.store.topology.Topology` of the master that Sentinels name."""

    def __init__(self, servers: Servers, durability: Durability = NO_WAIT) -> None:
        self._sentinels = Sentinels(servers, self._hear)
        super().__init__(master_pool(servers, self._sentinels), durability)

    async def close(self) -> None:
        """Close the pipeline, and ask the Sentinels no more."""
        await super().close()
        await self._sentinels.close()

    def _hear(self, master: Address | None) -> None:
        if self._pipeline.address != master:
            self._pipeline.leave()


def master_pool(servers: Servers, sentinels: Sentinels) -> SentinelConnectionPool:
    """Return what makes connections to the master, each to the one that is named then."""
    options: dict[str, Any] = dict(parse_url(servers.at("", 0)))
    options["ssl"] = options.pop("connection_class", None) is SSLConnection
    for name in ("host", "port"):
        options.pop(name, None)
    return SentinelConnectionPool(  # type: ignore[no-untyped-call]
        servers.master, sentinels, **{**connection_options(TIME_LIMIT), **options}
    )
