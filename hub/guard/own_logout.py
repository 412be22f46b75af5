"""Knows which requests have ended their own session: their responses are not cut, but finished.

A middleware keeps one `Ended` for each request, and makes it the current one while the app answers.
A context variable is inherited by the tasks and threads that a framework starts for the request.
"""

from __future__ import annotations

from contextvars import ContextVar

from hub.core.model import Identity, UserKey


class Ended:
    """The sessions that a request has ended."""

    def __init__(self) -> None:
        self._names: set[tuple[UserKey, str]] = set()

    def add(self, user_key: UserKey, sid: str) -> None:
        """Note that the request ends a session; call this before the hub hears of it."""
        self._names.add((user_key, sid))

    def includes(self, identity: Identity) -> bool:
        """Return whether the request has ended this session."""
        return (identity.user, identity.sid) in self._names


current: ContextVar[Ended | None] = ContextVar("hub.guard.ended", default=None)
"""What the request has ended that is being answered; None outside of requests."""


def note_end(user_key: UserKey, sid: str) -> None:
    """Note that the request being answered, if there is one, ends a session."""
    if (ended := current.get()) is not None:
        ended.add(user_key, sid)
