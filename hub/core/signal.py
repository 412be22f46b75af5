"""Signals: messages from other systems that end sessions, in one form for all protocols.

A signal arrives as a logout token, a security event or a request for token revocation. Each of
these is parsed by its own module into a `Signal`, which `hub.access.signals` carries out.
"""

from __future__ import annotations

import enum

import msgspec

from hub.core.model import Micros, Origin, Reason, UserKey


class Channel(enum.StrEnum):
    """How a signal reached the hub."""

    BACKCHANNEL = "backchannel"
    PUSH = "push"
    POLL = "poll"
    GLOBAL = "global"


class Verdict(enum.StrEnum):
    """The result of a signal that was accepted."""

    ENDED = "ended"
    NOBODY = "nobody"
    """It was written, but no session was known; one that is presented later is refused."""
    REPEATED = "repeated"
    IGNORED = "ignored"
    """It requires no action: an unknown event, or a subject that is not a user of this hub."""


class SignalRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """The result of a signal, for operators; without a verdict, of several that were refused.

    ``by`` and ``event`` are as in `Origin`, ``id`` is the signal's, ``logout`` is the id of the
    logout that it caused. Signals that were refused since the last record share one: ``times`` is
    their number, ``error`` the most frequent reason. ``at`` is 0 until the store has set it.
    """

    channel: Channel
    verdict: Verdict | None = None
    by: str | None = None
    event: str | None = None
    id: str | None = None
    logout: str | None = None
    error: str | None = None
    times: int = 1
    at: Micros = 0


class Target(msgspec.Struct, frozen=True):
    """The sessions that a signal ends: all sessions of a user, or with ``sid`` one session.

    ``user`` is None if only the session is known. ``iss`` is the issuer entry's ``iss``.
    """

    iss: str
    user: UserKey | None = None
    sid: str | None = None


class Signal(msgspec.Struct, frozen=True):
    """A request of another system to end sessions.

    ``id`` is unique for a sender (``origin.by``): a repeated signal does nothing. ``before`` limits
    it to logins begun at or before that time, by their issuer's clock, which may be ahead; without
    it, the time of writing counts, and the user must be known. ``message`` is for the person,
    ``profile`` says how thoroughly pages clear. ``also`` ends too: what else the sender may mean.
    ``issued_at`` is when the sender signed it.
    """

    channel: Channel
    id: str
    target: Target
    origin: Origin
    reason: Reason
    issued_at: Micros
    before: Micros | None = None
    message: str | None = None
    profile: str | None = None
    also: Target | None = None

    @property
    def targets(self) -> tuple[Target, ...]:
        """All that it ends."""
        return (self.target,) if self.also is None else (self.target, self.also)
