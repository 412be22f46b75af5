"""Django's streaming responses, which end when their session does."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable
from typing import Any, Self

from hub.core.feed import Revocation
from hub.core.model import Identity
from hub.guard.cutting import watch_arguments
from hub.guard.own_logout import Ended
from hub.guard.sync_guard import SyncGuard
from hub.guard.wsgi import Stream


def cut_with_session(guard: SyncGuard, identity: Identity, ended: Ended, response: Any) -> None:
    """Have a response end with the session, if it streams and does not state its length.

    That of a request that has ``ended`` its session itself is not cut.
    """
    if response.streaming and not response.has_header("Content-Length"):
        kind = AsyncStream if response.is_async else Stream
        response.streaming_content = kind(
            response.streaming_content, guard, identity, lambda: ended.includes(identity)
        )


class AsyncStream:
    """An asynchronous iterator over the parts of a response, which ends when the session does.

    It does so at once: the app is cancelled while it waits for its next part. It watches from its
    first part on, since a response may be dropped without being closed.
    """

    def __init__(
        self,
        parts: AsyncGenerator[bytes],
        guard: SyncGuard,
        identity: Identity,
        is_spared: Callable[[], bool],
    ) -> None:
        self._parts = parts
        self._is_ended = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting: asyncio.Timeout | None = None
        self._guard = guard
        self._identity = identity
        self._is_spared = is_spared
        self._watching = contextlib.ExitStack()

    def _end(self, revocation: Revocation) -> None:
        """Note the end, in the guard's thread."""
        if self._is_spared():
            return
        self._is_ended = True
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits
                self._loop.call_soon_threadsafe(self._stop_waiting)

    def _stop_waiting(self) -> None:
        if self._waiting is not None:
            self._waiting.reschedule(0)

    def __aiter__(self) -> Self:
        """Return itself."""
        return self

    async def __anext__(self) -> bytes:
        """Return the next part, unless the session ends before there is one."""
        if self._loop is None:
            watch = self._guard.watch(*watch_arguments(self._identity))
            self._watching.enter_context(watch).on_end(self._end)
        self._loop = asyncio.get_running_loop()  # before the look at what the thread may note
        if self._is_ended:
            await self._parts.aclose()  # else its `finally` would wait until the response is gone
            raise StopAsyncIteration
        waiting = asyncio.timeout(None)
        try:
            async with waiting:
                self._waiting = waiting
                try:
                    return await anext(self._parts)
                finally:
                    self._waiting = None
        except TimeoutError:
            if waiting.expired():
                raise StopAsyncIteration from None
            raise

    def close(self) -> None:
        """Stop watching."""
        self._watching.close()
