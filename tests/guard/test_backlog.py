"""What waits for an app's callbacks: all of it, in order, and in little memory."""

from __future__ import annotations

import secrets
import tracemalloc

import pytest

from hub.core.feed import Revocation
from hub.core.model import Reason, Scope
from hub.guard.backlog import PACK, Backlog


@pytest.mark.parametrize("count", [0, 1, PACK - 1, PACK, PACK + 1, 5 * PACK + 7])
@pytest.mark.parametrize("taken_between", [0, 1, 3])
def test_values_come_out_in_the_order_in_which_they_went_in(count: int, taken_between: int) -> None:
    """However many there are, and whether or not some are taken meanwhile."""
    backlog: Backlog[int] = Backlog(int)
    taken: list[int] = []
    for number in range(count):
        backlog.append(number)
        if number % 5 == 0:
            taken += [backlog.popleft() for _ in range(min(taken_between, len(backlog)))]
        assert len(backlog) == number + 1 - len(taken)
    taken += [backlog.popleft() for _ in range(len(backlog))]
    assert taken == list(range(count))
    with pytest.raises(IndexError):
        backlog.popleft()


def test_a_logout_comes_out_as_it_went_in_and_takes_little_memory_meanwhile() -> None:
    """Less than a tenth of what it takes as an object; names are as random as they can be."""
    count = 50 * PACK
    backlog: Backlog[Revocation] = Backlog(Revocation)
    first = Revocation(
        Scope.OTHERS,
        Reason.ADMIN,
        5.25,
        iss="https://a.example",
        user="ada",
        sid="s1",
        sessions=("s2", "s3"),
        before=4.5,
        partition=3,
        id="l1",
        message="é",
        by="bob",
        profile="lost",
    )
    tracemalloc.start()
    try:
        backlog.append(first)
        before, _ = tracemalloc.get_traced_memory()
        for number in range(count):
            name = secrets.token_urlsafe(16)
            backlog.append(Revocation(Scope.ALL, Reason.USER, 1_700_000_000.5 + number, user=name))
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (after - before) / count < 60
    assert backlog.popleft() == first
    assert len(backlog) == count
