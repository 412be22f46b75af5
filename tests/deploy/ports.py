"""Ports for servers that go away and come back."""

from __future__ import annotations

import random
import socket

# Below the ports that systems give to outgoing connections: while a replica is dead, its port
# must not be taken by a client, nor a balancer's attempt to reach it meet itself.
FIRST, LAST = 12_000, 30_000


def lasting_port() -> int:
    """Return a port of the loopback interface that nobody listens on, nor is likely to."""
    for _ in range(100):
        port = random.randint(FIRST, LAST)  # noqa: S311 - nothing secret
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError("no port is free")
