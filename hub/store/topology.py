"""The servers of Redis: a single server, the master behind Sentinels, or the nodes of a cluster.

A topology calls scripts on the server that has a partition. The three kinds differ in how they find
that server, and in what they do when it changes.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any, Protocol

from redis.asyncio import ConnectionPool

from hub.core.servers import Kind, read_servers
from hub.store.cluster import ClusterNodes
from hub.store.connection import connection_pool
from hub.store.durability import NO_WAIT, Durability
from hub.store.pipeline import Value
from hub.store.script import Script, Values
from hub.store.sentinel import SentinelMaster
from hub.store.single_server import SingleServer


class Topology(Protocol):
    """The servers of one Redis, and connections to them; close it after use."""

    async def call(
        self, partition: int, script: Script, keys: Sequence[Value], values: Values
    ) -> Any:
        """Run a script on a partition and return its answer; raises as `Pipeline.call` does."""
        ...

    async def command(self, *parts: Value) -> Any:
        """Run a command that belongs to no partition; raises as `Pipeline.command` does."""
        ...

    async def infos(self) -> dict[Hashable, bytes]:
        """Return what each server that answers says to ``INFO``, by a name for `partitions_of`.

        Raises:
            Refused: if one may not be asked.
        """
        ...

    async def partitions_of(self, server: Hashable) -> frozenset[int]:
        """Return the partitions that a server has, or has had since the first call."""
        ...

    async def is_stuck(self) -> bool:
        """Return whether a pipeline is stuck; see `Pipeline.is_stuck`."""
        ...

    def generation(self, partition: int) -> object:
        """Return a token for the current connection to the partition's server."""
        ...

    async def pool(self) -> ConnectionPool:
        """Return a pool whose connections can subscribe to every channel."""
        ...

    async def close(self) -> None:
        """Close all connections."""
        ...


def open_topology(url: str, durability: Durability = NO_WAIT) -> Topology:
    """Return the topology for an address; ``durability`` is for scripts with ``must_last``.

    Raises:
        ValueError: if it is not an address of Redis.
    """
    servers = read_servers(url)
    match servers.kind:
        case Kind.SENTINEL:
            return SentinelMaster(servers, durability)
        case Kind.CLUSTER:
            return ClusterNodes(servers, durability)
        case Kind.ONE:
            return SingleServer(connection_pool(url), durability)
