"""Two replicas on one Redis for the whole folder, and a fresh balancer for each test."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Iterator

import aiohttp
import pytest

from tests.deploy.balancers import RUN, Front
from tests.deploy.hubs import Hubs, two_hubs
from tests.redis_server import RedisServer


@pytest.fixture(scope="package")
def shared_hubs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hubs]:
    """Two replicas; use ``hubs``, which sees to it that both run."""
    redis = RedisServer(tmp_path_factory.mktemp("redis"))
    redis.start()
    try:
        with two_hubs(redis.url) as hubs:
            yield hubs
    finally:
        redis.kill()


@pytest.fixture
def hubs(shared_hubs: Hubs) -> Hubs:
    """Two replicas that are ready; a test may kill them."""
    shared_hubs.heal()
    return shared_hubs


@pytest.fixture(params=["nginx", "haproxy"])
def front(request: pytest.FixtureRequest, hubs: Hubs) -> Iterator[Front]:
    """A balancer in front of both replicas, with the file as it is shipped."""
    with RUN[request.param](hubs) as running:
        yield running
        # Shown by pytest when the test failed.
        sys.stdout.write(running.log)


@pytest.fixture
async def http(front: Front) -> AsyncIterator[aiohttp.ClientSession]:
    """An HTTP client of the balancer."""
    async with front.client() as session:
        yield session
