"""A guard in a process of its own, which answers what it is asked: ``python witness.py``.

Each line of the standard input is ``[number, kind, …]``: a ``token``, or an app's own ``session``
(user, sid, when it began). Each line of the output is ``[number, start, end, result]``, and the
first one is empty. Times are those of this process's own monotonic clock, which all processes of
the machine share. Its wall clock can be set, as that of a replica: see `tests.faults.skewed`.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

from hub.core.issuers_table import read_entry
from hub.errors import HubError
from hub.guard import SyncGuard
from hub.guard.options import OnStale
from tests.faults import skewed  # noqa: F401 - it makes the clock one that can be set

ASKING = 8
"""Checks under way at once: one may wait for the hub."""

_printing = threading.Lock()


def main() -> None:
    """Answer until the input ends."""
    _say([])
    tables = json.loads(os.environ["ISSUERS"])
    for table in tables:
        table["jwks_url"] = table.pop("jwksUrl")
    guard = SyncGuard(
        os.environ["HUB"],
        token=os.environ["GUARD_TOKEN"],
        issuers=[read_entry(table, max_lifetime=86400, leeway=0) for table in tables],
        max_staleness=float(os.environ["MAX_STALENESS"]),
        on_stale=cast(OnStale, os.environ["ON_STALE"]),
    )
    with guard, ThreadPoolExecutor(ASKING) as pool:
        for line in sys.stdin:
            pool.submit(_answer, guard, *json.loads(line))


def _answer(guard: SyncGuard, number: int, kind: str, *given: Any) -> None:
    start = time.monotonic()
    try:
        if kind == "token":
            guard.check(*given)
        else:
            user, sid, begun = given
            guard.check_session(user, sid, begun, issuer=os.environ["ISSUER"])
        result = "accepted"
    except HubError as error:
        result = error.code
    except Exception as error:
        result = f"failed: {error!r}"
    _say([number, start, time.monotonic(), result])


def _say(values: list[Any]) -> None:
    with _printing:
        sys.stdout.write(json.dumps(values) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
