"""Rate limits: a rate with a burst.

This is the generic cell rate algorithm (ITU-T I.371), a token bucket that keeps a single number:
the instant until which everything taken so far is paid for. A bucket whose instant is in the past
is full and need not be kept.
"""

from __future__ import annotations

import re

import msgspec

RATE = re.compile(r"(\d+(?:\.\d+)?)/(\d+)")


class Rate(msgspec.Struct, frozen=True):
    """An average rate, and how many may happen at once."""

    per_second: float
    burst: int

    @property
    def window(self) -> float:
        """The seconds in which an empty bucket fills up."""
        return self.burst / self.per_second

    def __str__(self) -> str:
        return f"{self.per_second:g}/{self.burst}"


def read_rate(text: str) -> Rate | None:
    """Return the rate in a text ``PER_SECOND/BURST``; None for ``off``.

    Raises:
        ValueError: if it is neither.
    """
    if text == "off":
        return None
    found = RATE.fullmatch(text)
    if found is None or not float(found[1]) or not int(found[2]):
        raise ValueError("neither PER_SECOND/BURST, such as 5/100, nor off")
    return Rate(float(found[1]), int(found[2]))


def take(rate: Rate, paid_until: float, now: float, cost: float = 1) -> tuple[float, float]:
    """Take ``cost`` from a bucket; times are in seconds.

    Returns the new ``paid_until``, and how long to wait: 0 if it was taken, otherwise nothing was
    taken.
    """
    begins = max(paid_until, now)
    ends = begins + cost / rate.per_second
    wait = ends - now - rate.window
    # A rounding error must not refuse what the burst allows.
    return (ends, 0.0) if wait <= 1e-9 else (begins, wait)
