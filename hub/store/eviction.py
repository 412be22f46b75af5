"""Detects whether Redis evicts keys, which may be logouts."""

from __future__ import annotations

import re

import structlog

from hub.errors import Unavailable
from hub.store.topology import Topology

log = structlog.get_logger(__name__)

SAFE_POLICIES = ("noeviction", "unknown")


class Evictions:
    """Asks the servers whether they may evict keys, and whether they have done so."""

    def __init__(self, topology: Topology) -> None:
        self._topology = topology
        self._forgiven: dict[str, int] = {}
        """How many keys each server had evicted when it was first asked or last forgiven, by its
        ``run_id``."""
        self._counts: dict[str, int] = {}
        """How many it had when it was last asked."""

    async def check(self) -> dict[str, frozenset[int]]:
        """Return the servers that have evicted keys since they were first asked.

        Each is given by its ``run_id``, with the partitions whose keys these may have been. Call
        `forgive` after handling it. A server that does not answer is asked again later; this does
        not check whether the store can be reached.

        Raises:
            Unavailable: if a server's configuration allows evictions, or it refuses to answer.
        """
        infos = await self._topology.infos()
        for policy in map(read_policy, infos.values()):
            if policy not in SAFE_POLICIES:
                raise Unavailable(f"maxmemory-policy {policy} may forget logouts: set noeviction")
        lost: dict[str, frozenset[int]] = {}
        for server, info in infos.items():
            run_id, count = _read(info, b"run_id"), int(_read(info, b"evicted_keys") or 0)
            self._counts[run_id] = count
            # The count is less than it was if an operator has reset it.
            self._forgiven[run_id] = min(count, self._forgiven.get(run_id, count))
            if more := count - self._forgiven[run_id]:
                lost[run_id] = partitions = await self._topology.partitions_of(server)
                log.error(
                    "Redis evicted keys, which may have been logouts",
                    keys=more,
                    partitions=sorted(partitions),
                )
        return lost

    def forgive(self, run_id: str) -> None:
        """Mark the evictions of a server, up to the last check, as handled."""
        self._forgiven[run_id] = self._counts[run_id]


def read_policy(info: bytes) -> str:
    """Return the maxmemory-policy in the answer to ``INFO``, or ``unknown``."""
    return _read(info, b"maxmemory_policy") or "unknown"


def _read(info: bytes, field: bytes) -> str:
    found = re.search(rb"^" + field + rb":(\S+)", info, re.MULTILINE)
    return found[1].decode() if found else ""
