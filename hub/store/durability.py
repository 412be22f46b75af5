"""How durable a logout must be before it is answered: on disk, on other servers.

By default it is as durable as Redis makes it at that moment. More costs time: WAITAOF
(https://redis.io/docs/latest/commands/waitaof/) and WAIT
(https://redis.io/docs/latest/commands/wait/) wait for the write. They must be sent over the
connection that wrote, since they cover only its own writes.
"""

from __future__ import annotations

import msgspec

from hub.store.connection import pack

WAIT_MS = 2000
PATIENCE = 4.0
"""Time limit of calls in seconds if logouts wait for a disk, which is synced once a second; later
calls wait behind them."""


class Durability(msgspec.Struct, frozen=True):
    """Whether to wait for the master's disk, and for how many of its replicas."""

    local: bool = False
    replicas: int = 0

    def __bool__(self) -> bool:
        return self.local or self.replicas > 0

    def commands(self) -> list[tuple[bytes, tuple[int, ...]]]:
        """Return the commands that wait, each with the minimum counts that its answer must have."""
        commands: list[tuple[bytes, tuple[int, ...]]] = []
        if self.local:
            commands.append((pack("WAITAOF", 1, 0, WAIT_MS), (1, 0)))
        if self.replicas:
            commands.append((pack("WAIT", self.replicas, WAIT_MS), (self.replicas,)))
        return commands


NO_WAIT = Durability()
"""Wait for nothing."""
