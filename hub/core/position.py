"""Decides whether a reader of the log may continue from its position, and what it must do if not.

A position is an epoch and an entry's id. Entries are kept for as long as a logout is remembered. So
if an entry that was read or written is missing before its time, the store lost data: it went back
to an older state (a failover, an old snapshot), or lost everything. Other logouts may then be
missing too, and the tokens that they revoked would be accepted again.
"""

from __future__ import annotations

import enum

import msgspec

from hub.core.model import Position

BEGINNING = "0-0"
"""The position before any entry."""


class Log(msgspec.Struct, frozen=True):
    """The log of one partition, as seen by a reader at some position.

    ``epoch`` is None if the log has none. ``is_lost`` after a reader has found a data loss, until
    a recovery. ``is_recovered`` if the epoch began with a recovery: a logout of everyone, so that
    earlier entries no longer matter. ``has_entry`` if the log has every entry that the reader knows
    of; ``is_past`` if those that are missing have expired.
    """

    epoch: str | None
    is_lost: bool
    is_recovered: bool
    has_entry: bool
    is_past: bool


class Verdict(enum.Enum):
    """What a reader must do."""

    READ_ON = enum.auto()
    SWEEP = enum.auto()
    """Continue from the log's end, and check every socket: entries before it may be gone."""
    LOST = enum.auto()
    """Trust no answer of the store until the recovery from the data loss."""


def assess(known: Position | None, log: Log) -> Verdict:
    """Return how a reader whose last position is ``known`` must continue."""
    if log.epoch is None or log.is_lost:
        return Verdict.LOST
    if known is None:
        return Verdict.SWEEP
    is_known = known.epoch == log.epoch
    if log.has_entry and (is_known or log.is_recovered):
        return Verdict.READ_ON
    explained = log.is_past if is_known else log.is_recovered
    return Verdict.SWEEP if explained else Verdict.LOST


def order(entry: str) -> tuple[int, int]:
    """Return an entry's id in a form that can be compared (https://redis.io/docs: stream ids).

    Raises:
        ValueError: if it is not an id.
    """
    time, _, number = entry.partition("-")
    return int(time), int(number)
