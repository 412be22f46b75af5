"""Whether Redis forgets what it has no memory for, logouts among it."""

from __future__ import annotations

import re

import structlog

from hub.errors import Unavailable
from hub.store.pipeline import Refused
from hub.store.topology import Topology

log = structlog.get_logger(__name__)

SAFE_POLICIES = ("noeviction", "unknown")


class Evictions:
    """Asks the servers, one at a time, whether they may evict keys, and whether they did."""

    def __init__(self, topology: Topology) -> None:
        self._topology = topology
        self._seen: dict[str, int] = {}
        """How many keys each server had evicted, by its run's id, when it was last asked."""
        self._server, self._count = "", 0

    async def check(self) -> bool:
        """Tell whether a server has evicted keys since it was first asked.

        Call `forgive` once all is done that follows from that. A server that does not answer is
        asked another time: whether the store can be reached is for others to tell.

        Raises:
            Unavailable: when it may evict keys, which is no store for logouts, or does not say.
        """
        try:
            info = await self._topology.command("INFO")
        except Refused:
            raise
        except Unavailable:
            return False
        policy = read_policy(info)
        if policy not in SAFE_POLICIES:
            raise Unavailable(f"maxmemory-policy {policy} may forget logouts: set noeviction")
        self._server = _read(info, b"run_id")
        self._count = int(_read(info, b"evicted_keys") or 0)
        before = self._seen.setdefault(self._server, self._count)
        if self._count > before:
            log.error("Redis evicted keys, which may have been logouts", keys=self._count - before)
        return self._count > before

    def forgive(self) -> None:
        """Take what the server that was asked last has evicted for dealt with."""
        self._seen[self._server] = self._count


def read_policy(info: bytes) -> str:
    """Return the maxmemory-policy that ``INFO`` tells, ``unknown`` when it does not."""
    return _read(info, b"maxmemory_policy") or "unknown"


def _read(info: bytes, field: bytes) -> str:
    found = re.search(rb"^" + field + rb":(\S+)", info, re.MULTILINE)
    return found[1].decode() if found else ""
