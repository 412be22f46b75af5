"""The rule by which a reader of the log goes on, or learns that the store lost something."""

from __future__ import annotations

import pytest

from hub.core.model import Position
from hub.core.position import Log, Verdict, assess, order

HERE = Position("e", "5-1")


def log(
    epoch: str | None = "e",
    *,
    lost: bool = False,
    recovered: bool = False,
    entry: bool = True,
    past: bool = False,
) -> Log:
    """Return what a log shows, by default that all is well."""
    return Log(epoch=epoch, is_lost=lost, is_recovered=recovered, has_entry=entry, is_past=past)


@pytest.mark.parametrize(
    ("known", "shown", "verdict"),
    [
        (HERE, log(), Verdict.READ_ON),
        (HERE, log(past=True), Verdict.READ_ON),
        (HERE, log(recovered=True), Verdict.READ_ON),
        (HERE, log("f", recovered=True), Verdict.READ_ON),
        (None, log(), Verdict.SWEEP),
        (None, log("f", recovered=True), Verdict.SWEEP),
        (HERE, log(entry=False, past=True), Verdict.SWEEP),
        (HERE, log("f", recovered=True, entry=False), Verdict.SWEEP),
        (HERE, log(entry=False), Verdict.LOST),
        (HERE, log(entry=False, recovered=True), Verdict.LOST),
        (HERE, log("f"), Verdict.LOST),
        (HERE, log("f", entry=False, past=True), Verdict.LOST),
        (HERE, log(None), Verdict.LOST),
        (None, log(None), Verdict.LOST),
        (HERE, log("f", lost=True), Verdict.LOST),
        (None, log("f", lost=True), Verdict.LOST),
        (HERE, log(lost=True), Verdict.LOST),
    ],
)
def test_what_a_reader_does(known: Position | None, shown: Log, verdict: Verdict) -> None:
    """It reads on where its entry still is, sweeps where that is explained, else believes nothing."""  # noqa: E501
    assert assess(known, shown) is verdict


def test_ids_are_compared_as_numbers() -> None:
    """A text comparison would put 10 before 9."""
    assert order("9-0") < order("10-0") < order("10-2") < order("10-11")
    with pytest.raises(ValueError, match="invalid"):
        order("x-1")
