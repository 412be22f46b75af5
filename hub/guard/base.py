"""What both guards are made from, and what they have in common."""

from __future__ import annotations

import functools
import os
import ssl
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self, TypeAlias

from hub.core.feed import Revocation
from hub.core.issuers import Entry
from hub.guard.core import Core
from hub.guard.options import OnMetric, OnStale, make_options, read_environ
from hub.guard.watches import Watched

Session: TypeAlias = tuple[str, str, str | None, float | None, float | None]
"""User, session, issuer, when its login began, and when its token was issued: see `Guard.watch`."""


class BaseGuard:
    """A guard, without what may have to wait; see `hub.guard.Guard` for its arguments."""

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
        """Raises ValueError if an argument is not usable; names it."""
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
        """Return a guard with the arguments that the environment names; others may be given.

        Raises:
            ValueError: in one line that names the variable.
        """
        return cls(**{**read_environ(environ), **arguments})

    @property
    def staleness(self) -> float:
        """How many seconds old the guard's knowledge is; infinite before the first."""
        return self._core.staleness

    @property
    def is_ready(self) -> bool:
        """Whether the hub has said which revocations are in force."""
        return self._core.is_ready

    def now(self) -> float:
        """Return the store's time as NumericDate: what to date a login by.

        Raises:
            Unavailable: before the first `is_ready`, unless ``on_stale`` is ``allow``.
        """
        return self._core.now()

    def on_logout(self, tell: Callable[[Revocation], Any]) -> Callable[[], None]:
        """Call ``tell`` with each logout as it is heard; returns what ends that."""
        return subscribe(self._core.on_logout, self._where_callbacks_run(tell))

    def on_stale(self, tell: Callable[[bool], Any]) -> Callable[[], None]:
        """Call ``tell`` when the guard turns stale, with True, and fresh again, with False."""
        return subscribe(self._core.on_stale, self._where_callbacks_run(tell))

    def _where_callbacks_run(self, tell: Callable[..., Any]) -> Callable[..., None]:
        """Return what the guard's thread calls so that ``tell`` is called in the right place."""
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
    """The watch over a session, without what may have to wait."""

    def __init__(self, core: Core, session: Session) -> None:
        self._core = core
        self._session = session
        self._watched: Watched | None = None

    def cancel(self) -> None:
        """Watch no longer."""
        if self._watched is not None:
            self._core.watches.discard(self._watched)


def subscribe(
    subscribers: list[Callable[..., None]], tell: Callable[..., None]
) -> Callable[[], None]:
    """Add a subscriber, and return what removes it; whoever comes twice goes twice."""
    one = functools.partial(tell)  # which is equal to itself alone
    subscribers.append(one)

    def unsubscribe() -> None:
        if one in subscribers:
            subscribers.remove(one)

    return unsubscribe
