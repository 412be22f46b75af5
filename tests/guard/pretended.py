"""A guard without a hub, for what middleware does with the verdicts of one."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Self

from hub.core.feed import Revocation
from hub.core.model import SECOND, Identity, Logout, Reason, Scope, user_key
from hub.errors import HubError, TokenInvalid, TokenRevoked
from hub.guard.own_logout import note_end

AT = 1_800_000_000


class PretendedWatch:
    """Tells when a session ends."""

    def __init__(self, guard: PretendedSyncGuard, sid: str) -> None:
        self._guard, self._sid = guard, sid
        self._calls: list[Callable[[Revocation], None]] = []

    def __enter__(self) -> Self:
        self._guard.watches.append((self._sid, self))
        return self

    def __exit__(self, *error: object) -> None:
        self._guard.watches.remove((self._sid, self))

    def on_end(self, call: Callable[[Revocation], None]) -> None:
        """Call this when the session ends, or at once if it has ended."""
        self._calls.append(call)
        if (revocation := self._guard.ended.get(self._sid)) is not None:
            call(revocation)

    def end(self, revocation: Revocation) -> None:
        """Tell that the session has ended."""
        for call in self._calls:
            call(revocation)


class PretendedSyncGuard:
    """Accepts tokens of the form ``user/sid``, until their session is ended."""

    def __init__(self) -> None:
        self.ended: dict[str, Revocation] = {}
        self.watches: list[tuple[str, PretendedWatch]] = []
        self.failure: HubError | None = None

    def check(self, token: str) -> Identity:
        """Return whose token it is."""
        user, slash, sid = token.partition("/")
        if not slash:
            raise TokenInvalid("it has no slash")
        return self.check_session(user, sid, AT)

    def check_session(
        self, user: str, sid: str, logged_in_at: float, issuer: str | None = None
    ) -> Identity:
        """Return whose session it is."""
        if self.failure is not None:
            raise self.failure
        if sid in self.ended:
            key = user_key("", user)
            reason = self.ended[sid].reason
            at = AT * SECOND
            raise TokenRevoked(
                logout=Logout(id="l", user=key, scope=Scope.ALL, reason=reason, at=at)
            )
        began = round(logged_in_at * SECOND)
        return Identity(
            user=user_key("", user), sub=user, iss="", sid=sid, iat=began, exp=began + SECOND
        )

    def watch(
        self,
        user: str,
        sid: str,
        issuer: str | None = None,
        logged_in_at: float | None = None,
        issued_at: float | None = None,
    ) -> PretendedWatch:
        """Watch a session."""
        return PretendedWatch(self, sid)

    def end_session(self, user: str, sid: str) -> None:
        """End a session on behalf of the request that is being answered."""
        note_end(user_key("", user), sid)
        self.end(sid)

    def end(self, sid: str) -> None:
        """End a session, as a logout does."""
        revocation = Revocation(
            scope=Scope.SESSION, reason=Reason.PASSWORD_CHANGED, at=AT, user="", sid=sid
        )
        self.ended[sid] = revocation
        for watched, watch in list(self.watches):
            if watched == sid:
                watch.end(revocation)


class Ending:
    """What an asynchronous watch is entered with."""

    def __init__(self) -> None:
        self.future: asyncio.Future[Revocation] = asyncio.get_running_loop().create_future()

    def on_end(self, call: Callable[[Revocation], None]) -> None:
        """Call this when the session ends."""
        self.future.add_done_callback(lambda future: call(future.result()))

    async def ended(self) -> Revocation:
        """Wait for the end."""
        return await self.future


class PretendedGuard:
    """The same for asyncio."""

    def __init__(self) -> None:
        self.sync = PretendedSyncGuard()

    async def check(self, token: str) -> Identity:
        """Return whose token it is."""
        return self.sync.check(token)

    async def check_session(
        self, user: str, sid: str, logged_in_at: float, issuer: str | None = None
    ) -> Identity:
        """Return whose session it is."""
        return self.sync.check_session(user, sid, logged_in_at, issuer)

    async def end_session(self, user: str, sid: str) -> None:
        """End a session on behalf of the request that is being answered."""
        self.sync.end_session(user, sid)

    @contextlib.asynccontextmanager
    async def watch(
        self,
        user: str,
        sid: str,
        issuer: str | None = None,
        logged_in_at: float | None = None,
        issued_at: float | None = None,
    ) -> AsyncIterator[Ending]:
        """Watch a session."""
        ending = Ending()
        with self.sync.watch(user, sid, issuer, logged_in_at) as watch:
            watch.on_end(ending.future.set_result)
            yield ending

    def end(self, sid: str) -> None:
        """End a session, as a logout does."""
        self.sync.end(sid)
