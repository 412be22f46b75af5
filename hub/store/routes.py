"""The route that leads to the Redis at an address."""

from __future__ import annotations

from hub.core.servers import Kind, read_servers
from hub.store.cluster import Cluster
from hub.store.durability import Durability
from hub.store.lane import USUAL
from hub.store.link import dialer
from hub.store.route import OneServer, Route
from hub.store.sentinel import Sentinelled


def route(url: str, durability: Durability = USUAL) -> Route:
    """Return a route, with connections of its own; ``durability`` is for scripts that must last.

    Raises:
        ValueError: when this is no address of Redis.
    """
    servers = read_servers(url)
    match servers.kind:
        case Kind.SENTINEL:
            return Sentinelled(servers, durability)
        case Kind.CLUSTER:
            return Cluster(servers, durability)
        case Kind.ONE:
            return OneServer(dialer(url), durability)
