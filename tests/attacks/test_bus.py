"""Somebody who can only PUBLISH in Redis ends no session and hides no logout.

The bound: whatever is published that no replica signed is counted and ignored. It ends no socket,
makes no replica skip a logout or look at the log for it, and is never taken for a loss of data.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from hub.core.bus import BusKey, derive_key, open_message, sign
from hub.core.model import SECOND, Logout, Reason, Scope, user_key
from hub.core.wire import encode_logout
from hub.store import reader as reader_module
from hub.store.names import Names
from hub.store.redis import RedisStore
from hub.store.values import Command, Confirmed, DataLoss, Gap
from tests.contract.listener import Listener, listening
from tests.redis_server import RedisServer

LIFETIME = 3600 * SECOND
ADA = user_key("", "ada")
NAMES = Names(ADA)
KEY, OTHER = derive_key("a secret that the replicas share"), derive_key("another")


class Bus:
    """A store, and how many forged messages it counted."""

    def __init__(self, url: str) -> None:
        self.forged = 0
        self.store = RedisStore(url, lifetime=LIFETIME, bus_key=KEY, on_forged=self._count)

    def _count(self) -> None:
        self.forged += 1


@pytest.fixture
async def bus(redis_url: str) -> AsyncIterator[Bus]:
    """A store on an empty Redis."""
    made = Bus(redis_url)
    async with made.store:
        yield made


def logout(name: str) -> Logout:
    """Return a logout of Ada that is not yet written."""
    return Logout(id=name, user=ADA, scope=Scope.ALL, reason=Reason.USER)


async def write(bus: Bus, name: str) -> None:
    """Write a logout."""
    await bus.store.end(Command(logout(name)))


def forge(
    previous: bytes, key: BusKey = OTHER, *, on: str = NAMES.channel, epoch: bytes = b"-"
) -> bytes:
    """Return the best message that an outsider can make: correct except for the signature."""
    stamp = time.time_ns() // 1000
    record = b"%d " % stamp + encode_logout(logout("forged"))
    entry = b"%d-0" % (stamp // 1000 + 1)
    message = b" ".join((previous, entry, epoch, b"-", record))
    return sign(key, on.encode(), message) + b" " + message


def newest(server: RedisServer) -> bytes:
    """Return the id of the log's last entry, which every subscriber knows."""
    with server.client() as client:
        entries = client.xrevrange(NAMES.log, count=1)
    assert isinstance(entries, list)
    return bytes(entries[0][0])


async def settled(listener: Listener) -> None:
    """Return once the store has confirmed twice more that all logouts were received."""
    for _ in range(2):
        await listener.confirmed()


async def test_a_forged_logout_is_counted_and_ignored(bus: Bus, redis_server: RedisServer) -> None:
    """A forged message ends no session and is no data loss, even with the right previous entry."""
    async with listening(bus.store) as listener:
        await write(bus, "first")
        await listener.hear(1)
        for key in (OTHER, derive_key(None), derive_key("")):
            with redis_server.client() as client:
                client.publish(NAMES.channel, forge(newest(redis_server), key))
        await settled(listener)
        await write(bus, "second")
        assert [heard.logout.id for heard in await listener.hear(2)] == ["first", "second"]
        assert bus.forged == 3
        assert listener.count(DataLoss) == 0
        assert listener.count(Gap) == 1, "the one with which it began"


async def test_a_message_of_one_partition_says_nothing_in_another(
    bus: Bus, redis_server: RedisServer
) -> None:
    """The signature includes the channel, so a message cannot be replayed on another one."""
    others = (Names(None, number) for number in range(16))
    elsewhere = next(names for names in others if names.partition != NAMES.partition)
    async with listening(bus.store) as listener:
        await listener.confirmed()
        with redis_server.client() as client:
            client.publish(NAMES.channel, forge(b"0-0", KEY, on=elsewhere.channel))
        await settled(listener)
        assert (bus.forged, listener.heard) == (1, [])


