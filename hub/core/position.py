"""Whether a reader of the log may read on from where it was, and what it must do otherwise.

A position is an epoch and an entry's id. Entries are kept for as long as any token lives. So an
entry that was read, or written, and is gone before its time was lost: the store went back to an
older state (a failover, an old snapshot), or lost everything. Then logouts may be missing of which
nobody knows any more, and tokens that they had ended would be alive again.
"""

from __future__ import annotations

import enum

import msgspec

from hub.core.model import Position

BEGINNING = "0-0"
"""The position before any entry."""


class Log(msgspec.Struct, frozen=True):
    """What the log of one partition shows to a reader that comes with a position.

    ``epoch`` is None when there is none. ``is_lost`` when a reader found that something is missing
    and nobody has recovered from it; ``is_recovered`` when a logout of everyone has, before which
    nothing counts any more. ``has_entry`` when every entry that the reader knows of is there;
    ``is_past`` when those that are not are so old that they may be gone.
    """

    epoch: str | None
    is_lost: bool
    is_recovered: bool
    has_entry: bool
    is_past: bool


class Verdict(enum.Enum):
    """What a reader of the log must do."""

    READ_ON = enum.auto()
    SWEEP = enum.auto()
    """Begin at the log's end, and check every socket: what lies between may be unknown."""
    RECOVER = enum.auto()
    """Believe nothing that the store says until the loss is made up for."""


def assess(known: Position | None, log: Log) -> Verdict:
    """Say how a reader whose last position is ``known`` must go on."""
    if log.epoch is None or log.is_lost:
        return Verdict.RECOVER
    if known is None:
        return Verdict.SWEEP
    is_known = known.epoch == log.epoch
    if log.has_entry and (is_known or log.is_recovered):
        return Verdict.READ_ON
    explained = log.is_past if is_known else log.is_recovered
    return Verdict.SWEEP if explained else Verdict.RECOVER


def order(entry: str) -> tuple[int, int]:
    """Return an entry's id as what can be compared (https://redis.io/docs: stream ids).

    Raises:
        ValueError: when it is no id.
    """
    time, _, number = entry.partition("-")
    return int(time), int(number)
