"""What all tests share: a clean environment, and a real Redis that is emptied for each test."""

from __future__ import annotations

import gc
import logging
import os
import sys
import warnings
from collections.abc import Generator, Iterator
from pathlib import Path

import hypothesis
import pytest
import structlog

from tests.patience import PATIENCE
from tests.redis_server import NEVER_DOWN, Clustered, Guarded, RedisServer, started

hypothesis.settings.register_profile("suite", deadline=None)
hypothesis.settings.load_profile("suite")  # an example that a busy machine held up is no failure

LONG = (
    "tests/deploy/test_image.py",
    "tests/test_cli.py",
    "tests/deploy/test_verify.py",
    "tests/e2e/test_guarded_apps.py",
    "tests/e2e/test_firefox.py",
    "tests/e2e/test_examples.py",
    "tests/e2e/test_elements.py",
    "tests/e2e/test_everywhere.py",
    "tests/deploy/test_balancing.py",
    "tests/e2e/test_mobile_snippets.py",
    "tests/e2e/test_pages.py",
    "tests/e2e/test_next_day.py",
    "tests/e2e/test_back_button.py",
    "tests/deploy/test_probe.py",
    "tests/contract/test_store.py",
    "tests/e2e/test_frozen.py",
    "tests/providers/test_backchannel_logout.py",
    "tests/deploy/test_crowd.py",
    "tests/faults/test_short_run.py",
    "tests/test_shapes.py",
    "tests/deploy/test_failover.py",
    "tests/store/test_reader.py",
    "tests/realtime/test_soak.py",
    "tests/realtime/test_follower.py",
    "tests/core/test_revocation.py",
    "tests/realtime/test_partitions.py",
    "tests/store/test_pipeline.py",
    "tests/store/test_cluster.py",
    "tests/api/test_receipts.py",
    "tests/api/test_connections.py",
    "tests/contract/test_machine.py",
    "tests/access/test_polling_streams.py",
    "tests/realtime/test_sockets.py",
    "tests/e2e/test_refresh.py",
    "tests/deploy/test_verify.py",
    "tests/deploy/test_edge.py",
    "tests/attacks/test_slow_http.py",
    "tests/realtime/test_engine.py",
    "tests/e2e/test_whose_session.py",
    "tests/e2e/test_tokens_in_pages.py",
    "tests/attacks/test_flooded_sockets.py",
    "tests/fuzz/test_http.py",
    "tests/streaming/test_replicas.py",
    "tests/stock/test_matrix.py",
    "tests/e2e/test_demo.py",
    "tests/core/test_tokens.py",
    "tests/faults/test_mutants.py",
    "tests/contract/test_signals.py",
    "tests/store/test_sentinel.py",
    "tests/attacks/test_signal_floods.py",
    "tests/fuzz/test_openapi.py",
    "tests/deploy/test_compose.py",
    "tests/e2e/test_polling_fallback.py",
    "tests/e2e/test_wake.py",
    "tests/store/test_durability.py",
    "tests/e2e/test_tabs.py",
    "tests/realtime/test_signals.py",
    "tests/fuzz/test_signals.py",
    "tests/attacks/test_ghosts.py",
    "tests/attacks/test_bus.py",
    "tests/api/test_openapi_rules.py",
    "tests/e2e/test_hub_gone.py",
    "tests/e2e/test_offline.py",
)
"""Files of more than ten seconds, longest first. They are begun first, so that no process has one
left to do when the others are done; nothing else depends on it."""


TIME_LIMITS = {"TIME_LIMIT", "ASK_LIMIT", "LEARN_LIMIT"}
"""The names of the limits of time in the store."""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest files first where processes share them."""
    places = {name: place for place, name in enumerate(LONG)}
    if "PYTEST_XDIST_WORKER" in os.environ:
        items.sort(key=lambda item: places.get(item.nodeid.partition("::")[0], len(LONG)))


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Spare the garbage collector what is loaded and collected, which stays until the end."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.enable()


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the developer's own settings out of the tests."""
    for name in list(os.environ):
        if name.startswith("HUB_") or name == "PORT":
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def logs() -> Iterator[None]:
    """Put the logs back: a command that a test runs in this process sets them up for a service."""
    loggers = [logging.getLogger(name) for name in (None, "aiohttp.server")]
    before = [(logger, list(logger.handlers), logger.level) for logger in loggers]
    config = structlog.get_config()
    processors = list(config["processors"])
    yield
    if structlog.get_config() == {**config, "processors": processors}:
        return
    for logger, handlers, level in before:
        logger.handlers[:] = handlers
        logger.setLevel(level)
    config["processors"][:] = processors  # one list, which whoever logs may have in hand
    structlog.configure(**config)
    for name, module in list(sys.modules.items()):
        if name.startswith("hub.") and "log" in vars(module):
            vars(module.log).pop("bind", None)  # what it was set up for is cached there


def pytest_sessionfinish() -> None:
    """Let go of what cut-off connections left, whose warnings would belong to no test any more."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A Redis server for the whole run."""
    with started(RedisServer(tmp_path_factory.mktemp("redis"))) as server:
        yield server


@pytest.fixture
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give a store that nobody stops its time, which it needs only where the machine is busy.

    How long the hub waits is tested with servers of the tests' own.
    """
    for name, module in list(sys.modules.items()):
        if name.startswith("hub.store."):
            for limit in TIME_LIMITS & vars(module).keys():
                monkeypatch.setattr(module, limit, PATIENCE)


@pytest.fixture
def redis_url(redis_server: RedisServer, unhurried: None) -> str:
    """The address of an empty Redis."""
    redis_server.empty()
    return redis_server.url


@pytest.fixture(scope="session")
def guarded_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """A master with its Sentinels, for the whole run."""
    with started(Guarded(tmp_path_factory.mktemp("guarded"), NEVER_DOWN)) as servers:
        yield servers


@pytest.fixture
def sentinel_url(guarded_servers: Guarded, unhurried: None) -> str:
    """The address of an empty Redis behind Sentinels."""
    guarded_servers.empty()
    return guarded_servers.url


@pytest.fixture(scope="session")
def clustered_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clustered]:
    """A cluster, for the whole run."""
    with started(Clustered(tmp_path_factory.mktemp("clustered"))) as servers:
        servers.wait_for_late_ones()
        yield servers


@pytest.fixture
def cluster_url(clustered_servers: Clustered, unhurried: None) -> str:
    """The address of an empty cluster."""
    clustered_servers.empty()
    return clustered_servers.url


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis server that a test may kill."""
    with started(RedisServer(tmp_path)) as server:
        yield server


def lacking(what: str) -> None:
    """Skip a test for want of a tool, or fail it where every tool is required."""
    if os.environ.get("CI"):
        pytest.fail(f"{what} is missing")
    pytest.skip(f"{what} is missing")
