"""The schedule of faults: a seed alone decides it, and no fault is left out."""

from __future__ import annotations

import pytest

from tests.faults.run import Options
from tests.faults.schedule import CLUSTER_KINDS, KINDS, LONG, NODE, STORE, Mix, plan

MIX = Mix(tuple(KINDS), replicas=3, pause=2.0, longest=6.0, long_part=0.3, guards=2)
ROUNDS = 50


def test_a_seed_repeats_its_schedule() -> None:
    """The same seed gives the same faults at the same times, another seed does not."""
    assert plan(1, 4, MIX) == plan(1, 4, MIX)
    assert plan(1, 4, MIX) != plan(2, 4, MIX)
    assert plan(1, 4, MIX) != plan(1, 5, MIX)


def test_every_fault_is_in_every_round() -> None:
    """A run of so many rounds has each fault so often."""
    for number in range(ROUNDS):
        kinds = [fault.kind for lane in plan(3, number, MIX) for fault in lane]
        assert sorted(kinds) == sorted(KINDS)


def test_faults_of_redis_come_one_after_the_other() -> None:
    """Redis has one fault at a time, since all of them are on one lane."""
    for number in range(ROUNDS):
        _, second, _ = plan(3, number, MIX)
        assert not any(fault.kind in STORE for fault in second)


def test_one_node_of_a_cluster_is_away_at_a_time() -> None:
    """On a cluster every kind is in every round as well, with the nodes' on one lane."""
    mix = Mix(tuple(CLUSTER_KINDS), replicas=3, pause=2.0, longest=6.0, long_part=0.3, guards=2)
    for number in range(ROUNDS):
        first, second, third = plan(3, number, mix)
        assert sorted(fault.kind for fault in first + second + third) == sorted(CLUSTER_KINDS)
        assert not any(fault.kind in NODE for fault in second)


def test_some_faults_outlast_the_fence() -> None:
    """Those that can be long sometimes are, all others never."""
    faults = [f for number in range(ROUNDS) for lane in plan(3, number, MIX) for f in lane]
    assert {fault.kind for fault in faults if fault.lasts > MIX.longest} == LONG - {*NODE}


@pytest.mark.parametrize(
    ("logouts", "rounds"), [(None, 1), (400, 1), (2500, 5), (10_000, 20), (50_000, 20)]
)
def test_a_long_run_has_each_fault_twenty_times(logouts: int | None, rounds: int) -> None:
    """The number of rounds follows from the number of logouts."""
    assert Options(logouts=logouts).rounds_wanted() == rounds
