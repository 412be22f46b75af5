"""Detects whether Redis evicts keys, which may be logouts."""

from __future__ import annotations

import re
import secrets

import structlog

from hub.errors import Unavailable
from hub.store.topology import Topology

log = structlog.get_logger(__name__)

SAFE_POLICIES = ("noeviction", "unknown")


class Evictions:
    """Asks the servers whether they may evict keys, and whether they have done so."""

    def __init__(self, topology: Topology) -> None:
        self._topology = topology
        self._known: dict[str, int] = {}
        """How many keys each server had evicted when it was last asked, by its ``run_id``."""
        self._resets: dict[str, str] = {}
        """A random name for the last reset of a server's count, where one was seen."""

    async def check(self) -> dict[int, str]:
        """Return the partitions whose keys may have been evicted since the last check.

        Each has a name for what was evicted, which is the same for all replicas that find the same:
        the server's ``run_id`` and count. After a reset a count may come twice, so a replica that
        saw one gives names of its own.

        The first check of a server only counts what it has evicted before. A server that does not
        answer is asked again later; this does not check whether the store can be reached.

        Raises:
            Unavailable: if a server's configuration allows evictions, or it refuses to answer.
        """
        infos = await self._topology.infos()
        for policy in map(read_policy, infos.values()):
            if policy not in SAFE_POLICIES:
                raise Unavailable(f"maxmemory-policy {policy} may forget logouts: set noeviction")
        lost: dict[int, str] = {}
        counts: dict[str, int] = {}
        for server, info in infos.items():
            run_id, count = _read(info, b"run_id"), int(_read(info, b"evicted_keys") or 0)
            if count < self._known.get(run_id, 0):  # an operator has reset it
                self._resets[run_id] = secrets.token_hex(8)
            if (more := count - self._known.get(run_id, count)) > 0:
                partitions = await self._topology.partitions_of(server)
                lost |= dict.fromkeys(partitions, self._name(run_id, count))
                log.error(
                    "Redis evicted keys, which may have been logouts",
                    keys=more,
                    partitions=sorted(partitions),
                )
            counts[run_id] = count
        # Only now: if this check fails or is cancelled, the next one finds the same.
        self._known |= counts
        return lost

    def _name(self, run_id: str, count: int) -> str:
        return f"{run_id} {count} {self._resets.get(run_id, '')}".rstrip()


def read_policy(info: bytes) -> str:
    """Return the maxmemory-policy in the answer to ``INFO``, or ``unknown``."""
    return _read(info, b"maxmemory_policy") or "unknown"


def _read(info: bytes, field: bytes) -> str:
    found = re.search(rb"^" + field + rb":(\S+)", info, re.MULTILINE)
    return found[1].decode() if found else ""
