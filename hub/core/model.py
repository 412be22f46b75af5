"""The hub's domain model: immutable values without behaviour.

Times are whole microseconds since the Unix epoch (``Micros``), by the store's clock. In the API
they are NumericDate seconds (RFC 7519 section 2), like the ``iat`` of a token, so that a client can
compare the two.
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
"""A user within an issuer entry, as `user_key` returns it."""

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
    """What happened to one session of a logout."""

    ACKNOWLEDGED = "acknowledged"
    NOTIFIED = "notified"
    CUT = "cut"
    OFFLINE = "offline"


class Identity(msgspec.Struct, frozen=True):
    """The user and session of a verified token. ``scopes`` are OAuth scopes, not a logout's.

    ``login_at`` is the time of the login, if the token states it. A session is ``per_token`` if the
    token does not identify the login, so that the next token of the same login has another session.
    ``leeway`` is how far the issuer's clock may differ from the store's. ``proof`` is by what the
    token was verified, for whoever verified it.
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
    proof: object = None

    @property
    def begun(self) -> Micros:
        """The time that is compared with logouts: that of the login, or else ``iat``."""
        return self.iat if self.login_at is None else self.login_at

    @property
    def valid_until(self) -> Micros:
        """The time at which the token expires: ``exp``, and the leeway."""
        return self.exp + self.leeway


class Session(msgspec.Struct, frozen=True):
    """One login on one device, as it is registered.

    ``begun`` is the newest `Identity.begun` among the tokens that registered the session, and
    ``registered_at`` the time when that token was presented: together they prove that the session
    is newer than a cut-off. ``login_at`` is what the newest token of those said that states it.
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
    login_at: Micros | None = None


class Origin(msgspec.Struct, frozen=True, omit_defaults=True):
    """Who ended sessions and why, as a signal said; kept with the logout.

    ``by`` is the sender's ``iss``, ``event`` a short name such as ``session-revoked``, ``title``
    the sender's name for people (from the settings), ``at`` the time of the event.
    """

    by: str
    event: str
    title: str | None = None
    at: Micros | None = None
    initiating_entity: str | None = None
    reason_admin: str | None = None


class Logout(msgspec.Struct, frozen=True):
    """One command that ends sessions; ``user`` is None for everyone.

    ``sid`` is the session that scope ``session`` ends, or the one that scope ``others`` keeps.
    Sockets are notified over ``spread`` seconds, but the sessions end at once. ``at`` is 0 until
    the store has set it. ``before`` limits the logout to logins begun at or before that time.
    ``profile`` says how thoroughly a page is to clear. ``origin`` is set if a signal asked for it.
    """

    id: str
    user: UserKey | None
    scope: Scope
    reason: Reason
    sid: str | None = None
    message: str | None = None
    spread: int = 0
    at: Micros = 0
    before: Micros | None = None
    profile: str | None = None
    origin: Origin | None = None

    @property
    def horizon(self) -> Micros:
        """The time at or before which a login must have begun for this logout to end it."""
        return self.at if self.before is None else self.before


class RevocationState(msgspec.Struct, frozen=True):
    """Everything that the store knows about a session at one instant, ``now``."""

    now: Micros
    tombstone: Logout | None = None
    session: Session | None = None
    cutoffs: tuple[Logout, ...] = ()


class Outcome(msgspec.Struct, frozen=True):
    """What a logout did to one session; ``user`` is set if the receipt covers several.

    ``failed`` names what its clients reported that they could not clear. ``waiting`` if the report
    of a replica is still pending.
    """

    sid: str
    device: str
    state: State
    user: UserKey | None = None
    failed: tuple[str, ...] = ()
    waiting: bool = False


class Receipt(msgspec.Struct, frozen=True):
    """A logout that was written, and what happened to each session that it ended.

    The receipt of a logout of everyone names no sessions; ``counts`` are the sessions that replicas
    held, by state. ``users`` is the number of users. ``waiting`` is the number of sessions with a
    pending report. ``counted`` once every replica has reported which sessions it holds.
    ``complete`` once nothing will change any more. ``repeated`` if an idempotency key returned the
    receipt of an earlier request.
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
    """How far the log of a partition was read: the id of an entry, within an epoch.

    A data loss begins a new epoch; ids of different epochs cannot be compared.
    """

    epoch: str
    entry: str


def user_key(iss: str, sub: str) -> UserKey:
    """Return the key of a user: issuer and subject, escaped so that each pair has its own key."""
    return f"{quote(iss, safe='')}|{quote(sub, safe='')}"


def split_user_key(user: UserKey) -> tuple[str, str]:
    """Return the issuer and the subject of a `user_key`."""
    iss, _, sub = user.partition("|")
    return unquote(iss), unquote(sub)


def seconds(at: Micros) -> float:
    """Return a time as NumericDate seconds, as in the API."""
    return at / SECOND
