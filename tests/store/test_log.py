"""The log of a partition in a real Redis: how much is published, and what reading it may find."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import msgspec
import pytest
from redis.client import PubSub

import hub.store.reader
from hub.core.bus import MAX_MESSAGE_BYTES
from hub.core.model import SECOND, Identity, Logout, Position, Reason, Scope, user_key
from hub.core.wire import encode_logout
from hub.errors import Unavailable
from hub.store.names import PARTITIONS, Names
from hub.store.redis import RedisStore
from hub.store.values import Command, DataLoss, PositionLost, Registration, Unreadable
from tests.contract.listener import listening
from tests.contract.replay import read_log
from tests.patience import PATIENCE
from tests.redis_server import RedisServer

LIFETIME = 3600 * SECOND
ADA = user_key("", "ada")
NAMES = Names(ADA)
PARTITION = NAMES.partition


@pytest.fixture
async def store(own_redis: RedisServer) -> AsyncIterator[RedisStore]:
    """A store on a Redis that may be killed."""
    async with RedisStore(own_redis.url, lifetime=LIFETIME) as made:
        yield made


async def end(store: RedisStore, user: str | None = ADA) -> Logout:
    """Write a logout, in a millisecond of its own, so that the ids of all are of one length."""
    await asyncio.sleep(0.002)
    name = f"id-{time.time_ns()}"
    return (await store.end(Command(Logout(name, user, Scope.ALL, Reason.USER)))).logout


async def register(store: RedisStore, *sids: str) -> None:
    """Register sessions of the user."""
    at = time.time_ns() // 1000
    for sid in sids:
        who = Identity(ADA, "", "", sid, iat=at, exp=at + 600 * SECOND)
        await store.register(Registration(who, "", ""))


def next_message(channel: PubSub) -> bytes:
    """Return what was published next."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        said = channel.get_message(timeout=1)
        if said is not None and said["type"] == "message":
            data: bytes = said["data"]
            return data
    raise TimeoutError


async def test_no_message_is_longer_than_readers_take(
    store: RedisStore, own_redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The longest that they take comes as it is; with a byte more, they are sent to the log."""
    # Otherwise the log, which is read at intervals, may be faster than the channel.
    monkeypatch.setattr(hub.store.reader, "CHECK_INTERVAL", 600.0)
    with own_redis.client() as client, client.pubsub() as channel:
        channel.subscribe(NAMES.channel)
        async with listening(store) as listener:
            await end(store)
            next_message(channel)
            sids = [f"{number:03}".ljust(256, "x") for number in range(251)]
            await register(store, *sids)
            await end(store)
            size = len(next_message(channel))
            for more, is_whole in ((0, True), (1, False)):
                filler = "y" * (MAX_MESSAGE_BYTES - size - len(',""') + more)
                others = [sid.replace("x", "z" if is_whole else "w") for sid in sids]
                await register(store, *others, filler)
                await end(store)
                length = len(next_message(channel))
                assert (length == MAX_MESSAGE_BYTES) if is_whole else (length < 200)
                event = (await listener.hear(3 + more))[-1]
                assert event.is_live is is_whole
                assert {*event.sessions} == {*others, filler}


async def test_large_entries_come_in_small_pages(store: RedisStore, own_redis: RedisServer) -> None:
    """So that no answer holds up Redis or this process for long."""
    sessions = msgspec.json.encode(["x" * 256] * 1000).decode()
    record = f"1 {encode_logout(Logout('id', ADA, Scope.ALL, Reason.USER)).decode()}"
    with own_redis.client() as client:
        for _ in range(60):
            fields = {"logout": record, "leases": "-", "sessions": sessions}
            client.xadd(NAMES.log, {**fields})
    page = await store.history(PARTITION)
    assert 0 < len(page.events) < 60
    assert not page.is_end
    events, _ = await read_log(store, PARTITION)
    assert len(events) == 60
    assert all(len(event.sessions) == 1000 for event in events)


async def test_a_position_whose_entry_was_trimmed_is_lost(
    store: RedisStore, own_redis: RedisServer
) -> None:
    """What followed it may have been trimmed as well; later ones are read on from."""
    for _ in range(3):
        await end(store)
    events, place = await read_log(store, PARTITION)
    with own_redis.client() as client:
        client.xtrim(NAMES.log, maxlen=2, approximate=False)
    with pytest.raises(PositionLost):
        await store.history(PARTITION, Position(place.epoch, events[0].entry))
    page = await store.history(PARTITION, Position(place.epoch, events[1].entry))
    assert [one.entry for one in page.events] == [events[2].entry]


async def test_the_log_is_not_believed_after_a_loss(
    store: RedisStore, own_redis: RedisServer
) -> None:
    """Until a recovery; then whoever reads on is told to begin anew, and finds the recovery."""
    async with listening(store) as listener:
        await end(store)
        await listener.hear(1)
        _, place = await read_log(store, PARTITION)
        with own_redis.client() as client:
            client.flushall()
        with pytest.raises(Unavailable) as refused:
            await store.history(PARTITION, place)
        assert not isinstance(refused.value, PositionLost)
        await listener.until(lambda: listener.count(DataLoss) >= PARTITIONS)
        for after in (None, place):
            with pytest.raises(Unavailable) as refused:
                await store.history(PARTITION, after)
            assert not isinstance(refused.value, PositionLost)
        recovery = await end(store, None)
        await listener.confirmed({PARTITION})
        with pytest.raises(PositionLost):
            await store.history(PARTITION, place)
        (event,), _ = await read_log(store, PARTITION)
        assert event.logout.id == recovery.id
        assert event.concerns(ADA)


async def test_a_log_that_went_back_in_time_is_not_believed(
    store: RedisStore, own_redis: RedisServer
) -> None:
    """A connection is new, and the log is to be compared over it first."""
    async with listening(store) as listener:
        await end(store)
        await listener.hear(1)
    own_redis.kill()
    own_redis.start()
    for _ in range(3):
        with pytest.raises(Unavailable):
            await store.history(PARTITION)
    async with listening(store) as again:
        await again.confirmed({PARTITION})
        assert len((await store.history(PARTITION)).events) == 1


@pytest.mark.parametrize(
    "fields",
    [
        {"logout": "1 {"},
        {"other": "x"},
        {"logout": '1 {"v":1,"id":"i","scope":"all","reason":"user"}', "sessions": "["},
    ],
)
async def test_an_unreadable_entry_is_said_to_be_unreadable(
    store: RedisStore, own_redis: RedisServer, fields: dict[str, str]
) -> None:
    """Whom it ended nobody can say, so the log does not say what is in force."""
    await end(store)
    with own_redis.client() as client:
        client.xadd(NAMES.log, {**fields})
    with pytest.raises(Unreadable):
        await store.history(PARTITION)
