"""The faults: which come when, decided by a seed alone, and how each is made."""

from __future__ import annotations

import asyncio
import random
import signal
import time
from collections import Counter
from dataclasses import dataclass

import aiohttp
import redis.asyncio

from tests.faults.cluster import Cluster, Replica
from tests.faults.guards import Guard
from tests.faults.history import Fault, History

STORE = {
    "redis_kill": "Redis is killed, and started again with its append-only file",
    "redis_stop": "Redis is stopped (SIGSTOP) and goes on",
    "pubsub_kill": "Redis closes every subscription (CLIENT KILL TYPE pubsub)",
}
NODE = {
    "node_stop": "a node of a cluster is stopped (SIGSTOP) and goes on",
    "node_kill": "a node of a cluster is killed, and started again with its append-only file",
}
LINK = {
    "link_cut": "a replica's connections to Redis are reset, and new ones too",
    "link_hole": "nothing passes between a replica and Redis; nothing is closed",
    "link_mute": "Redis' answers do not reach a replica; its commands arrive",
    "link_slow": "everything between a replica and Redis takes longer",
    "link_uneven": "the same, but for what Redis publishes, which comes at once",
    "link_deaf": "what Redis publishes to a replica is lost; nothing is closed",
}
REPLICA = {
    "replica_kill": "a replica is killed, and started again",
    "replica_stop": "a replica is stopped (SIGSTOP) and goes on",
    "replica_term": "a replica is ended (SIGTERM), and started again",
    "clock": "a replica's clock is an hour or a day off",
}
GUARD = {
    "guard_cut": "a guard's connections to its replica are reset, and new ones too",
    "guard_hole": "nothing passes between a guard and its replica; nothing is closed",
    "guard_slow": "what a replica tells a guard arrives later and later, up to some seconds",
    "guard_switch": "a guard's connections are reset, and lead to another replica then",
    "guard_stop": "a guard is stopped (SIGSTOP) and goes on",
    "guard_clock": "a guard's wall clock is an hour or a day off",
}
KINDS = {**STORE, **LINK, **REPLICA, **GUARD}
"""Those of replicas that share one Redis."""
CLUSTER_KINDS = {**NODE, **REPLICA, **GUARD}
"""Those of replicas that share a cluster."""
LONG = {*STORE, *LINK, *NODE, "guard_cut", "guard_hole", "guard_stop"} - {"pubsub_kill"}
"""Faults of which some last longer than the fence."""
HAND_OVER = 0.5
"""Seconds that a killed or stopped server is away at the least."""
LAGS = range(1, 9)
"""Seconds by which a guard hears late, one after the other; at last its knowledge is too old."""
OFFSETS = (3600, -3600, 86400, -86400)
"""By how many seconds a clock is off."""


@dataclass(frozen=True)
class Planned:
    """A fault to come: what, to which replica or guard, how long, and the pause after it (s)."""

    kind: str
    target: int | None
    lasts: float
    pause: float
    amount: float


@dataclass(frozen=True)
class Mix:
    """Of what rounds are made: kinds, how many targets, the mean pause after a fault (seconds).

    ``long_part`` of those faults that may be long last a little more than ``longest`` seconds, all
    others a second or so.
    """

    kinds: tuple[str, ...]
    replicas: int
    pause: float
    longest: float
    long_part: float
    guards: int


def plan(seed: int, number: int, mix: Mix) -> list[list[Planned]]:
    """Return one round: every kind once, on three lanes that run side by side.

    Faults of Redis, and of nodes, are on the first lane and so never overlap each other; those of
    guards are on the third.
    """
    chance = random.Random(f"faults {seed} {number}")  # noqa: S311 - a schedule, no secret
    lanes: list[list[Planned]] = [[], [], []]
    chosen = list(mix.kinds)
    chance.shuffle(chosen)
    servers = {**STORE, **NODE}
    for kind in sorted(chosen, key=lambda kind: kind not in servers):
        is_long = kind in LONG and chance.random() < mix.long_part
        fault = Planned(
            kind=kind,
            target=None
            if kind in servers
            else chance.randrange(mix.guards if kind in GUARD else mix.replicas),
            lasts=mix.longest + chance.uniform(0.5, 2.0) if is_long else chance.uniform(0.2, 1.8),
            pause=mix.pause * chance.uniform(0.3, 1.7),
            amount=chance.random(),
        )
        lane = 0 if kind in servers else min(0, 1, key=lambda lane: _length(lanes[lane]))
        lanes[2 if kind in GUARD else lane].append(fault)
    for lane_ in lanes:
        chance.shuffle(lane_)
    return lanes


def _length(lane: list[Planned]) -> float:
    return sum(fault.lasts + fault.pause for fault in lane)


