"""Limits how fast the hub reads from a client.

Each frame costs one unit, and one more for each 4 KB; so do the packets and requests of the polling
transport. The hub does not read from a client whose budget is exhausted, so that a flood waits in
the client's own buffers. An idle client sends one frame in 25 s, and some more for events and
acknowledgements.
"""

from __future__ import annotations

from hub.core.rate import Rate, take

BEFORE_CONNECT = Rate(4, 24)
"""Until CONNECT is accepted: an upgrade and a CONNECT take five frames."""

CONNECTED = Rate(20, 100)

MAX_FRAMES_AT_ONCE = 16
"""Frames that are read from one client in one iteration of the loop."""

BYTES_PER_UNIT = 4096
MAX_BEFORE_CONNECT = 16 * 1024
"""Bytes of a message until CONNECT is accepted."""

MAX_BACKLOG = 2048
"""Bytes that may wait for budget; a client that sends more at once is closed for flooding."""

MAX_AFTER_CLOSE = 4096
"""Bytes that are searched for the client's close frame, once the hub has begun to close."""


class ReadBudget:
    """The budget of a session, for all its connections; times are the loop's, in seconds."""

    __slots__ = ("_paid_until", "_rate")

    def __init__(self) -> None:
        self._rate = BEFORE_CONNECT
        self._paid_until = 0.0

    @property
    def is_trusted(self) -> bool:
        """Whether CONNECT was accepted."""
        return self._rate is CONNECTED

    def trust(self) -> None:
        """Switch to the larger budget, since CONNECT was accepted."""
        self._rate = CONNECTED
        self._paid_until = 0.0

    def message_limit(self, max_size: int) -> int:
        """Return the maximum size of a message in bytes."""
        return max_size if self._rate is CONNECTED else min(max_size, MAX_BEFORE_CONNECT)

    def wait(self, now: float) -> float:
        """Return how many seconds to wait before reading; 0 if reading is allowed."""
        return 0.0 if self._paid_until <= now else take(self._rate, self._paid_until, now)[1]

    def charge(self, now: float, size: int) -> None:
        """Charge a frame or packet of ``size`` bytes, even if that exceeds the budget."""
        cost = 1 + size / BYTES_PER_UNIT
        self._paid_until = max(self._paid_until, now) + cost / self._rate.per_second
