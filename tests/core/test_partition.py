"""The machine of one partition: every event in every state, and the fence by time."""

from __future__ import annotations

import itertools

import pytest

from hub.core.partition import (
    CONDITIONS,
    FENCED,
    MAX_CONFIRMATION_AGE,
    TRANSITIONS,
    Effect,
    Event,
    Partition,
    State,
    is_enough,
)

FENCE = 10.0
NOW = 1000.0
ALL = list(itertools.product(State, Event, [True, False], [None, NOW - 1, NOW - FENCE - 1]))


def in_state(state: State, *, fenced: bool = False, at: float | None = NOW) -> Partition:
    """Return a partition in a state."""
    return Partition(state, is_fenced=fenced, confirmed_at=at, sweep=7)


def after(*events: Event, fence: float = FENCE) -> tuple[Partition, list[Effect]]:
    """Return what becomes of a new partition, and all that is to be done on the way."""
    partition, effects = Partition(), []
    for event in events:
        partition, effect = partition.advance(event, NOW, fence)
        effects += [effect] if effect is not None else []
    return partition, effects


EXPECTED = """
             confirmed         gap      interrupted  loss          swept      sweep_failed
unswept      sweeping+sweep    =        =            lost+recover  =          =
sweeping     =                 unswept  unswept      lost+recover  confirmed  unswept
catching_up  confirmed         unswept  =            lost+recover  =          =
confirmed    confirmed         unswept  catching_up  lost+recover  =          =
lost         sweeping+sweep    =        =            lost+recover  =          =
"""
HEAD, *ROWS = [line.split() for line in EXPECTED.strip().splitlines()]
PAIRS = [(row[0], event, cell) for row in ROWS for event, cell in zip(HEAD, row[1:], strict=True)]


@pytest.mark.parametrize(("state", "event", "cell"), PAIRS)
def test_every_event_in_every_state(state: str, event: str, cell: str) -> None:
    """Each pair leads where this table says, which is written apart from that of the code."""
    before = in_state(State(state))
    next_, _, effect = cell.partition("+")
    found, done = before.advance(Event[event.upper()], NOW, FENCE)
    assert found.state == (before.state if next_ == "=" else next_)
    assert done is (Effect[effect.upper()] if effect else None)


def test_the_table_of_this_test_is_whole() -> None:
    """No state and no event is left out, but that of time."""
    assert {(state, event) for state, event, _ in PAIRS} == {
        (state.value, event.name.lower())
        for state, event in itertools.product(State, set(Event) - {Event.TIME_PASSED})
    }
    assert set(TRANSITIONS) == set(State)


@pytest.mark.parametrize(("state", "event", "fenced", "at"), ALL)
def test_what_holds_in_all_states(
    state: State, event: Event, fenced: bool, at: float | None
) -> None:
    """Only a confirmation opens, only time closes, and a sweep has a number of its own."""
    before = in_state(state, fenced=fenced, at=at)
    found, effect = before.advance(event, NOW, FENCE)
    if before.is_fenced and not found.is_fenced:
        assert found.state is State.CONFIRMED
        assert event in (Event.CONFIRMED, Event.SWEPT)
    if found.is_fenced and not before.is_fenced:
        assert (event, effect) == (Event.TIME_PASSED, Effect.CLOSE)
        assert before.age(NOW) > FENCE
    if found.state is State.CONFIRMED and before.state is not State.CONFIRMED:
        assert (found.confirmed_at, found.is_fenced) == (NOW, False)
    assert found.sweep - before.sweep == (effect is Effect.SWEEP)
    assert (effect is Effect.SWEEP) == (
        found.state is State.SWEEPING and before.state is not State.SWEEPING
    )
    assert found.condition in CONDITIONS


@pytest.mark.parametrize("state", State)
def test_time_alone_raises_the_fence(state: State) -> None:
    """Once, when the last confirmation is older than the fence, whatever the state; not before."""
    partition, effect = in_state(state).advance(Event.TIME_PASSED, NOW + FENCE, FENCE)
    assert (partition.is_fenced, effect) == (False, None)
    partition, effect = partition.advance(Event.TIME_PASSED, NOW + FENCE + 0.1, FENCE)
    assert (partition.is_fenced, effect) == (True, Effect.CLOSE)
    assert partition.state is state
    _, effect = partition.advance(Event.TIME_PASSED, NOW + FENCE + 0.2, FENCE)
    assert effect is None


def test_who_begins_serves_nobody_until_it_has_caught_up() -> None:
    """The fence is up, closes nothing, and falls after the first sweep."""
    assert after(Event.TIME_PASSED)[1] == []
    partition, effects = after(Event.GAP, Event.CONFIRMED)
    assert (partition.condition, effects) == (FENCED, [Effect.SWEEP])
    partition, _ = after(Event.GAP, Event.CONFIRMED, Event.SWEPT)
    assert partition.condition == "confirmed"


def test_the_end_of_a_sweep_that_was_overtaken_proves_nothing() -> None:
    """What was missed after it began may be of a socket that it had checked already."""
    for event in (Event.GAP, Event.INTERRUPTED, Event.LOSS):
        partition, _ = after(Event.CONFIRMED, event, Event.SWEPT)
        assert partition.state is not State.CONFIRMED
    first, _ = after(Event.CONFIRMED)
    second, _ = after(Event.CONFIRMED, Event.GAP, Event.CONFIRMED)
    assert (first.state, second.state) == (State.SWEEPING, State.SWEEPING)
    assert first.sweep != second.sweep


def test_a_loss_is_told_until_it_is_made_up_for() -> None:
    """Each time that it is found; then every socket is checked before anything counts."""
    partition, effects = after(Event.LOSS, Event.LOSS, Event.GAP, Event.INTERRUPTED)
    assert (partition.condition, effects) == ("lost", [Effect.RECOVER, Effect.RECOVER])
    partition, effects = after(Event.LOSS, Event.CONFIRMED)
    assert (partition.state, effects[-1]) == (State.SWEEPING, Effect.SWEEP)


@pytest.mark.parametrize(
    ("partition", "is_receiving"),
    [
        (in_state(State.CONFIRMED), True),
        (in_state(State.UNSWEPT), True),
        (in_state(State.SWEEPING), True),
        (in_state(State.CATCHING_UP), False),
        (in_state(State.LOST), False),
        (in_state(State.CONFIRMED, at=NOW - MAX_CONFIRMATION_AGE), False),
        (in_state(State.CONFIRMED, fenced=True), False),
        (in_state(State.UNSWEPT, at=None), False),
    ],
)
def test_what_counts_as_receiving(partition: Partition, is_receiving: bool) -> None:
    """What was confirmed lately and is not known to be broken."""
    assert partition.is_receiving(NOW) is is_receiving


def test_half_of_the_partitions_are_enough() -> None:
    """A replica of one partition needs that one."""
    assert [served for served in range(17) if is_enough(served, 16)] == list(range(8, 17))
    assert (is_enough(0, 1), is_enough(1, 1)) == (False, True)
