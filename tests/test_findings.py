"""Failing tests for what the documentation's author found."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from hub.errors import Unavailable
from hub.store.base import Loss
from hub.store.redis import RedisStore
from tests.contract.listener import listening
from tests.realtime.raw import eventually, raw_socket
from tests.redis_server import RedisServer
from tests.site import ADMIN, running, settings, token
from tests.store.test_reader import LIFETIME, identity, write


@pytest.mark.parametrize("body", [{"users": ["ada", "eve"]}, {"everyone": True}])
async def test_a_list_with_the_same_key_is_answered_after_its_receipt_is_gone(
    own_redis: RedisServer, body: dict[str, Any]
) -> None:
    """A key is remembered for 24 hours, a receipt for one: the repeat is no 404."""
    async with running(settings(redis_url=own_redis.url)) as hub:
        given = {**body, "reason": "policy"}
        key = {"Idempotency-Key": "k"}
        first = await hub.call("POST", "/admin/logout", ADMIN, json=given, headers=key)
        with own_redis.client() as client:
            for name in list(client.scan_iter("hub:*:receipt:*")):
                client.delete(name)
        again = await hub.call("POST", "/admin/logout", ADMIN, json=given, headers=key)
        assert (again.status, again.body.get("id")) == (200, first.body["id"])


async def test_a_repeat_that_waits_is_answered_after_its_receipt_is_gone(
    own_redis: RedisServer,
) -> None:
    """The same for a person's own logout with ?wait."""
    async with running(settings(redis_url=own_redis.url)) as hub:
        key, mine = {"Idempotency-Key": "k"}, token("ada")
        await hub.call("POST", "/logout", mine, headers=key)
        with own_redis.client() as client:
            for name in list(client.scan_iter("hub:*:receipt:*")):
                client.delete(name)
        again = await hub.call("POST", "/logout?wait=1", mine, headers=key)
        assert again.status == 200


async def test_following_is_zero_while_the_store_is_not_believed(own_redis: RedisServer) -> None:
    """The gauge that an operator watches says what /readyz says."""
    async with running(settings(redis_url=own_redis.url, fence_seconds=3)) as hub:
        with own_redis.client() as client:
            client.flushall()

        async def is_unready() -> bool:
            return (await hub.call("GET", "/readyz")).status == 503

        await eventually(is_unready)
        text: str = (await hub.call("GET", "/metrics")).body
        assert "\nhub_following 0.0" in text


async def test_who_has_not_read_the_log_yet_does_not_believe_a_marked_loss(
    own_redis: RedisServer,
) -> None:
    """The epoch is in every answer and says it: no need to have read the log."""
    async with RedisStore(own_redis.url, lifetime=LIFETIME) as first, listening(first) as listener:
        await write(first)
        with own_redis.client() as client:
            client.flushall()
        await listener.until(lambda: listener.count(Loss) >= 16)
        async with RedisStore(own_redis.url, lifetime=LIFETIME) as second:
            with pytest.raises(Unavailable):
                await second.look(identity())


async def test_a_hub_that_stops_does_not_wait_for_a_long_spread() -> None:
    """A deploy during a logout that is spread over an hour ends in seconds."""
    async with running(settings()) as hub, raw_socket(hub) as raw:
        await raw.connect(token("ada", "a"))
        body = {"everyone": True, "reason": "policy", "spread_seconds": 20}
        assert (await hub.call("POST", "/admin/logout", ADMIN, json=body)).status == 200
        await asyncio.sleep(0.5)
        began = time.monotonic()
        await hub.app.shutdown()
        assert time.monotonic() - began < 10
