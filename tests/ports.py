"""Ports for servers of tests that stop and start again, also while other tests run beside them."""

from __future__ import annotations

import fcntl
import itertools
import os
import socket
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

# Below the ports that systems give to outgoing connections: while a server is dead, its port
# must not be taken by a client, nor a balancer's attempt to reach it meet itself.
FIRST, SHARE, SHARES = 12_000, 450, 40


def free_port() -> int:
    """Return a port of the loopback interface that nobody listens on, nor will by chance.

    Each process takes its ports in turn from a share of its own.
    """
    for port in itertools.islice(_share(), SHARE):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError("no port is free")


@cache
def _share() -> Iterator[int]:
    folder = Path(tempfile.gettempdir(), f"logout-hub-ports-{os.getuid()}")
    folder.mkdir(exist_ok=True)
    for number in range(SHARES):
        claim = os.open(folder / str(number), os.O_CREAT | os.O_RDWR)
        try:
            fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)  # held until this process ends
        except OSError:
            os.close(claim)
            continue
        first = FIRST + number * SHARE
        return itertools.cycle(range(first, first + SHARE))
    raise RuntimeError("too many processes run tests")
