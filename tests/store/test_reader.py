"""Reading the log of a real Redis while messages, connections and data get lost."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from functools import partial

import pytest

from hub.core.model import SECOND, Identity, Logout, Reason, Receipt, Scope, user_key
from hub.core.wire import encode_logout
from hub.errors import Unavailable
from hub.store import reader as reader_module
from hub.store.names import PARTITIONS, Names, partition_of
from hub.store.partition_log import PartitionLog
from hub.store.redis import RedisStore
from hub.store.subscription import SILENCE, Subscription
from hub.store.values import (
    Command,
    Confirmed,
    DataLoss,
    Gap,
    Interrupted,
    LogoutEvent,
    Registration,
)
from tests.contract.listener import Listener, listening
from tests.faults.proxy import Proxy
from tests.patience import PATIENCE
from tests.redis_server import RedisServer

LIFETIME = 3600 * SECOND
ADA = user_key("", "ada")
NAMES = Names(ADA)


@pytest.fixture
async def store(own_redis: RedisServer) -> AsyncIterator[RedisStore]:
    """A store on a Redis that may be killed."""
    async with RedisStore(own_redis.url, lifetime=LIFETIME) as made:
        yield made


def logout(name: str = "id", user: str | None = ADA) -> Logout:
    """Return a logout that is not yet written."""
    return Logout(id=name, user=user, scope=Scope.ALL, reason=Reason.USER)


def identity(user: str = ADA) -> Identity:
    """Return an identity that was issued just now."""
    issued = time.time_ns() // 1000
    return Identity(user=user, sub="", iss="", sid="s", iat=issued, exp=issued + 600 * SECOND)


async def write(store: RedisStore, name: str = "id", user: str | None = ADA) -> Receipt:
    """Write a logout."""
    return await store.end(Command(logout(name, user)))


async def follow_until_lost(store: RedisStore, listener: Listener) -> None:
    """Listen until the store says that it cannot be followed."""
    async with asyncio.timeout(PATIENCE):
        with pytest.raises(Unavailable):
            await listener.listen(store)


async def eventually(is_so: Callable[[], bool]) -> None:
    """Return once something is so."""
    async with asyncio.timeout(PATIENCE):
        while not is_so():  # noqa: ASYNC110 - what is waited for is in another process
            await asyncio.sleep(0.02)


# Messages


async def test_a_message_that_never_comes_is_found_in_the_log(
    store: RedisStore, own_redis: RedisServer
) -> None:
    """What was written and not published is heard all the same, once, and said to be late."""
    async with listening(store) as listener:
        with own_redis.client() as client:
            record = f"{time.time_ns() // 1000} {encode_logout(logout('silent')).decode()}"
            client.xadd(NAMES.log, {"logout": record, "leases": "-"})
        (heard,) = await listener.hear(1)
        assert (heard.logout.id, heard.is_live) == ("silent", False)
        await listener.confirmed()
        assert len(listener.heard) == 1


async def test_a_live_logout_brings_along_what_was_missed_before_it(
    store: RedisStore, own_redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each message names the one before it, so a gap is seen at once and in order."""
    async with listening(store) as listener:
        monkeypatch.setattr(reader_module, "CHECK_INTERVAL", 30.0)
        await listener.confirmed()
        with own_redis.client() as client:
            record = f"{time.time_ns() // 1000} {encode_logout(logout('silent')).decode()}"
            client.xadd(NAMES.log, {"logout": record, "leases": "-"})
        await write(store, "loud")
        heard = await listener.hear(2)
        assert [one.logout.id for one in heard] == ["silent", "loud"]


async def test_a_message_that_comes_twice_is_heard_once(
    store: RedisStore, own_redis: RedisServer
) -> None:
    """Whoever repeats it."""
    async with listening(store) as listener:
        with own_redis.client() as client, client.pubsub() as channel:
            channel.subscribe(NAMES.channel)
            await write(store)
            said = None
            while said is None or said["type"] != "message":
                said = channel.get_message(timeout=1)
            for _ in range(3):
                client.publish(NAMES.channel, said["data"])
        await write(store, "next")
        heard = await listener.hear(2)
        await listener.confirmed()
        assert [one.logout.id for one in heard] == ["id", "next"]
        assert len(listener.heard) == 2


