"""The guard for threads."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from types import TracebackType
from typing import Any, Self

from hub.core.feed import Revocation
from hub.core.model import Identity, Reason
from hub.guard.base import BaseGuard, BaseWatch, Session, T
from hub.guard.callbacks import call_safely
from hub.guard.core import Core
from hub.guard.steps import run


class SyncGuard(BaseGuard):
    """The same as `hub.guard.Guard`, for threads; callbacks run in the guard's thread."""

    def start(self) -> None:
        """Start following the hub, and wait until it is ready, up to ``start_timeout``."""
        run(self._core.opening())

    def close(self) -> None:
        """Stop the guard and its threads."""
        self._core.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def now(self) -> float:
        """Return the store's time as a NumericDate; in a forked process, start the guard first."""
        run(self._core.settling())
        return super().now()

    def check(self, token: str) -> Identity:
        """Return the identity of a token; raises as `hub.guard.Guard.check` does."""
        identity = self._core.recall(token)
        return identity if identity is not None else run(self._core.checking(token))

    def check_session(
        self, user: str, sid: str, logged_in_at: float, issuer: str | None = None
    ) -> Identity:
        """Return the identity of a session, as `hub.guard.Guard.check_session` does."""
        identity = self._core.recall_session(user, sid, logged_in_at, issuer)
        if identity is not None:
            return identity
        return run(self._core.checking_session(user, sid, logged_in_at, issuer))

    def watch(
        self,
        user: str,
        sid: str,
        issuer: str | None = None,
        logged_in_at: float | None = None,
        issued_at: float | None = None,
    ) -> SyncWatch:
        """Return a context manager that reports the end of a session; see `SyncWatch`."""
        return SyncWatch(self._core, (user, sid, issuer, logged_in_at, issued_at))

    def end_session(
        self,
        user: str,
        sid: str,
        *,
        reason: str | Reason = Reason.USER,
        issuer: str | None = None,
    ) -> None:
        """End a session at the hub, as `hub.guard.Guard.end_session` does."""
        run(self._core.ending(user, sid, reason=reason, issuer=issuer))

    def _where_callbacks_run(
        self, callback: Callable[[T], Any], kind: type[T]
    ) -> Callable[[T], None]:
        return callback


class SyncWatch(BaseWatch):
    """A watch over a session, for the duration of its context."""

    def __init__(self, core: Core, session: Session) -> None:
        super().__init__(core, session)
        self._end: Future[Revocation] = Future()

    def __enter__(self) -> Self:
        self._watched = self._core.watch(*self._session, self._end.set_result)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.cancel()

    def ended(self, timeout: float | None = None) -> Revocation:
        """Wait until the session has ended, and return the logout that ended it.

        Raises:
            TimeoutError: when it has not ended within ``timeout`` seconds.
        """
        return self._end.result(timeout)

    def on_end(self, callback: Callable[[Revocation], Any]) -> None:
        """Call ``callback`` once the session has ended, in the guard's thread."""
        self._end.add_done_callback(lambda end: call_safely(callback, end.result()))
