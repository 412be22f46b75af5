"""The issuer entries: which tokens are accepted, where their keys are, and how claims are named.

An entry is a trust domain, and users belong to it. Entries come from the settings for a single
issuer, or from the ``[[issuer]]`` tables of a TOML file.
"""

from __future__ import annotations

import enum
import tomllib
from collections.abc import Sequence
from typing import Annotated, Any
from urllib.parse import urlsplit

import msgspec

from hub.core.claims import is_name
from hub.core.hosts import is_loopback
from hub.core.model import SECOND
from hub.core.presets import PRESETS, USUAL, Preset
from hub.core.tokens import (
    ALGORITHMS,
    Rules,
    check_secret,
    suiting_algorithms,
)
from hub.errors import InvalidRequest

SYMMETRIC = tuple(name for name in ALGORITHMS if name.startswith("HS"))
ASYMMETRIC = tuple(name for name in ALGORITHMS if not name.startswith("HS"))
ANY = "*"
MAX_ENTRIES = 100
OTHER_TABLES = ("transmitter", "client", "relying_party", "webhook")
"""Tables of the same file that are reserved for planned features."""


class IssuersError(ValueError):
    """The issuers are not usable; the message is one line that names the entry and the member."""


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


class Entry(msgspec.Struct, frozen=True):
    """One issuer: what its tokens must be, and where its keys come from."""

    rules: Rules
    keys: KeySource
    preset: str | None = None

    @property
    def name(self) -> str:
        """The entry's name in messages: its ``iss``, or ``any issuer``."""
        return self.rules.issuer or "any issuer"


Text = Annotated[str, msgspec.Meta(min_length=1, max_length=2048)]
Texts = Annotated[list[Text], msgspec.Meta(min_length=1, max_length=20)]


class _Table(msgspec.Struct, forbid_unknown_fields=True):
    """An ``[[issuer]]`` table of the file."""

    iss: Text | None = None
    aliases: list[Text] = []
    preset: str | None = None
    discovery: bool | None = None
    jwks_url: Text | None = None
    public_key: Text | None = None
    secret: Text | Texts | None = None
    algorithms: Texts | None = None
    audience: Text | Texts | None = None
    audience_claims: Text | Texts | None = None
    user: Text | Texts | None = None
    session: Text | Texts | None = None
    login_time: Text | Texts | None = None
    max_lifetime: Annotated[float, msgspec.Meta(ge=1, le=31_536_000)] | None = None
    leeway: Annotated[float, msgspec.Meta(ge=0, le=300)] | None = None
    logout_audience: Text | Texts | None = None
    logout_user: Text | None = None
    require_exp: bool = True


