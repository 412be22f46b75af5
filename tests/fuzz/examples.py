"""How many examples a fuzzer tries: few in a test run and always the same, many in a long one."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, settings

MANY = int(os.environ.get("FUZZ_EXAMPLES", "0"))
"""Set by ``python -m tests.fuzz``."""


def examples(few: int) -> Callable[[Any], Any]:
    """Return the settings of a fuzzer that tries ``few`` examples in a test run."""
    return settings(
        max_examples=MANY or few,
        derandomize=not MANY,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        print_blob=bool(MANY),
    )
