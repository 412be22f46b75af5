"""A dead node of a cluster harms its own users only: a real hub, and a real node that dies."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any, cast

import pytest
from structlog.testing import capture_logs

from hub.access.client import Client
from hub.access.logouts import Logouts
from hub.core.model import Identity, UserKey, user_key
from hub.core.partition import FENCED
from hub.metrics import Metrics
from hub.realtime.connections import Connection, Connections
from hub.realtime.delivery import Delivery
from hub.realtime.follower import WATCH_EVERY, Follower
from hub.realtime.sweeps import Sweeper
from hub.store.names import PARTITIONS, Names, partition_of
from hub.store.values import Confirmed, DataLoss, Event, Gap, Interrupted
from tests.realtime.raw import RawSocket, eventually, raw_socket
from tests.redis_server import DOWN_AFTER, Clustered, RedisServer, started
from tests.site import ADMIN, Replica, running, settings, token

FENCE = 5.0
TOLD = 8.0
"""Seconds within which a socket is told of a logout while a node is dead: a look or two."""

ALL = frozenset(range(PARTITIONS))


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clustered]:
    """A cluster whose nodes may be stopped."""
    with started(Clustered(tmp_path_factory.mktemp("nodes"))) as servers:
        yield servers


@pytest.fixture
async def hub(cluster: Clustered) -> AsyncIterator[Replica]:
    """A replica on the cluster."""
    cluster.empty()
    given = settings(redis_url=cluster.url, fence_seconds=FENCE, notice_grace=0.3)
    async with running(given) as replica:
        yield replica


def partitions_on(cluster: Clustered, node: RedisServer) -> frozenset[int]:
    """Return the partitions that a master serves."""
    return frozenset(cluster.partitions_of(cluster.masters.index(node)))


def users_of(partitions: frozenset[int]) -> Iterator[str]:
    """Yield different users of these partitions."""
    names = (f"user-{number}" for number in range(10_000))
    return (name for name in names if partition_of(user_key("", name)) in partitions)


def subscribed(cluster: Clustered) -> RedisServer:
    """Return the node to which the hub is subscribed."""
    return next(n for n in cluster.masters if n.run("CLIENT", "LIST", "TYPE", "pubsub"))


@contextlib.asynccontextmanager
async def dead(cluster: Clustered, node: RedisServer, how: str) -> AsyncIterator[None]:
    """Stop or kill a node inside the context, and restore it afterwards."""
    if how == "stop":
        node.pause()
    else:
        node.kill()
    try:
        yield
    finally:
        if how == "stop":
            node.resume()
        else:
            await asyncio.to_thread(node.start)
        await asyncio.to_thread(cluster.wait)


async def answers(raw: RawSocket) -> None:
    """Check that a socket is open and answered."""
    await raw.send('420["nonsense"]')
    assert "not_found" in str(await raw.receive())


async def unserved(hub: Replica) -> dict[int, str]:
    """Return the partitions that /readyz calls unserved; the replica is ready."""
    answer = await hub.call("GET", "/readyz")
    assert answer.status == 200, answer.body
    return {one["partition"]: one["reason"] for one in answer.body.get("unserved", [])}


async def log_out(hub: Replica, raw: RawSocket, who: str) -> None:
    """Log a user out, and check that the socket is notified in time."""
    began = time.monotonic()
    assert (await hub.call("POST", "/logout", who)).status == 200
    frames = await raw.receive_all()
    assert "logoutNotification" in frames[0]
    assert time.monotonic() - began < TOLD


@pytest.mark.parametrize("how", ["stop", "kill"])
async def test_a_dead_node_harms_its_own_users_only(
    hub: Replica, cluster: Clustered, how: str
) -> None:
    """Its users' sockets are closed and refused; those of all others stay and are notified."""
    node = subscribed(cluster)
    gone = partitions_on(cluster, node)
    lost, (mine, others, newer) = (
        next(users_of(gone)),
        (user for user, _ in zip(users_of(ALL - gone), range(3), strict=False)),
    )
    first, second = token(mine, "s1"), token(others, "s2")
    async with raw_socket(hub) as harmed, raw_socket(hub) as told, raw_socket(hub) as kept:
        await harmed.connect(token(lost, "s3"))
        await told.connect(first)
        await kept.connect(second)
        async with dead(cluster, node, how):
            await log_out(hub, told, first)
            began = time.monotonic()
            assert await harmed.receive_all() == []
            assert harmed.websocket.close_code == 1006
            assert time.monotonic() - began < FENCE + 5
            await answers(kept)
            found = await unserved(hub)
            assert set(found) == gone
            assert all(reason.startswith(f"{FENCED}: ") for reason in found.values()), found
            async with raw_socket(hub) as fresh:
                assert str(await fresh.connect(token(newer, "s4"))).startswith("40")
                async with raw_socket(hub) as refused:
                    refusal = await refused.closing_refusal(
                        await refused.connect(token(lost, "s5"))
                    )
                    assert refusal["message"] == "unavailable"
                    assert refusal["data"]["retryable"] is True
                # After the fence too, when the channel is heard on another node.
                await log_out(hub, fresh, token(newer, "s4"))
            await kept.send(f'421["refresh",{{"token":"{token(others, "s2", lifetime=900)}"}}]')
            assert '"ok":true' in str(await kept.receive()).replace(" ", "")
            assert (await hub.call("GET", "/verify", second)).status == 204
            assert (await hub.call("GET", "/verify", token(lost, "s3"))).status == 503
            everyone = {"everyone": True, "reason": "policy"}
            # It ends the sessions of the others all the same, so that it is asked for last.
            answer = await hub.call("POST", "/admin/logout", ADMIN, json=everyone)
            assert answer.status == 503
            assert "logoutNotification" in (await kept.receive_all())[0]
            page = (await hub.call("GET", "/metrics")).body
            assert f'hub_partitions{{state="fenced"}} {len(gone)}.0' in page
            assert "\nhub_following 1.0" in page
    await eventually(lambda: is_whole(hub))
    async with raw_socket(hub) as back:
        assert str(await back.connect(token(lost, "s6"))).startswith("40")
        await log_out(hub, back, token(lost, "s6"))


