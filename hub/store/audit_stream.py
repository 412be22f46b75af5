"""The copy of the audit logs in Redis: one stream with the lines of all replicas.

It has its own connection, so that it neither delays logouts nor is closed with the store.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence

from hub.store.names import Names
from hub.store.script import Script, raw
from hub.store.topology import open_topology

KEPT = 100_000
"""How many lines are kept, approximately: the newest of all replicas."""

PAGE = 500

APPEND = Script("append")
READ = Script("page")
PARTITION = 0
"""The partition on whose server the stream is kept; it does not belong to a user."""


class AuditStream:
    """The stream at the Redis of ``url``. Close it after use."""

    def __init__(self, url: str) -> None:
        self._topology = open_topology(url)
        self._key = Names(None, PARTITION).audit

    async def append(self, lines: Sequence[bytes]) -> None:
        """Append lines, each without its newline.

        Raises:
            Unavailable: if Redis did not answer; any number of them may have been appended.
        """
        await self._topology.call(
            PARTITION, APPEND, [self._key], {"kept": KEPT, "lines": [raw(line) for line in lines]}
        )

    async def read(self) -> AsyncGenerator[bytes]:
        """Yield each line that is kept, without its newline, oldest first.

        A line occurs more than once if it was appended again after an error.

        Raises:
            Unavailable: if Redis does not answer.
        """
        start = "-"
        while page := await self._topology.call(
            PARTITION, READ, [self._key], {"start": start, "most": PAGE}
        ):
            for _, (_, line) in page:
                yield line
            start = f"({page[-1][0].decode()}"

    async def close(self) -> None:
        """Close the connection."""
        await self._topology.close()
