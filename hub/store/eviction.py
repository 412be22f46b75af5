"""Detects whether Redis evicts keys, which may be logouts."""

from __future__ import annotations

import re

import structlog

from hub.errors import Unavailable
from hub.store.pipeline import Refused
from hub.store.topology import Topology

log = structlog.get_logger(__name__)

SAFE_POLICIES = ("noeviction", "unknown")


class Evictions:
    """Asks the servers in turn whether they may evict keys, and whether they have done so."""

    def __init__(self, topology: Topology) -> None:
        self._topology = topology
        self._seen: dict[str, int] = {}
        """How many keys each server had evicted when it was last asked, by its ``run_id``."""
        self._server, self._count = "", 0

    async def check(self) -> bool:
        """Return whether a server has evicted keys since it was first asked.

        Call `forgive` after handling it. A server that does not answer is asked again later; this
        does not check whether the store can be reached.

        Raises:
            Unavailable: if its configuration allows evictions, or it refuses to answer.
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
        """Mark the evictions of the server that was asked last as handled."""
        self._seen[self._server] = self._count


def read_policy(info: bytes) -> str:
    """Return the maxmemory-policy in the answer to ``INFO``, or ``unknown``."""
    return _read(info, b"maxmemory_policy") or "unknown"


def _read(info: bytes, field: bytes) -> str:
    found = re.search(rb"^" + field + rb":(\S+)", info, re.MULTILINE)
    return found[1].decode() if found else ""