def read_entries(text: str, *, max_lifetime: float, leeway: float) -> tuple[Entry, ...]:
    """Return the entries of an issuers file.

    ``max_lifetime`` and ``leeway`` are the defaults for entries that do not set them, in seconds.

    Raises:
        IssuersError: if the file is not valid; names the entry and the member.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise IssuersError(f"not TOML: {error}") from None
    tables = document.pop("issuer", [])
    for name in document:
        planned = name in OTHER_TABLES
        raise IssuersError(
            f"{name} is planned and does nothing yet" if planned else f"{name} is unknown"
        )
    if not isinstance(tables, list) or not 0 < len(tables) <= MAX_ENTRIES:
        raise IssuersError(f"needs 1 to {MAX_ENTRIES} tables [[issuer]]")
    entries = tuple(
        _read_table(number, table, max_lifetime, leeway) for number, table in enumerate(tables, 1)
    )
    check_entries(entries)
    return entries


def _read_table(number: int, table: Any, max_lifetime: float, leeway: float) -> Entry:
    given = table.get("iss") if isinstance(table, dict) else None
    where = f"issuer {number}" + (f" ({given})" if isinstance(given, str) else "")
    try:
        return _entry(_convert(table), max_lifetime, leeway)
    except ValueError as error:
        raise IssuersError(f"{where}: {error}") from None


def _convert(table: Any) -> _Table:
    try:
        return msgspec.convert(table, _Table)
    except msgspec.ValidationError as error:
        # "Expected `str`, got `int` - at `$.audience`": put the member first.
        text, _, place = str(error).partition(" - at `$.")
        raise ValueError(f"{place.rstrip('`')}: {text}" if place else text) from None


def _entry(table: _Table, max_lifetime: float, leeway: float) -> Entry:
    if table.preset is not None and table.preset not in PRESETS:
        raise ValueError(f"preset: {table.preset} is not one of {', '.join(PRESETS)}")
    preset = USUAL if table.preset is None else PRESETS[table.preset]
    if table.iss is None and not (table.secret or table.public_key):
        raise ValueError("iss: is missing; only the owner of a key of its own needs no name")
    for member, names in (("iss", [table.iss or "-"]), ("aliases", table.aliases)):
        if not all(is_name(name) for name in names):
            raise ValueError(f"{member}: a name has 1 to 256 characters and no controls")
    return make_entry(
        issuer=table.iss,
        aliases=tuple(table.aliases),
        keys=_key_source(table, preset),
        algorithms=_texts(table.algorithms) or preset.algorithms,
        audience=_texts(table.audience),
        preset=table.preset,
        claims={
            name: _texts(getattr(table, name)) or getattr(preset, name)
            for name in ("audience_claims", "user", "session", "login_time")
        },
        max_lifetime=table.max_lifetime or max_lifetime,
        leeway=leeway if table.leeway is None else table.leeway,
        lifetime_setting="max_lifetime" if table.max_lifetime else "HUB_TOKEN_MAX_LIFETIME",
    )


def _texts(value: str | list[str] | None) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value or ())


def _key_source(table: _Table, preset: Preset) -> KeySource:
    given = {
        Source.DISCOVERY: _texts(table.iss) if table.discovery else (),
        Source.JWKS_URL: _texts(table.jwks_url),
        Source.PUBLIC_KEY: _texts(table.public_key),
        Source.SECRET: _texts(table.secret),
    }
    named = [KeySource(kind, values) for kind, values in given.items() if values]
    if len(named) > 1:
        names = ", ".join(source.kind.value for source in named)
        raise ValueError(f"{names}: keys come from one of them; a second entry may have the other")
    if named:
        return named[0]
    if table.discovery is False or preset.uses_secret:
        raise ValueError("secret, public_key or jwks_url: one of them is missing")
    iss = table.iss or ""
    if preset.jwks_path is not None:
        return KeySource(Source.JWKS_URL, (iss.rstrip("/") + preset.jwks_path,))
    return KeySource(Source.DISCOVERY, (iss,))


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
                'apps\' tokens; "*" takes any'
            )
    rules = Rules(
        algorithms=_check_algorithms(algorithms, keys),
        max_lifetime=round(max_lifetime * SECOND),
        issuer=issuer,
        aliases=aliases,
        audience=None if not audience or ANY in audience else audience,
        leeway=round(leeway * SECOND),
        lifetime_setting=lifetime_setting,
        **(claims or {}),
    )
    return Entry(rules, keys, preset)


def _check_algorithms(algorithms: tuple[str, ...], keys: KeySource) -> tuple[str, ...]:
    """Return the algorithms to pin: the given ones if they suit the keys, or the default ones.

    An HS algorithm is never used with a public key (RFC 8725 section 2.1).
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
                raise IssuersError(f"aliases: {name} is of {owner[name]} already")
        for algorithm in entry.rules.algorithms:
            if (iss, algorithm) in taken:
                raise IssuersError(f"{iss}: two entries take its {algorithm} tokens")
            taken.add((iss, algorithm))


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
    for entry in entries:
        if iss == entry.rules.issuer or iss in entry.rules.aliases:
            return entry.rules.issuer or "", None
    return iss, f"no issuer of the settings is {iss}: there are {', '.join(names)}"
