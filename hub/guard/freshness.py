"""How old a guard's knowledge is, and what time it is at the store.

Times are seconds of the guard's own clock, which no setting of the machine's time changes; an
argument is called ``now``, or says which event it is the time of. See `hub.core.feed.Confirmation`
for why a delay on the way cannot make knowledge look newer than it is.
"""

from __future__ import annotations

from collections.abc import Mapping

from hub.core.feed import Confirmation, Ready


class Freshness:
    """Everything that was written until ``until`` is known, or less of the partitions ``late``.

    The store's time is between ``now + earliest`` and ``now + latest``, in NumericDate seconds:
    nobody knows exactly when the request was received. A login is dated by the former and ends by
    the latter. Both are None before the first confirmation.
    """

    def __init__(self) -> None:
        self.until = float("-inf")
        self.late: Mapping[int, float] = {}
        self.earliest: float | None = None
        self.latest: float | None = None

    def confirm(
        self, told: Confirmation | Ready, asked_at: float, received_by: float, heard_at: float
    ) -> None:
        """Note a confirmation that was heard at ``heard_at``.

        The request was sent at ``asked_at``, and had been received by ``received_by``.
        Nothing is known of what is written later than ``heard_at``, however the clocks may differ.
        """
        until = max(self.until, min(asked_at + told.elapsed, heard_at))
        known = {
            partition: max(
                self.known_until(partition),
                min(asked_at + told.late.get(partition, told.elapsed), heard_at),
            )
            for partition in {*self.late, *told.late}
        }
        self.earliest = told.at - (received_by + told.elapsed)
        self.latest = told.at - min(asked_at + told.elapsed, heard_at)
        # Two lines, in the order in which no partition is thought fresher than it is meanwhile.
        self.late = {partition: self.known_until(partition) for partition in known}
        self.until = until
        self.late = {partition: time for partition, time in known.items() if time != until}

    def hear(self, at: float, heard_at: float) -> None:
        """Note a logout of the store's time ``at``: a login right after it is not dated before."""
        if self.earliest is not None:
            self.earliest = max(self.earliest, at - heard_at)

    def known_until(self, partition: int | None = None) -> float:
        """Return until when everything of a partition, or of all, is known."""
        if partition is None:
            return min([self.until, *self.late.values()])
        return self.late.get(partition, self.until)

    def staleness(self, now: float, partition: int | None = None) -> float:
        """Return how many seconds old the knowledge of a partition is, or of the oldest one."""
        return max(0.0, now - self.known_until(partition))