@pytest.mark.parametrize(
    "message", [b"", b"hello", b"0-0 1-1 - {", b"\xff" * 100, b"9-9 8-8 - 1 {}", b"x" * 200_000]
)
async def test_what_is_no_logout_on_the_channel_is_ignored(
    store: RedisStore, own_redis: RedisServer, message: bytes
) -> None:
    """Anybody may publish; the reader goes on, and hears what is written."""
    async with listening(store) as listener:
        with own_redis.client() as client:
            client.publish(NAMES.channel, message)
        await write(store)
        (heard,) = await listener.hear(1)
        assert heard.logout.id == "id"


@pytest.mark.parametrize(
    "fields",
    [
        {"logout": "1 {"},
        {"other": "x"},
        {"logout": '1 {"v":9,"id":"i","scope":"all","reason":"user"}'},
    ],
)
async def test_an_unreadable_entry_of_the_log_is_a_gap(
    store: RedisStore, own_redis: RedisServer, fields: dict[str, str]
) -> None:
    """Whom it ended nobody can say, so every socket is to be checked; the rest is read on."""
    async with listening(store) as listener:
        before = listener.count(Gap)
        with own_redis.client() as client:
            client.xadd(NAMES.log, fields)
        await listener.until(lambda: listener.count(Gap) > before)
        await write(store)
        (heard,) = await listener.hear(1)
        assert heard.logout.id == "id"


# Connections


async def test_what_is_written_while_nobody_reads_is_replayed(store: RedisStore) -> None:
    """In order, once, with no gap: the next call goes on where the last one ended."""
    async with listening(store) as first:
        await write(store, "before")
        await first.hear(1)
    for number in range(1200):
        await write(store, f"n{number}")
    async with listening(store) as second:
        heard = await second.hear(1200)
        await second.confirmed()
        assert [one.logout.id for one in heard] == [f"n{number}" for number in range(1200)]
        assert len(second.heard) == 1200
        assert second.count(Gap) == 0
        assert not any(one.is_live for one in heard)


async def test_a_subscription_that_is_killed_interrupts_nobody(
    store: RedisStore, own_redis: RedisServer
) -> None:
    """The log is read on meanwhile, and the next subscription is soon there."""
    async with listening(store) as listener:
        await listener.confirmed()
        own_redis.run("CLIENT", "KILL", "TYPE", "pubsub")
        await listener.until_live(partial(write, store))
        assert (listener.count(Interrupted), listener.count(Gap)) == (0, 1)


async def test_logouts_during_kills_of_the_subscription_are_each_heard_once(
    store: RedisStore, own_redis: RedisServer
) -> None:
    """However often the connection breaks at the instant of publishing."""
    async with listening(store) as listener:
        with own_redis.client() as client:
            for number in range(100):
                if number % 5 == 0:
                    client.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
                await write(store, f"n{number}")
        heard = await listener.hear(100)
        await listener.confirmed()
        assert [one.logout.id for one in heard] == [f"n{number}" for number in range(100)]
        assert len(listener.heard) == 100


class Swamp:
    """A way to Redis in which what is subscribed to can sink without a sign."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._tasks: set[asyncio.Task[None]] = set()
        self.swallows = False

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Join a client to Redis."""
        from_redis, to_redis = await asyncio.open_connection("127.0.0.1", self._port)
        is_channel = asyncio.Event()
        for source, sink in ((reader, to_redis), (from_redis, writer)):
            task = asyncio.create_task(self._pump(source, sink, is_channel))
            self._tasks.add(task)

    async def _pump(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, is_channel: asyncio.Event
    ) -> None:
        try:
            while data := await source.read(65536):
                if b"SUBSCRIBE" in data:
                    is_channel.set()
                if not (self.swallows and is_channel.is_set()):
                    sink.write(data)
        except ConnectionError:
            pass
        finally:
            sink.close()

    async def close(self) -> None:
        """End all pumps."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.sleep(0.05)


async def test_a_subscription_that_hears_nothing_is_given_up(own_redis: RedisServer) -> None:
    """A half-open connection raises nothing; that a message to itself stays out tells."""
    swamp = Swamp(own_redis.port)
    server = await asyncio.start_server(swamp, "127.0.0.1", 0)
    url = f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0"
    async with RedisStore(url, lifetime=LIFETIME) as store, listening(store) as listener:
        await listener.confirmed()
        swamp.swallows = True
        await write(store, "unheard")
        (heard,) = await listener.hear(1)
        assert (heard.logout.id, heard.is_live) == ("unheard", False)
        # Longer than the silence that is put up with.
        await asyncio.sleep(SILENCE + 1.5)
        swamp.swallows = False
        await listener.until_live(partial(write, store))
        assert (listener.count(Interrupted), listener.count(Gap)) == (0, 1)
    server.close()
    await swamp.close()


async def test_of_too_many_waiting_messages_the_last_are_found_in_the_log(
    store: RedisStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What waits is bounded, and nothing of it is lost."""
    monkeypatch.setattr(reader_module, "MAX_WAITING", 50)
    events = store.follow()
    while not isinstance(await anext(events), Confirmed):
        pass
    for number in range(300):
        await write(store, f"n{number}")
    heard: list[LogoutEvent] = []
    async with asyncio.timeout(PATIENCE):
        while len(heard) < 300:
            event = await anext(events)
            heard += [event] if isinstance(event, LogoutEvent) else []
    await events.aclose()
    assert [one.logout.id for one in heard] == [f"n{number}" for number in range(300)]
    assert not heard[-1].is_live


