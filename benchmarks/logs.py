"""Fills the logs with many logouts before a measurement."""

from __future__ import annotations

from collections.abc import Iterable

from benchmarks.servers import Store
from hub.core.model import Logout
from hub.core.wire import encode_logout
from hub.store.names import PARTITIONS, Names, partition_of

BATCH = 5_000


def fill(store: Store, logouts: Iterable[Logout]) -> None:
    """Write logouts of users into the logs, each as a replica would, but many at a time.

    Their ``at`` is set.
    """
    logs = [Names(None, number).log for number in range(PARTITIONS)]
    with store.redis.client() as client:
        pipe = client.pipeline(transaction=False)
        for number, logout in enumerate(logouts, start=1):
            record = b"%d %s" % (logout.at, encode_logout(logout))
            log = logs[partition_of(logout.user or "")]
            pipe.xadd(log, {"logout": record, "leases": b"-", "sessions": b""})
            if number % BATCH == 0:
                pipe.execute()
        pipe.execute()
