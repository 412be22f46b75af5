"""The values that the hub speaks of: frozen, compared by value, free of behaviour.

Times are whole microseconds since the Unix epoch (``Micros``), read from the store's clock. At the
edges they are NumericDate seconds (RFC 7519 section 2), like the ``iat`` of a token, so that a
client may compare the two.
"""

from __future__ import annotations

import enum
from typing import Annotated, TypeAlias
from urllib.parse import quote, unquote

import msgspec

Micros: TypeAlias = int
"""Microseconds since the Unix epoch; exact in JSON and in Lua up to the year 2255."""

SECOND: Micros = 1_000_000
MAX_NAME_LENGTH = 256
"""Characters in the name of a user, a session or an issuer."""

UserKey: TypeAlias = str
"""A user within its issuer, as `user_key` writes it: two issuers, two users."""

Sid: TypeAlias = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
"""The identifier of a session."""

Message: TypeAlias = Annotated[str, msgspec.Meta(max_length=500)]
"""Free text for the person who is logged out."""


class Scope(enum.StrEnum):
    """Which sessions of a user a logout ends."""

    ALL = "all"
    OTHERS = "others"
    SESSION = "session"


class Reason(enum.StrEnum):
    """Why sessions ended."""

    USER = "user"
    ADMIN = "admin"
    PASSWORD_CHANGED = "password_changed"  # noqa: S105 - a reason, not a password
    SUSPICIOUS = "suspicious"
    IDLE = "idle"
    EXPIRED = "expired"
    IDENTITY_PROVIDER = "identity_provider"
    POLICY = "policy"


class State(enum.StrEnum):
    """What became of one session of a logout."""

    ACKNOWLEDGED = "acknowledged"
    NOTIFIED = "notified"
    CUT = "cut"
    OFFLINE = "offline"


class Identity(msgspec.Struct, frozen=True):
    """Who a verified token speaks for. ``scopes`` are OAuth scopes, not a logout's.

    ``login_at`` is when the login behind the token began, where the token says so. A session is
    ``per_token`` when nothing in the token names the login, so that the next token of the same
    login is of another session. ``leeway`` is how far the issuer's clock may differ from the
    store's.
    """

    user: UserKey
    sub: str
    iss: str
    sid: str
    iat: Micros
    exp: Micros
    nbf: Micros = 0
    scopes: tuple[str, ...] = ()
    login_at: Micros | None = None
    per_token: bool = False
    leeway: Micros = 0

    @property
    def begun(self) -> Micros:
        """The time by which a logout judges the token: its login's, or else its own."""
        return self.iat if self.login_at is None else self.login_at


class Session(msgspec.Struct, frozen=True):
    """One login on one device, as the registry knows it.

    ``begun`` is the newest `Identity.begun` among the tokens that registered the session, and
    ``registered_at`` the moment when that token came: together they prove that the session is
    newer than a cut-off.
    """

    sid: str
    device: str
    ip: str
    created_at: Micros
    last_seen_at: Micros
    expires_at: Micros
    registered_at: Micros
    begun: Micros
    online: bool = False
    per_token: bool = False


class Logout(msgspec.Struct, frozen=True):
    """One command that ends sessions; ``user`` is None for everyone.

    ``sid`` is the session that scope ``session`` ends, or the one that scope ``others`` keeps.
    ``spread`` is over how many seconds the sockets are told, when there are many; the sessions
    are over at once all the same. ``at`` is 0 until the store has stamped it.
    """

    id: str
    user: UserKey | None
    scope: Scope
    reason: Reason
    sid: str | None = None
    message: str | None = None
    spread: int = 0
    at: Micros = 0


class RevocationState(msgspec.Struct, frozen=True):
    """All that the store knows about one session at one instant, ``now``."""

    now: Micros
    tombstone: Logout | None = None
    session: Session | None = None
    cutoffs: tuple[Logout, ...] = ()


class Outcome(msgspec.Struct, frozen=True):
    """What a logout did to one session; ``user`` where the receipt is of several.

    ``failed`` names what its clients said that they could not clear. While it is ``waiting``, a
    replica has yet to tell what became of it.
    """

    sid: str
    device: str
    state: State
    user: UserKey | None = None
    failed: tuple[str, ...] = ()
    waiting: bool = False


class Receipt(msgspec.Struct, frozen=True):
    """A logout that was written, and what happened to each session that it found.

    A receipt of everyone names no sessions; ``counts`` are those that replicas held, by what became
    of them. ``users`` is of how many users the receipt is. ``waiting`` is how many of its sessions
    a replica has yet to tell of, and ``counted`` once every replica has said which it holds.
    ``complete`` once nothing more will change. ``repeated`` when an idempotency key brought back
    what an earlier request had written.
    """

    logout: Logout
    sessions: tuple[Outcome, ...] = ()
    counts: dict[State, int] = {}
    users: int = 1
    waiting: int = 0
    counted: bool = True
    complete: bool = False
    repeated: bool = False


class Position(msgspec.Struct, frozen=True):
    """How far one partition of the log was read: the entry's id, within an epoch of the store.

    A store that lost what it knew begins another epoch; ids of two epochs cannot be compared.
    """

    epoch: str
    entry: str


def user_key(iss: str, sub: str) -> UserKey:
    """Return the key of a user: issuer and subject, escaped so that no two pairs are alike."""
    return f"{quote(iss, safe='')}|{quote(sub, safe='')}"


def split_user_key(user: UserKey) -> tuple[str, str]:
    """Return the issuer and the subject that `user_key` joined."""
    iss, _, sub = user.partition("|")
    return unquote(iss), unquote(sub)


def seconds(at: Micros) -> float:
    """Return a time as NumericDate seconds, the form in which it leaves the hub."""
    return at / SECOND
