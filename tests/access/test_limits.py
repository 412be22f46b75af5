"""Limits: separate for each key, bounded in number, and logged once a minute."""

from __future__ import annotations

import asyncio

import pytest
import structlog

from hub.access import limits
from hub.access.limits import Limiter, Refusals, address_key
from hub.core.rate import Rate
from hub.errors import RateLimited
from hub.metrics import Metrics
from tests.patience import PATIENCE

SLOW = Rate(per_second=0.001, burst=2)


async def test_each_key_has_a_limit_of_its_own() -> None:
    """Whoever reaches the limit is refused with the time to wait, and nobody else is."""
    limiter = Limiter("calls", SLOW, Refusals(Metrics()))
    limiter.take("a")
    assert not limiter.is_spent("a")
    limiter.take("a")
    assert limiter.is_spent("a")
    with pytest.raises(RateLimited) as refused:
        limiter.take("a")
    assert refused.value.retry_after == pytest.approx(1000, abs=5)
    limiter.take("b")


async def test_without_a_rate_nothing_is_refused() -> None:
    """A limit that is off takes whatever comes."""
    limiter = Limiter("calls", None, Refusals(Metrics()))
    for _ in range(1000):
        limiter.take("a")
    assert not limiter.is_spent("a")


async def test_the_table_of_keys_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """With more keys than are kept, those that were quiet for longest are forgotten."""
    monkeypatch.setattr(limits, "MAX_BUCKETS", 100)
    limiter = Limiter("calls", SLOW, Refusals(Metrics()))
    for number in range(5000):
        limiter.take(str(number))
    assert len(limiter._paid_until) <= 100
    assert "4999" in limiter._paid_until


async def test_quiet_keys_are_forgotten() -> None:
    """Nothing is kept of keys whose bucket is full again."""
    limiter = Limiter("calls", Rate(per_second=1e9, burst=1), Refusals(Metrics()))
    for number in range(1000):
        limiter.take(str(number))
    assert len(limiter._paid_until) <= 2


async def test_a_flood_is_counted_and_fills_no_log(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each refusal is counted; the log has a line a source, once a minute, for so many sources."""
    monkeypatch.setattr(limits, "MAX_LOGGED", 10)
    metrics = Metrics()
    refusals = Refusals(metrics)
    with structlog.testing.capture_logs() as lines:
        for number in range(500):
            refusals.note("refused", f"192.0.2.{number % 50}")
        assert len(lines) == 1
        refusals._logged_at -= limits.LOG_EVERY
        refusals.note("refused", "192.0.2.1")
    assert len(lines) <= 1 + 11
    assert sum(line["refused"] for line in lines) == 501
    count = metrics.registry.get_sample_value("hub_limited_total", {"kind": "refused"})
    assert count == 501


def test_an_ipv6_network_is_one_key() -> None:
    """A household that has 64 bits of addresses has one limit."""
    assert address_key("2001:db8:1:2:3:4:5:6") == address_key("2001:db8:1:2::9")
    assert address_key("2001:db8:1:2::9") != address_key("2001:db8:1:3::9")
    assert address_key("192.0.2.1") == "192.0.2.1"


async def test_only_so_many_refusals_are_held_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those beyond are refused at once, so that a flood of them holds nothing of the hub."""
    monkeypatch.setattr(limits, "MAX_DELAYED", 2)
    monkeypatch.setattr(limits, "REFUSAL_DELAY", 60)
    shared = limits.Limits(Refusals(Metrics()), None, None, None)
    held = [asyncio.create_task(shared.delay_refusal()) for _ in range(2)]
    await asyncio.sleep(0)
    async with asyncio.timeout(PATIENCE):
        await shared.delay_refusal()
    assert not any(task.done() for task in held)
    for task in held:
        task.cancel()
    await asyncio.gather(*held, return_exceptions=True)
    assert shared._delayed == 0
