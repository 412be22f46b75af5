"""Redis Cluster: each partition is a slot, on a node that changes.

redis-py asks the nodes which of them serves which slot; a lane of ours leads to each. A node that
does not serve a slot says so (MOVED, ASK), and then the script did not run; so it is sent again,
once, to the node that was named. What could not be sent at all, for want of a connection, is sent
to the node that has taken over. Nothing else is ever sent twice. Whatever fails, the nodes are
asked again who serves what.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, NamedTuple

import structlog
from redis.asyncio import ConnectionPool
from redis.asyncio.cluster import ClusterNode, RedisCluster
from redis.asyncio.connection import parse_url
from redis.exceptions import AskError, RedisClusterException, RedisError, SlotNotCoveredError

from hub.core.servers import Servers
from hub.errors import Unavailable
from hub.store.base import TIME_LIMIT
from hub.store.durability import PATIENCE, Durability
from hub.store.lane import USUAL, Lane, Refused, Unsent, Value
from hub.store.link import dialer, limits
from hub.store.names import PARTITIONS, Names
from hub.store.script import Script, Values

log = structlog.get_logger(__name__)

ASK_LIMIT = TIME_LIMIT / 4
"""Seconds that a node has to say who serves what, before the next one is asked."""

LEARN_LIMIT = 5 * TIME_LIMIT
LEARN_INTERVAL = 0.25
"""Seconds between two questions who serves what, however many calls fail."""

REDIRECTS = ("MOVED ", "ASK ")
UNKNOWN = "no node of the store says who serves this"


class Place(NamedTuple):
    """Where a node listens."""

    host: str
    port: int


class Topology(NamedTuple):
    """Which node serves each partition (None: no node does), and all nodes."""

    serving: list[Place | None]
    nodes: frozenset[Place]


async def read_topology(servers: Servers, known: Iterable[Place] = ()) -> Topology:
    """Ask the nodes, one after the other in any order, until one says who serves what.

    Raises:
        RedisClusterException, RedisError, OSError: when none does.
    """
    seeds = (parse_url(seed) for seed in servers.seeds)
    places = dict.fromkeys([Place(s["host"], s["port"]) for s in seeds])
    cluster = RedisCluster.from_url(
        servers.seeds[0],
        startup_nodes=[ClusterNode(*place) for place in {**places, **dict.fromkeys(known)}],
        require_full_coverage=False,
        dynamic_startup_nodes=False,
        **limits(ASK_LIMIT),
    )
    manager = cluster.nodes_manager
    try:
        await manager.initialize()
        serving = [_server(cluster, number) for number in range(PARTITIONS)]
        return Topology(serving, frozenset(map(_place, manager.nodes_cache.values())))
    finally:
        await manager.aclose()
        await manager.aclose("startup_nodes")


def _server(cluster: RedisCluster, number: int) -> Place | None:
    slot = cluster.keyslot(Names(None, number).log)
    try:
        return _place(cluster.nodes_manager.get_node_from_slot(slot))
    except SlotNotCoveredError:
        return None


def _place(node: ClusterNode) -> Place:
    return Place(node.host, int(node.port))


class Cluster:
    """Each partition is on the node that serves its slot."""

    def __init__(self, servers: Servers, durability: Durability = USUAL) -> None:
        self._durability = durability
        self._servers = servers
        self._lanes: dict[Place, Lane] = {}
        self._serving: list[Place | None] = [None] * PARTITIONS
        self._learning: asyncio.Task[None] | None = None
        self._not_before = 0.0
        self._is_lost = False
        self._is_closed = False
        self._turns = itertools.count()

    async def call(self, part: int, script: Script, keys: Sequence[Value], values: Values) -> Any:
        """Run a script on the node that serves the partition."""
        deadline = asyncio.get_running_loop().time() + (
            PATIENCE if script.must_last and self._durability else TIME_LIMIT
        )
        place = self._serving[part] or await self._find(part)
        try:
            return await self._lane(place).call(script, keys, values)
        except Unavailable as error:
            self._learn()
            try:
                async with asyncio.timeout_at(deadline):
                    again = await self._elsewhere(part, place, error)
                    return await again(script, keys, values)
            except TimeoutError:
                raise Unavailable("the store did not answer in time") from None
            except Refused as second:
                # What it names are the addresses of the store, which are nobody's business.
                if second.answer.startswith(REDIRECTS):
                    raise Unavailable("the store's partition is moving") from None
                raise

    async def _elsewhere(
        self, part: int, place: Place, error: Unavailable
    ) -> Callable[[Script, Sequence[Value], Values], Awaitable[Any]]:
        """Return how to call again what surely did not run, or raise the error."""
        if isinstance(error, Unsent):
            await self._learned()
            now = self._serving[part]
            if now is not None and now != place:
                return self._lane(now).call
        if isinstance(error, Refused) and error.answer.startswith(REDIRECTS):
            kind, _, rest = error.answer.partition(" ")
            named = AskError(rest)
            there = Place(named.host or place.host, named.port)
            if kind == "ASK":
                return self._lane(there).ask
            self._serving[part] = there
            return self._lane(there).call
        raise error

    async def command(self, *parts: Value) -> Any:
        """Run a command on a node that is connected, each time another one."""
        place = await self._any()
        try:
            return await self._lane(place).command(*parts)
        except Unavailable:
            self._learn()
            raise

    async def is_stuck(self) -> bool:
        """Tell whether any lane is."""
        return any([await lane.is_stuck() for lane in list(self._lanes.values())])

    def generation(self, part: int) -> object:
        """Return what stands for the connection to the node that serves the partition."""
        place = self._serving[part]
        return self._lanes[place].generation if place in self._lanes else None

    async def pool(self) -> ConnectionPool:
        """Return what makes connections to a node: what is published on one, all hear of."""
        return dialer(self._servers.at(*await self._any()))

    async def close(self) -> None:
        """Close all lanes, and make no other."""
        self._is_closed = True
        if self._learning is not None:
            self._learning.cancel()
            await asyncio.gather(self._learning, return_exceptions=True)
        self._serving = [None] * PARTITIONS
        for lane in self._lanes.values():
            await lane.close()

    def _lane(self, place: Place) -> Lane:
        lane = self._lanes.get(place)
        if lane is None:
            lane = self._lanes[place] = Lane(dialer(self._servers.at(*place)), self._durability)
        return lane

    async def _any(self) -> Place:
        if not any(self._serving):
            await self._learned()
        places = sorted({place for place in self._serving if place is not None})
        if not places:
            raise Unavailable(UNKNOWN)
        live = [place for place in places if self._lane(place).generation is not None]
        return (live or places)[next(self._turns) % len(live or places)]

    async def _find(self, part: int) -> Place:
        await self._learned()
        place = self._serving[part]
        if place is None:
            raise Unavailable(UNKNOWN)
        return place

    async def _learned(self) -> None:
        self._learn()
        if self._learning is not None:
            await asyncio.wait([self._learning], timeout=TIME_LIMIT)

    def _learn(self) -> None:
        if self._is_closed:
            return
        if self._learning is None and asyncio.get_running_loop().time() >= self._not_before:
            self._learning = asyncio.create_task(self._ask())
            # Not by `finally`, which never runs in a task that is cancelled before its first step.
            self._learning.add_done_callback(self._end_learning)

    def _end_learning(self, learning: asyncio.Task[None]) -> None:
        self._learning = None
        self._not_before = asyncio.get_running_loop().time() + LEARN_INTERVAL
        if not learning.cancelled() and (error := learning.exception()) is not None:
            log.error("who serves what could not be learned", exc_info=error)

    async def _ask(self) -> None:
        try:
            async with asyncio.timeout(LEARN_LIMIT):
                topology = await read_topology(self._servers, self._lanes)
        except (RedisError, RedisClusterException, OSError) as error:
            if not self._is_lost:
                log.warning("no node says who serves what", error=type(error).__name__)
            self._is_lost = True
        else:
            self._is_lost = False
            await self._use(topology)

    async def _use(self, topology: Topology) -> None:
        self._serving = topology.serving
        for place in self._lanes.keys() - topology.nodes:
            await self._lanes.pop(place).close()
