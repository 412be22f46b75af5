"""Files of an audit log beside the lines that were copied of it."""

from __future__ import annotations

import pytest

from hub.core.audit import BEGIN, compose, verify
from hub.core.audit_copy import Compared, Copies


def chain(*events: str, replica: str = "a", start: tuple[int, str] = (0, BEGIN)) -> list[bytes]:
    """Return lines that follow ``start``, the number and the hash of another."""
    (seq, prev), lines = start, []
    for event in events:
        seq += 1
        line, prev = compose(seq, prev, 1.0, replica, event, {})
        lines.append(line)
    return lines


def hold(files: list[bytes], copied: list[bytes]) -> Compared:
    """Hold files against copied lines."""
    copies = Copies(line.rstrip(b"\n") for line in copied)
    verify(files, copies.take)
    return copies.compare(len(files) + 1)


LOG = chain("start", "one", "two", "three", "stop")
AGAIN = chain("begin", "other", "two", "three", "stop")
MINE = chain("start", "one", replica="b")


@pytest.mark.parametrize(
    ("files", "copied", "expected"),
    [
        (LOG, LOG, (5, 0, 0)),
        (LOG, [], (0, 5, 0)),
        (LOG, LOG[:3], (3, 2, 0)),
        (LOG, LOG[2:], (3, 2, 0)),
        (LOG[3:], LOG, (2, 0, 0)),
        (LOG, [*LOG[:3], *LOG[1:]], (5, 0, 0)),
        (LOG, [*AGAIN, *LOG], (5, 0, 5)),
        (LOG, [*LOG, *AGAIN], (5, 0, 5)),
        (LOG, [LOG[0], MINE[0], *LOG[1:], MINE[1]], (5, 0, 0)),
        ([*LOG, *MINE], [*MINE, *LOG], (7, 0, 0)),
        (LOG, [b"no entry\n", *LOG], (5, 0, 0)),
        ([], LOG, (0, 0, 0)),
    ],
    ids=[
        "all are copied", "none is", "the last are not", "the oldest are forgotten",
        "the first files are elsewhere", "some came twice", "a chain before it",
        "a chain after it", "another replica's between", "two replicas", "what is no entry",
        "no file",
    ],
)  # fmt: skip
def test_what_nobody_touched_agrees(
    files: list[bytes], copied: list[bytes], expected: tuple[int, int, int]
) -> None:
    """Copies may be fewer, come twice, or be of more chains and replicas than the files."""
    found = hold(files, copied)
    assert (found.copied, found.uncopied, found.others) == expected
    assert found.faults == ()


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (LOG[:3], [(4, "removed", 4), (4, "removed", 5)]),
        ([*LOG[:1], *LOG[2:]], [(5, "removed", 2)]),
        (
            [*LOG[:2], *chain("2", "3", "4", start=(2, "0" * 64))],
            [(3, "changed", 3), (4, "changed", 4), (5, "changed", 5)],
        ),
        (chain("a", "b", "c", "d", "e"), [(n, "changed", n) for n in range(1, 6)]),
    ],
    ids=["its end was cut off", "a line was taken out", "written anew", "all written anew"],
)
def test_what_a_chain_cannot_show_a_copy_shows(
    files: list[bytes], expected: list[tuple[int, str, int]]
) -> None:
    """Each entry that was copied and is not in the files, or is there as another, is named."""
    found = hold(files, LOG)
    assert [(fault.line, fault.what) for fault in found.faults] == [
        (line, what) for line, what, _ in expected
    ]
    for fault, (_, _, seq) in zip(found.faults, expected, strict=True):
        assert f"entry {seq} of a " in fault.detail


def test_so_many_faults_are_told_at_most() -> None:
    """A log that was written anew does not fill the screen."""
    assert len(hold(chain(*"a" * 300), chain(*"b" * 300)).faults) == 100
