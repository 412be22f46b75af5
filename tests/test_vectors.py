"""The vectors that guards in every language are held to are what the rules of the hub say."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.shapes import SHAPES
from tests.vectors.files import FILES, load, render


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.name))
def test_the_vectors_are_what_the_rules_say(path: Path) -> None:
    """Each file holds what ``python -m tests.vectors`` would write."""
    assert path.read_text(encoding="ascii") == render(FILES[path]())


def test_verdicts_of_every_kind_are_among_the_vectors() -> None:
    """Acceptance and each error that `judge` has, each often."""
    codes = [case["code"] for vector in load("judge") for case in vector["judged"]]
    assert len(codes) >= 1500
    for code in (
        None, "token_revoked", "token_too_old", "login_required", "token_expired",
        "token_not_yet_valid", "token_invalid",
    ):  # fmt: skip
        assert codes.count(code) >= 30


def test_tokens_that_are_valid_and_that_are_not_are_among_the_vectors() -> None:
    """Each often, and those of every real issuer are valid."""
    tokens = [one for vector in load("tokens") for one in vector["tokens"]]
    valid = sum("identity" in one for one in tokens)
    assert valid >= 300
    assert len(tokens) - valid >= 300
    real = {shape["name"] for shape in SHAPES}
    for vector in load("tokens"):
        if vector["about"] in real:
            assert all("identity" in one for one in vector["tokens"]), vector["about"]


def test_the_feed_is_among_the_vectors() -> None:
    """Streams, and what is known in the end, over one connection and over several."""
    vectors = load("feed")
    assert len(vectors) >= 50
    assert any(len(vector["connections"]) > 1 for vector in vectors)
    assert sum(len(vector.get("judged", ())) for vector in vectors) >= 200


def test_schedules_of_every_kind_are_among_the_vectors() -> None:
    """Failing and not, due and not, with and without a wait."""
    vectors = load("schedule")
    assert {vector["is_failing"] for vector in vectors} == {True, False}
    then = [one for vector in vectors for one in vector["then"]]
    # Whoever has just looked for a key has fetched all.
    assert len({(one["is_due"], one["wait"] > 0) for one in then}) == 3
