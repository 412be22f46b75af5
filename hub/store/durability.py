"""How sure a logout must be before it is answered: on a disk, on other servers.

By default it is as sure as Redis is at that moment. Who asks for more pays with time: the write is
waited for by WAITAOF (https://redis.io/docs/latest/commands/waitaof/) and WAIT
(https://redis.io/docs/latest/commands/wait/), over the connection that wrote, since they speak of
what was written over their own.
"""

from __future__ import annotations

import msgspec

from hub.store.connection import pack

WAIT_MS = 2000
PATIENCE = 4.0
"""Seconds after which a call is given up where logouts wait for disks: an fsync comes each second,
and those that came meanwhile wait behind it."""


class Durability(msgspec.Struct, frozen=True):
    """On the master's own disk or not, and on how many replicas."""

    local: bool = False
    replicas: int = 0

    def __bool__(self) -> bool:
        return self.local or self.replicas > 0

    def commands(self) -> list[tuple[bytes, tuple[int, ...]]]:
        """Return what to ask, and the counts that it must be answered with at least."""
        asked: list[tuple[bytes, tuple[int, ...]]] = []
        if self.local:
            asked.append((pack("WAITAOF", 1, 0, WAIT_MS), (1, 0)))
        if self.replicas:
            asked.append((pack("WAIT", self.replicas, WAIT_MS), (self.replicas,)))
        return asked


NO_WAIT = Durability()
"""As sure as Redis is by itself."""
