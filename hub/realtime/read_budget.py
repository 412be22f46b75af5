"""How fast a client is read: never faster than its budget allows.

Each frame costs one, and one more for each 4 KB; each packet and request of the polling transport
likewise. Whoever has spent the budget is not read from until there is some again, so that a flood
waits in the client's own buffers. A client sends one frame in 25 s by itself, and some more for
events and acknowledgements.
"""

from __future__ import annotations

from hub.core.rate import Rate, take

BEFORE_CONNECT = Rate(4, 24)
"""Until CONNECT is accepted: an upgrade and a CONNECT are five frames."""

CONNECTED = Rate(20, 100)

MAX_FRAMES_AT_ONCE = 16
"""Frames that are read from one client before the loop turns to the others."""

BYTES_PER_UNIT = 4096
MAX_BEFORE_CONNECT = 16 * 1024
"""Bytes of a message until CONNECT is accepted."""

MAX_BACKLOG = 2048
"""Bytes that may wait for budget; a client that sends more at once floods, and is closed."""

MAX_AFTER_CLOSE = 4096
"""Bytes in which the client's close frame is looked for, once the hub has begun to close."""


class ReadBudget:
    """What a session may still send, over all its connections; times are the loop's, in seconds."""

    __slots__ = ("_paid_until", "_rate")

    def __init__(self) -> None:
        self._rate = BEFORE_CONNECT
        self._paid_until = 0.0

    @property
    def is_trusted(self) -> bool:
        """Whether CONNECT was accepted."""
        return self._rate is CONNECTED

    def trust(self) -> None:
        """Allow more from now on."""
        self._rate = CONNECTED
        self._paid_until = 0.0

    def message_limit(self, max_size: int) -> int:
        """Return how many bytes a message may have."""
        return max_size if self.is_trusted else min(max_size, MAX_BEFORE_CONNECT)

    def wait(self, now: float) -> float:
        """Return for how long nothing may be read; 0: reading can go on."""
        return take(self._rate, self._paid_until, now)[1]

    def charge(self, now: float, size: int) -> None:
        """Count a frame or packet of so many bytes, even if it exceeds the budget."""
        cost = 1 + size / BYTES_PER_UNIT
        self._paid_until = max(self._paid_until, now) + cost / self._rate.per_second
