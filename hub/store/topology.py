"""Where the partitions are: on one server, on the master behind Sentinels, or on a cluster's nodes.

A topology calls a script on the server that keeps a partition. What differs between the three is
how that server is found, and what is done when it changes.
"""

from __future__ import annotations

from collections.abc import Sequence
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
    """The servers of one Redis, with connections of their own; close it after use."""

    async def call(
        self, partition: int, script: Script, keys: Sequence[Value], values: Values
    ) -> Any:
        """Run a script on a partition and return its answer; raises as `Pipeline.call` does."""
        ...

    async def command(self, *parts: Value) -> Any:
        """Run a command that belongs to no partition; raises as `Pipeline.command` does."""
        ...

    async def is_stuck(self) -> bool:
        """Tell whether a pipeline is, as `Pipeline.is_stuck` says."""
        ...

    def generation(self, partition: int) -> object:
        """Return what stands for the connection over which the partition is reached now."""
        ...

    async def pool(self) -> ConnectionPool:
        """Return what makes connections over which every channel can be subscribed to."""
        ...

    async def close(self) -> None:
        """Close all connections."""
        ...


def open_topology(url: str, durability: Durability = NO_WAIT) -> Topology:
    """Return the topology that an address names; ``durability`` is for scripts that must last.

    Raises:
        ValueError: when this is no address of Redis.
    """
    servers = read_servers(url)
    match servers.kind:
        case Kind.SENTINEL:
            return SentinelMaster(servers, durability)
        case Kind.CLUSTER:
            return ClusterNodes(servers, durability)
        case Kind.ONE:
            return SingleServer(connection_pool(url), durability)
