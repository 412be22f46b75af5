"""A short run under every fault; `make chaos` is the long one."""

from __future__ import annotations

from tests.faults.report import report
from tests.faults.run import Options, run
from tests.faults.schedule import KINDS

SHORT = Options(
    rounds=1,
    seed=150,  # Redis is away for longer than the fence, once
    long_part=0.15,
    rate=25,
    people=25,
    pause=0.3,
    rest=5,
    quiet=True,
    cut=8,
    cut_in_trouble=12,
    recovery=12,
)
ENOUGH = 50
"""Logouts; several hundred on a machine that has nothing else to do."""


async def test_promises_hold_under_every_fault() -> None:
    """Under each fault at least once, no promise about logouts is broken."""
    outcome = await run(SHORT)
    assert not outcome.violations, report(outcome)
    assert outcome.logouts > ENOUGH, report(outcome)
    assert set(outcome.faults) == set(KINDS)