async def is_whole(hub: Replica) -> bool:
    """Tell whether every partition is served."""
    return not await unserved(hub)


async def test_a_short_hang_of_a_node_closes_nothing(cluster: Clustered) -> None:
    """A hang shorter than the fence closes no socket, and logouts are received again."""
    cluster.empty()
    node = cluster.masters[2]
    who = token(next(users_of(partitions_on(cluster, node))), "s1")
    patient = settings(redis_url=cluster.url, fence_seconds=60, notice_grace=0.3)
    async with running(patient) as hub, raw_socket(hub) as raw:
        await raw.connect(who)
        async with dead(cluster, node, "stop"):
            await asyncio.sleep(1.5)
            assert set(await unserved(hub)) == partitions_on(cluster, node)
        await eventually(lambda: is_whole(hub))
        await answers(raw)
        await log_out(hub, raw, who)


async def test_a_replica_that_starts_while_a_node_is_dead_serves_the_others(
    cluster: Clustered,
) -> None:
    """It accepts sockets of users whose partitions it follows, and no others."""
    cluster.empty()
    node = cluster.masters[0]
    gone = partitions_on(cluster, node)
    async with dead(cluster, node, "kill"):
        given = settings(redis_url=cluster.url, fence_seconds=FENCE)
        async with running(given) as hub:
            assert set(await unserved(hub)) == gone
            async with raw_socket(hub) as raw, raw_socket(hub) as refused:
                assert str(await raw.connect(token(next(users_of(ALL - gone))))).startswith("40")
                answer = await refused.connect(token(next(users_of(gone))))
                assert (await refused.closing_refusal(answer))["message"] == "unavailable"


async def test_with_less_than_half_of_the_partitions_a_replica_takes_nobody(
    hub: Replica, cluster: Clustered
) -> None:
    """It is not ready and accepts none; users of the remaining node keep their sockets."""
    left = cluster.masters[0]
    served = partitions_on(cluster, left)
    assert 0 < len(served) < PARTITIONS / 2
    mine, lost = token(next(users_of(served)), "s1"), token(next(users_of(ALL - served)), "s2")
    async with (
        raw_socket(hub) as kept,
        raw_socket(hub) as harmed,
        alone(cluster, left),
    ):
        await kept.connect(mine)
        await harmed.connect(lost)
        cluster.masters[1].pause()
        await eventually(lambda: is_reported(hub, served))
        assert (await hub.call("GET", "/readyz")).status == 200
        cluster.masters[2].pause()
        assert await harmed.receive_all() == []
        await takes_nobody(hub)
        assert await is_unready(hub)
        await answers(kept)
        assert (await hub.call("GET", "/verify", mine)).status == 204
        assert (await hub.call("GET", "/verify", lost)).status == 503
        assert "\nhub_following 0.0" in (await hub.call("GET", "/metrics")).body
        await log_out(hub, kept, mine)
    await eventually(lambda: is_ready_and_whole(hub))
    async with raw_socket(hub) as back:
        assert str(await back.connect(lost)).startswith("40")
        await log_out(hub, back, lost)


