"""Starts a guard, and prints how long it took: ``python -m benchmarks.guards.starting URL``."""

from __future__ import annotations

import gc
import json
import os
import sys
import time

from benchmarks.guards.issuer import GUARD_TOKEN, entries
from benchmarks.measures import resident_bytes
from hub.guard import SyncGuard

PATIENCE = 300.0


def measure(url: str) -> dict[str, float]:
    """Return seconds until the guard was ready, and by how many bytes it grew."""
    guard = SyncGuard(url, token=GUARD_TOKEN, issuers=entries(), start_timeout=PATIENCE)
    before = resident_bytes([os.getpid()])
    began = time.perf_counter()
    with guard:
        took = time.perf_counter() - began
        if not guard.is_ready:
            raise RuntimeError("the guard is not ready")
        gc.collect()
        return {"seconds": took, "bytes": resident_bytes([os.getpid()]) - before}


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1])))
