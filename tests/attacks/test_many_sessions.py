"""A user with the maximum of sessions lists them again and again, and logs in once more.

The bounds: one list of a user is read at once, 16 wait, and the rest are refused; others are
answered and logouts are heard meanwhile; a login that is refused for want of room reads no session.
"""

from __future__ import annotations

import asyncio

import pytest

from hub.core.model import Scope
from hub.errors import RateLimited
from hub.store.lists import MAX_OF_USER
from hub.store.redis import RedisStore
from hub.store.redis_registry import PAGE
from hub.store.values import Command
from tests.contract.listener import listening
from tests.contract.test_store import ADA, LIFETIME, identity, logout, registration
from tests.redis_server import RedisServer

MANY = 1000


async def fill(store: RedisStore) -> None:
    """Give Ada the maximum of sessions."""
    for start in range(0, MANY, 100):
        await asyncio.gather(*(store.register(registration(f"s{start + n}")) for n in range(100)))


def calls(server: RedisServer, command: str) -> int:
    """Return how often a command was run."""
    with server.client() as client:
        return int(client.info("commandstats").get(f"cmdstat_{command}", {}).get("calls", 0))


async def test_others_are_answered_while_a_long_list_is_asked_for(
    own_redis: RedisServer, unhurried: None
) -> None:
    """16 of 64 concurrent lists are answered in full, and other users are not delayed."""
    async with RedisStore(own_redis.url, lifetime=LIFETIME, max_sessions=MANY) as store:
        await fill(store)
        async with listening(store) as listener:
            lists = [asyncio.create_task(store.sessions(ADA)) for _ in range(64)]
            await asyncio.sleep(0)
            written = await store.end(Command(logout(Scope.SESSION, "s", "|bob"), "s"))
            looks = await asyncio.gather(*(store.look(identity("s", f"|u{n}")) for n in range(500)))
            done = await asyncio.gather(*lists, return_exceptions=True)
            assert (await listener.hear(1))[0].logout.id == written.logout.id
        refused = [found for found in done if isinstance(found, RateLimited)]
        assert len(looks) == 500
        assert len(refused) == 64 - MAX_OF_USER
        assert all(error.retry_after for error in refused)
        assert [len(f.sessions) for f in done if not isinstance(f, BaseException)] == [MANY] * 16
        assert len((await store.sessions(ADA)).sessions) == MANY


async def test_a_list_of_several_pages_has_each_session_once(own_redis: RedisServer) -> None:
    """If sessions end while the list is read, only those are missing."""
    async with RedisStore(own_redis.url, lifetime=LIFETIME, max_sessions=MANY) as store:
        await fill(store)
        reading = asyncio.create_task(store.sessions(ADA))
        ended = [f"s{n}" for n in range(0, MANY, PAGE)]
        for sid in ended:
            await store.end(Command(logout(Scope.SESSION, sid), sid))
        sids = [session.sid for session in (await reading).sessions]
        assert len(sids) == len(set(sids))
        assert {f"s{n}" for n in range(MANY)} - set(ended) <= set(sids)


async def test_a_refused_login_reads_no_session(own_redis: RedisServer) -> None:
    """After each logout of everyone, ended sessions are looked for once, to make room."""
    async with RedisStore(own_redis.url, lifetime=LIFETIME, max_sessions=MANY) as store:
        await fill(store)
        with pytest.raises(RateLimited):
            await store.register(registration("more"))
        before = calls(own_redis, "hget")
        for number in range(50):
            with pytest.raises(RateLimited):
                await store.register(registration(f"more {number}"))
        assert calls(own_redis, "hget") == before
        await store.end(Command(logout(user=None)))
        assert (await store.register(registration("at last"))).session is not None
