"""What clients tell of their clearing is taken as it is meant, or not at all."""

from __future__ import annotations

import pytest

from hub.core.receipt import MAX_FAILURES, read_failures, unite


@pytest.mark.parametrize(
    ("answer", "failed"),
    [
        ({"cleared": True}, ()),
        ({"cleared": True, "failed": ["caches"]}, ()),
        ({"cleared": False, "failed": ["push", "caches", "push"]}, ("caches", "push")),
        ({"cleared": False}, ("unspecified",)),
        ({"cleared": False, "failed": "caches"}, ("unspecified",)),
        (
            {"cleared": False, "failed": [1, None, "a b", "<b>", "", "x" * 21, ["y"]]},
            ("unspecified",),
        ),
        ({"cleared": False, "failed": ["no good", "app"]}, ("app",)),
        (None, ()),
        ("cleared", ()),
        ([False], ()),
        ({}, ()),
        ({"cleared": 0}, ()),
    ],
)
def test_an_acknowledgement_names_what_failed(answer: object, failed: tuple[str, ...]) -> None:
    """Only who says ``cleared: false`` has failed, and only plain names are repeated."""
    assert read_failures(answer) == failed


def test_few_failures_are_taken() -> None:
    """A client cannot fill the receipt."""
    names = [chr(ord("a") + number) for number in range(26)]
    assert len(read_failures({"cleared": False, "failed": names})) == MAX_FAILURES


def test_what_several_clients_of_a_session_could_not_clear_is_united() -> None:
    """Each name once, in order; a session with nothing to tell is left out."""
    told = [("a", ["push"]), ("b", []), ("a", ["caches", "push"])]
    assert unite(told) == {"a": ("caches", "push")}
