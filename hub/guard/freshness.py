"""How old a guard's knowledge is, and what time it is at the store.

Times are seconds of the guard's own clock (`hub.guard.clock`), except those of the store. See
`hub.core.feed.Confirmation` for why network delay cannot make knowledge look newer than it is.
"""

from __future__ import annotations

from collections.abc import Mapping

from hub.core.feed import Confirmation, Ready


class Freshness:
    """Everything written before ``until`` is known; of partitions in ``late``, only until then.

    The store's time is between ``now + earliest`` and ``now + latest``, in NumericDate seconds:
    nobody knows exactly when the request was received. Logins are dated by ``earliest``, and
    tokens expire by ``latest``. Both are None before the first confirmation.
    """

    def __init__(self) -> None:
        self.until = float("-inf")
        self.late: Mapping[int, float] = {}
        self.earliest: float | None = None
        self.latest: float | None = None
        self._requested_at = self._asked_at = self._received_by = 0.0
        """When the hub received the request, by the store's clock; by ours, between the others."""

    def confirm(
        self,
        confirmation: Confirmation | Ready,
        asked_at: float,
        received_by: float,
        read_at: float,
    ) -> None:
        """Note a confirmation that was read at ``read_at``.

        The request was sent at ``asked_at``, and the hub had received it by ``received_by``.
        Nothing written after ``read_at`` can be known, however the clocks may differ.
        """
        until = max(self.until, min(asked_at + confirmation.elapsed, read_at))
        known = {
            partition: max(
                self.known_until(partition),
                min(asked_at + confirmation.late.get(partition, confirmation.elapsed), read_at),
            )
            for partition in {*self.late, *confirmation.late}
        }
        self._requested_at = confirmation.at - confirmation.elapsed
        self._asked_at, self._received_by = asked_at, received_by
        self.earliest = self._requested_at - received_by
        self.latest = confirmation.at - min(asked_at + confirmation.elapsed, read_at)
        # In this order, no other thread ever sees a partition as fresher than it is.
        self.late = {partition: self.known_until(partition) for partition in known}
        self.until = until
        self.late = {partition: time for partition, time in known.items() if time != until}

    def note_logout(self, at: float, read_at: float) -> float:
        """Note a logout written at ``at``: the store's clock had reached that when it was read.

        So a login that begins now is not mistaken for one that the logout ended. Returns by when
        the hub had received the request, which this may prove to be earlier, but not earlier than
        it was sent: a clock of one partition that is ahead says nothing about the others. Call this
        after a confirmation of the same response.
        """
        proven = read_at - (at - self._requested_at)
        self._received_by = max(self._asked_at, min(self._received_by, proven))
        self.earliest = self._requested_at - self._received_by
        return self._received_by

    def known_until(self, partition: int | None = None) -> float:
        """Return the time before which everything in a partition, or in all, is known."""
        if partition is None:
            return min([self.until, *self.late.values()])
        return self.late.get(partition, self.until)

    def staleness(self, now: float, partition: int | None = None) -> float:
        """Return how many seconds old the knowledge of a partition, or of the oldest one, is."""
        return max(0.0, now - self.known_until(partition))
