"""The state of one partition on a replica: are its logouts received, and is it fenced?

Theory of operation
===================

Users are divided among partitions. Each partition has its own log, possibly on its own node. A
replica may hold a user's sockets only while it knows that it receives that user's logouts. It
therefore runs the state machines of this module once for each partition. Partitions are
independent: the failure of a node affects only the users on that node.

A partition has two state machines:

1) *The log*: has this replica received every logout of the partition?

   UNSWEPT       logouts may have been missed: every socket of the partition's users must be checked
                 against the store; the initial state
   SWEEPING      the sockets are being checked
   CATCHING_UP   reading was interrupted, and will continue from the last position
   CONFIRMED     every logout until ``confirmed_at`` was received, or covered by a sweep
   LOST          the store lost data, and its answers are not trusted

   It is driven by events, and fully described by `TRANSITIONS`. An event that is not in a state's
   row is ignored. In particular, the end of a sweep counts only in SWEEPING: after a gap or an
   interruption, the sweep in progress proves nothing any more. ``sweep`` numbers the sweeps, so
   that the end of an old one is not mistaken for the end of the current one.

2) *The fence*: may this replica hold sockets of the partition's users? A partition is fenced at
   first, until the log is CONFIRMED, and again once the last confirmation is more than ``fence``
   seconds old. The failure to detect is silence, so only the passing of time fences, never an
   error.

The first machine does not depend on the second. Time is an argument, in seconds of any monotonic
clock.
"""

from __future__ import annotations

import enum

import msgspec

MAX_CONFIRMATION_AGE = 3.0
"""Seconds without confirmation after which a partition's logouts do not count as received."""


class State(enum.StrEnum):
    """The state of a partition's log."""

    UNSWEPT = "unswept"
    SWEEPING = "sweeping"
    CATCHING_UP = "catching_up"
    CONFIRMED = "confirmed"
    LOST = "lost"


FENCED = "fenced"
CONDITIONS = (*State, FENCED)
"""Every value of `Partition.condition`."""


class Event(enum.Enum):
    """What happens to a partition."""

    CONFIRMED = enum.auto()
    """The log was read to its end."""
    GAP = enum.auto()
    """Logouts may have been missed."""
    INTERRUPTED = enum.auto()
    """The log could not be read."""
    LOSS = enum.auto()
    """The log lost data."""
    SWEPT = enum.auto()
    """Every socket was checked against the store."""
    SWEEP_FAILED = enum.auto()
    TIME_PASSED = enum.auto()


class Effect(enum.Enum):
    """What the replica must do."""

    SWEEP = enum.auto()
    """Check every socket of the partition, and report `Event.SWEPT` or `Event.SWEEP_FAILED`."""
    RECOVER = enum.auto()
    """Recover from the data loss, if this replica is configured to."""
    CLOSE = enum.auto()
    """Close the sockets of the partition's users."""


TRANSITIONS: dict[State, dict[Event, tuple[State, Effect | None]]] = {
    State.UNSWEPT: {
        Event.CONFIRMED: (State.SWEEPING, Effect.SWEEP),
        Event.LOSS: (State.LOST, Effect.RECOVER),
    },
    State.SWEEPING: {
        Event.SWEPT: (State.CONFIRMED, None),
        Event.SWEEP_FAILED: (State.UNSWEPT, None),
        Event.GAP: (State.UNSWEPT, None),
        Event.INTERRUPTED: (State.UNSWEPT, None),
        Event.LOSS: (State.LOST, Effect.RECOVER),
    },
    State.CATCHING_UP: {
        Event.CONFIRMED: (State.CONFIRMED, None),
        Event.GAP: (State.UNSWEPT, None),
        Event.LOSS: (State.LOST, Effect.RECOVER),
    },
    State.CONFIRMED: {
        Event.CONFIRMED: (State.CONFIRMED, None),
        Event.GAP: (State.UNSWEPT, None),
        Event.INTERRUPTED: (State.CATCHING_UP, None),
        Event.LOSS: (State.LOST, Effect.RECOVER),
    },
    State.LOST: {
        Event.CONFIRMED: (State.SWEEPING, Effect.SWEEP),
        Event.LOSS: (State.LOST, Effect.RECOVER),
    },
}


class Partition(msgspec.Struct, frozen=True):
    """Both machines of one partition; ``confirmed_at`` is None before the first confirmation."""

    state: State = State.UNSWEPT
    is_fenced: bool = True
    confirmed_at: float | None = None
    sweep: int = 0

    def advance(self, event: Event, now: float, fence: float) -> tuple[Partition, Effect | None]:
        """Return the partition after an event, and what the replica must do."""
        if event is Event.TIME_PASSED:
            return self._age_by(now, fence)
        row = TRANSITIONS[self.state]
        if event not in row:
            return self, None
        state, effect = row[event]
        if state is State.CONFIRMED:
            return Partition(state, is_fenced=False, confirmed_at=now, sweep=self.sweep), effect
        sweep = self.sweep + (effect is Effect.SWEEP)
        return msgspec.structs.replace(self, state=state, sweep=sweep), effect

    def _age_by(self, now: float, fence: float) -> tuple[Partition, Effect | None]:
        if self.is_fenced or self.age(now) <= fence:
            return self, None
        return msgspec.structs.replace(self, is_fenced=True), Effect.CLOSE

    def age(self, now: float) -> float:
        """Return the seconds since the last confirmation."""
        return float("inf") if self.confirmed_at is None else now - self.confirmed_at

    def is_receiving(self, now: float) -> bool:
        """Return whether logouts are received now, as far as was confirmed recently.

        This is stricter than the fence, so that clients are sent elsewhere before any socket is
        closed.
        """
        is_broken = self.state in (State.CATCHING_UP, State.LOST)
        return not (is_broken or self.is_fenced) and self.age(now) < MAX_CONFIRMATION_AGE

    @property
    def condition(self) -> str:
        """The state, or ``fenced``: one of `CONDITIONS`."""
        is_worse = self.is_fenced and self.state is not State.LOST
        return FENCED if is_worse else self.state.value


def is_enough(served: int, count: int) -> bool:
    """Return whether a replica serves enough of ``count`` partitions to accept clients: half.

    With fewer, it sends clients to other replicas, which may serve more.
    """
    return 2 * served >= count
