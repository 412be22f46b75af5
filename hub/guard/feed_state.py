"""What the feed of a hub has said so far: the revocations, and how fresh they are.

Facts are only ever added: each takes effect at once, and those from before a ``reset`` are kept,
since the replica that sends it may know less than the previous one. Freshness and the position to
resume from only count once all facts have arrived (``ready``).
"""

from __future__ import annotations

import functools
import time
from collections.abc import Sequence
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
"""The largest time, in seconds, that is accepted; it keeps computations in range."""

SLICE = 100
"""How many revocations of a snapshot are added at a time."""
give_way = functools.partial(time.sleep, 0)
"""Lets other threads run: the interpreter would keep them waiting for 5 ms each time."""

REASONS = frozenset(Reason)


class FeedBroken(ValueError):
    """The feed sent something that this guard does not understand."""


class Update(msgspec.Struct, frozen=True):
    """What an event brought: a logout, or the end of a complete snapshot (``is_anew``).

    ``missed`` are logouts that a guard which had been ready learns by a snapshot.
    """

    logout: Revocation | None = None
    missed: tuple[Revocation, ...] = ()
    is_anew: bool = False


NOTHING = Update()


class Knowledge(msgspec.Struct):
    """Facts, and how fresh they are.

    To use both, read ``freshness`` first: facts are added before they are confirmed.
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
        self._is_confirmed = False
        self._is_whole = False
        self._last_id = ""

    def begin(self, asked_at: float) -> str:
        """Return the ``Last-Event-ID`` for a request sent at ``asked_at``, or an empty string.

        Take ``asked_at`` before sending: the response may lack what is written after that.
        """
        self._asked_at = asked_at
        self._is_confirmed = False
        self._is_whole = bool(self._last_id)
        return self._last_id

    def answer(self, answered_at: float) -> None:
        """Note that the response to the request had begun by ``answered_at``."""
        self._received_by = answered_at

    def take(self, event: StreamEvent, read_at: float) -> Update:
        """Apply an event that was read at ``read_at``, and return what it brought.

        Raises:
            FeedBroken: if it cannot be understood.
        """
        match event.kind:
            case "logout":
                revocation = _decode(event.data, Revocation)
                self.knowledge.revocations.apply(revocation)
                if self._is_confirmed:
                    freshness = self.knowledge.freshness
                    self._received_by = freshness.note_logout(revocation.at, read_at)
                self._resume_from(event.id)
                return Update(logout=revocation)
            case "snapshot":
                news = self._add(_decode(event.data, Snapshot).revocations)
                return Update(missed=news) if self.is_ready else NOTHING
            case "ready":
                return self._be_ready(_decode(event.data, Ready), event.id, read_at)
            case "confirmed":
                if self._is_whole:
                    confirmation = _decode(event.data, Confirmation)
                    self._confirm(self.knowledge.freshness, confirmation, read_at)
                    self.knowledge.revocations.forget(round(confirmation.at * SECOND))
                    self._resume_from(event.id)
            case "reset":
                _decode(event.data, Reset)
                self.resets += 1
                self._is_whole, self._last_id = False, ""
        return NOTHING

    def _add(self, listed: Sequence[Revocation]) -> tuple[Revocation, ...]:
        """Add what a snapshot lists, and return what of it is news."""
        news: list[Revocation] = []
        for start in range(0, len(listed), SLICE):
            for revocation in listed[start : start + SLICE]:
                if self.knowledge.revocations.apply(revocation):
                    news.append(revocation)
            give_way()
        return tuple(news)

    def _be_ready(self, ready: Ready, position: str, read_at: float) -> Update:
        if ready.partitions < 1 or not 1 <= ready.lifetime <= LONGEST:
            raise FeedBroken("ready: partitions or lifetime is out of range")
        is_anew, facts = not self._is_whole, self.knowledge.revocations
        if self.is_ready and ready.partitions != facts.partitions:
            facts.forget_partitions()
        facts.partitions, facts.lifetime = ready.partitions, ready.lifetime * SECOND
        # After a reset, this may be another store with another clock.
        freshness = Freshness() if is_anew else self.knowledge.freshness
        self._confirm(freshness, ready, read_at)
        self.knowledge = Knowledge(facts, freshness)
        self._is_whole = self.is_ready = True
        self._resume_from(position)
        return Update(is_anew=is_anew)

    def _confirm(
        self, freshness: Freshness, confirmation: Confirmation | Ready, read_at: float
    ) -> None:
        times = (confirmation.at, confirmation.elapsed, *confirmation.late.values())
        if not all(abs(time) <= LONGEST for time in times):
            raise FeedBroken("a time in a confirmation is out of range")
        # The hub had received the request at least `elapsed` seconds before this arrived.
        self._received_by = min(self._received_by, read_at - confirmation.elapsed)
        freshness.confirm(confirmation, self._asked_at, self._received_by, read_at)
        self._is_confirmed = True

    def _resume_from(self, position: str) -> None:
        is_sendable = len(position) <= MAX_ID and position.isascii() and position.isprintable()
        if self._is_whole and is_sendable and " " not in position:
            self._last_id = position


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
        document = msgspec.json.decode(data)
        rows = document.get("revocations", [document]) if isinstance(document, dict) else []
        for row in rows:
            _tolerate(row)
        return msgspec.convert(document, type=kind, str_keys=True)
    except (msgspec.ValidationError, AttributeError, TypeError) as error:
        raise FeedBroken(f"{kind.__name__}: {error}") from None


def _tolerate(row: Any) -> None:
    if (
        isinstance(row, dict)
        and isinstance(row.get("reason"), str)
        and row["reason"] not in REASONS
    ):
        row["reason"] = Reason.POLICY.value
