"""Counts in bounded memory."""

from __future__ import annotations

from hub.core.tally import OTHERS, Tally


def test_pairs_are_told_apart_until_there_are_too_many() -> None:
    """A pair that is known still counts; one too many is put down to others, by what it did."""
    tally = Tally[str](2)
    for what, whom in (("a", "x"), ("a", "y"), ("a", "x"), ("b", "z"), ("b", "w"), ("a", "x")):
        tally.add(what, whom)
    assert dict(tally.take()) == {("a", "x"): 3, ("a", "y"): 1, ("b", OTHERS): 2}


def test_what_was_taken_counts_no_more() -> None:
    """Each account begins anew, the highest count first."""
    tally = Tally[str](10)
    for whom in ("x", "y", "y"):
        tally.add("a", whom)
    assert tally.take() == [(("a", "y"), 2), (("a", "x"), 1)]
    assert tally.take() == []
