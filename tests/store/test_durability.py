"""A logout that is answered only once it will last, on a real Redis with a disk and a replica."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from hub.core.model import SECOND, Logout, Reason, Scope, user_key
from hub.errors import Unavailable
from hub.store.durability import Durability
from hub.store.redis import RedisStore
from hub.store.values import Claim, Command
from tests.redis_server import RedisServer
from tests.site import running, settings, token

LIFETIME = 3600 * SECOND
DISK, REPLICA = Durability(local=True), Durability(replicas=1)


@pytest.fixture
def replica(own_redis: RedisServer, tmp_path: Path) -> Iterator[RedisServer]:
    """A replica of the Redis that a test may kill, in step with it."""
    folder = tmp_path / "replica"
    folder.mkdir()
    own_redis.run("CONFIG", "SET", "repl-diskless-sync-delay", "0")
    server = RedisServer(folder, "--replicaof", "127.0.0.1", str(own_redis.port))
    server.start()
    with own_redis.client() as client:
        end = time.monotonic() + 10
        while client.info("replication")["connected_slaves"] < 1 or client.wait(1, 100) < 1:
            assert time.monotonic() < end
    yield server
    server.kill()


async def end(store: RedisStore, key: str | None = None) -> str:
    """Log a user out, and return the logout's id."""
    name = f"id-{time.time_ns()}"
    logout = Logout(id=name, user=user_key("", "ada"), scope=Scope.ALL, reason=Reason.USER)
    return (await store.end(Command(logout, key=key))).logout.id


async def test_a_logout_waits_for_the_disk(own_redis: RedisServer) -> None:
    """What was answered is there when the server comes back, though it fsyncs once a second."""
    own_redis.run("CONFIG", "SET", "appendfsync", "everysec")
    async with RedisStore(own_redis.url, lifetime=LIFETIME, durability=DISK) as store:
        ids = await asyncio.gather(*(end(store) for _ in range(20)))
    assert len(set(ids)) == 20


async def test_without_a_file_no_disk_can_be_waited_for(own_redis: RedisServer) -> None:
    """The logout is written and not claimed to last."""
    with own_redis.client() as client:
        client.config_set("appendonly", "no")
    async with RedisStore(own_redis.url, lifetime=LIFETIME, durability=DISK) as store:
        with pytest.raises(Unavailable):
            await end(store)


async def test_a_logout_waits_for_a_replica(own_redis: RedisServer, replica: RedisServer) -> None:
    """What was answered is on the replica too."""
    async with RedisStore(own_redis.url, lifetime=LIFETIME, durability=REPLICA) as store:
        for _ in range(20):
            await end(store)
            with own_redis.client() as one, replica.client() as other:
                logs = [sum(c.xlen(key) for key in c.scan_iter("hub:*:log")) for c in (one, other)]
            assert logs[0] == logs[1]


async def test_without_the_replica_a_logout_is_written_and_not_claimed(
    own_redis: RedisServer, replica: RedisServer
) -> None:
    """It can be asked for again with its key, and is the same logout once the replica is there."""
    replica.pause()
    async with RedisStore(own_redis.url, lifetime=LIFETIME, durability=REPLICA) as store:
        for _ in range(2):
            with pytest.raises(Unavailable, match="may not last"):
                await end(store, key="k")
        replica.resume()
        first = await end(store, key="k")
        assert await end(store, key="k") == first
    with own_redis.client() as client:
        assert sum(client.xlen(key) for key in client.scan_iter("hub:*:log")) == 1


async def end_with_key(store: RedisStore) -> None:
    """Log a user out with an idempotency key."""
    await end(store, key="k")


async def refuse(store: RedisStore) -> None:
    """End a session whose user is not named."""
    logout = Logout(
        id="refused",
        user=user_key("https://id.example", "s"),
        scope=Scope.SESSION,
        reason=Reason.IDENTITY_PROVIDER,
        sid="s",
        before=1_700_000_000 * SECOND,
    )
    await store.refuse_session("https://id.example", logout)


async def claim(store: RedisStore) -> None:
    """Claim an idempotency key for a list."""
    await store.claim(Claim("k", "digest", "id"))


async def recall(store: RedisStore) -> None:
    """Write a logout, unless it was written, and ask for its receipt."""
    logout = Logout(id="id", user=user_key("", "ada"), scope=Scope.ALL, reason=Reason.USER)
    if await store.recall(Command(logout, key="k")) is None:
        await store.end(Command(logout, key="k"))


@pytest.mark.parametrize("write", [end_with_key, refuse, claim, recall])
async def test_a_repetition_elsewhere_waits_for_the_first_write(
    own_redis: RedisServer, replica: RedisServer, write: Callable[[RedisStore], Awaitable[object]]
) -> None:
    """It writes nothing new, and another replica of the hub has another connection to Redis."""
    replica.pause()
    stores = [
        RedisStore(own_redis.url, lifetime=LIFETIME, durability=REPLICA),
        RedisStore(own_redis.url, lifetime=LIFETIME, durability=REPLICA),
    ]
    async with stores[0], stores[1]:
        for store in stores:
            with pytest.raises(Unavailable):
                await write(store)
        replica.resume()
        await write(stores[1])


async def test_a_hub_that_waits_for_replicas_says_unavailable_without_them(
    own_redis: RedisServer,
) -> None:
    """503 and Retry-After, and the token is dead all the same."""
    async with running(settings(redis_url=own_redis.url, wait_replicas=1)) as hub:
        mine = token("ada")
        answer = await hub.call("POST", "/logout", mine)
        assert (answer.status, answer.code) == (503, "unavailable")
        assert (await hub.call("GET", "/verify", mine)).status == 401
