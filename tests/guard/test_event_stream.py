"""Server-sent events as WHATWG defines them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.guard.event_stream import EventStream, StreamEvent, TooLong

NO_3 = ("message", b"", "3")
TWO = [("a", b"1", ""), ("message", b"2", "")]
EXAMPLES = {
    "an event": (b"event: a\ndata: 1\nid: 7\n\n", [("a", b"1", "7")]),
    "several lines of data": (b"data: 1\ndata: 2\n\n", [("message", b"1\n2", "")]),
    "carriage returns": (b"event: a\rdata: 1\r\rdata: 2\r\r", TWO),
    "both": (b"event: a\r\ndata: 1\r\n\r\n", [("a", b"1", "")]),
    "a byte order mark": (b"\xef\xbb\xbfdata: 1\n\n", [("message", b"1", "")]),
    "a second mark": (b"\xef\xbb\xbf\xef\xbb\xbfdata: 1\n\n", []),
    "comments": (b": hello\n:\ndata: 1\n\n", [("message", b"1", "")]),
    "no space after the colon": (b"data:1\n\n", [("message", b"1", "")]),
    "two spaces": (b"data:  1\n\n", [("message", b" 1", "")]),
    "a field without a colon": (b"data\n\n", [("message", b"", "")]),
    "an event without data": (b"event: a\nid: 3\n\ndata: 1\n\n", [("message", b"1", "3")]),
    "an id that stays": (b"id: 3\ndata\n\ndata\n\n", [NO_3, NO_3]),
    "an id that ends": (b"id: 3\ndata\n\nid\ndata\n\n", [NO_3, ("message", b"", "")]),
    "an id with NUL": (b"id: 3\nid: 4\0\ndata: 1\n\n", [("message", b"1", "3")]),
    "an unknown field": (b"colour: red\ndata: 1\n\n", [("message", b"1", "")]),
    "an end without a blank line": (b"data: 1\n\ndata: 2\n", [("message", b"1", "")]),
    "a colon in the value": (b"data: a:b\n\n", [("message", b"a:b", "")]),
}  # fmt: skip


def parsed(*chunks: bytes) -> list[tuple[str, bytes, str]]:
    """Return the events in these chunks."""
    stream = EventStream()
    return [(one.kind, one.data, one.id) for chunk in chunks for one in stream.feed(chunk)]


@pytest.mark.parametrize("example", EXAMPLES)
def test_events_are_read_as_defined(example: str) -> None:
    """However the bytes are divided among chunks."""
    text, events = EXAMPLES[example]
    assert parsed(text) == events
    assert parsed(*(text[n : n + 1] for n in range(len(text)))) == events


@given(st.lists(st.binary(max_size=12) | st.sampled_from([b"\n", b"\r", b"\r\n", b"data: 1"])))
def test_chunks_make_no_difference(chunks: list[bytes]) -> None:
    """The same bytes are the same events, whole or in pieces."""
    assert parsed(*chunks) == parsed(b"".join(chunks))


def test_a_stream_goes_on_from_the_given_id() -> None:
    """Until it names another."""
    assert EventStream("9").feed(b"data: 1\n\n") == [StreamEvent("message", b"1", "9")]


def test_retry_is_read_in_seconds() -> None:
    """And anything but digits is ignored."""
    stream = EventStream()
    stream.feed(b"retry: 1500\nretry: soon\n\n")
    assert stream.retry == 1.5


@pytest.mark.parametrize("text", [b"x" * 101, b"data: 12345\n" * 20])
def test_lines_and_events_are_bounded(text: bytes) -> None:
    """A server cannot fill the memory of a guard."""
    stream = EventStream(max_bytes=100)
    with pytest.raises(TooLong):
        stream.feed(text)
