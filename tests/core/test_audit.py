"""The chain of the audit log: what becomes of its lines is found by reading them."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core.audit import BEGIN, MAX_LINE, TORN, compose, read_entry, verify


def chain(count: int, seq: int = 0, prev: str = BEGIN) -> list[bytes]:
    """Return the lines of a log."""
    lines = []
    for number in range(seq + 1, seq + count + 1):
        line, prev = compose(number, prev, 1000.5, "a", "logout", {"id": f"l{number}"})
        lines.append(line)
    return lines


def faults(lines: list[bytes]) -> list[tuple[int, str]]:
    """Return what is found, and at which lines."""
    return [(fault.line, fault.what) for fault in verify(lines).faults]


def test_a_whole_chain_is_whole() -> None:
    """The report has its numbers and its last hash; a rotated file begins anywhere."""
    lines = chain(5)
    report = verify(lines)
    assert (report.entries, report.first, report.last, report.faults) == (5, 1, 5, ())
    last = read_entry(lines[-1].rstrip())
    assert last is not None
    assert report.hash == last.hash
    assert faults(lines[2:]) == []
    assert faults([]) == []


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        (chain(5)[:2] + chain(5)[3:], [(3, "removed")]),
        ([chain(5)[n] for n in (0, 2, 1, 3, 4)], [(3, "reordered")]),
        ([chain(5)[n] for n in (0, 1, 1, 2)], [(3, "reordered")]),
        ([*chain(2), chain(5)[2][:40] + b"\n", *chain(5)[3:]], [(3, "cut")]),
        ([*chain(2), chain(3)[2].replace(b"l3", b"l4"), *chain(5)[3:]], [(3, "changed")]),
        ([*chain(2), chain(3)[2][:-9]], [(3, "torn")]),
        ([*chain(2), chain(3)[2].rstrip()], [(3, "torn")]),
    ],
    ids=["removed", "swapped", "repeated", "cut", "changed", "torn", "unended"],
)
def test_the_line_is_named(lines: list[bytes], found: list[tuple[int, str]]) -> None:
    """What was done to a line is found there, and nowhere else."""
    assert faults(lines) == found


def test_a_line_that_was_written_anew_does_not_fit() -> None:
    """A changed line with a new hash is not the one that the next follows."""
    forged, _ = compose(3, verify(chain(2)).hash or "", 1000.5, "a", "logout", {"id": "other"})
    assert faults([*chain(2), forged, *chain(5)[3:]]) == [(4, "changed")]


def test_a_torn_line_is_vouched_for_by_the_next() -> None:
    """An unfinished line counts as told when the entry behind it has its hash, and no other."""
    lines, piece = chain(2), chain(3)[2][:30]
    facts = {"sha256": hashlib.sha256(piece).hexdigest()}
    torn, own = compose(3, verify(lines).hash or "", 1001.0, "a", TORN, facts)
    rest = chain(2, 3, own)
    assert faults([*lines, piece + b"\n", torn, *rest]) == []
    assert faults([*lines, piece[:-1] + b"\n", torn, *rest]) == [(3, "cut")]


def test_a_line_stays_within_its_bound() -> None:
    """Facts that are too long are left out, with how long they were; odd text is written."""
    line, _ = compose(
        1, BEGIN, 1.0, "a", "start", {"settings": {str(n): "\1" * 9999 for n in range(99)}}
    )
    assert len(line) < MAX_LINE
    assert faults([line]) == []
    assert faults([compose(1, BEGIN, 1.0, "a", "x", {"user": "\ud800"})[0]]) == []


@given(st.data())
def test_any_other_byte_is_found(data: st.DataObject) -> None:
    """One byte that is not as it was breaks the log."""
    text = b"".join(chain(4))
    at = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.integers(0, 255).filter(lambda byte: byte != text[at]))
    changed = text[:at] + bytes([other]) + text[at + 1 :]
    assert verify(changed.splitlines(keepends=True)).faults


@given(st.lists(st.binary(max_size=200)))
def test_any_lines_can_be_checked(lines: list[bytes]) -> None:
    """Whatever stands in the file, checking ends with a report."""
    assert len(verify(lines).faults) <= len(lines)


@pytest.mark.parametrize("value", [["\ud800"], {"\ud800": 1}, object()])
def test_facts_that_json_cannot_hold_stop_no_log(value: object) -> None:
    """The event stands in the chain, and says that its facts could not be written."""
    line, own = compose(1, BEGIN, 1000.5, "a", "logout", {"id": "l1", "sid": value})
    entry = read_entry(line.rstrip())
    assert entry is not None
    assert entry.hash == own
    assert entry.event == "logout"
    assert entry.facts.keys() == {"unwritable"}
