"""What the feed of a hub has said so far: the revocations, and how fresh they are.

Facts only ever add up: each counts at once, and those from before a ``reset`` stay, since the
replica that sends it may know less than the one before. How fresh the facts are, and from where to
go on, counts once all have come (``ready``).
"""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from hub.core.feed import Confirmation, Ready, Reset, Revocation, Snapshot
from hub.core.model import SECOND, Reason
from hub.guard.event_stream import StreamEvent
from hub.guard.freshness import Freshness
from hub.guard.revocations import Revocations

T = TypeVar("T")

MAX_ID = 4096
LONGEST = 1e11
"""Seconds beyond which a time is nonsense, with which nothing could be computed."""

REASONS = frozenset(Reason)


class FeedBroken(ValueError):
    """The feed says something that this guard does not understand."""


class Heard(msgspec.Struct, frozen=True):
    """What an event told: a logout, or that everything is known anew (``is_anew``)."""

    logout: Revocation | None = None
    is_anew: bool = False


NOTHING = Heard()


class Knowledge(msgspec.Struct):
    """Facts, and how fresh they are.

    Who reads both reads ``freshness`` first: facts are added before they are confirmed.
    """

    revocations: Revocations
    freshness: Freshness


class FeedState:
    """The state of a guard that follows the feed; ``knowledge`` is its result."""

    def __init__(self) -> None:
        self.knowledge = Knowledge(Revocations(), Freshness())
        self.is_ready = False
        self.resets = 0
        self._asked_at = self._received_by = 0.0
        self._is_whole = False
        self._last_id = ""

    def begin(self, asked_at: float) -> str:
        """Return the ``Last-Event-ID`` of a request that is sent at ``asked_at``, or an empty one.

        Call it before the request is sent: what is written afterwards may be missing.
        """
        self._asked_at = asked_at
        self._is_whole = bool(self._last_id)
        return self._last_id

    def answer(self, answered_at: float) -> None:
        """Note when the response to the request had begun."""
        self._received_by = answered_at

    def take(self, event: StreamEvent, heard_at: float) -> Heard:
        """Do what an event says that was heard at ``heard_at``.

        Raises:
            FeedBroken: if that cannot be understood.
        """
        match event.kind:
            case "logout":
                revocation = _decode(event.data, Revocation)
                self.knowledge.revocations.apply(revocation)
                self.knowledge.freshness.hear(revocation.at, heard_at)
                self._go_on_from(event.id)
                return Heard(logout=revocation)
            case "snapshot":
                for revocation in _decode(event.data, Snapshot).revocations:
                    self.knowledge.revocations.apply(revocation)
            case "ready":
                return self._be_ready(_decode(event.data, Ready), event.id, heard_at)
            case "confirmed":
                if self._is_whole:
                    told, known = _decode(event.data, Confirmation), self.knowledge
                    self._confirm(known.freshness, told, heard_at)
                    known.revocations.forget(round(told.at * SECOND))
                    self._go_on_from(event.id)
            case "reset":
                _decode(event.data, Reset)
                self.resets += 1
                self._is_whole, self._last_id = False, ""
        return NOTHING

    def _be_ready(self, told: Ready, place: str, heard_at: float) -> Heard:
        if told.partitions < 1 or not 1 <= told.lifetime <= LONGEST:
            raise FeedBroken("ready: partitions or lifetime is out of range")
        is_anew, facts = not self._is_whole, self.knowledge.revocations
        if self.is_ready and told.partitions != facts.partitions:
            facts.forget_partitions()
        facts.partitions, facts.lifetime = told.partitions, told.lifetime * SECOND
        # What is heard anew may be of another store, with another clock.
        freshness = Freshness() if is_anew else self.knowledge.freshness
        self._confirm(freshness, told, heard_at)
        self.knowledge = Knowledge(facts, freshness)
        self._is_whole = self.is_ready = True
        self._go_on_from(place)
        return Heard(is_anew=is_anew)

    def _confirm(self, freshness: Freshness, told: Confirmation | Ready, heard_at: float) -> None:
        times = (told.at, told.elapsed, *told.late.values())
        if not all(abs(time) <= LONGEST for time in times):
            raise FeedBroken("a confirmation of another age")
        # The hub had received the request `elapsed` seconds before it said so, at the latest.
        self._received_by = min(self._received_by, heard_at - told.elapsed)
        freshness.confirm(told, self._asked_at, self._received_by, heard_at)

    def _go_on_from(self, place: str) -> None:
        is_sendable = len(place) <= MAX_ID and place.isascii() and place.isprintable()
        if self._is_whole and is_sendable and " " not in place:
            self._last_id = place


def _decode(data: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.ValidationError:
        # A reason that a newer hub knows must not stop the feed.
        return _convert(data, kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise FeedBroken(f"{kind.__name__}: {error}") from None


def _convert(data: bytes, kind: type[T]) -> T:
    try:
        told = msgspec.json.decode(data)
        rows = told.get("revocations", [told]) if isinstance(told, dict) else []
        for row in rows:
            _tolerate(row)
        return msgspec.convert(told, type=kind, str_keys=True)
    except (msgspec.ValidationError, AttributeError, TypeError) as error:
        raise FeedBroken(f"{kind.__name__}: {error}") from None


def _tolerate(row: Any) -> None:
    if (
        isinstance(row, dict)
        and isinstance(row.get("reason"), str)
        and row["reason"] not in REASONS
    ):
        row["reason"] = Reason.POLICY.value
