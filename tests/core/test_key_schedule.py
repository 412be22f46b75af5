"""When an issuer's keys are fetched, and what is known of one that is not there."""

from __future__ import annotations

import pytest

from hub.core.key_schedule import (
    COOL_DOWN,
    FAILED_COOL_DOWN,
    FIRST_COOL_DOWN,
    KEY_SET_LIFETIME,
    KeySchedule,
)

NEW = KeySchedule()
FIRST = NEW.after_fetch(100, succeeded=True)


def test_keys_that_nobody_has_needed_are_not_due() -> None:
    """They are fetched when the first token comes; until they were, nothing is known."""
    failed = NEW.after_fetch(100, succeeded=False)
    assert NEW.wait(0) == 0
    assert failed.wait(100) == FIRST_COOL_DOWN
    for schedule in (NEW, failed):
        assert schedule.is_failing
        assert not schedule.is_due(100 + 2 * KEY_SET_LIFETIME)


def test_keys_are_due_within_the_hour() -> None:
    """Early enough for a second try within it, if the first one fails."""
    assert not FIRST.is_due(100 + COOL_DOWN + 1)
    first_try = next(at for at in range(100, 4000) if FIRST.is_due(at))
    failed = FIRST.after_fetch(first_try + 2, succeeded=False)
    assert not failed.is_due(first_try + 2 + COOL_DOWN)
    second_try = next(at for at in range(first_try + 2, 4000) if failed.is_due(at))
    assert second_try < 100 + KEY_SET_LIFETIME


@pytest.mark.parametrize("found", [True, False])
def test_keys_that_are_not_there_cause_one_fetch_in_the_cool_down(found: bool) -> None:
    """Whether the issuer published what was looked for or not."""
    assert FIRST.wait(100) == 0
    looked = FIRST.after_fetch(110, succeeded=True).after_look(110, found=found)
    assert looked.wait(111) == COOL_DOWN - 1
    assert looked.wait(110 + COOL_DOWN) == 0
    assert not looked.is_failing


def test_the_first_fetch_delays_no_new_key() -> None:
    """Nobody has looked for one, unless that was the very key which was not there."""
    assert FIRST.after_look(100, found=True).wait(100) == 0
    assert FIRST.after_look(100, found=False).wait(100) == COOL_DOWN


def test_after_a_failure_a_key_is_soon_looked_for_again() -> None:
    """As long as the issuer fails; the cool-down counts from the last success of a look."""
    failed = FIRST.after_fetch(110, succeeded=False).after_look(110, found=False)
    assert failed.is_failing
    assert failed.wait(110) == FAILED_COOL_DOWN
    again = failed.after_fetch(120, succeeded=True)
    assert not again.is_failing
    assert again.wait(120) == 0
    assert again.after_look(120, found=True).wait(120) == COOL_DOWN
