"""How fast a client is read: never faster than it can be paid for.

Each frame costs one, and one more for each 4 KB; each packet and request of the polling transport
likewise. Whoever has spent what it had is not read from until it has some again, so that a flood
waits in the client's own buffers. A client sends one frame in 25 s by itself, and some more for
events and acknowledgements.
"""

from __future__ import annotations

from hub.core.rate import Rate, take

STRANGER = Rate(4, 24)
"""Before CONNECT is accepted: an upgrade and a CONNECT are five frames."""

GUEST = Rate(20, 100)

MOST_A_TURN = 16
"""Frames that are taken of one client before the others have their turn."""

BYTES_FOR_ONE = 4096
MOST_BEFORE_CONNECT = 16 * 1024
"""Bytes of a message before CONNECT is accepted."""

MOST_BACKLOG = 2048
"""Bytes that may wait until they are paid for; who sends more at once floods, and is closed."""

MOST_AFTER_CLOSE = 4096
"""Bytes in which the client's close is looked for, once the hub has begun to close."""


class Intake:
    """What a session still has, over all its connections; times are the loop's, in seconds."""

    __slots__ = ("_paid_until", "_rate")

    def __init__(self) -> None:
        self._rate = STRANGER
        self._paid_until = 0.0

    @property
    def is_trusted(self) -> bool:
        """Whether CONNECT was accepted."""
        return self._rate is GUEST

    def trust(self) -> None:
        """Read more from now on."""
        self._rate = GUEST
        self._paid_until = 0.0

    def most(self, max_size: int) -> int:
        """Return how many bytes a message may have."""
        return max_size if self.is_trusted else min(max_size, MOST_BEFORE_CONNECT)

    def wait(self, now: float) -> float:
        """Return for how long nothing is to be read; 0: it can go on."""
        return take(self._rate, self._paid_until, now)[1]

    def charge(self, now: float, size: int) -> None:
        """Count a frame or packet of so many bytes, also one that is more than was left."""
        cost = 1 + size / BYTES_FOR_ONE
        self._paid_until = max(self._paid_until, now) + cost / self._rate.per_second
