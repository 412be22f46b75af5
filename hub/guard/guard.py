"""The guard for asyncio."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from hub.core.feed import Revocation
from hub.core.model import Identity, Reason
from hub.guard.base import BaseGuard, BaseWatch, Session, T
from hub.guard.callbacks import LoopCalls, call_on_loop
from hub.guard.core import Core
from hub.guard.steps import arun


class Guard(BaseGuard):
    """Refuses tokens and sessions that were logged out, without asking the hub each time.

    ``url`` is the address of the hub, or a list of its replicas' addresses, and ``token`` its
    HUB_GUARD_TOKEN. ``issuers`` are the entries that verify tokens; without them, ``secret`` does.
    ``secret`` also signs tickets, and ``admin_token`` is needed to end sessions.

    A guard without a confirmation for ``max_staleness`` seconds asks the hub about each token
    (``on_stale="ask"``), refuses everything (``"refuse"``), or admits every session that it has
    not seen ended (``"allow"``).

    Use it as a context manager, or call `start` and `close`. Callbacks run on the event loop, and
    may be asynchronous.
    """

    _loop: asyncio.AbstractEventLoop | None = None

    async def start(self) -> None:
        """Start following the hub, and wait until it is ready, up to ``start_timeout``."""
        self._loop = asyncio.get_running_loop()
        await arun(self._core.opening())

    async def close(self) -> None:
        """Stop the guard and its threads."""
        await asyncio.to_thread(self._core.close)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def check(self, token: str) -> Identity:
        """Return the identity of a token.

        Raises:
            Unauthorized: when it is invalid, expired or revoked.
            Unavailable: when the guard cannot tell at the moment.
        """
        identity = self._core.recall(token)
        return identity if identity is not None else await arun(self._core.checking(token))

    async def check_session(
        self, user: str, sid: str, logged_in_at: float, issuer: str | None = None
    ) -> Identity:
        """Return the identity of an app's own session.

        ``logged_in_at`` is when the login began, by `now`. ``issuer`` is needed if there are
        several.

        Raises:
            Unauthorized: when the session was logged out, or is older than the hub remembers.
            Unavailable: when the guard cannot tell at the moment.
            InvalidRequest: when there can be no such session.
        """
        identity = self._core.recall_session(user, sid, logged_in_at, issuer)
        if identity is not None:
            return identity
        return await arun(self._core.checking_session(user, sid, logged_in_at, issuer))

    def watch(
        self,
        user: str,
        sid: str,
        issuer: str | None = None,
        logged_in_at: float | None = None,
        issued_at: float | None = None,
    ) -> Watch:
        """Return a context manager that reports the end of a session; see `Watch`.

        If the token does not say when its login began, pass ``issued_at``, the token's ``iat``,
        instead of ``logged_in_at``.
        """
        return Watch(self._core, (user, sid, issuer, logged_in_at, issued_at))

    async def end_session(
        self,
        user: str,
        sid: str,
        *,
        reason: str | Reason = Reason.USER,
        issuer: str | None = None,
    ) -> None:
        """End a session everywhere, by asking the hub; needs ``admin_token``.

        Raises:
            HubError: the hub's error, if it refuses.
            Unavailable: when it does not answer.
        """
        await arun(self._core.ending(user, sid, reason=reason, issuer=issuer))

    def _where_callbacks_run(
        self, callback: Callable[[T], Any], kind: type[T]
    ) -> Callable[[T], None]:
        """Return a function that calls ``callback`` on the loop, and holds the guard weakly."""
        guard = weakref.ref(self)
        calls: LoopCalls[T] | None = None

        def call(value: T) -> None:
            nonlocal calls
            loop = None if (alive := guard()) is None else alive._loop
            if loop is None:
                return
            if calls is None or calls.loop is not loop:
                calls = LoopCalls(loop, callback, kind)
            calls.add(value)

        return call


class Watch(BaseWatch):
    """A watch over a session, for the duration of its context."""

    def __init__(self, core: Core, session: Session) -> None:
        super().__init__(core, session)
        self._callbacks: list[Callable[[Revocation], Any]] = []
        self._end: asyncio.Future[Revocation] | None = None

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._end = loop.create_future()
        self._watched = self._core.watch(
            *self._session, lambda revocation: _call_on(loop, self._finish, revocation)
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.cancel()

    async def ended(self) -> Revocation:
        """Wait until the session has ended, and return the logout that ended it."""
        if self._end is None:
            raise RuntimeError("use a watch as a context manager")
        return await asyncio.shield(self._end)

    def on_end(self, callback: Callable[[Revocation], Any]) -> None:
        """Call ``callback``, which may be asynchronous, on the event loop once the session ends."""
        if self._end is not None and self._end.done():
            self._end.get_loop().call_soon(call_on_loop, callback, self._end.result())
        else:
            self._callbacks.append(callback)

    def _finish(self, revocation: Revocation) -> None:
        if self._end is not None and not self._end.done():
            self._end.set_result(revocation)
            for callback in self._callbacks:
                call_on_loop(callback, revocation)


def _call_on(
    loop: asyncio.AbstractEventLoop, callback: Callable[..., Any], *arguments: Any
) -> None:
    try:
        loop.call_soon_threadsafe(call_on_loop, callback, *arguments)
    except RuntimeError:
        return  # the loop is closed: there is nobody to call
