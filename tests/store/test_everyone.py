"""How a logout of everyone is sent to Redis: to all partitions at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import pytest

from hub.access.requests import new_id
from hub.core.bus import derive_key
from hub.core.model import Logout, Reason, Scope
from hub.errors import Unavailable
from hub.store.connection import pack
from hub.store.names import PARTITIONS
from hub.store.reader import LogReader
from hub.store.redis_logouts import RedisLogouts
from hub.store.script import Script, Values, pack_values
from hub.store.topology import Topology
from hub.store.values import Command

ONE_READ = 16 * 1024
"""Bytes that Redis reads from a connection in one turn of its event loop (PROTO_IOBUF_LEN)."""


class Scale:
    """Weighs the calls of scripts, and answers none."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    async def call(
        self, partition: int, script: Script, keys: Sequence[str], values: Values
    ) -> Any:
        """Weigh a call as it is sent."""
        packed = pack(b"EVALSHA", script.sha, len(keys), *keys, pack_values(values))
        self.sizes.append(len(packed))
        raise Unavailable("nobody answers")


async def test_all_partitions_are_written_in_one_read_of_redis() -> None:
    """If the last had to wait for the next turn, their sockets would be told much later."""
    scale = Scale()
    logouts = RedisLogouts(
        cast(Topology, scale),
        cast(LogReader, None),
        derive_key("a secret of the bus"),
        lifetime=86_400_000_000,
        receipts=86_400_000_000,
        pace=None,
    )
    logout = Logout(id=new_id(), user=None, scope=Scope.ALL, reason=max(Reason, key=len), at=0)
    with pytest.raises(Unavailable):
        await logouts.end(Command(logout))
    assert len(scale.sizes) == PARTITIONS
    assert sum(scale.sizes) < ONE_READ
