"""The issuer entries: which tokens are accepted, where their keys are, and how claims are named.

An entry is a trust domain, and users belong to it. Entries come from the settings for a single
issuer, or from the ``[[issuer]]`` tables of a TOML file (`hub.core.issuers_document`).
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from urllib.parse import urlsplit

import msgspec

from hub.core.hosts import is_loopback
from hub.core.model import SECOND
from hub.core.tokens import Header, Rules
from hub.core.verification_keys import ALGORITHMS, check_secret, suiting_algorithms
from hub.errors import InvalidRequest, TokenInvalid

SYMMETRIC = tuple(name for name in ALGORITHMS if name.startswith("HS"))
ASYMMETRIC = tuple(name for name in ALGORITHMS if not name.startswith("HS"))
ANY = "*"


class IssuersError(ValueError):
    """The issuers are invalid; the message is one line that names the entry and the member."""


class Source(enum.StrEnum):
    """Where the keys of an issuer come from."""

    DISCOVERY = "discovery"
    JWKS_URL = "jwks_url"
    PUBLIC_KEY = "public_key"
    SECRET = "secret"  # noqa: S105 - the name of a member


class KeySource(msgspec.Struct, frozen=True):
    """A source of keys: a URL to discover or fetch them at, a public key in PEM, or secrets."""

    kind: Source
    values: tuple[str, ...]

    def __repr__(self) -> str:
        shown = "…" if self.kind is Source.SECRET else self.values
        return f"KeySource({self.kind.value}, {shown})"

    @property
    def is_fetched(self) -> bool:
        """Whether the keys come over the network."""
        return self.kind in (Source.DISCOVERY, Source.JWKS_URL)


class LogoutRules(msgspec.Struct, frozen=True):
    """What the logout tokens of an entry must satisfy.

    One of ``audience`` must be in their ``aud``: the ids under which the hub's apps are clients of
    the issuer. Without any, back-channel logout is off: the audience of an API is no client's id.
    ``user`` names the claim with the user where that is not ``sub``. ``require_exp`` is false for
    issuers that leave ``exp`` out.
    """

    audience: tuple[str, ...] = ()
    user: str | None = None
    require_exp: bool = True


NO_LOGOUT_TOKENS = LogoutRules()


class RevocationRules(msgspec.Struct, frozen=True):
    """What requests for global token revocation by an issuer must satisfy.

    One of ``audience`` must be in the ``aud`` of its assertions; without any, it may not ask.
    ``users`` is the ``iss`` of the entry whose users it names, if that is not its own;
    ``subjects`` are the formats whose id is a user's name there, if not the usual ones.
    With ``requires_user``, a user of this entry without a known session is an error.
    """

    audience: tuple[str, ...] = ()
    users: str | None = None
    subjects: tuple[str, ...] = ()
    requires_user: bool = False


NO_REVOCATION = RevocationRules()


class Entry(msgspec.Struct, frozen=True):
    """One issuer: what its tokens must be, and where its keys come from.

    ``title`` is its name for people, shown to those whose sessions it ended.
    """

    rules: Rules
    keys: KeySource
    preset: str | None = None
    logout: LogoutRules = NO_LOGOUT_TOKENS
    title: str | None = None
    revocation: RevocationRules = NO_REVOCATION

    @property
    def name(self) -> str:
        """The entry's name in messages: its ``iss``, or ``any issuer``."""
        return self.rules.issuer or "any issuer"


def make_entry(
    *,
    issuer: str | None,
    keys: KeySource,
    algorithms: tuple[str, ...],
    audience: tuple[str, ...],
    max_lifetime: float,
    leeway: float,
    aliases: tuple[str, ...] = (),
    preset: str | None = None,
    claims: dict[str, tuple[str, ...]] | None = None,
    lifetime_setting: str = "HUB_TOKEN_MAX_LIFETIME",
    logout: LogoutRules = NO_LOGOUT_TOKENS,
    title: str | None = None,
    revocation: RevocationRules = NO_REVOCATION,
) -> Entry:
    """Return an entry whose members are consistent; times are in seconds.

    Raises:
        ValueError: if they are not; names the member.
    """
    if keys.is_fetched:
        check_address(keys.kind.value, keys.values[0])
        if not audience:
            raise ValueError(
                "audience: is required where keys are fetched, since the same keys sign other "
                'apps\' tokens; "*" accepts any'
            )
    rules = Rules(
        algorithms=pin_algorithms(algorithms, keys),
        max_lifetime=round(max_lifetime * SECOND),
        issuer=issuer,
        aliases=aliases,
        audience=None if not audience or ANY in audience else audience,
        leeway=round(leeway * SECOND),
        lifetime_setting=lifetime_setting,
        **(claims or {}),
    )
    return Entry(rules, keys, preset, logout, title, revocation)


