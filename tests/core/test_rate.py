"""Rates: a burst at once, so many a second after it, and how long to wait."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core.rate import Rate, read_rate, take


def test_a_burst_is_had_at_once_and_then_one_each_period() -> None:
    """After the burst one more is had each time the period is over, and not before."""
    rate, paid_until = Rate(per_second=2, burst=3), 0.0
    for _ in range(3):
        paid_until, wait = take(rate, paid_until, now=100.0)
        assert wait == 0
    paid_until, wait = take(rate, paid_until, now=100.0)
    assert wait == pytest.approx(0.5)
    paid_until, wait = take(rate, paid_until, now=100.5)
    assert wait == 0


def test_what_is_refused_costs_nothing() -> None:
    """Asking too often does not make the wait longer."""
    rate, paid_until = Rate(per_second=1, burst=1), 0.0
    paid_until, _ = take(rate, paid_until, now=10.0)
    for _ in range(50):
        paid_until, wait = take(rate, paid_until, now=10.5)
        assert wait == pytest.approx(0.5)


@given(
    st.floats(0.1, 1000),
    st.integers(1, 100),
    st.lists(st.floats(0, 0.2), min_size=1, max_size=300),
)
def test_no_more_than_the_burst_and_the_rate_is_ever_had(
    per_second: float, burst: int, pauses: list[float]
) -> None:
    """Whatever the pauses, no more is had than the burst and what came in since."""
    rate, paid_until, now, had = Rate(per_second, burst), 0.0, 1000.0, 0
    for pause in pauses:
        now += pause
        paid_until, wait = take(rate, paid_until, now)
        had += wait == 0
    assert had <= burst + per_second * (now - 1000.0) + 1e-3


@pytest.mark.parametrize(
    "text", ["", "5", "0/5", "5/0", "-1/5", "5/100/2", "a/b", "5 / 100", "OFF"]
)
def test_a_malformed_rate_is_refused(text: str) -> None:
    """A rate is PER_SECOND/BURST, both above zero, or off."""
    with pytest.raises(ValueError, match="PER_SECOND/BURST"):
        read_rate(text)


def test_a_rate_is_read_as_it_is_written() -> None:
    """Half a second's rate is a rate as well, and off is none."""
    assert read_rate("0.5/7") == Rate(0.5, 7)
    assert read_rate("off") is None
