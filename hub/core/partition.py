"""What a replica knows of one partition of the log, and what its users' sockets owe to that.

Theory of operation
===================

Users are divided among partitions, and each partition has a log of its own, on a node of its own
perhaps. A replica may hold a user's sockets only while it knows that it hears that user's logouts.
So it runs the machine of this module once for each partition. No partition knows of another: what
fails on one node is felt by the users on that node, and by nobody else.

There are two machines in one:

1) *The log*: has this replica heard every logout of the partition?

   UNSWEPT       logouts may have been missed; before anything counts as heard, every socket of the
                 partition's users must be checked against the store. So it begins.
   SWEEPING      the sockets are being checked
   CATCHING_UP   reading was interrupted, and goes on from where it was
   CONFIRMED     every logout until ``confirmed_at`` was heard, or swept for
   LOST          the store lost what it knew, and nothing that it says counts

   It is driven by events, and `TRANSITIONS` is all of it. An event that is not in a state's row
   changes nothing there. In particular, the end of a sweep counts in SWEEPING alone: after a gap or
   an interruption the sweep that was under way no longer proves anything. ``sweep`` numbers the
   sweeps, so that the end of an old one is not taken for the end of the next.

2) *The fence*: does this replica hold sockets of the partition's users? It is down once the log is
   CONFIRMED, and up once that was last so more than ``fence`` seconds ago. Silence is the failure,
   so only time raises it, and no error does. It is up at the beginning.

The first machine does not depend on the second. Time is an argument: any clock in seconds that
does not go back.
"""

from __future__ import annotations

import enum

import msgspec

UNHEARD_AFTER = 3.0
"""Seconds without confirmation after which a partition does not count as heard."""


class State(enum.StrEnum):
    """How the log of a partition stands."""

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
    """Logouts may have been written that were not heard."""
    INTERRUPTED = enum.auto()
    """The log could not be read."""
    LOSS = enum.auto()
    """The log lacks what it had."""
    SWEPT = enum.auto()
    """Every socket was checked against the store."""
    SWEEP_FAILED = enum.auto()
    TIME_PASSED = enum.auto()


class Effect(enum.Enum):
    """What is to be done."""

    SWEEP = enum.auto()
    """Check every socket of the partition, and report `Event.SWEPT` or `Event.SWEEP_FAILED`."""
    RECOVER = enum.auto()
    """Make up for the loss, where that is this replica's to do."""
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
        """Return what becomes of the partition, and what is to be done."""
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
        """Return the seconds since it was last confirmed that all was heard."""
        return float("inf") if self.confirmed_at is None else now - self.confirmed_at

    def is_heard(self, now: float) -> bool:
        """Tell whether a logout that is written now will be heard, as far as was confirmed lately.

        Stricter than the fence: so clients are led elsewhere before any socket is closed.
        """
        is_broken = self.state in (State.CATCHING_UP, State.LOST)
        return not (is_broken or self.is_fenced) and self.age(now) < UNHEARD_AFTER

    @property
    def condition(self) -> str:
        """How it stands, in one word of `CONDITIONS`."""
        is_worse = self.is_fenced and self.state is not State.LOST
        return FENCED if is_worse else self.state.value


def is_enough(served: int, count: int) -> bool:
    """Tell whether a replica that serves so many of ``count`` partitions is of use: half of them.

    With fewer it sends clients elsewhere, where more may be served.
    """
    return 2 * served >= count
