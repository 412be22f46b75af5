"""What outlives a request, and is cut when its session ends, whatever the app is doing.

The client is cut at once, and the app is told in whatever way it is told that a client has left. An
app that does not react within `GRACE` is cancelled.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Any

from hub.core.feed import Revocation
from hub.core.model import Identity, seconds, split_user_key
from hub.guard.guard import Guard

log = logging.getLogger("logout_hub.guard")

ENDED = 4401
"""The code with which a WebSocket is closed when its session ends (RFC 6455 section 7.4.2)."""

GRACE = 5.0
"""Seconds that an app has to react when its client was cut, before its task is cancelled."""


class Cuttable:
    """Something that a task serves; `end` is the logout that ended its session."""

    end: Revocation | None = None
    _watching: asyncio.Task[None] | None = None
    _is_cancelled = False

    def __init__(self, guard: Guard, identity: Identity, task: asyncio.Task[Any] | None) -> None:
        self._guard = guard
        self._identity = identity
        self._task = task

    def watch(self) -> None:
        """Begin to watch the session."""
        self._watching = asyncio.create_task(self._cut_at_the_end())

    def stop_watching(self) -> None:
        """Watch no longer: the app is done."""
        if self._watching is not None:
            self._watching.cancel()

    async def cut(self, revocation: Revocation) -> None:
        """Cut the client, and tell the app; `OSError` or `RuntimeError`: it has left already."""
        raise NotImplementedError

    def takes_back(self) -> bool:
        """Return whether the app's task was cancelled by this alone, and take that back then."""
        return self._is_cancelled and self._task is not None and self._task.uncancel() == 0

    async def _cut_at_the_end(self) -> None:
        try:
            async with self._guard.watch(*name_login(self._identity)) as watch:
                self.end = await watch.ended()
            give_up = asyncio.get_running_loop().time() + GRACE
            with contextlib.suppress(OSError, RuntimeError):
                async with asyncio.timeout_at(give_up):
                    await self.cut(self.end)
            await asyncio.sleep(give_up - asyncio.get_running_loop().time())
        except Exception:
            log.exception("a session cannot be watched, so what it has open is closed")
        self._is_cancelled = True
        if self._task is not None:
            self._task.cancel()


def name_login(identity: Identity) -> tuple[str, str, str, float | None, float | None]:
    """Return what names a login to `Guard.watch`.

    These are user, session, issuer, and when it began, or else when its token was issued.
    """
    iss, user = split_user_key(identity.user)
    login = None if identity.login_at is None else seconds(identity.login_at)
    issued = seconds(identity.iat) if login is None else None
    return user, identity.sid, iss, login, issued
