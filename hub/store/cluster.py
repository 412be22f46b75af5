"""Redis Cluster: each partition is in one slot, which can move between nodes.

redis-py reads from the nodes which of them serves which slot; each has a pipeline of ours. A node
that does not serve a slot redirects (MOVED, ASK) without running the script, which is then sent
again, once, to the node that it names. A call that could not be sent for lack of a connection is
sent to the node that has taken over. No other script is ever sent twice. After any failure
the slot map is read again.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Hashable, Iterable, Sequence
from typing import Any, NamedTuple

import structlog
from redis.asyncio import ConnectionPool
from redis.asyncio.cluster import ClusterNode, RedisCluster
from redis.asyncio.connection import parse_url
from redis.exceptions import AskError, RedisClusterException, RedisError, SlotNotCoveredError

from hub.core.servers import Servers
from hub.errors import Unavailable
from hub.store.base import TIME_LIMIT
from hub.store.cancellation import cancel
from hub.store.connection import connection_options, connection_pool
from hub.store.durability import NO_WAIT, PATIENCE, Durability
from hub.store.names import PARTITIONS, Names
from hub.store.pipeline import Pipeline, Refused, Unsent, Value
from hub.store.script import Script, Values

log = structlog.get_logger(__name__)

ASK_LIMIT = TIME_LIMIT / 4
"""Seconds in which a node must return its slot map, before the next one is asked."""

LEARN_LIMIT = 5 * TIME_LIMIT
LEARN_INTERVAL = 0.25
"""Seconds between two reads of the slot map, however many calls fail."""

REDIRECTS = ("MOVED ", "ASK ")
UNKNOWN = "no node of the store serves this partition"


class Node(NamedTuple):
    """The address of a node."""

    host: str
    port: int


class SlotMap(NamedTuple):
    """The node that serves each partition (None: no node does), and all nodes."""

    serving: list[Node | None]
    nodes: frozenset[Node]


async def read_slot_map(servers: Servers, known: Iterable[Node] = ()) -> SlotMap:
    """Return the slot map of the first node that answers; they are asked one after the other.

    Raises:
        RedisClusterException, RedisError, OSError: if none does.
    """
    seeds = (parse_url(seed) for seed in servers.seeds)
    nodes = dict.fromkeys([Node(s["host"], s["port"]) for s in seeds])
    cluster = RedisCluster.from_url(
        servers.seeds[0],
        startup_nodes=[ClusterNode(*node) for node in {**nodes, **dict.fromkeys(known)}],
        require_full_coverage=False,
        dynamic_startup_nodes=False,
        **connection_options(ASK_LIMIT),
    )
    manager = cluster.nodes_manager
    try:
        await manager.initialize()
        serving = [_server(cluster, number) for number in range(PARTITIONS)]
        return SlotMap(serving, frozenset(map(_node, manager.nodes_cache.values())))
    finally:
        await manager.aclose()
        await manager.aclose("startup_nodes")


def _server(cluster: RedisCluster, number: int) -> Node | None:
    slot = cluster.keyslot(Names(None, number).log)
    try:
        return _node(cluster.nodes_manager.get_node_from_slot(slot))
    except SlotNotCoveredError:
        return None


def _node(found: ClusterNode) -> Node:
    return Node(found.host, int(found.port))


class ClusterNodes:
    """A `hub.store.topology.Topology` of a cluster: a partition is on the node of its slot."""

    def __init__(self, servers: Servers, durability: Durability = NO_WAIT) -> None:
        self._durability = durability
        self._servers = servers
        self._pipelines: dict[Node, Pipeline] = {}
        self._serving: list[Node | None] = [None] * PARTITIONS
        self._served: set[tuple[Node | None, int]] = set()
        """The partitions that each node has had at any time: what it lost may have moved since."""
        self._learning: asyncio.Task[None] | None = None
        self._not_before = 0.0
        self._is_lost = False
        self._is_closed = False
        self._round_robin = itertools.count()

    async def call(
        self, partition: int, script: Script, keys: Sequence[Value], values: Values
    ) -> Any:
        """Run a script on the node that serves the partition."""
        patience = PATIENCE if script.must_last and self._durability else TIME_LIMIT
        deadline = asyncio.get_running_loop().time() + patience
        node = self._serving[partition] or await self._find(partition)
        try:
            return await self._pipeline(node).call(script, keys, values)
        except Unavailable as error:
            self._learn()
            try:
                async with asyncio.timeout_at(deadline):
                    again = await self._elsewhere(partition, node, error)
                    return await again(script, keys, values)
            except TimeoutError:
                raise Unavailable("the store did not answer in time") from None
            except Refused as second:
                # Its text holds addresses of the store, which are not for the client.
                if second.answer.startswith(REDIRECTS):
                    raise Unavailable("the store's partition is moving") from None
                raise

    async def _elsewhere(
        self, partition: int, node: Node, error: Unavailable
    ) -> Callable[[Script, Sequence[Value], Values], Awaitable[Any]]:
        """Return how to repeat a call if it certainly did not run; otherwise raise the error."""
        if isinstance(error, Unsent):
            await self._wait_until_learned()
            now = self._serving[partition]
            if now is not None and now != node:
                return self._pipeline(now).call
        if isinstance(error, Refused) and error.answer.startswith(REDIRECTS):
            kind, _, rest = error.answer.partition(" ")
            named = AskError(rest)
            there = Node(named.host or node.host, named.port)
            if kind == "ASK":
                return self._pipeline(there).call_asking
            self._serve(partition, there)
            return self._pipeline(there).call
        raise error

    async def command(self, *parts: Value) -> Any:
        """Run a command on any node, connected ones first, in turn.

        If that node does not answer, the next one is asked: such commands may run twice.
        """
        try:
            return await self._pipeline(await self._any()).command(*parts)
        except Refused:
            raise
        except Unavailable:
            self._learn()
            return await self._pipeline(await self._any()).command(*parts)

    async def infos(self) -> dict[Hashable, bytes]:
        """Return what each node that answers says to ``INFO``."""
        if not any(self._serving):
            await self._wait_until_learned()
        nodes = sorted({node for node in (*self._serving, *self._pipelines) if node is not None})
        asking = (self._pipeline(node).command("INFO") for node in nodes)
        answers = await asyncio.gather(*asking, return_exceptions=True)
        found: dict[Hashable, bytes] = {}
        for node, answer in zip(nodes, answers, strict=True):
            if isinstance(answer, Refused) or not isinstance(answer, Unavailable | bytes):
                raise answer
            if isinstance(answer, bytes):
                found[node] = answer
        return found

    async def partitions_of(self, server: Hashable) -> frozenset[int]:
        """Return the partitions that a node has, by a slot map of now, or has had."""
        await self._wait_until_learned()
        return frozenset(partition for node, partition in self._served if node == server)

    async def is_stuck(self) -> bool:
        """Return whether any pipeline is stuck."""
        return any([await pipeline.is_stuck() for pipeline in list(self._pipelines.values())])

    def generation(self, partition: int) -> object:
        """Return a token for the current connection to the node that serves the partition."""
        node = self._serving[partition]
        return self._pipelines[node].generation if node in self._pipelines else None

    async def pool(self) -> ConnectionPool:
        """Return a pool for any node: what is published on one reaches them all."""
        return connection_pool(self._servers.at(*await self._any()))

    async def close(self) -> None:
        """Close all pipelines, for good."""
        self._is_closed = True
        if self._learning is not None:
            await cancel([self._learning])
        self._serving = [None] * PARTITIONS
        for pipeline in self._pipelines.values():
            await pipeline.close()

    def _pipeline(self, node: Node) -> Pipeline:
        pipeline = self._pipelines.get(node)
        if pipeline is None:
            pipeline = self._pipelines[node] = Pipeline(
                connection_pool(self._servers.at(*node)), self._durability
            )
        return pipeline

    async def _any(self) -> Node:
        if not any(self._serving):
            await self._wait_until_learned()
        nodes = sorted({node for node in self._serving if node is not None})
        if not nodes:
            raise Unavailable(UNKNOWN)
        live = [node for node in nodes if self._pipeline(node).generation is not None]
        return (live or nodes)[next(self._round_robin) % len(live or nodes)]

    async def _find(self, partition: int) -> Node:
        await self._wait_until_learned()
        node = self._serving[partition]
        if node is None:
            raise Unavailable(UNKNOWN)
        return node

    async def _wait_until_learned(self) -> None:
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
            log.error("reading the slot map failed", exc_info=error)

    async def _ask(self) -> None:
        try:
            async with asyncio.timeout(LEARN_LIMIT):
                slot_map = await read_slot_map(self._servers, self._pipelines)
        except (RedisError, RedisClusterException, OSError) as error:
            if not self._is_lost:
                log.warning("no node returned a slot map", error=type(error).__name__)
            self._is_lost = True
        else:
            self._is_lost = False
            await self._use(slot_map)

    async def _use(self, slot_map: SlotMap) -> None:
        for partition, node in enumerate(slot_map.serving):
            self._serve(partition, node)
        for node in self._pipelines.keys() - slot_map.nodes:
            await self._pipelines.pop(node).close()

    def _serve(self, partition: int, node: Node | None) -> None:
        self._serving[partition] = node
        self._served.add((node, partition))
