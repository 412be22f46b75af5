"""Under the user of ``deploy/redis-acl.conf`` the hub can do all that it does, and nothing else.

The whole contract suite, too, runs as this user.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest
import redis

from hub.core.rate import Rate
from hub.store.durability import Durability
from hub.store.redis import RedisStore
from hub.store.values import Command
from tests.contract import test_store as contract
from tests.contract.listener import listening
from tests.redis_server import PASSWORD, RULES, RedisServer, as_hub

LUA = Path("hub/store/lua")


@pytest.fixture(scope="module")
def guarded_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A Redis with the user as it is shipped, and an administrator to look behind its back."""
    folder = tmp_path_factory.mktemp("acl")
    rules = RULES.read_text().replace("user default off", "user default on nopass ~* &* +@all")
    (folder / "users.acl").write_text(
        rules.replace(" on resetpass ", f" on #{sha256(PASSWORD.encode()).hexdigest()} ")
    )
    options = ("--aclfile", str(folder / "users.acl"), "--appendfsync", "everysec")
    server = RedisServer(folder, *options)
    server.start()
    yield server
    server.kill()


@pytest.fixture
def url(guarded_redis: RedisServer) -> str:
    """The address of the empty Redis, with the user's name and password."""
    with guarded_redis.client() as client:
        client.flushall()
    return as_hub(guarded_redis.url)


async def test_all_options_of_the_store_are_allowed(url: str) -> None:
    """Also waiting for the disk, limits, a second database, and clearing a full list."""
    async with RedisStore(
        url.removesuffix("0") + "1",
        lifetime=contract.LIFETIME,
        max_sessions=1,
        durability=Durability(local=True),
        pace=Rate(1, 30),
    ) as store:
        await store.register(contract.registration("s"))
        async with listening(store):
            await store.end(Command(contract.logout(user=None)))
            await store.register(contract.registration("t"))
            await store.renew("lease")


def test_each_command_of_the_scripts_is_listed_and_no_other_of_its_kind() -> None:
    """The rules follow the scripts: what is no longer used is no longer allowed."""
    used = {
        name.lower()
        for file in LUA.glob("*.lua")
        for name in re.findall(r"redis\.call\(\s*'(\w+)'", file.read_text())
    } | {"hset", "hsetnx"}
    allowed = set(re.findall(r"\+([\w|]+)", RULES.read_text()))
    spoken = {"eval", "evalsha", "subscribe", "publish", "info", "time", "select", "wait"}
    spoken |= {"waitaof", "asking", "cluster|slots", "client|setinfo"}
    assert allowed == used | spoken


@pytest.mark.parametrize(
    "command",
    [
        ("FLUSHALL",),
        ("KEYS", "*"),
        ("SCAN", "0"),
        ("CONFIG", "GET", "*"),
        ("CONFIG", "SET", "maxmemory-policy", "allkeys-lru"),
        ("MONITOR",),
        ("SLOWLOG", "GET"),
        ("ACL", "LIST"),
        ("CLIENT", "LIST"),
        ("SHUTDOWN",),
        ("REPLICAOF", "NO", "ONE"),
        ("MODULE", "LIST"),
        ("SCRIPT", "FLUSH"),
        ("GET", "another:key"),
        ("PUBLISH", "another", "x"),
        ("EVAL", "return redis.call('GET', 'another:key')", "0"),
        ("EVAL", "return redis.call('FLUSHALL')", "0"),
    ],
    ids=" ".join,
)
def test_nothing_else_is_allowed(url: str, command: tuple[str, ...]) -> None:
    """Neither commands of operators, nor keys and channels of others, nor either in a script."""
    with redis.Redis.from_url(url) as client, pytest.raises(redis.ResponseError) as refused:
        client.execute_command(*command)
    text = str(refused.value).lower()
    assert "permission" in text or "acl failure" in text or "can't access" in text
