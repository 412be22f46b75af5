"""Stalls of the machine: times at which Redis did not answer at once, though nobody stopped it.

Where a machine is busy, a replica may be right to call itself unready: what it asked is still on
its way, be it in Redis or in the links, which belong to the process that watches. So this process
asks Redis itself, by no link. A stall that it notes is a fault like any other to whoever asks
whether something was wrong (P5) or how long something may take (P2); it never excuses an answer
that is not true.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from tests.faults.history import Fault, History

STALL = "stall"
LONGEST_ANSWER = 0.5
"""Seconds after which an answer of Redis is late; the hub waits for it for one."""
LONGEST_WAIT = 5.0
"""Seconds after which it is asked anew."""
INTERVAL = 0.1


async def watch_stalls(ports: Sequence[int], history: History) -> None:
    """Note stalls in the history, until cancelled.

    Of several nodes the first to answer counts: the others may be stopped, which is no stall.
    """
    while True:
        start = time.monotonic()
        await _first_answer(ports)
        await asyncio.sleep(INTERVAL)
        end = time.monotonic()
        if end - start > LONGEST_ANSWER + INTERVAL:
            history.faults.append(Fault(STALL, None, start, end, undone=end))


async def _first_answer(ports: Sequence[int]) -> None:
    asked = [asyncio.create_task(_ask(port)) for port in ports]
    await asyncio.wait(asked, timeout=LONGEST_WAIT, return_when=asyncio.FIRST_COMPLETED)
    for task in asked:
        task.cancel()
    await asyncio.gather(*asked, return_exceptions=True)


async def _ask(port: int) -> None:
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return  # killed, which is in the history
    try:
        writer.write(b"PING\r\n")
        await reader.readline()
    except OSError:
        pass
    finally:
        writer.close()
