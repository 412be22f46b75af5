"""Redis Cluster: slots that move and nodes that die are followed, without a wrong answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from functools import partial

import pytest

from hub.core.model import SECOND, Identity, Logout, Reason, Receipt, Scope, user_key
from hub.core.revocation import judge
from hub.core.servers import read_servers
from hub.errors import Unavailable
from hub.store.cluster import Node, read_slot_map
from hub.store.names import PARTITIONS, Names
from hub.store.redis import RedisStore
from hub.store.script import Script
from hub.store.topology import open_topology
from hub.store.values import Command, DataLoss, Departure, Interrupted, Registration
from tests.contract.listener import Listener, listening
from tests.patience import PATIENCE
from tests.redis_server import Clustered, RedisServer, slot_of, started, until

LIFETIME = 3600 * SECOND
SOON = 8.0
"""Seconds within which a store that is down is called so; the limit is one."""


def identity(partition: int, number: int = 0) -> Identity:
    """Return an identity of a user of its own, in this partition."""
    users = (user_key("", f"user-{number}-{guess}") for guess in range(10_000))
    user = next(user for user in users if Names(user).partition == partition)
    issued = time.time_ns() // 1000
    exp = issued + LIFETIME
    return Identity(user, "", "", f"sid-{number}", iat=issued, exp=exp, leeway=SECOND)


PEOPLE = range(PARTITIONS)


def logout(who: Identity) -> Logout:
    """Return a logout of one user."""
    return Logout(id=f"id-{who.sid}", user=who.user, scope=Scope.ALL, reason=Reason.USER)


async def end(store: RedisStore, who: Identity) -> Receipt:
    """Log one user out."""
    return await store.end(Command(logout(who)))


async def alive(store: RedisStore, who: Identity) -> bool | None:
    """Tell whether a token is alive; None when the store does not say."""
    try:
        return judge(who, await store.look(who)) is None
    except Unavailable:
        return None


async def patiently(store: RedisStore, who: Identity) -> bool:
    """Tell whether a token is alive, as soon as the store says so."""
    async with asyncio.timeout(PATIENCE):
        while True:
            answer = await alive(store, who)
            if answer is not None:
                return answer
            await asyncio.sleep(0.05)


def parts_of(cluster: Clustered, number: int) -> set[int]:
    """Return the partitions that a master of a new cluster serves."""
    return cluster.partitions_of(number)


def entries(node: RedisServer, partition: int) -> int:
    """Return how many logouts a partition's log holds."""
    return int(node.run("XLEN", Names(None, partition).log))


class Move:
    """A slot that moves from one node to another, step by step (https://redis.io/docs)."""

    def __init__(
        self, cluster: Clustered, partition: int, source: RedisServer, to: RedisServer
    ) -> None:
        self.cluster, self.slot, self.source, self.to = cluster, slot_of(partition), source, to

    def begin(self) -> None:
        """Say on both nodes that it moves."""
        self.to.run("CLUSTER", "SETSLOT", self.slot, "IMPORTING", self.source.name)
        self.source.run("CLUSTER", "SETSLOT", self.slot, "MIGRATING", self.to.name)

    def carry(self, count: int) -> None:
        """Move so many of its keys."""
        keys = self.source.run("CLUSTER", "GETKEYSINSLOT", self.slot, count)
        if keys:
            to = ("127.0.0.1", self.to.port, "", 0, 5000, "KEYS")
            self.source.run("MIGRATE", *to, *keys)

    def end(self) -> None:
        """Say on all nodes that it has moved."""
        for node in (self.to, self.source, *self.cluster.masters):
            node.run("CLUSTER", "SETSLOT", self.slot, "NODE", self.to.name)

    def do(self) -> None:
        """Do all of it."""
        self.begin()
        self.carry(1000)
        self.end()


@pytest.fixture
def cluster(clustered_servers: Clustered) -> Clustered:
    """A cluster whose slots may be moved if they are moved back."""
    clustered_servers.empty()
    return clustered_servers


@pytest.fixture(scope="module")
def doomed_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clustered]:
    """A cluster for this file; use ``own_cluster``, which sees to it that all nodes run."""
    with started(Clustered(tmp_path_factory.mktemp("own"), with_replica=True)) as servers:
        yield servers


