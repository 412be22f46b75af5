"""How often something may happen: a rate with a burst, as a rule on numbers.

The rule is the generic cell rate algorithm (ITU-T I.371), which is a token bucket that keeps a
single number: the instant until which what was taken is paid for. Nothing is kept of somebody who
has been quiet for long enough, so a table of buckets empties by itself.
"""

from __future__ import annotations

import re

import msgspec

RATE = re.compile(r"(\d+(?:\.\d+)?)/(\d+)")


class Rate(msgspec.Struct, frozen=True):
    """So many a second in the long run, and as many as ``burst`` at once."""

    per_second: float
    burst: int

    @property
    def window(self) -> float:
        """The seconds after which a bucket that was emptied is full again."""
        return self.burst / self.per_second

    def __str__(self) -> str:
        return f"{self.per_second:g}/{self.burst}"


def read_rate(text: str) -> Rate | None:
    """Return the rate that is written as ``PER_SECOND/BURST``; None for ``off``.

    Raises:
        ValueError: when it is neither.
    """
    if text == "off":
        return None
    found = RATE.fullmatch(text)
    if found is None or not float(found[1]) or not int(found[2]):
        raise ValueError("neither PER_SECOND/BURST, such as 5/100, nor off")
    return Rate(float(found[1]), int(found[2]))


def take(rate: Rate, paid_until: float, now: float, cost: float = 1) -> tuple[float, float]:
    """Take ``cost`` from a bucket that was paid for until ``paid_until``; all in seconds.

    Returns until when it is paid for afterwards, and how long to wait before this much can be had:
    0 when it was taken, otherwise nothing was taken.
    """
    begins = max(paid_until, now)
    ends = begins + cost / rate.per_second
    wait = ends - now - rate.window
    # A rounding error must not refuse what the burst allows.
    return (ends, 0.0) if wait <= 1e-9 else (begins, wait)