def pin_algorithms(algorithms: tuple[str, ...], keys: KeySource) -> tuple[str, ...]:
    """Return the algorithms to pin: the given ones if they suit the keys, or the default ones.

    An HS algorithm is never used with a public key (RFC 8725 section 2.1).

    Raises:
        ValueError: if one does not suit; names the member.
    """
    match keys.kind:
        case Source.SECRET:
            suiting, usual = SYMMETRIC, SYMMETRIC[:1]
        case Source.PUBLIC_KEY:
            suiting = _suiting(keys.values[0])
            usual = suiting[:1]
        case _:
            # Each key of a set is used only with algorithms for its type.
            suiting = usual = ASYMMETRIC
    for name in algorithms:
        if name not in ALGORITHMS:
            raise ValueError(f"algorithms: {name} is not one of {', '.join(ALGORITHMS)}")
        if name not in suiting:
            raise ValueError(f"algorithms: {name} does not suit the key")
    pinned = algorithms or usual
    if keys.kind is Source.SECRET:
        for secret in keys.values:
            check_secret(secret, pinned)
    return pinned


def _suiting(pem: str) -> tuple[str, ...]:
    try:
        return suiting_algorithms(pem)
    except ValueError as error:
        raise ValueError(f"public_key: {error}") from None


def check_address(member: str, url: str) -> None:
    """Check that keys may be fetched from a URL.

    Raises:
        ValueError: if it is neither https, nor http to a loopback address.
    """
    parts = urlsplit(url)
    if parts.scheme == "https" and parts.hostname:
        return
    if parts.scheme != "http" or not is_loopback(parts.hostname or ""):
        raise ValueError(f"{member}: keys are fetched over https only (or http from loopback)")


def check_entries(entries: Sequence[Entry]) -> None:
    """Check that entries do not conflict.

    Two entries with the same ``iss`` are the same users with keys from two sources. They must have
    different algorithms, so that each token matches one entry. A name must belong to one ``iss``.

    Raises:
        IssuersError: if they conflict; names the ``iss``.
    """
    owner: dict[str, str] = {}
    taken: set[tuple[str, str]] = set()
    for entry in entries:
        iss = entry.rules.issuer or ""
        for name in (iss, *entry.rules.aliases):
            if owner.setdefault(name, iss) != iss:
                raise IssuersError(f"aliases: {name} already belongs to {owner[name]}")
        for algorithm in entry.rules.algorithms:
            if (iss, algorithm) in taken:
                raise IssuersError(f"{iss}: two entries accept its {algorithm} tokens")
            taken.add((iss, algorithm))
    for entry in entries:
        if (users := entry.revocation.users) is not None and find_entry(entries, users) is None:
            raise IssuersError(f"revocation_users: no [[issuer]] is {users}")


def find_entry(entries: Sequence[Entry], iss: str) -> Entry | None:
    """Return the first entry that has this name or alias, or None."""
    for entry in entries:
        if iss == (entry.rules.issuer or "") or iss in entry.rules.aliases:
            return entry
    return None


def select_entry(entries: Sequence[Entry], header: Header, iss: object) -> Entry:
    """Return the entry that a token with this header and ``iss`` belongs to.

    Raises:
        TokenInvalid: when there is none; ``detail`` says whether by ``iss`` or by ``alg``.
    """
    named = [entry for entry in entries if entry.rules.is_of(iss)]
    # An entry without an issuer is for tokens that no other entry accepts.
    named.sort(key=lambda entry: entry.rules.issuer is None)
    for entry in named:
        if header.alg in entry.rules.algorithms:
            return entry
    if named:
        raise TokenInvalid("signed with an algorithm that is not allowed here")
    raise TokenInvalid("the token is of another issuer (iss)")


def resolve_issuer(entries: Sequence[Entry], iss: str | None) -> tuple[str, str | None]:
    """Return the ``iss`` of the entry that an administrator named, and a warning if there is none.

    If there is only one ``iss``, the name may be omitted. If the only entry accepts any issuer,
    every name refers to it.

    Raises:
        InvalidRequest: if there are several and none was named.
    """
    names = tuple(dict.fromkeys(entry.rules.issuer or "" for entry in entries))
    if len(names) == 1 and (iss is None or "" in names):
        return names[0], None
    if iss == "" and "" in names:
        return "", None
    if iss is None:
        listed = ", ".join(name or '""' for name in names)
        raise InvalidRequest(f"iss is needed, there are several issuers: {listed}")
    if (entry := find_entry(entries, iss)) is not None:
        return entry.rules.issuer or "", None
    return iss, f"no issuer of the settings is {iss}: there are {', '.join(names)}"
