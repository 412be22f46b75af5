"""SECURITY.md names tests that exist, and settings that do."""

from __future__ import annotations

import re

import pytest

from hub.environment import describe_settings
from tests.test_docs import ROOT

TEXT = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"`([\w./-]+/[\w./-]+\.\w+)`", TEXT)))


def rows() -> list[list[str]]:
    """Return the rows of the table of threats."""
    table = TEXT[TEXT.index("| who |") :].split("\n\n")[0]
    lines = table.splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


@pytest.mark.parametrize("path", NAMED)
def test_a_test_that_is_named_exists(path: str) -> None:
    """Nobody is told of a test that is not there."""
    assert (ROOT / path).is_file()


def test_each_threat_has_its_tests() -> None:
    """Each row says who, what they may try, what holds them, and by which tests that is shown."""
    assert len(rows()) >= 12
    for row in rows():
        assert len(row) == 4
        assert all(row)
        assert re.search(r"`(tests|client_js)/[\w./-]+`", row[3]), row[0]


def test_each_attack_is_in_the_table() -> None:
    """A kind of attack that has tests is named, so that the table does not fall behind."""
    helpers = {"test_table.py"}
    files = {file.name for file in (ROOT / "tests" / "attacks").glob("test_*.py")} - helpers
    missing = {name for name in files if f"tests/attacks/{name}" not in TEXT}
    assert missing == set(), "SECURITY.md does not name them"


def test_settings_that_are_named_exist() -> None:
    """The page names no setting that the hub does not have."""
    known = {name for name, *_ in describe_settings()}
    assert set(re.findall(r"HUB_[A-Z_]+", TEXT)) <= known
