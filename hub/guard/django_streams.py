"""Django's streaming responses, which end when their session does."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

from hub.core.feed import Revocation
from hub.core.model import Identity
from hub.guard.cutting import watch_arguments
from hub.guard.own_logout import Ended
from hub.guard.sync_guard import SyncGuard
from hub.guard.wsgi import End, Stream


def cut_with_session(guard: SyncGuard, identity: Identity, ended: Ended, response: Any) -> None:
    """Have a response end with the session, if it streams and does not state its length.

    That of a request that has ``ended`` its session itself is not cut.
    """
    if response.streaming and not response.has_header("Content-Length"):
        kind = AsyncStream if response.is_async else Stream
        response.streaming_content = kind(
            response.streaming_content, guard, identity, lambda: ended.includes(identity)
        )


class AsyncEnd(End):
    """The same, for whom an event loop waits: the running one."""

    def __init__(self, is_spared: Callable[[], bool]) -> None:
        self._is_spared = is_spared
        self._loop = asyncio.get_running_loop()
        self._waiting: asyncio.Timeout | None = None

    def note(self, revocation: Revocation) -> None:
        """Note the end, unless the response is not to be cut."""
        if self._is_spared():
            return
        super().note(revocation)
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits
            self._loop.call_soon_threadsafe(self._stop_waiting)

    def _stop_waiting(self) -> None:
        if self._waiting is not None:
            self._waiting.reschedule(0)

    async def unless_noted(self, part: Awaitable[bytes | None]) -> bytes | None:
        """Wait for the next part and return it, or None if the end is noted before."""
        waiting = asyncio.timeout(None)
        try:
            async with waiting:
                self._waiting = waiting
                try:
                    return await part
                finally:
                    self._waiting = None
        except TimeoutError:
            if waiting.expired():
                return None
            raise


class AsyncStream:
    """An asynchronous iterator over the parts of a response, which ends when the session does.

    It does so at once: the app is cancelled while it waits for its next part. It watches from its
    first part on, until the iteration ends in any way, since a response may be dropped without
    being closed.
    """

    def __init__(
        self,
        parts: AsyncGenerator[bytes],
        guard: SyncGuard,
        identity: Identity,
        is_spared: Callable[[], bool],
    ) -> None:
        self._parts = parts
        self._guard = guard
        self._identity = identity
        self._is_spared = is_spared
        self._watching = contextlib.ExitStack()

    async def __aiter__(self) -> AsyncGenerator[bytes]:
        """Return the parts, until the session ends."""
        end = AsyncEnd(self._is_spared)
        watch = self._guard.watch(*watch_arguments(self._identity))
        # Else the `finally` of the app's generator would wait until the response is gone.
        async with contextlib.aclosing(self._parts):
            with self._watching:
                self._watching.enter_context(watch).on_end(end.note)
                while not end.is_noted:
                    part = await end.unless_noted(anext(self._parts, None))
                    if part is None:
                        return
                    yield part

    def close(self) -> None:
        """Stop watching."""
        self._watching.close()
