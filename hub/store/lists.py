"""Limits how many lists of sessions are read at once, since long lists are expensive."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from hub.core.model import UserKey
from hub.errors import RateLimited, Unavailable
from hub.store.base import TIME_LIMIT

AT_ONCE = 4
MAX_OF_USER = 16
MAX_WAITING = 1000
RETRY_AFTER = 1.0


class _Queue:
    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.length = 0


class ListLimiter:
    """Admits one list for each user at a time, and `AT_ONCE` in total; the others wait."""

    def __init__(self) -> None:
        self._gate = asyncio.Semaphore(AT_ONCE)
        self._queues: dict[UserKey, _Queue] = {}
        self._waiting = 0

    @contextlib.asynccontextmanager
    async def admit(self, user: UserKey) -> AsyncIterator[None]:
        """Wait until a list of this user may be read; read it inside the context.

        Waiting and reading together must not take longer than `TIME_LIMIT`.

        Raises:
            RateLimited: if too many lists of this user are already waiting.
            Unavailable: if too many lists of all users are, or it takes too long.
        """
        queue = self._queues.setdefault(user, _Queue())
        try:
            if queue.length >= MAX_OF_USER:
                raise RateLimited("too many lists of sessions at once", retry_after=RETRY_AFTER)
            if self._waiting >= MAX_WAITING:
                raise Unavailable("too many lists wait for the store")
            queue.length += 1
            self._waiting += 1
            try:
                async with asyncio.timeout(TIME_LIMIT), queue.lock, self._gate:
                    yield
            except TimeoutError:
                raise Unavailable("the store did not answer in time") from None
            finally:
                queue.length -= 1
                self._waiting -= 1
        finally:
            if not queue.length:
                self._queues.pop(user, None)
