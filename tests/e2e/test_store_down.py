"""Redis is down and returns: no false answers, no hanging requests, and recovery by itself."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable

import pytest

from tests.e2e.people import python_client
from tests.realtime.raw import eventually, raw_socket
from tests.redis_server import RedisServer
from tests.site import ADMIN, Answer, Replica, running, settings, token

LIMIT = 2.0
MARGIN = 6.0


@pytest.fixture
async def replicas(own_redis: RedisServer) -> AsyncIterator[tuple[Replica, Replica]]:
    """Two replicas on a Redis that may be killed."""
    async with (
        running(settings(redis_url=own_redis.url, replica="one")) as one,
        running(settings(redis_url=own_redis.url, replica="two")) as two,
    ):
        yield one, two


async def ready(replica: Replica) -> bool:
    """Tell whether a replica says that it is ready."""
    return (await replica.call("GET", "/readyz")).status == 200


async def check_unavailable(answer: Answer) -> None:
    """Check that an answer is `unavailable`."""
    assert (answer.status, answer.code) == (503, "unavailable")
    assert answer.headers["Retry-After"] == "1"


@pytest.mark.parametrize("fault", ["killed", "hanging"])
async def test_without_the_store_everything_is_unavailable_and_quick(
    own_redis: RedisServer, replicas: tuple[Replica, Replica], fault: str
) -> None:
    """Everything answers `unavailable` within two seconds, and recovers by itself."""
    one, two = replicas
    mine = token("ada", "s1")
    assert (await one.call("GET", "/session", mine)).status == 200
    down: Callable[[], None] = own_redis.kill if fault == "killed" else own_redis.pause
    up: Callable[[], None] = own_redis.start if fault == "killed" else own_redis.resume
    down()
    began = time.monotonic()
    answers = await asyncio.gather(
        *(
            replica.call("GET", path, mine)
            for replica in replicas
            for path in ("/session", "/sessions", "/verify", "/readyz")
        ),
        one.call("POST", "/logout", mine),
        two.call("DELETE", "/sessions/s1", mine),
        one.call("POST", "/admin/logout", ADMIN, json={"user": "ada", "reason": "admin"}),
        one.call("POST", "/admin/logout", ADMIN, json={"everyone": True, "reason": "admin"}),
        two.call("GET", "/admin/users/ada/sessions", ADMIN),
    )
    async with raw_socket(one) as raw:
        refusal = await raw.closing_refusal(await raw.connect(mine))
    assert time.monotonic() - began < 2 * LIMIT + MARGIN  # the calls together, then the socket
    for answer in answers:
        await check_unavailable(answer)
    assert refusal["message"] == "unavailable"
    assert refusal["data"]["retryable"] is True
    assert (await one.call("GET", "/healthz")).status == 200
    up()
    for replica in replicas:
        await eventually(lambda replica=replica: ready(replica))
        assert (await replica.call("GET", "/session", mine)).status == 200
    async with python_client(two, mine) as person:
        await person.diary.wait("connect")
        assert (await one.call("POST", "/logout", mine)).status == 200
        await person.diary.wait("notified")


async def test_a_logout_that_was_missed_is_made_up_for(
    own_redis: RedisServer, replicas: tuple[Replica, Replica]
) -> None:
    """A replica whose subscription was killed checks its sockets once it is subscribed again."""
    one, two = replicas
    async with raw_socket(two) as raw:
        await raw.connect(token("ada", "s1"))
        with own_redis.client() as client:
            # Nobody hears this logout: both subscriptions are killed in the same breath.
            pipeline = client.pipeline(transaction=False)
            pipeline.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
            pipeline.execute()
            ended = await one.call("POST", "/logout", token("ada", "s2"))
            assert ended.status == 200
        frame = await raw.receive()
        assert frame is not None
        assert "logoutNotification" in frame
        assert await raw.receive_all() == ["41"]


async def test_a_replica_starts_without_the_store(own_redis: RedisServer) -> None:
    """A hub whose Redis is down starts unready, and becomes ready when Redis returns."""
    own_redis.kill()
    async with running(settings(redis_url=own_redis.url)) as replica:
        assert not await ready(replica)
        own_redis.start()
        await eventually(lambda: ready(replica))
        assert (await replica.call("GET", "/session", token("ada"))).status == 200
