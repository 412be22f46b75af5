"""What `Guard` and `SyncGuard` have in common."""

from __future__ import annotations

import functools
import os
import ssl
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self, TypeAlias, TypeVar

from hub.core.feed import Revocation
from hub.core.issuers import Entry
from hub.guard.core import Core
from hub.guard.options import OnMetric, OnStale, make_options, read_environ
from hub.guard.watches import Watched

T = TypeVar("T")
Session: TypeAlias = tuple[str, str, str | None, float | None, float | None]
"""User, session, issuer, when its login began, and when its token was issued: see `Guard.watch`."""


class BaseGuard:
    """The methods of a guard that never wait; see `hub.guard.Guard` for the arguments."""

    def __init__(
        self,
        url: str | Sequence[str],
        *,
        token: str,
        issuers: Sequence[Entry] = (),
        secret: str | None = None,
        admin_token: str | None = None,
        max_staleness: float = 10.0,
        on_stale: OnStale = "ask",
        start_timeout: float = 5.0,
        on_metric: OnMetric | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Raises ValueError, which names the argument, if one is invalid."""
        self._core = Core(
            make_options(
                url,
                token=token,
                issuers=issuers,
                secret=secret,
                admin_token=admin_token,
                max_staleness=max_staleness,
                on_stale=on_stale,
                start_timeout=start_timeout,
                on_metric=on_metric,
                tls=tls,
            )
        )
        weakref.finalize(self, self._core.close)

    @classmethod
    def from_environ(cls, environ: Mapping[str, str] = os.environ, **arguments: Any) -> Self:
        """Return a guard configured by the environment; ``arguments`` override or add to it.

        Raises:
            ValueError: in one line that names the variable, if one is missing or invalid.
        """
        return cls(**{**read_environ(environ), **arguments})

    @property
    def staleness(self) -> float:
        """How many seconds old the guard's knowledge is; infinite before it has any."""
        return self._core.staleness

    @property
    def is_ready(self) -> bool:
        """Whether the hub has said which revocations are in force."""
        return self._core.is_ready

    def now(self) -> float:
        """Return the store's time as a NumericDate: record it as the time of a login.

        Raises:
            Unavailable: until `is_ready`, unless ``on_stale`` is ``allow``.
        """
        return self._core.now()

    def on_logout(self, callback: Callable[[Revocation], Any]) -> Callable[[], None]:
        """Call ``callback`` with each logout from `is_ready` on, at least once.

        What was missed arrives as soon as the hub sends it, maybe without its id and texts, and
        several logouts of one user as the one that includes the others. Returns a function that
        unsubscribes.
        """
        one = Subscriber(callback)
        return subscribe(self._core.on_logout, one, self._where_callbacks_run(one.call, Revocation))

    def on_stale(self, callback: Callable[[bool], Any]) -> Callable[[], None]:
        """Call ``callback`` with True when the guard becomes stale, with False when fresh again.

        Returns a function that unsubscribes.
        """
        one = Subscriber(callback)
        return subscribe(self._core.on_stale, one, self._where_callbacks_run(one.call, bool))

    def _where_callbacks_run(
        self, callback: Callable[[T], Any], kind: type[T]
    ) -> Callable[[T], None]:
        """Return a function for the guard's thread that runs ``callback`` where it should run.

        ``kind`` is the type of what it is called with.
        """
        raise NotImplementedError

    def mint_ticket(
        self,
        user: str,
        sid: str,
        *,
        issuer: str | None = None,
        login_time: float | None = None,
        lifetime: float = 300,
        name: str | None = None,
        **claims: Any,
    ) -> str:
        """Return a token with which a browser of this session may connect to the hub.

        ``login_time`` is when the login began, ``lifetime`` is in seconds, ``name`` and ``claims``
        are further claims.

        Raises:
            Unavailable: when the guard has no secret.
        """
        return self._core.mint_ticket(
            user,
            sid,
            issuer=issuer,
            login_time=login_time,
            lifetime=lifetime,
            name=name,
            claims=claims,
        )


class BaseWatch:
    """The methods of a watch over a session that never wait."""

    def __init__(self, core: Core, session: Session) -> None:
        self._core = core
        self._session = session
        self._watched: Watched | None = None

    def cancel(self) -> None:
        """Stop watching."""
        if self._watched is not None:
            self._core.watches.discard(self._watched)


class Subscriber:
    """A function of the app, which is not called any more once it has unsubscribed."""

    def __init__(self, callback: Callable[[Any], Any]) -> None:
        self._callback: Callable[[Any], Any] | None = callback

    def call(self, value: Any) -> Any:
        """Call the function, and return its result."""
        return None if self._callback is None else self._callback(value)

    def stop(self) -> None:
        """Call it no more, not even with what waits."""
        self._callback = None


def subscribe(
    subscribers: list[Callable[[T], None]], subscriber: Subscriber, call: Callable[[T], None]
) -> Callable[[], None]:
    """Add the ``call`` of a subscriber, and return a function that removes only this one."""
    one = functools.partial(call)  # equal to itself alone: the same function may come twice
    subscribers.append(one)

    def unsubscribe() -> None:
        subscriber.stop()
        if one in subscribers:
            subscribers.remove(one)

    return unsubscribe
