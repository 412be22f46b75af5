"""What others say about sessions here: values that every kind of signal is turned into.

A signal arrives as a logout token, a security event or a request for token revocation. Reading one
yields a `Signal`, which names whom it is about, and what is to be done; `hub.access.signals` does
it. So each kind of message is read in one place, and all are carried out in another.
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
    """What became of a signal that was accepted."""

    ENDED = "ended"
    NOBODY = "nobody"
    """It was written, and met no session that the hub knows: one that shows up is refused."""
    REPEATED = "repeated"
    IGNORED = "ignored"
    """It asks for nothing that the hub does: an unknown event, or a subject of somebody else."""


class SignalRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of a signal, for operators; without a verdict, of some that were refused.

    ``by`` and ``event`` are as in `Origin`, ``id`` is the signal's, and ``logout`` that of the
    logout that it asked for. Those that were refused since the last record share one: ``times``
    says how many there were, and ``error`` why most of them were. ``at`` is 0 until the store has
    set it.
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
    """Whom a signal is about: all sessions of a user, or with ``sid`` one session.

    ``user`` is None if only the session is known. ``iss`` is the issuer entry's ``iss``.
    """

    iss: str
    user: UserKey | None = None
    sid: str | None = None


class Signal(msgspec.Struct, frozen=True):
    """One wish to end sessions.

    ``id`` is unique among those of the same sender (``origin.by``): a signal that comes again does
    nothing. ``before`` limits it to logins begun at or before that time; without it, which only
    a known user's signal may be, it is as of when it is written. ``message`` is for the person,
    ``profile`` for the page: how thoroughly to clear. ``issued_at`` is when the sender signed it.
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