async def test_a_cancellation_that_a_library_swallows_holds_nobody_up(
    store: RedisStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reading ends all the same, so that it can begin again."""

    async def listen(self: Subscription) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(PATIENCE)
        await asyncio.sleep(PATIENCE)

    monkeypatch.setattr(Subscription, "_listen", listen)
    async with asyncio.timeout(PATIENCE / 2):
        async with contextlib.aclosing(store.follow()) as events:
            while not isinstance(await anext(events), Confirmed):
                pass
        async with listening(store) as again:
            await again.confirmed()


async def test_a_hung_redis_is_noticed(store: RedisStore, own_redis: RedisServer) -> None:
    """Reading fails in bounded time, and goes on without a gap when Redis does."""
    listener = Listener()
    task = asyncio.create_task(follow_until_lost(store, listener))
    await listener.until(lambda: listener.count(Confirmed) > 0)
    own_redis.pause()
    await task
    own_redis.resume()
    async with listening(store) as again:
        assert again.count(Gap) == 0


# Data


async def test_a_restart_with_all_data_goes_on_without_a_gap(
    store: RedisStore, own_redis: RedisServer
) -> None:
    """Nothing is believed over the new connection before the log was looked at over it."""
    await write(store, "first")
    async with listening(store) as listener:
        await write(store, "heard")
        await listener.hear(1)
    own_redis.kill()
    own_redis.start()
    for _ in range(3):
        with pytest.raises(Unavailable):
            await store.look(identity())
    with contextlib.suppress(Unavailable):
        await write(store, "second")
    await write(store, "second")
    async with listening(store) as again:
        heard = await again.hear(1)
        assert {one.logout.id for one in heard} == {"second"}
        assert (again.count(Gap), again.count(DataLoss)) == (0, 0)
        await store.look(identity())


async def test_a_store_that_forgot_everything_is_not_believed(
    store: RedisStore, own_redis: RedisServer
) -> None:
    """Not even for a moment, until all its sessions are ended; then it is."""
    async with listening(store) as listener:
        with own_redis.client() as client:
            client.flushall()
        with pytest.raises(Unavailable):
            await store.look(identity())
        await listener.until(lambda: listener.count(DataLoss) >= PARTITIONS)
        losses = {
            event.partition: event for event in listener.events if isinstance(event, DataLoss)
        }
        assert len(losses) == PARTITIONS
        confirmed = listener.count(Confirmed)
        await asyncio.sleep(1.2)
        assert listener.count(Confirmed) == confirmed
        with pytest.raises(Unavailable):
            await store.look(identity())
        for loss in losses.values():
            recovered = await store.recover(loss, logout(f"mend-{loss.partition}", user=None))
            assert recovered is not None
            assert await store.recover(loss, logout("again", user=None)) is None
        await listener.confirmed()
        state = await store.look(identity())
        assert [cutoff.id for cutoff in state.cutoffs] == [f"mend-{NAMES.partition}"]


async def test_who_comes_new_does_not_believe_a_loss_that_others_found(
    store: RedisStore, own_redis: RedisServer
) -> None:
    """A replica that starts after the loss knows nothing of before, and is told by the store."""
    async with listening(store) as listener:
        with own_redis.client() as client:
            client.flushall()
        await listener.until(lambda: listener.count(DataLoss) >= PARTITIONS)
    async with RedisStore(own_redis.url, lifetime=LIFETIME) as other:
        late = Listener()
        task = asyncio.create_task(late.listen(other))
        await late.until(lambda: late.count(DataLoss) >= PARTITIONS)
        assert late.count(Confirmed) == 0
        with pytest.raises(Unavailable):
            await other.look(identity())
        await write(other, "all", user=None)
        await late.confirmed()
        await other.look(identity())
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_store_that_went_back_in_time_is_not_believed(
    store: RedisStore, own_redis: RedisServer, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A logout that was answered and is gone from the log is a loss, in its part alone."""
    folder, copy = own_redis.folder, tmp_path_factory.mktemp("old") / "copy"
    other = next(
        user
        for user in (user_key("", str(number)) for number in range(100))
        if partition_of(user) != NAMES.partition
    )
    await store.register(Registration(identity(), "", ""))
    async with listening(store) as listener:
        await write(store, "kept", user=other)
        await listener.hear(1)
    shutil.copytree(folder, copy)
    # The reader need not even have heard of it: this process wrote it.
    await write(store, "gone")
    own_redis.kill()
    shutil.rmtree(folder)
    shutil.copytree(copy, folder)
    own_redis.start()
    late = Listener()
    second = asyncio.create_task(late.listen_on(store))
    await late.until(lambda: late.count(DataLoss) > 0)
    assert {event.partition for event in late.events if isinstance(event, DataLoss)} == {
        NAMES.partition
    }
    await late.confirmed(set(range(PARTITIONS)) - {NAMES.partition})
    with pytest.raises(Unavailable):
        await store.look(identity())
    # Who is in another part is none the worse for it.
    await store.look(identity(other))
    with contextlib.suppress(Unavailable):
        await write(store, "all", user=None)
    await write(store, "all", user=None)
    await late.confirmed({NAMES.partition})
    await store.look(identity())
    second.cancel()
    await asyncio.gather(second, return_exceptions=True)


async def test_entries_past_their_time_are_no_loss(own_redis: RedisServer) -> None:
    """The log forgets what is remembered no longer; a reader that was away for so long sweeps."""
    async with RedisStore(own_redis.url, lifetime=SECOND) as store:
        async with listening(store) as listener:
            await write(store, "old")
            await listener.hear(1)
        await asyncio.sleep(1.2)
        with own_redis.client() as client:
            client.xtrim(NAMES.log, maxlen=0)
        async with listening(store) as again:
            assert again.count(Gap) >= 1
            assert again.count(DataLoss) == 0


async def test_who_never_follows_is_answered(store: RedisStore) -> None:
    """A program that only asks has no position to compare, and believes."""
    await store.look(identity())
    await store.register(Registration(identity(), "", ""))


async def test_who_has_not_read_the_log_yet_does_not_believe_a_marked_loss(
    own_redis: RedisServer,
) -> None:
    """The epoch is in every answer and says it: no need to have read the log."""
    async with RedisStore(own_redis.url, lifetime=LIFETIME) as first, listening(first) as listener:
        await write(first)
        with own_redis.client() as client:
            client.flushall()
        await listener.until(lambda: listener.count(DataLoss) >= 16)
        async with RedisStore(own_redis.url, lifetime=LIFETIME) as second:
            with pytest.raises(Unavailable):
                await second.look(identity())


async def test_questions_do_not_keep_the_reader_from_subscribing_again(
    store: RedisStore, own_redis: RedisServer
) -> None:
    """However many ask while the connection is new, and are refused."""
    async with listening(store) as listener:
        stop = asyncio.Event()

        async def keep_asking() -> None:
            while not stop.is_set():
                with contextlib.suppress(Unavailable):
                    await store.look(identity())
                await asyncio.sleep(0)

        asking = [asyncio.create_task(keep_asking()) for _ in range(10)]
        own_redis.kill()
        own_redis.start()
        await listener.confirmed()
        await store.look(identity())
        stop.set()
        await asyncio.gather(*asking)


async def test_keys_that_were_evicted_are_a_loss(
    store: RedisStore, own_redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though the policy is a safe one again: what was forgotten may have been a logout."""
    monkeypatch.setattr(reader_module, "POLICY_INTERVAL", 0.5)
    async with listening(store) as listener:
        await write(store)
        await listener.hear(1)
        await asyncio.to_thread(own_redis.evict, "something")
        with own_redis.client() as client:
            assert client.exists(NAMES.epoch, NAMES.cutoff, NAMES.log) == 3
        await listener.until(lambda: listener.count(DataLoss) > 0)
        with pytest.raises(Unavailable):
            await store.look(identity())


async def test_a_partition_that_was_marked_as_lost_is_not_lost_again_for_another(
    own_redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As long as one cannot be marked, only that one is tried again: the others may recover."""
    marked: Counter[int] = Counter()

    async def mark(log: PartitionLog, eviction: str) -> None:
        marked[log.number] += 1
        if log.number == 0 and marked[0] < 4:
            raise Unavailable("its node is down")

    monkeypatch.setattr(reader_module, "POLICY_INTERVAL", 0.2)
    monkeypatch.setattr(PartitionLog, "mark_lost", mark)
    async with (
        RedisStore(own_redis.url, lifetime=LIFETIME) as store,
        listening(store) as listener,
    ):
        await listener.confirmed()
        await asyncio.to_thread(own_redis.evict, "something")
        await eventually(lambda: marked[0] == 4)
        await asyncio.sleep(0.5)
    assert all(0 < marked[number] < marked[0] for number in range(1, PARTITIONS))


async def test_one_eviction_is_one_loss_for_all_replicas(
    own_redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A replica that finds it after the recovery marks no second loss; a further one is one."""
    monkeypatch.setattr(reader_module, "POLICY_INTERVAL", 10 * PATIENCE)  # checked by hand here
    async with (
        RedisStore(own_redis.url, lifetime=LIFETIME) as first,
        RedisStore(own_redis.url, lifetime=LIFETIME) as second,
        listening(first) as early,
        listening(second) as late,
    ):
        await early.confirmed(range(PARTITIONS))
        await late.confirmed(range(PARTITIONS))
        await asyncio.to_thread(own_redis.evict, "something")
        await first._reader._refuse_eviction()
        await late.until(lambda: late.count(DataLoss) >= PARTITIONS)
        await write(first, user=None)
        await early.confirmed(range(PARTITIONS))
        await late.confirmed(range(PARTITIONS))
        losses = late.count(DataLoss)
        await second._reader._refuse_eviction()
        await late.confirmed(range(PARTITIONS))
        assert late.count(DataLoss) == losses
        await second.look(identity())
        await asyncio.to_thread(own_redis.evict, "something else")
        await second._reader._refuse_eviction()
        await late.until(lambda: late.count(DataLoss) >= losses + PARTITIONS)
        await early.until(lambda: early.count(DataLoss) > PARTITIONS)


async def lost(listener: Listener) -> None:
    """Wait until another loss is found in each partition."""
    before = listener.count(DataLoss)
    await listener.until(lambda: listener.count(DataLoss) >= before + PARTITIONS)


async def test_a_count_of_evictions_that_was_reset_hides_no_loss(
    own_redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once the count has begun again, the same number is another eviction."""
    monkeypatch.setattr(reader_module, "POLICY_INTERVAL", 10 * PATIENCE)
    async with RedisStore(own_redis.url, lifetime=LIFETIME) as store, listening(store) as listener:
        await listener.confirmed(range(PARTITIONS))
        for _ in range(2):
            await asyncio.to_thread(own_redis.evict, "something")
            await store._reader._refuse_eviction()
            await lost(listener)
            await write(store, user=None)
            await listener.confirmed(range(PARTITIONS))
            own_redis.run("CONFIG", "RESETSTAT")
            await store._reader._refuse_eviction()
            await listener.confirmed(range(PARTITIONS))


async def test_logouts_are_found_while_the_channel_cannot_be_had(own_redis: RedisServer) -> None:
    """A subscription that is not answered keeps nobody from the log: nothing waits for it."""
    async with (
        Proxy(own_redis.port) as proxy,
        RedisStore(f"redis://127.0.0.1:{proxy.port}/0", lifetime=LIFETIME) as store,
    ):
        proxy.set(deaf=True)
        async with listening(store) as listener:
            for count, name in enumerate(("one", "two", "three"), 1):
                await write(store, name)
                heard = await listener.hear(count)
                assert (heard[-1].logout.id, heard[-1].is_live) == (name, False)
                await listener.confirmed()
            proxy.set()
            await listener.confirmed()
