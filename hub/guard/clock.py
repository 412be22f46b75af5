"""The guard's own clock, which no setting of the machine's time changes."""

from __future__ import annotations

import functools
import time

# Where there is one, a clock that goes on while the machine is suspended.
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)

clock = functools.partial(time.clock_gettime, _CLOCK)
"""Returns the seconds since some instant."""
