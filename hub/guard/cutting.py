"""Cuts WebSockets and streams when their session ends, whatever the app is doing.

The client is cut at once, and the app learns of it as it would of a client that has disconnected.
If the app has not returned after `GRACE`, its task is cancelled.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Iterator
from typing import Any

from hub.core.feed import Revocation
from hub.core.model import Identity, seconds, split_user_key
from hub.guard.guard import Guard
from hub.guard.own_logout import Ended

log = logging.getLogger("logout_hub.guard")

ENDED = 4401
"""The close code of a WebSocket whose session has ended (RFC 6455 section 7.4.2)."""

GRACE = 5.0
"""Seconds between cutting the client and cancelling the app's task."""


class Cuttable:
    """A WebSocket or response that a task serves; `end` is the logout that ended its session."""

    end: Revocation | None = None
    _watching: asyncio.Task[None] | None = None
    _is_cancelled = False

    def __init__(self, guard: Guard, identity: Identity, task: asyncio.Task[Any] | None) -> None:
        self._guard = guard
        self._identity = identity
        self._task = task

    def watch(self) -> None:
        """Start watching the session, unless that was done before."""
        if self._watching is None:
            self._watching = asyncio.create_task(self._cut_at_the_end())

    def stop_watching(self) -> None:
        """Stop watching: the app has finished."""
        if self._watching is not None:
            self._watching.cancel()

    def is_spared(self) -> bool:
        """Return whether not to cut it: it is over, or the answer to what ended the session."""
        return False

    async def cut(self, revocation: Revocation) -> None:
        """Cut the client, and let the app know.

        Raises:
            OSError, RuntimeError: if the client has already disconnected.
        """
        raise NotImplementedError

    def absorbs_cancellation(self) -> bool:
        """Return whether only this cancelled the app's task; if so, undo the cancellation."""
        return self._is_cancelled and self._task is not None and self._task.uncancel() == 0

    async def _cut_at_the_end(self) -> None:
        try:
            async with self._guard.watch(*watch_arguments(self._identity)) as watch:
                end = await watch.ended()
            if self.is_spared():
                return
            self.end = end
            give_up = asyncio.get_running_loop().time() + GRACE
            with contextlib.suppress(OSError, RuntimeError):
                async with asyncio.timeout_at(give_up):
                    await self.cut(self.end)
            await asyncio.sleep(give_up - asyncio.get_running_loop().time())
        except Exception:
            log.exception("a session cannot be watched, so its WebSocket or stream is closed")
        self._is_cancelled = True
        if self._task is not None:
            self._task.cancel()


@contextlib.asynccontextmanager
async def until_end(guard: Guard, identity: Identity, ended: Ended) -> AsyncIterator[None]:
    """Leave the context when the session ends, whatever is awaited in it: that is cancelled.

    It is not left if the request itself has ``ended`` the session.
    """
    loop = asyncio.get_running_loop()
    async with guard.watch(*watch_arguments(identity)) as watch:
        limit = asyncio.timeout(None)

        def leave(_: Revocation) -> None:
            if ended.includes(identity):
                return
            with contextlib.suppress(RuntimeError):  # the context has been left by itself
                limit.reschedule(loop.time())

        try:
            async with limit:
                watch.on_end(leave)
                yield
        except TimeoutError:
            if not limit.expired():
                raise


def leaves(error: BaseException) -> Iterator[BaseException]:
    """Return the errors that a task group has collected, or the error itself if it is no group."""
    if isinstance(error, BaseExceptionGroup):
        for one in error.exceptions:
            yield from leaves(one)
    else:
        yield error


def watch_arguments(identity: Identity) -> tuple[str, str, str, float | None, float | None]:
    """Return the arguments for `Guard.watch`.

    They are user, session, issuer, and when the login began or else when its token was issued.
    """
    iss, user = split_user_key(identity.user)
    login = None if identity.login_at is None else seconds(identity.login_at)
    issued = seconds(identity.iat) if login is None else None
    return user, identity.sid, iss, login, issued
