"""A logout that the log had and has no more is noticed, whatever was written since."""

from __future__ import annotations

import time

import pytest

from hub.core.model import SECOND, Identity, Logout, Reason, Scope, user_key
from hub.store.names import Names
from hub.store.redis import RedisStore
from hub.store.values import Command, DataLoss, Gap, Unsure
from tests.contract.listener import listening
from tests.redis_server import RedisServer

LIFETIME = 3600 * SECOND
ADA = user_key("", "ada")


async def end(store: RedisStore) -> None:
    """Log the user out."""
    name = f"id-{time.time_ns()}"
    await store.end(Command(Logout(id=name, user=ADA, scope=Scope.ALL, reason=Reason.USER)))


@pytest.mark.parametrize("writer", ["itself", "another", "itself after another"])
@pytest.mark.parametrize("victim", ["heard", "answered"])
async def test_a_later_logout_does_not_hide_a_loss(
    own_redis: RedisServer, writer: str, victim: str
) -> None:
    """Neither for who heard the lost one, nor for who was only answered."""
    log = Names(ADA).log
    async with (
        RedisStore(own_redis.url, lifetime=LIFETIME) as store,
        RedisStore(own_redis.url, lifetime=LIFETIME) as other,
    ):
        await end(store)
        async with listening(store) as listener:
            await end(store)
            if victim == "heard":
                await listener.hear(1)
            with own_redis.client() as client:
                ((entry, _),) = client.xrevrange(log, count=1)
                client.xdel(log, entry)
                if writer == "itself after another":
                    # Written without a message, so that the store hears of it by its own answer.
                    client.xadd(log, {"logout": b"", "leases": "-"})
            await end(other if writer == "another" else store)
            await listener.until(lambda: listener.count(DataLoss) > 0)


async def test_the_store_is_unsure_of_a_caller_while_the_store_may_have_lost_its_end(
    own_redis: RedisServer,
) -> None:
    """What stands against a caller may be what was lost: nobody is obeyed unjudged then."""
    issued = time.time_ns() // 1000
    caller = Identity(ADA, "", "", "a", iat=issued, exp=issued + 600 * SECOND)
    asked = Command(Logout(id="i", user=ADA, scope=Scope.ALL, reason=Reason.USER))
    async with (
        RedisStore(own_redis.url, lifetime=LIFETIME) as store,
        listening(store) as listener,
    ):
        assert await store.end_own(asked, caller) != Unsure()
        with own_redis.client() as client:
            client.flushall()
        assert await store.end_own(asked, caller) == Unsure()
        await listener.until(lambda: listener.count(DataLoss) > 0)
        assert await store.end_own(asked, caller) == Unsure()


async def test_a_repeat_of_a_logout_that_is_past_its_time_is_no_loss(
    own_redis: RedisServer,
) -> None:
    """A key is remembered for longer than the log where tokens are short-lived."""
    asked = Command(Logout(id="i", user=ADA, scope=Scope.ALL, reason=Reason.USER), key="k")
    async with (
        RedisStore(own_redis.url, lifetime=LIFETIME) as store,
        listening(store) as listener,
    ):
        await store.end(asked)
        await end(store)
        await listener.hear(2)
        await listener.confirmed()
        with own_redis.client() as client:
            ((entry, _),) = client.xrange(Names(ADA).log, count=1)
            client.xdel(Names(ADA).log, entry)
        assert (await store.end(asked)).repeated
        await listener.confirmed()
        await listener.confirmed()
        assert (listener.count(DataLoss), listener.count(Gap)) == (0, 1)