async def test_a_message_of_before_a_loss_says_nothing_afterwards(
    bus: Bus, redis_server: RedisServer
) -> None:
    """A genuine message of an earlier epoch is no second data loss, and ends no session."""
    async with listening(bus.store) as listener:
        await write(bus, "first")
        await listener.hear(1)
        with redis_server.client() as client:
            old = forge(newest(redis_server), KEY, epoch=b"another-epoch")
            client.publish(NAMES.channel, old)
        await settled(listener)
        await write(bus, "second")
        assert [heard.logout.id for heard in await listener.hear(2)] == ["first", "second"]
        assert (bus.forged, listener.count(DataLoss)) == (0, 0)


async def test_an_old_message_that_is_said_again_is_heard_once(
    bus: Bus, redis_server: RedisServer
) -> None:
    """A replayed message has no effect, and does not count as forged."""
    async with listening(bus.store) as listener:
        with redis_server.client() as client, client.pubsub() as channel:
            channel.subscribe(NAMES.channel)
            await write(bus, "first")
            said = None
            while said is None or said["type"] != "message":
                said = channel.get_message(timeout=1)
            await write(bus, "second")
            for _ in range(5):
                client.publish(NAMES.channel, said["data"])
        await settled(listener)
        assert [heard.logout.id for heard in await listener.hear(2)] == ["first", "second"]
        assert (bus.forged, listener.count(Gap), listener.count(DataLoss)) == (0, 1, 0)


async def test_a_flood_of_messages_makes_nobody_look_at_the_log(
    bus: Bus, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Forged messages are dropped on arrival, do not queue up, and cause no read of the log."""
    monkeypatch.setattr(reader_module, "MAX_WAITING", 100)
    async with listening(bus.store) as listener:
        await listener.confirmed()
        confirmed = listener.count(Confirmed)
        with redis_server.client() as client:
            for size in (0, 10, 1000, 100_000):
                pipeline = client.pipeline(transaction=False)
                for _ in range(500):
                    pipeline.publish(NAMES.channel, b"x" * size)
                await asyncio.to_thread(pipeline.execute)
        await settled(listener)
        assert bus.forged == 2000
        assert listener.count(Gap) == 1
        assert listener.count(Confirmed) - confirmed < 10, "as often as the clock asks for it"
        await write(bus, "after it")
        assert (await listener.hear(1))[0].logout.id == "after it"


async def test_replicas_of_another_key_still_hear_each_other(bus: Bus, redis_url: str) -> None:
    """While a secret is replaced, logouts not believed on the channel are read from the log."""
    stranger = RedisStore(redis_url, lifetime=LIFETIME, bus_key=OTHER)
    async with stranger, listening(bus.store) as listener:
        await listener.confirmed()
        await stranger.end(Command(logout("theirs")))
        (heard,) = await listener.hear(1)
        assert (heard.logout.id, heard.is_live, bus.forged) == ("theirs", False, 1)


def test_a_key_does_not_show() -> None:
    """The key is neither in logs nor in tracebacks."""
    assert KEY.inner not in f"{KEY!r} {KEY}"
    assert len(KEY.inner) == len(KEY.outer) == 64
    assert KEY != OTHER
    assert KEY.inner != KEY.outer


@pytest.mark.parametrize("data", [b"", b" ", b"x" * 40, b"x" * 41, b"\xff" * 100_000])
def test_what_has_no_code_is_no_message(data: bytes) -> None:
    """A message without a signature is not accepted, whatever its length."""
    assert open_message(KEY, b"channel", data) is None


def test_a_code_is_of_this_message_on_this_channel() -> None:
    """A message that was changed by a byte, or is on another channel, is not genuine."""
    code = sign(KEY, b"channel", b"a message")
    assert open_message(KEY, b"channel", code + b" a message") == b"a message"
    assert open_message(KEY, b"channel", code + b" a messagf") is None
    assert open_message(KEY, b"channe2", code + b" a message") is None
    assert open_message(OTHER, b"channel", code + b" a message") is None
