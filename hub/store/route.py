"""Which Redis a partition is on, and the lane that leads there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from redis.asyncio import ConnectionPool

from hub.store.durability import Durability
from hub.store.lane import USUAL, Lane, Value
from hub.store.script import Script, Values


class Route(Protocol):
    """Calls scripts on the partitions of a Redis, wherever they are."""

    async def call(self, part: int, script: Script, keys: Sequence[Value], values: Values) -> Any:
        """Run a script on a partition; raises as `Lane.call` does."""
        ...

    async def command(self, *parts: Value) -> Any:
        """Run a command that is of no partition; raises as `Lane.call` does."""
        ...

    async def is_stuck(self) -> bool:
        """Tell whether a lane is, as `Lane.is_stuck` says."""
        ...

    def generation(self, part: int) -> object:
        """Return what stands for the connection over which the partition is reached now."""
        ...

    async def pool(self) -> ConnectionPool:
        """Return what makes connections on which every channel is heard."""
        ...

    async def close(self) -> None:
        """Close all connections."""
        ...


class OneServer:
    """All partitions are on one Redis, to which ``pool`` makes connections."""

    def __init__(self, pool: ConnectionPool, durability: Durability = USUAL) -> None:
        self._pool = pool
        self._lane = Lane(pool, durability)

    async def call(self, part: int, script: Script, keys: Sequence[Value], values: Values) -> Any:
        """Run a script."""
        return await self._lane.call(script, keys, values)

    async def command(self, *parts: Value) -> Any:
        """Run a command."""
        return await self._lane.command(*parts)

    async def is_stuck(self) -> bool:
        """Tell whether the lane is."""
        return await self._lane.is_stuck()

    def generation(self, part: int) -> object:
        """Return what stands for the lane's connection."""
        return self._lane.generation

    async def pool(self) -> ConnectionPool:
        """Return what makes connections."""
        return self._pool

    async def close(self) -> None:
        """Close the lane."""
        await self._lane.close()
