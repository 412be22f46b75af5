"""A connection to the store that never recovers, which only a restart would fix.

The bound: `/healthz` says so once a pipeline has failed for a minute, when Redis answers others;
never while Redis itself is down, and never for a pipeline that would connect if it were asked.
"""

from __future__ import annotations

import asyncio

import pytest

from hub.api.services import SERVICES
from hub.store.redis import RedisStore
from hub.store.single_server import SingleServer
from tests.realtime.raw import eventually
from tests.redis_server import RedisServer
from tests.site import running, settings


async def test_a_process_that_cannot_do_its_work_says_so(
    own_redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection that never opens is reported; one to a Redis that is down is not."""
    monkeypatch.setattr("hub.access.process.CHECK_EVERY", 0.2)
    monkeypatch.setattr("hub.store.pipeline.STUCK_AFTER", 1.0)
    async with running(settings(redis_url=own_redis.url)) as hub:

        async def health() -> int:
            return (await hub.call("GET", "/healthz")).status

        own_redis.kill()
        for _ in range(15):
            await asyncio.sleep(0.2)
            assert await health() == 200
        own_redis.start()
        for _ in range(10):
            await asyncio.sleep(0.2)
            assert await health() == 200

        store = hub.app[SERVICES].store
        assert isinstance(store, RedisStore)
        assert isinstance(store._checks, SingleServer)
        pipeline = store._checks._pipeline
        pipeline._flush = lambda: None  # type: ignore[method-assign]
        pipeline.drop_connection()

        async def is_noticed() -> bool:
            return await health() == 503

        await eventually(is_noticed)
