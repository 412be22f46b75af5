"""The guard's own clock, which setting the machine's time does not change."""

from __future__ import annotations

import functools
import time

# On Linux, a clock that also counts while the machine is suspended.
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)

clock = functools.partial(time.clock_gettime, _CLOCK)
"""Returns the seconds since some fixed instant."""
