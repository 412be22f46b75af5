"""A flood of logouts does not fill the store, and a full store refuses each logout as a whole.

The bound: a user logs out as often as HUB_LIMIT_LOGOUTS says, on all replicas together; a message
is kept once a logout; and a Redis that has no memory left refuses a logout before it has deleted
anything, as 503.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from prometheus_client import generate_latest

from hub.access.logouts import Logouts
from hub.core.model import SECOND, Identity, Logout, Reason, Scope, UserKey, user_key
from hub.core.rate import Rate
from hub.core.revocation import judge
from hub.errors import RateLimited, TokenRevoked, Unavailable
from hub.metrics import Metrics
from hub.store.base import Store
from hub.store.memory import MemoryStore
from hub.store.names import Names
from hub.store.redis import RedisStore
from hub.store.values import Command, Registration
from tests.redis_server import RedisServer

LIFETIME = 3600 * SECOND
ADA = user_key("", "ada")
MESSAGE = "You were logged out, and this is why: " + "é" * 400


def identity(sid: str = "s", user: UserKey = ADA) -> Identity:
    """Return an identity that was issued just now."""
    issued = time.time_ns() // 1000
    return Identity(user=user, sub="", iss="", sid=sid, iat=issued, exp=issued + 600 * SECOND)


def own(name: str, user: UserKey = ADA, key: str | None = None) -> Command:
    """Return a user's own logout, with a message."""
    logout = Logout(id=name, user=user, scope=Scope.ALL, reason=Reason.USER, message=MESSAGE)
    return Command(logout, key=key)


@pytest.fixture(params=["memory", "redis"])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[Store]:
    """Each kind of store, with a limit that does not refill while the test runs."""
    pace = Rate(per_second=0.001, burst=3)
    made: MemoryStore | RedisStore = MemoryStore(lifetime=LIFETIME, pace=pace)
    if request.param == "redis":
        made = RedisStore(request.getfixturevalue("redis_url"), lifetime=LIFETIME, pace=pace)
    async with made:
        yield made


async def test_a_user_logs_out_so_often_and_no_more(store: Store) -> None:
    """A logout over the limit is refused with Retry-After, and changes nothing."""
    for number in range(3):
        await store.end(own(f"id-{number}"), limited=True)
    late = identity("late")
    await store.register(Registration(late, "", ""))
    with pytest.raises(RateLimited) as refused:
        await store.end(own("one more"), limited=True)
    assert refused.value.retry_after == pytest.approx(1000, abs=30)
    assert judge(late, await store.look(late)) is None
    assert await store.receipt("one more", ADA) is None


async def test_refused_logouts_are_counted(store: Store) -> None:
    """They are counted under the name of their limit."""
    metrics = Metrics()
    logouts = Logouts(store, metrics)
    for number in range(3):
        await logouts.write_own(identity(), own(f"id-{number}"))
    with pytest.raises(RateLimited):
        await logouts.write_own(identity(), own("one more"))
    assert b'hub_limited_total{kind="logouts"} 1.0' in generate_latest(metrics.registry)


async def test_nobody_else_is_limited_by_it(store: Store) -> None:
    """It limits neither other users nor an administrator who ends this user's sessions."""
    for number in range(3):
        await store.end(own(f"id-{number}"), limited=True)
    other = own("other", user_key("", "eve"))
    assert (await store.end(other, limited=True)).logout.id == "other"
    administrators = (
        own("by an administrator"),
        Command(Logout("all", None, Scope.ALL, Reason.POLICY)),
    )
    for command in administrators:
        assert (await store.end(command)).logout.id == command.logout.id


async def test_a_repeated_logout_is_no_further_one(store: Store) -> None:
    """A repeat with the same key gets the first receipt, and does not count."""
    first = await store.end(own("id", key="k"), limited=True)
    for _ in range(10):
        again = await store.end(own("another id", key="k"), limited=True)
        assert (again.repeated, again.logout) == (True, first.logout)


async def test_a_message_is_kept_once(redis_url: str, redis_server: RedisServer) -> None:
    """A logout of many sessions stores its message once, and every refusal contains it."""
    async with RedisStore(redis_url, lifetime=LIFETIME) as store:
        people = [identity(f"s-{number}") for number in range(200)]
        for who in people:
            await store.register(Registration(who, "", ""))
        await store.end(own("id"))
        refusal = judge(people[7], await store.look(people[7]))
        assert isinstance(refusal, TokenRevoked)
        assert refusal.logout is not None
        assert refusal.logout.message == MESSAGE
    names = Names(ADA)
    with redis_server.client() as client:
        keys = list(client.scan_iter(f"{names.tombstone}*", count=1000))
        assert len(keys) == 200
        assert max(int(str(client.memory_usage(key))) for key in keys) < 500
        assert client.get(f"{names.messages}id") == MESSAGE.encode()


@pytest.fixture
async def small(tmp_path: Path) -> AsyncIterator[RedisServer]:
    """A Redis that may use 16 MB, and evicts nothing."""
    server = RedisServer(tmp_path, "--maxmemory", "16mb", "--maxmemory-policy", "noeviction")
    server.start()
    yield server
    server.kill()


async def test_a_full_redis_refuses_before_it_deletes(small: RedisServer) -> None:
    """A refused logout changes nothing, and one that was written is kept."""
    async with RedisStore(small.url, lifetime=LIFETIME) as store:
        ended, alive = identity("ended", user_key("", "eve")), identity("alive")
        for who in (ended, alive):
            await store.register(Registration(who, "", ""))
        await store.end(own("in time", ended.user))
        with small.client() as client:
            client.config_set("maxmemory", 1)
            before = {key: client.dump(key) for key in client.scan_iter("*")}
        for change in (
            store.end(own("too late"), limited=True),
            store.end(own("with a key", key="k")),
            store.register(Registration(alive, "another name", "192.0.2.1", named=True)),
            store.register(Registration(identity("new"), "", "")),
            store.renew("replica"),
        ):
            with pytest.raises(Unavailable):
                await change
        with small.client() as client:
            assert {key: client.dump(key) for key in client.scan_iter("*")} == before
        assert judge(alive, await store.look(alive)) is None
        assert isinstance(judge(ended, await store.look(ended)), TokenRevoked)
        with small.client() as client:
            client.config_set("maxmemory", "16mb")
        await store.end(own("now"))
        assert isinstance(judge(alive, await store.look(alive)), TokenRevoked)


async def test_a_flood_of_logouts_does_not_pass_the_bound(small: RedisServer) -> None:
    """An administrator's flood is refused, and Redis stays below its memory limit."""
    async with RedisStore(small.url, lifetime=LIFETIME) as store:
        refused = 0
        for number in range(12_000):
            user = user_key("", f"user-{number % 50}")
            try:
                await store.end(own(f"id-{number}", user, key=str(number)))
            except Unavailable:
                refused += 1
                if refused > 20:
                    break
        assert refused > 20
        with small.client() as client:
            info = client.info("memory")
            assert isinstance(info, dict)
            assert info["used_memory"] < 20_000_000
