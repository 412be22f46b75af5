"""The sessions that an app watches, to learn when they end."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeAlias

import msgspec

from hub.core.feed import Revocation, describe
from hub.core.model import Identity, Logout, Micros, Scope, split_user_key
from hub.errors import TokenRevoked, TokenTooOld
from hub.guard.revocations import Mark, Names, Revocations

OnEnd: TypeAlias = Callable[[Revocation], None]


class Watched:
    """A watched session; ``begun`` is the time of its login, if known.

    With ``is_renewed``, ``begun`` is when its token was issued, and the login may be older. A
    logout that names the session then always ends it, whatever its horizon, as it ends the token.

    ``mark`` holds the facts with which the hub accepted the session, if it was asked. ``on_end`` is
    called once, when the session has ended.
    """

    def __init__(
        self,
        names: Names,
        sid: str,
        begun: Micros | None,
        on_end: OnEnd,
        *,
        is_renewed: bool = False,
        mark: Mark = (),
    ) -> None:
        self.names = names
        self.sid = sid
        self.begun = begun
        self.is_renewed = is_renewed
        self.mark = mark
        self.on_end = on_end

    def is_ended_by(self, revocation: Revocation, partitions: int) -> bool:
        """Return whether a logout that was just written ends the session."""
        if self._is_named_by(revocation) and self.is_renewed:
            return True
        if self.begun is not None and revocation.horizon < self.begun:
            return False
        if revocation.user is None and revocation.scope is not Scope.SESSION:
            return revocation.partition in (None, self.names.slot % partitions)
        if self._is_named_by(revocation):
            return True
        return revocation.scope is Scope.ALL or (
            revocation.scope is Scope.OTHERS and revocation.sid != self.sid
        )

    def _is_named_by(self, revocation: Revocation) -> bool:
        if self.sid in revocation.sessions:
            return True
        if revocation.scope is not Scope.SESSION or revocation.sid != self.sid:
            return False
        iss, _ = split_user_key(self.names.user_key)
        return revocation.user is not None or revocation.iss == iss

    def find_end(self, revocations: Revocations, now: Micros) -> Revocation | None:
        """Return the logout that ended the session, by all known facts, or None.

        In the second of a logout, times in whole seconds prove nothing: the session then counts as
        ended, as in a check, unless the hub has accepted it since. A session without a time counts
        as ended by logouts written after the watch began.
        """
        mark = revocations.mark(self.names)
        is_known = bool(self.mark) or self.begun is not None
        is_new, self.mark = is_known and mark != self.mark, mark
        begun = 0 if self.begun is None else self.begun
        identity = Identity(
            user=self.names.user_key,
            sub="",
            iss="",
            sid=self.sid,
            iat=begun,
            exp=now + 1,
            login_at=None if self.begun is None or self.is_renewed else begun,
        )
        if self.begun is None and not is_new:
            tombstone = revocations.state(identity, now, self.names).tombstone
            return None if tombstone is None else self._as_revocation(tombstone)
        refusal = revocations.judge(identity, now, self.names)
        is_ended = isinstance(refusal, TokenRevoked) or (
            is_new and isinstance(refusal, TokenTooOld)
        )
        if not is_ended or refusal is None or refusal.logout is None:
            return None
        return self._as_revocation(refusal.logout)

    def _as_revocation(self, logout: Logout) -> Revocation:
        sid = self.sid if logout.scope is Scope.SESSION else None
        return describe(msgspec.structs.replace(logout, user=self.names.user_key, sid=sid))


class Watches:
    """All watched sessions, by user."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_user: dict[str, set[Watched]] = {}

    def add(self, watched: Watched) -> None:
        """Start watching; call `look_at` afterwards, in case the session has already ended."""
        with self._lock:
            self._by_user.setdefault(watched.names.user_key, set()).add(watched)

    def discard(self, watched: Watched) -> bool:
        """Stop watching a session; return whether it was watched."""
        with self._lock:
            of_user = self._by_user.get(watched.names.user_key, set())
            was_watched = watched in of_user
            of_user.discard(watched)
            if not of_user:
                self._by_user.pop(watched.names.user_key, None)
        return was_watched

    def end(self, revocation: Revocation, partitions: int) -> None:
        """Call ``on_end`` of the sessions that a logout has ended."""
        for watched in self._of(revocation.user_key):
            if watched.is_ended_by(revocation, partitions):
                self._end(watched, revocation)

    def look(self, revocations: Revocations, now: Micros) -> None:
        """Call ``on_end`` of the sessions that have ended, by all known facts."""
        for watched in self._of(None):
            self.look_at(watched, revocations, now)

    def look_at(self, watched: Watched, revocations: Revocations, now: Micros) -> None:
        """Do the same as `look` for one session."""
        if (found := watched.find_end(revocations, now)) is not None:
            self._end(watched, found)

    def _of(self, user: str | None) -> list[Watched]:
        with self._lock:
            if user is not None:
                return list(self._by_user.get(user, ()))
            return [watched for of_user in self._by_user.values() for watched in of_user]

    def _end(self, watched: Watched, revocation: Revocation) -> None:
        if self.discard(watched):
            watched.on_end(revocation)