async def test_without_a_majority_of_its_nodes_a_cluster_serves_nobody(
    hub: Replica, cluster: Clustered
) -> None:
    """The remaining node answers nobody either; the cluster recovers when the others return."""
    users = [token(next(users_of(partitions_on(cluster, node))), "s") for node in cluster.masters]
    async with contextlib.AsyncExitStack() as stack:
        sockets = [await stack.enter_async_context(raw_socket(hub)) for _ in users]
        for raw, who in zip(sockets, users, strict=True):
            assert str(await raw.connect(who)).startswith("40")
        for node in cluster.masters[1:]:
            node.kill()
        try:
            for raw in sockets:
                assert await raw.receive_all() == []
                assert raw.websocket.close_code == 1006
            assert await is_unready(hub)
            await takes_nobody(hub)
            answers = [(await hub.call("GET", "/verify", who)).status for who in users]
            assert answers == [503, 503, 503]
        finally:
            await asyncio.to_thread(cluster.heal)
    await eventually(lambda: is_ready_and_whole(hub))
    for who in users:
        async with raw_socket(hub) as back:
            assert str(await back.connect(who)).startswith("40")
            await log_out(hub, back, who)


@contextlib.asynccontextmanager
async def alone(cluster: Clustered, node: RedisServer) -> AsyncIterator[None]:
    """Run one node while the others are stopped; all run again after the context."""
    cluster.wait_for_late_ones(node)
    try:
        yield
    finally:
        await asyncio.to_thread(cluster.heal)
        node.run("CONFIG", "SET", "cluster-node-timeout", DOWN_AFTER)


async def is_reported(hub: Replica, served: frozenset[int]) -> bool:
    """Tell whether some partitions are unserved, and none of these."""
    unserved = (await hub.call("GET", "/readyz")).body.get("unserved", [])
    numbers = {one["partition"] for one in unserved}
    return bool(numbers) and not numbers & served


async def is_unready(hub: Replica) -> bool:
    """Tell whether /readyz says that the replica is not ready."""
    return (await hub.call("GET", "/readyz")).status == 503


async def is_ready_and_whole(hub: Replica) -> bool:
    """Tell whether every partition is served again."""
    answer = await hub.call("GET", "/readyz")
    return answer.status == 200 and "unserved" not in answer.body


async def takes_nobody(hub: Replica) -> None:
    """Check that a fenced replica refuses both transports before any packet."""
    for transport in ("polling", "websocket"):
        path = f"/socket.io/?EIO=4&transport={transport}"

        async def is_refused(path: str = path) -> bool:
            return (await hub.call("GET", path)).status == 503

        await eventually(is_refused)
        answer = await hub.call("GET", path)
        assert (answer.status, answer.code) == (503, "unavailable")
        assert int(answer.headers["Retry-After"]) > 0


@pytest.mark.parametrize("on_data_loss", ["fail_closed", "cut_off"])
async def test_a_loss_distrusts_its_own_partition_only(
    own_redis: RedisServer, on_data_loss: Any
) -> None:
    """Its users are refused until the recovery, and all others are served."""
    given = settings(
        redis_url=own_redis.url, fence_seconds=FENCE, notice_grace=0.2, on_data_loss=on_data_loss
    )
    part = 5
    lost, other = (next(users_of(of)) for of in (frozenset({part}), ALL - {part}))
    mine, theirs = token(lost, "s1"), token(other, "s2")
    async with running(given) as hub, raw_socket(hub) as harmed, raw_socket(hub) as kept:
        await harmed.connect(mine)
        await kept.connect(theirs)
        own_redis.run("DEL", Names(None, part).epoch)
        if on_data_loss == "cut_off":
            assert '"reason":"policy"' in (await harmed.receive_all())[0]
        else:
            assert await harmed.receive_all() == []
            assert await unserved(hub) == {part: "lost: the store lost data"}
            assert (await hub.call("GET", "/verify", mine)).status == 503
            assert (await hub.call("GET", "/verify", theirs)).status == 204
            await answers(kept)
            body = {"everyone": True, "reason": "policy"}
            assert (await hub.call("POST", "/admin/logout", ADMIN, json=body)).status == 200
        await eventually(lambda: is_whole(hub))
        assert (await hub.call("GET", "/verify", mine)).code == "token_revoked"
        assert (await hub.call("GET", "/verify", token(lost, "s3"))).status == 204
        if on_data_loss == "cut_off":
            await answers(kept)
            assert (await hub.call("GET", "/verify", theirs)).status == 204


# ---- The follower by itself ----


class ScriptedStore:
    """A store of sixteen partitions, whose events the test decides."""

    partition_count = PARTITIONS

    def __init__(self) -> None:
        self.events: asyncio.Queue[Event] = asyncio.Queue()

    def partition_of(self, user: UserKey) -> int:
        """Return a user's partition."""
        return partition_of(user)

    async def follow(self) -> AsyncIterator[Event]:
        """Yield what the test says."""
        while True:
            yield await self.events.get()


