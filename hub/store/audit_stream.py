"""The copy of the audit logs in Redis: one stream of lines, of all replicas, as they were written.

It has a connection of its own, so that it neither holds up a logout nor ends with the store.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence

from hub.store.names import Names
from hub.store.script import Script, raw
from hub.store.topology import open_topology

KEPT = 100_000
"""Lines that are kept, about: the newest of all replicas."""

PAGE = 500

APPEND = Script("audit")
READ = Script("audit_page")
PART = 0
"""The partition whose Redis holds the stream; it is no user's."""


class AuditStream:
    """The stream at the Redis of ``url``. Close it after use."""

    def __init__(self, url: str) -> None:
        self._topology = open_topology(url)
        self._key = Names(None, PART).audit

    async def append(self, lines: Sequence[bytes]) -> None:
        """Append lines, each without its end.

        Raises:
            Unavailable: when Redis did not answer; any number of them may have been appended.
        """
        await self._topology.call(
            PART, APPEND, [self._key], {"kept": KEPT, "lines": [raw(line) for line in lines]}
        )

    async def read(self) -> AsyncGenerator[bytes]:
        """Yield each line that is kept, without its end, in the order of their coming.

        A line may come more than once, as `append` says.

        Raises:
            Unavailable: when Redis does not answer.
        """
        start = "-"
        while page := await self._topology.call(
            PART, READ, [self._key], {"start": start, "most": PAGE}
        ):
            for _, (_, line) in page:
                yield line
            start = f"({page[-1][0].decode()}"

    async def close(self) -> None:
        """Close the connection."""
        await self._topology.close()
