"""Cancels background tasks reliably.

redis-py may swallow a cancellation that arrives while it connects. A task that is cancelled only
once would then continue, and awaiting its end would never return.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

REPEAT_AFTER = 0.1
"""Seconds after which a task that has not ended is cancelled again."""


async def cancel(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel tasks, again and again, until all have ended; what they raised is discarded."""
    left = set(tasks)
    while left:
        for task in left:
            task.cancel()
        ended, left = await asyncio.wait(left, timeout=REPEAT_AFTER)
        await asyncio.gather(*ended, return_exceptions=True)
