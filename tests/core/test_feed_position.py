"""The text of a position is read back as it was written, and nothing else is taken for one."""

from __future__ import annotations

import base64

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hub.core.feed_position import (
    MAX_CHARACTERS,
    FeedPosition,
    decode_position,
    digest_epochs,
    encode_position,
)

numbers = st.integers(0, 2**64 - 1)
entries = st.tuples(numbers, numbers).map(lambda pair: f"{pair[0]}-{pair[1]}")
EPOCHS = digest_epochs(["a"])


@given(st.lists(entries, min_size=1, max_size=16))
def test_a_position_is_read_back(given: list[str]) -> None:
    """Whatever the entries are, and short enough for a header."""
    text = encode_position(FeedPosition(EPOCHS, tuple(given)))
    assert decode_position(text, len(given)) == FeedPosition(EPOCHS, tuple(given))
    assert len(text) <= MAX_CHARACTERS


def test_an_ordinary_position_is_short() -> None:
    """Sixteen partitions that were written to within a day."""
    given = tuple(f"{1_795_262_570_827 - 5_000_000 * number}-0" for number in range(16))
    assert len(encode_position(FeedPosition(EPOCHS, given))) < 150


@given(st.text(max_size=60) | st.binary(max_size=60).map(lambda b: base64.b64encode(b).decode()))
@example("")
@example("AAAAAAAAAAAA=")
@example("é")
def test_anything_else_is_no_position(text: str) -> None:
    """It never raises; what is read is what would be written."""
    found = decode_position(text, 1)
    assert found is None or encode_position(found) == text


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text + "A",
        lambda text: text[:-1],
        lambda text: text + "=",
        lambda text: " " + text,
        lambda text: text + "A" * MAX_CHARACTERS,
    ],
)
def test_a_damaged_position_is_none(change: object) -> None:
    """Not even for one character."""
    text = encode_position(FeedPosition(EPOCHS, ("5-0", "7-1")))
    assert decode_position(change(text), 2) is None  # type: ignore[operator]
    assert decode_position(text, 3) is None


def test_epochs_are_told_apart() -> None:
    """By each of them, and by their order."""
    assert len({digest_epochs(one) for one in (["a", "b"], ["b", "a"], ["ab"], ["a", ""])}) == 4