@pytest.fixture
def own_cluster(doomed_servers: Clustered) -> Clustered:
    """A cluster whose nodes may be killed; its first master has a replica."""
    doomed_servers.heal()
    return doomed_servers


@pytest.fixture
async def store(cluster: Clustered) -> AsyncIterator[RedisStore]:
    """A store on the cluster."""
    async with RedisStore(cluster.url, lifetime=LIFETIME) as made:
        yield made


async def test_partitions_are_on_all_nodes(store: RedisStore, cluster: Clustered) -> None:
    """Each node holds what is its own, also of a logout of everyone."""
    await store.end(Command(Logout("id", user=None, scope=Scope.ALL, reason=Reason.POLICY)))
    for number, node in enumerate(cluster.masters):
        with node.client() as client:
            logs = {key.decode() for key in client.keys("hub:*:log")}
        assert logs == {Names(None, partition).log for partition in parts_of(cluster, number)}
        assert logs


async def test_a_slot_that_moves_is_followed_without_a_wrong_answer(
    store: RedisStore, cluster: Clustered
) -> None:
    """Step by step, what is dead stays dead and what lives lives, or the store does not say."""
    source, to = cluster.masters[:2]
    partition = min(parts_of(cluster, 0))
    dead, living, late = (identity(partition, number) for number in range(3))
    move = Move(cluster, partition, source, to)
    await store.register(Registration(dead, "laptop", ""))
    await store.register(Registration(living, "phone", ""))
    await end(store, dead)
    answers = []
    async with listening(store) as listener:
        move.begin()
        for count in (1, 1, 1, 1, 1, 1000):
            answers += [(await alive(store, dead), await alive(store, living))]
            move.carry(count)
        # All keys are there and the slot is not: only who asks for it is answered.
        assert entries_while_moving(to, partition) == 1
        await listener.confirmed()
        assert not listener.count(DataLoss)
        move.end()
        assert not await patiently(store, dead)
        assert await patiently(store, living)
        assert [s.device for s in (await store.sessions(living.user)).sessions] == ["phone"]
        await end(store, late)
        await listener.until(lambda: any(h.logout.user == late.user for h in listener.heard))
        assert entries(to, partition) == 2
        Move(cluster, partition, to, source).do()
        assert not await patiently(store, late)
        assert await patiently(store, living)
        assert not listener.count(DataLoss)
        assert listener.gaps[partition] == 1
        assert len(listener.heard) == 1
    assert {first for first, _ in answers} <= {False, None}
    assert {second for _, second in answers} <= {True, None}


def entries_while_moving(node: RedisServer, partition: int) -> int:
    """Return how many logouts a log holds on a node that is just taking it over."""
    with node.client() as client, client.pipeline(transaction=False) as pipeline:
        pipeline.execute_command("ASKING")
        pipeline.xlen(Names(None, partition).log)
        return int(pipeline.execute()[1])


async def test_a_call_to_the_wrong_node_runs_once_on_the_right_one(cluster: Clustered) -> None:
    """What was moved behind the hub's back is found by the answer of the node that had it."""
    source, to = cluster.masters[:2]
    partition = min(parts_of(cluster, 0))
    who = identity(partition)
    async with RedisStore(cluster.url, lifetime=LIFETIME) as store:
        await end(store, who)
        before = store._logouts.generation(partition)
        Move(cluster, partition, source, to).do()
        try:
            await end(store, identity(partition, 1))
            assert store._logouts.generation(partition) is not before
            assert store._logouts.generation(partition) is not None
            assert entries(to, partition) == 2
            assert await alive(store, who) is False
        finally:
            Move(cluster, partition, to, source).do()


