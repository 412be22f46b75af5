"""The rule by which a reader of the log goes on, or learns that the store lost something."""

from __future__ import annotations

import pytest

from hub.core.model import Position
from hub.core.position import Log, Verdict, order, weigh

HERE = Position("e", "5-1")


def log(
    epoch: str | None = "e",
    *,
    lost: bool = False,
    mended: bool = False,
    entry: bool = True,
    past: bool = False,
) -> Log:
    """Return what a log shows, by default that all is well."""
    return Log(epoch=epoch, is_lost=lost, is_mended=mended, has_entry=entry, is_past=past)


@pytest.mark.parametrize(
    ("known", "shown", "verdict"),
    [
        (HERE, log(), Verdict.READ_ON),
        (HERE, log(past=True), Verdict.READ_ON),
        (HERE, log(mended=True), Verdict.READ_ON),
        (HERE, log("f", mended=True), Verdict.READ_ON),
        (None, log(), Verdict.SWEEP),
        (None, log("f", mended=True), Verdict.SWEEP),
        (HERE, log(entry=False, past=True), Verdict.SWEEP),
        (HERE, log("f", mended=True, entry=False), Verdict.SWEEP),
        (HERE, log(entry=False), Verdict.MEND),
        (HERE, log(entry=False, mended=True), Verdict.MEND),
        (HERE, log("f"), Verdict.MEND),
        (HERE, log("f", entry=False, past=True), Verdict.MEND),
        (HERE, log(None), Verdict.MEND),
        (None, log(None), Verdict.MEND),
        (HERE, log("f", lost=True), Verdict.MEND),
        (None, log("f", lost=True), Verdict.MEND),
        (HERE, log(lost=True), Verdict.MEND),
    ],
)
def test_what_a_reader_does(known: Position | None, shown: Log, verdict: Verdict) -> None:
    """It reads on where its entry still is, sweeps where that is explained, else believes nothing."""  # noqa: E501
    assert weigh(known, shown) is verdict


def test_ids_are_compared_as_numbers() -> None:
    """A text comparison would put 10 before 9."""
    assert order("9-0") < order("10-0") < order("10-2") < order("10-11")
    with pytest.raises(ValueError, match="invalid"):
        order("x-1")
