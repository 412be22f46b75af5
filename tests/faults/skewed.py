"""Run the hub with a clock that can be set: a replica whose machine has a wrong one.

The offset in seconds stands in the file that HUB's environment does not know of, ``SKEW_FILE``;
SIGUSR2 has it read again. It moves Python's ``time.time``; the monotonic clock is left alone, as
it is when somebody sets the clock of a machine.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

_file = Path(os.environ["SKEW_FILE"])
_time, _time_ns = time.time, time.time_ns
_offset = 0


def _read(*_: object) -> None:
    global _offset
    _offset = int(_file.read_text())


_read()
signal.signal(signal.SIGUSR2, _read)
time.time = lambda: _time() + _offset
time.time_ns = lambda: _time_ns() + _offset * 1_000_000_000

if __name__ == "__main__":
    from hub.cli import main

    main()
