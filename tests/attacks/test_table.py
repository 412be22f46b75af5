"""The table of floods in the documentation matches the measurements."""

from __future__ import annotations

import re

from benchmarks.attack.floods import FLOODS
from benchmarks.attack.report import PAGE, TABLE, read, render


def test_the_table_is_made_of_what_was_measured() -> None:
    """The page, and the table beside the JSON, have the numbers of the JSON."""
    text = render(read())
    assert text in PAGE.read_text(encoding="utf-8")
    assert text in TABLE.read_text(encoding="utf-8")


def test_every_flood_was_measured() -> None:
    """No flood is left out of the results, and none is there that no longer exists.

    Before, some of what they flood did not exist.
    """
    names = {flood.name for flood in FLOODS}
    measured = {name: set(run["floods"]) for name, run in read()["runs"].items()}
    assert measured["now"] == names
    assert names >= measured["before"]


def test_what_misses_a_bound_is_said() -> None:
    """A row beyond a bound is named below the table."""
    report = read()
    row = report["runs"]["now"]["floods"]["frames"]
    row["times"], row["failed"], row["calls"] = 70, 3, 100
    found = re.search(r"^- frames before CONNECT: .*$", render(report), re.MULTILINE)
    assert found is not None
    assert "p99 70 times the quiet one, 3 of 100 calls not answered 204" in found[0]
