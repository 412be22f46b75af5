"""The page about the guard is held to the code."""

from __future__ import annotations

import inspect

import pytest

from hub.guard import Guard, SyncGuard
from hub.guard.base import BaseGuard
from hub.guard.core import METRICS
from hub.guard.options import ON_STALE, VARIABLES
from tests.test_docs import read, sections, table


def test_every_argument_is_documented_with_its_default() -> None:
    """And no other."""
    signature = inspect.signature(BaseGuard)
    assert {name: default.strip("`") for name, (default, _) in arguments().items()} == {
        name: "required" if one.default is one.empty else repr(one.default)
        for name, one in signature.parameters.items()
    }


def arguments() -> dict[str, list[str]]:
    """Return the table of arguments."""
    return table(sections(read("guard.md"))["Arguments"], "argument")


def test_every_variable_is_documented() -> None:
    """And no other."""
    assert set(table(read("guard.md"), "variable")) == set(VARIABLES)


@pytest.mark.parametrize("kind", [Guard, SyncGuard])
def test_every_member_is_documented(kind: type[BaseGuard]) -> None:
    """And no other; both guards have the same."""
    told = {row.partition("(")[0] for row in table(read("guard.md"), "member")}
    assert told == {name for name in dir(kind) if not name.startswith("_")}


def test_every_metric_is_documented() -> None:
    """And no other."""
    assert set(table(sections(read("guard.md"))["Metrics"], "name")) == set(METRICS)


def test_every_way_to_be_stale_is_documented() -> None:
    """And no other."""
    told = sections(read("guard.md"))["When the hub is silent"]
    assert tuple(table(told, "`on_stale`")) == ON_STALE
