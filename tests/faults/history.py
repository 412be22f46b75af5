"""What happened in a run: every operation, every socket, every fault, by one clock.

All times are seconds on the monotonic clock of the one process that watches. ``iat`` is the claim
as it stands in the token; `History.epoch` brings both together, since no fault touches the clock of
that process, nor that of Redis on the same machine.
"""

from __future__ import annotations

import msgspec

from hub.core.model import user_key
from hub.store.names import partition_of

SECOND = 1.0
MICROSECOND = 1e-6
ISSUER = "https://id.example"
"""Whose users all are."""
NEVER = 1e12
"""A time that does not come; finite, so that JSON can hold it."""


def latest(at: float) -> float:
    """Return the last instant that a stated time may mean; a whole second stands for all of it."""
    return round(at + SECOND - MICROSECOND, 6) if at == int(at) else at


class Token(msgspec.Struct, frozen=True):
    """Whose session a token speaks for, and when it says it was issued (Unix seconds).

    ``login`` is when its login began, where the token tells; it stays when the token is refreshed.
    """

    user: str
    sid: str
    iat: float
    login: float | None = None

    @property
    def begun(self) -> float:
        """When a logout takes it to have begun: a token is as old as its login."""
        return self.iat if self.login is None else self.login

    @property
    def latest(self) -> float:
        """The last instant at which it can have begun; a whole second stands for all of it.

        See "The same second" in docs/reference/tokens.md.
        """
        return latest(self.begun)


class Attempt(msgspec.Struct):
    """One request of a logout.

    ``outcome`` is ok, refused (by the hub, which says that it was not written), failed (it never
    reached the hub) or unknown.
    """

    replica: str
    start: float
    end: float = NEVER
    outcome: str = "unknown"
    detail: str = ""
    id: str | None = None
    at: float | None = None


class Logout(msgspec.Struct):
    """One logout: all its attempts have one idempotency key.

    ``users`` is None for everyone. ``sid`` is the session to end (scope session) or to keep
    (scope others); ``caller`` is the session that asked, which scope all ends by name.

    A signal is one, too: ``key`` is its ``jti``, and it is answered without an id or a time.
    ``happened`` is when that was which it reports (Unix seconds): later logins are none of its
    business.
    """

    key: str
    how: str
    users: tuple[str, ...] | None
    scope: str
    sid: str | None = None
    caller: str | None = None
    happened: float | None = None
    attempts: list[Attempt] = msgspec.field(default_factory=list)

    @property
    def is_signal(self) -> bool:
        """Whether the issuer says so, by a logout token or an event."""
        return self.how.startswith("signal")

    @property
    def reaches(self) -> float:
        """The last instant at which a login may have begun that it ends; the stated second's end.

        In Unix seconds; `NEVER` where no time is stated.
        """
        return NEVER if self.happened is None else latest(self.happened)

    @property
    def start(self) -> float:
        """When it was asked for first."""
        return self.attempts[0].start

    @property
    def answer(self) -> Attempt | None:
        """The first attempt that was answered ok."""
        answered = (attempt for attempt in self.attempts if attempt.outcome == "ok")
        return min(answered, key=lambda attempt: attempt.end, default=None)

    @property
    def may_have_happened(self) -> bool:
        """Whether any attempt was written, or may have been."""
        return any(attempt.outcome in ("ok", "unknown") for attempt in self.attempts)

    @property
    def was_unknown(self) -> bool:
        """Whether the outcome of any attempt is unknown."""
        return any(attempt.outcome == "unknown" for attempt in self.attempts)

    @property
    def is_of_one(self) -> bool:
        """Whether it is about a single user."""
        return self.users is not None and len(self.users) == 1

    def spares(self, sid: str) -> bool:
        """Tell whether a session of its users is out of its scope."""
        return {"all": False, "others": sid == self.sid, "session": sid != self.sid}[self.scope]

    @property
    def named(self) -> str | None:
        """The session that it ends by name, whatever its token's ``iat``."""
        return {"all": self.caller, "others": None, "session": self.sid}[self.scope]


class Check(msgspec.Struct):
    """A token was shown. ``kind`` is session, verify, connect or refresh.

    A guard was shown it, or the session that it speaks for, where ``kind`` begins with ``guard``;
    ``replica`` then is the guard.
    ``result`` is accepted, a refusal's code, or lost (no answer, or none that can be read).
    """

    kind: str
    token: Token
    replica: str
    start: float
    end: float = NEVER
    result: str = "lost"
    detail: str = ""

    @property
    def is_by_guard(self) -> bool:
        """Whether a guard judged it, not a replica."""
        return self.kind.startswith("guard")


class Notice(msgspec.Struct):
    """A ``logoutNotification`` that a socket was given."""

    time: float
    id: str
    reason: str
    scope: str
    sid: str | None
    at: float


class Socket(msgspec.Struct):
    """One accepted socket, from its acceptance to its end.

    ``closed_by`` is hub (its end of the connection), us, or nothing while it is open. ``cut`` is
    when the hub sent Socket.IO's DISCONNECT, ``code`` what its close frame said.
    """

    number: int
    token: Token
    replica: str
    manner: str
    accepted: float
    notices: list[Notice] = msgspec.field(default_factory=list)
    refreshes: list[Check] = msgspec.field(default_factory=list)
    cut: float | None = None
    code: int | None = None
    closed: float = NEVER
    closed_by: str = ""


class Call(msgspec.Struct):
    """An HTTP answer, or its absence, for what is asked of all answers alike."""

    what: str
    replica: str
    start: float
    end: float
    status: int | None
    retry_after: bool = False
    detail: str = ""

    @property
    def is_readiness(self) -> bool:
        """Whether it asked if the replica is ready."""
        return self.what == "GET /readyz"


class Fault(msgspec.Struct):
    """A fault that was in force for a while.

    ``target`` is a replica, a guard, or None: Redis, so all.

    ``partitions`` are those of a node, None where all are concerned. ``undone`` is when it began to
    be undone, ``end`` when all was up again. ``failure`` says what the hub did not do: end when
    asked to, or be ready again.
    """

    kind: str
    target: str | None
    start: float
    end: float = NEVER
    undone: float = NEVER
    failure: str = ""
    detail: str = ""
    partitions: list[int] | None = None

    def touches(self, replica: str, user: str | None = None) -> bool:
        """Tell whether a replica feels it, in what it does for a user if one is named."""
        if self.partitions is not None and user is not None:
            return partition_of(user_key(ISSUER, user)) in self.partitions
        return self.target in (None, replica)


class History(msgspec.Struct):
    """All of a run; ``epoch`` is the Unix time at which the monotonic clock showed 0."""

    epoch: float
    logouts: list[Logout] = msgspec.field(default_factory=list)
    checks: list[Check] = msgspec.field(default_factory=list)
    sockets: list[Socket] = msgspec.field(default_factory=list)
    calls: list[Call] = msgspec.field(default_factory=list)
    faults: list[Fault] = msgspec.field(default_factory=list)
    ended: float = NEVER
