"""Each test of the contract runs on each store."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from hub.core.model import SECOND, Micros
from hub.store.base import Store
from hub.store.memory import MemoryStore
from hub.store.redis import RedisStore
from tests.redis_server import Clustered, as_hub, started, until

LIFETIME = 3600 * SECOND
BRIEF = 2 * SECOND

STORES = ["memory", "redis", "sentinel", "cluster", "crippled"]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test on each store; without all partitions only those that can do without."""
    needs_all = metafunc.definition.get_closest_marker("all_partitions")
    for name in {"store", "roomy_store", "brief_store"} & {*metafunc.fixturenames}:
        metafunc.parametrize(name, STORES[: -1 if needs_all else None], indirect=True)


@pytest.fixture(scope="package")
def crippled_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clustered]:
    """A cluster of which one node is dead, which serves none of the users of most tests here."""
    with started(Clustered(tmp_path_factory.mktemp("crippled"))) as servers:
        servers.masters[1].kill()
        living = (servers.masters[0], servers.masters[2])
        until(lambda: all(",fail " in str(node.run("CLUSTER", "NODES")) for node in living))
        servers.wait_for_late_ones(*living)
        yield servers


@pytest.fixture
def crippled_url(crippled_servers: Clustered, unhurried: None) -> str:
    """The address of that cluster, with nothing on the other nodes."""
    for node in (crippled_servers.masters[0], crippled_servers.masters[2]):
        node.run("FLUSHALL")
        node.run("SCRIPT", "FLUSH")
    return crippled_servers.url


def make_store(
    request: pytest.FixtureRequest, room: int, lifetime: Micros = LIFETIME
) -> MemoryStore | RedisStore:
    """Return the store of a parameter, with room for so many sessions a user."""
    if request.param == "memory":
        return MemoryStore(lifetime=lifetime, max_sessions=room)
    url = request.getfixturevalue(f"{request.param}_url")
    return RedisStore(as_hub(url), lifetime=lifetime, max_sessions=room)


@pytest.fixture
async def store(request: pytest.FixtureRequest) -> AsyncIterator[Store]:
    """Each store, empty, with room for five sessions a user; Redis as its shipped user may."""
    async with make_store(request, 5) as made:
        yield made


@pytest.fixture
async def roomy_store(request: pytest.FixtureRequest) -> AsyncIterator[Store]:
    """Each store, empty, with room for as many sessions as there are by default."""
    async with make_store(request, 1000) as made:
        yield made


@pytest.fixture
async def brief_store(request: pytest.FixtureRequest) -> AsyncIterator[Store]:
    """Each store, empty, for tokens that live for `BRIEF`."""
    async with make_store(request, 5, BRIEF) as made:
        yield made
