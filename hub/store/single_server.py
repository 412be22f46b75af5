"""A single Redis server that has all partitions."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

from redis.asyncio import ConnectionPool

from hub.errors import Unavailable
from hub.store.durability import NO_WAIT, Durability
from hub.store.names import PARTITIONS
from hub.store.pipeline import Pipeline, Refused, Value
from hub.store.script import Script, Values


class SingleServer:
    """A `hub.store.topology.Topology` of the server that ``pool`` connects to."""

    def __init__(self, pool: ConnectionPool, durability: Durability = NO_WAIT) -> None:
        self._pool = pool
        self._pipeline = Pipeline(pool, durability)

    async def call(
        self, partition: int, script: Script, keys: Sequence[Value], values: Values
    ) -> Any:
        """Run a script."""
        return await self._pipeline.call(script, keys, values)

    async def command(self, *parts: Value) -> Any:
        """Run a command."""
        return await self._pipeline.command(*parts)

    async def infos(self) -> dict[Hashable, bytes]:
        """Return what the server says to ``INFO``, if it answers."""
        try:
            return {None: await self.command("INFO")}
        except Refused:
            raise
        except Unavailable:
            return {}

    async def partitions_of(self, server: Hashable) -> frozenset[int]:
        """Return all partitions."""
        return frozenset(range(PARTITIONS))

    async def is_stuck(self) -> bool:
        """Return whether the pipeline is stuck."""
        return await self._pipeline.is_stuck()

    def generation(self, partition: int) -> object:
        """Return a token for the pipeline's current connection."""
        return self._pipeline.generation

    async def pool(self) -> ConnectionPool:
        """Return the pool."""
        return self._pool

    async def close(self) -> None:
        """Close the pipeline."""
        await self._pipeline.close()