async def test_who_serves_what_is_asked_of_whoever_lives(
    own_cluster: Clustered, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that hangs and one that is dead are passed over."""
    monkeypatch.setattr("hub.store.cluster.ASK_LIMIT", 1.0)  # which one that lives keeps to
    servers = read_servers(own_cluster.url)
    own_cluster.masters[2].pause()
    own_cluster.masters[1].kill()
    places = [Node("127.0.0.1", node.port) for node in own_cluster.masters]
    for _ in range(3):
        topology = await read_slot_map(servers)
        assert topology.serving == [
            next(
                place
                for number, place in enumerate(places)
                if partition in parts_of(own_cluster, number)
            )
            for partition in PEOPLE
        ]
    own_cluster.masters[2].resume()
    own_cluster.masters[1].start()
    await asyncio.to_thread(own_cluster.wait)


async def test_any_node_tells_the_time(own_cluster: Clustered) -> None:
    """A node that hangs is passed over: signals about users of the others need the time, too."""
    async with RedisStore(own_cluster.url, lifetime=LIFETIME) as store:
        await store.now()
        own_cluster.masters[1].pause()
        try:
            told = [await store.now() for _ in own_cluster.masters]
        finally:
            own_cluster.masters[1].resume()
    assert told == sorted(told)


async def test_what_a_node_evicts_is_a_loss_of_its_own_partitions_only(
    cluster: Clustered, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of those that it has had: the key may have been there before its slot moved away."""
    monkeypatch.setattr("hub.store.reader.POLICY_INTERVAL", 0.5)
    node, to = cluster.masters[1], cluster.masters[2]
    own = parts_of(cluster, 1)
    moved = min(own)
    people = [identity(partition) for partition in PEOPLE]
    async with RedisStore(cluster.url, lifetime=LIFETIME) as store, listening(store) as listener:
        await listener.confirmed(PEOPLE)
        for who in people:
            await end(store, who)
        Move(cluster, moved, node, to).do()
        await listener.confirmed(PEOPLE)
        try:
            tag = Names(None, max(own)).log.rpartition(":")[0]
            await asyncio.to_thread(node.evict, f"{tag}:something")
            await listener.until(lambda: {loss.partition for loss in losses(listener)} == own)
            await listener.confirmed(set(PEOPLE) - own)
            answers = [await alive(store, who) for who in people]
            assert answers == [None if number in own else False for number in PEOPLE]
        finally:
            Move(cluster, moved, to, node).do()
        assert {loss.partition for loss in losses(listener)} == own


def losses(listener: Listener) -> list[DataLoss]:
    """Return the losses that were found."""
    return [event for event in listener.events if isinstance(event, DataLoss)]


async def test_a_killed_node_takes_its_partitions_and_no_others(own_cluster: Clustered) -> None:
    """What it served is unavailable, the rest is answered; once it is back, everything is."""
    doomed = own_cluster.masters[1]
    gone = parts_of(own_cluster, 1)
    people = [identity(partition) for partition in PEOPLE]
    own_cluster.empty()
    with doomed.client() as client:
        # Else a slow disk lets Redis keep what it has answered in memory for up to two seconds.
        client.config_set("appendfsync", "always")
    async with RedisStore(own_cluster.url, lifetime=LIFETIME) as store:
        for who in people:
            await end(store, who)
        doomed.kill()
        for _ in range(10):
            began = time.monotonic()
            answers = await asyncio.gather(*(alive(store, who) for who in people))
            assert time.monotonic() - began < SOON
            assert answers == [None if partition in gone else False for partition in PEOPLE]
            await asyncio.sleep(0.1)
        for who in people:
            if Names(who.user).partition not in gone:
                await end(store, who)
        doomed.start()
        for who in people:
            assert not await patiently(store, who)
    await asyncio.to_thread(own_cluster.wait)


@pytest.mark.parametrize("how", ["stop", "kill"])
async def test_the_others_are_followed_and_renewed_while_a_node_is_dead(
    own_cluster: Clustered, how: str
) -> None:
    """Also when it was the one on which the channels were heard: no pause, no gap, and live."""
    people = [identity(partition) for partition in PEOPLE]
    own_cluster.empty()
    async with (
        RedisStore(own_cluster.url, lifetime=LIFETIME) as store,
        listening(store) as listener,
    ):
        await listener.confirmed(PEOPLE)
        # Not the one that has a successor.
        doomed = await subscribed(own_cluster.masters[1:], own_cluster.masters[0])
        gone = parts_of(own_cluster, own_cluster.masters.index(doomed))
        others = set(PEOPLE) - gone
        assert await store.renew("lease") == {}
        doomed.pause() if how == "stop" else doomed.kill()
        since = len(listener.events)
        for _ in range(6):
            began = time.monotonic()
            await listener.confirmed(others)
            assert time.monotonic() - began < SOON
        told = [event for event in listener.events[since:] if isinstance(event, Interrupted)]
        assert {number for event in told for number in event.partitions} == gone
        assert set(await store.renew("lease")) == gone
        with pytest.raises(Unavailable):
            await store.renew("lease", [Departure(people[min(gone)].user, "s", 1)])
        # The channels are heard elsewhere.
        await listener.until_live(partial(end, store, people[min(others)]))
        with pytest.raises(Unavailable):
            await store.end(everyone())
        doomed.resume() if how == "stop" else await asyncio.to_thread(doomed.start)
        await asyncio.to_thread(own_cluster.wait)
        await listener.confirmed(PEOPLE)
        first = await store.end(everyone())
        assert (await store.end(everyone())).repeated
        await listener.until(
            lambda: (
                {h.partition for h in listener.heard if h.logout.id == first.logout.id}
                == set(PEOPLE)
            )
        )
        assert not listener.count(DataLoss)
        assert set(listener.gaps.values()) == {1}


async def subscribed(wanted: list[RedisServer], other: RedisServer) -> RedisServer:
    """Return the node on which the channels are heard, once it is one that is wanted."""
    async with asyncio.timeout(PATIENCE):
        while True:
            for node in wanted:
                if node.run("CLIENT", "LIST", "TYPE", "pubsub"):
                    return node
            other.run("CLIENT", "KILL", "TYPE", "pubsub")
            await asyncio.sleep(0.5)


def everyone() -> Command:
    """Return a logout of everyone that is the same when it is asked for again."""
    asked = Logout("everyone", user=None, scope=Scope.ALL, reason=Reason.POLICY)
    return Command(asked, key="everyone")


async def test_a_replica_that_takes_over_is_followed(own_cluster: Clustered) -> None:
    """After a failover the log is looked at again, and what was replicated is there."""
    # It ends with another master than the others begin with, so it is the last to use the cluster.
    assert own_cluster.replica is not None
    own_cluster.empty()
    parts = parts_of(own_cluster, 0)
    people = [identity(partition) for partition in PEOPLE]
    async with (
        RedisStore(own_cluster.url, lifetime=LIFETIME) as store,
        listening(store) as listener,
    ):
        for who in people:
            await end(store, who)
        replica = own_cluster.replica
        await asyncio.to_thread(
            until, lambda: {entries_on_replica(replica, partition) for partition in parts} == {1}
        )
        own_cluster.masters[0].kill()
        killed_at = time.monotonic()
        assert not any([await patiently(store, who) for who in people])
        took = time.monotonic() - killed_at
        newcomer = identity(min(parts), 1)
        assert await patiently(store, newcomer)
        await end(store, newcomer)
        await listener.until(lambda: any(h.logout.user == newcomer.user for h in listener.heard))
        assert not listener.count(DataLoss)
        assert listener.gaps[min(parts)] == 1
        assert entries(replica, min(parts)) == 2
    print(f"\nCluster: {took:.1f} s until the replica had taken over")  # noqa: T201


def entries_on_replica(node: RedisServer, partition: int) -> int:
    """Return how many logouts a replica's copy of a log holds."""
    with node.client() as client, client.pipeline(transaction=False) as pipeline:
        pipeline.execute_command("READONLY")
        pipeline.xlen(Names(None, partition).log)
        return int(pipeline.execute()[1])


async def test_a_storm_of_failures_asks_once() -> None:
    """However many calls fail for want of nodes, they all do so soon, and tell no address."""
    made = open_topology("redis+cluster://:sesame@127.0.0.1:1,127.0.0.1:2")
    calls = [
        made.call(partition, Script("rows"), ["k"], {}) for partition in PEOPLE for _ in range(50)
    ]
    began = time.monotonic()
    answers = await asyncio.gather(*calls, return_exceptions=True)
    assert time.monotonic() - began < SOON
    assert {type(answer) for answer in answers} == {Unavailable}
    assert not any("127.0.0.1" in str(answer) or "sesame" in str(answer) for answer in answers)
    await made.close()