class Believing:
    """An authority to which every session is alive."""

    async def find_refusal(self, identity: Identity) -> None:
        """Refuse nobody."""


class HeldSocket:
    """A socket that records its close; ``id`` is the number of its user's partition."""

    def __init__(self, number: int, closed: list[int]) -> None:
        self.id = str(number)
        self.number = number
        self.closed = closed

    def close_transport(self) -> None:
        """Record it."""
        self.closed.append(self.number)


class Stage:
    """A follower on a scripted store, with a socket of one user in each partition.

    ``closed`` are the partitions whose sockets were closed.
    """

    def __init__(self) -> None:
        self.store = ScriptedStore()
        self.metrics = Metrics()
        self.closed: list[int] = []
        connections = Connections(partition_of)
        for number in range(PARTITIONS):
            user = user_key("", next(users_of(frozenset({number}))))
            identity = Identity(user, "", "", "s", iat=0, exp=1)
            socket = cast(Any, HeldSocket(number, self.closed))
            connections.add(Connection(socket, identity, Client(None, "", "")))
        delivery = cast(Delivery, None)
        store: Any = self.store
        self.follower = Follower(
            store,
            cast(Logouts, None),
            connections,
            delivery,
            Sweeper(cast(Any, Believing()), connections, delivery, self.metrics, partition_of),
            self.metrics,
            fence=4.0,
            cut_off=False,
        )

    async def say(self, *events: Event) -> None:
        """Have the store emit an event, and wait until it was handled."""
        for event in events:
            self.store.events.put_nowait(event)
        await eventually(self.store.events.empty)


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    """A follower that runs."""
    made = Stage()
    running = asyncio.create_task(made.follower.run())
    yield made
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_sockets_are_taken_while_half_of_the_partitions_are_served(stage: Stage) -> None:
    """With fewer than half of the partitions served, no sockets are accepted."""
    follower = stage.follower
    await stage.say(Gap("", ALL), Confirmed(frozenset(range(7))))
    assert not follower.takes_sockets
    await stage.say(Confirmed(frozenset(range(8))))
    await eventually(lambda: follower.takes_sockets)
    assert set(follower.unconfirmed()) == set(range(8, 16))
    user = next(users_of(frozenset({3})))
    assert follower.serves(user_key("", user))
    assert not follower.serves(user_key("", next(users_of(frozenset({9})))))


async def test_each_partition_is_fenced_by_its_own_silence(stage: Stage) -> None:
    """An unconfirmed partition closes its own sockets only."""
    await stage.say(Gap("", ALL), Confirmed(ALL))
    healthy = frozenset(range(10))

    async def others_are_closed() -> bool:
        await stage.say(Interrupted(ALL - healthy, "it hangs"), Confirmed(healthy))
        return len(stage.closed) >= len(ALL - healthy)

    await eventually(others_are_closed)
    unconfirmed = stage.follower.unconfirmed()
    assert unconfirmed == dict.fromkeys(ALL - healthy, "fenced: it hangs")
    assert sorted(stage.closed) == sorted(ALL - healthy)
    assert stage.follower.takes_sockets
    await eventually(lambda: sorted(stage.closed) == sorted(ALL))
    assert not stage.follower.takes_sockets


async def test_a_loss_is_told_once_and_of_its_partitions_alone(stage: Stage) -> None:
    """Losses found together are reported once; other partitions are served on."""
    await stage.say(Gap("", ALL), Confirmed(ALL))
    losses = [DataLoss(number, "seen") for number in (2, 5)]
    for _ in range(4):
        await stage.say(*losses, Confirmed(ALL - {2, 5}))
        await asyncio.sleep(0.2)
    assert set(stage.follower.unconfirmed()) == {2, 5}
    assert stage.follower.unconfirmed()[2].startswith("lost")
    page = stage.metrics.render(time.monotonic()).decode()
    assert "\nhub_losses_total 1.0" in page
    assert '\nhub_partitions{state="lost"} 2.0' in page
    await stage.say(Gap("", frozenset({2, 5})), Confirmed(ALL))
    await eventually(lambda: not stage.follower.unconfirmed())


async def test_a_partition_that_stays_silent_is_not_told_to_be_received_again(
    stage: Stage,
) -> None:
    """Time fences it once and says so once; only a confirmation says otherwise."""
    await stage.say(Gap("", ALL), Confirmed(ALL))
    with capture_logs() as lines:
        await eventually(lambda: sorted(stage.closed) == sorted(ALL))
        await asyncio.sleep(3 * WATCH_EVERY)
        assert set(stage.follower.unconfirmed().values()) == {"fenced: no confirmation"}
        await stage.say(Confirmed(ALL))
        await eventually(lambda: not stage.follower.unconfirmed())
    told = [line["event"] for line in lines]
    assert told == ["fenced: logouts may not be received", "logouts are received again"]