class Trouble:
    """Makes faults, and writes each down with when it began and when it was over."""

    def __init__(self, cluster: Cluster, history: History, http: aiohttp.ClientSession) -> None:
        self._cluster = cluster
        self._history = history
        self._http = http
        self._busy = {replica.name: asyncio.Lock() for replica in cluster.replicas}
        self.counts: Counter[str] = Counter()

    async def run(self, lanes: list[list[Planned]]) -> None:
        """Make the faults of one round, and leave everything whole."""
        await asyncio.gather(*(self._run_lane(lane) for lane in lanes))

    async def _run_lane(self, lane: list[Planned]) -> None:
        for planned in lane:
            if planned.target is None:
                await self._make(planned, None)
            elif planned.kind in GUARD:
                await self._make(planned, self._cluster.guards[planned.target])
            else:
                replica = self._cluster.replicas[planned.target]
                async with self._busy[replica.name]:
                    await self._make(planned, replica)
            await asyncio.sleep(planned.pause)

    async def _make(self, planned: Planned, concerned: Replica | Guard | None) -> None:
        target = None if concerned is None else concerned.name
        fault = Fault(planned.kind, target, time.monotonic(), detail=f"{planned.lasts:.2f} s")
        self._history.faults.append(fault)
        self.counts[planned.kind] += 1
        try:
            if planned.kind in NODE:
                await self._trouble_node(planned, fault)
            elif concerned is None:
                await self._trouble_redis(planned, fault)
            elif isinstance(concerned, Guard):
                await self._trouble_guard(planned, concerned, fault)
            elif planned.kind.startswith("link_"):
                await self._trouble_link(planned, concerned)
            else:
                await self._trouble_replica(planned, concerned, fault)
        finally:
            fault.end = time.monotonic()

    async def _trouble_redis(self, planned: Planned, fault: Fault) -> None:
        server = self._cluster.redis
        match planned.kind:
            case "redis_kill":
                await asyncio.to_thread(server.kill)
                await asyncio.sleep(planned.lasts)
                fault.undone = time.monotonic()
                await asyncio.to_thread(server.start)
            case "redis_stop":
                server.pause()
                try:
                    await asyncio.sleep(max(planned.lasts, HAND_OVER))
                finally:
                    server.resume()
            case "pubsub_kill":
                async with redis.asyncio.Redis(port=server.port) as client:
                    await client.client_kill_filter(_type="pubsub")

    async def _trouble_node(self, planned: Planned, fault: Fault) -> None:
        nodes = self._cluster.nodes
        number = int(len(nodes.masters) * planned.amount)
        node = nodes.masters[number]
        fault.partitions = sorted(nodes.partitions_of(number))
        fault.detail += f", node {number}"
        if planned.kind == "node_stop":
            node.pause()
        else:
            await asyncio.to_thread(node.kill)
        try:
            await asyncio.sleep(max(planned.lasts, HAND_OVER))
        finally:
            fault.undone = time.monotonic()
            if planned.kind == "node_stop":
                node.resume()
            else:
                await asyncio.to_thread(node.start)
        await asyncio.to_thread(nodes.wait)

    async def _trouble_link(self, planned: Planned, replica: Replica) -> None:
        assert replica.link is not None
        match planned.kind:
            case "link_cut":
                replica.link.set(cut=True)
            case "link_hole":
                replica.link.set(held_up=True, held_down=True)
            case "link_mute":
                replica.link.set(held_down=True)
            case "link_slow":
                replica.link.set(delay=0.03 + 0.2 * planned.amount)
            case "link_uneven":
                replica.link.set(delay=0.03 + 0.2 * planned.amount, uneven=True)
            case "link_deaf":
                replica.link.set(deaf=True)
        try:
            await asyncio.sleep(planned.lasts)
        finally:
            replica.link.set()

    async def _trouble_replica(self, planned: Planned, replica: Replica, fault: Fault) -> None:
        match planned.kind:
            case "replica_stop":
                replica.send(signal.SIGSTOP)
                try:
                    await asyncio.sleep(max(planned.lasts, HAND_OVER))
                finally:
                    replica.send(signal.SIGCONT)
            case "clock":
                offset = OFFSETS[int(len(OFFSETS) * planned.amount)]
                fault.detail = f"{offset:+d} s"
                replica.set_clock(offset)
                await asyncio.sleep(planned.lasts)
                replica.set_clock(0)
            case "replica_kill" | "replica_term":
                number = signal.SIGKILL if planned.kind == "replica_kill" else signal.SIGTERM
                if not await replica.end(number):
                    fault.failure = "did not end by itself"
                await asyncio.sleep(planned.lasts / 4)
                await replica.start()
                if not await replica.ready(self._http):
                    fault.failure = "was not ready again"

    async def _trouble_guard(self, planned: Planned, guard: Guard, fault: Fault) -> None:
        match planned.kind:
            case "guard_cut":
                guard.link.set(cut=True)
            case "guard_hole":
                guard.link.set(held_up=True, held_down=True)
            case "guard_slow":
                for lag in LAGS:
                    guard.link.set(lag=lag)
                    await asyncio.sleep(1.0)
            case "guard_switch":
                replicas = self._cluster.replicas
                guard.link.target = replicas[int(len(replicas) * planned.amount)].port
                guard.link.set(cut=True)
                guard.link.set()
                return
            case "guard_stop":
                guard.send(signal.SIGSTOP)
            case "guard_clock":
                offset = OFFSETS[int(len(OFFSETS) * planned.amount)]
                fault.detail = f"{offset:+d} s"
                guard.set_clock(offset)
        try:
            await asyncio.sleep(max(planned.lasts, HAND_OVER))
        finally:
            match planned.kind:
                case "guard_stop":
                    guard.send(signal.SIGCONT)
                case "guard_clock":
                    guard.set_clock(0)
                case _:
                    guard.link.set()
