"""Pipelined requests are answered in between those of other clients.

The bound: one of them in a turn of the loop, of all such connections together.
"""

from __future__ import annotations

import asyncio

from tests.attacks.apart import hub_apart
from tests.patience import PATIENCE

GET = b"GET /healthz HTTP/1.1\r\nHost: hub\r\n\r\n"
CROWD, MANY = 300, 20
END = b"}"


async def test_others_are_answered_between_the_requests_of_a_pipeline() -> None:
    """A request behind 6,000 others is answered before each connection has had one answer."""
    async with hub_apart() as hub:
        crowd = [await hub.connect() for _ in range(CROWD)]
        reader, writer = await hub.connect()
        answered = 0

        async def read_all(lines: asyncio.StreamReader) -> None:
            nonlocal answered
            for _ in range(MANY):
                await lines.readuntil(END)
                answered += 1

        reading = [asyncio.create_task(read_all(lines)) for lines, _ in crowd]
        for _, other in crowd:
            other.write(GET * MANY)
        await asyncio.sleep(0)
        writer.write(GET)
        async with asyncio.timeout(PATIENCE):
            assert b" 200 " in await reader.readuntil(END)
            before = answered
            await asyncio.gather(*reading)
        assert before < CROWD, before
        assert answered == CROWD * MANY
        for _, other in [*crowd, (reader, writer)]:
            other.close()
