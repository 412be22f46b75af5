"""Reads an ``[[issuer]]`` table of the issuers file."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from hub.core.issuers import ANY, Entry, KeySource, LogoutRules, RevocationRules, Source, make_entry
from hub.core.presets import PRESETS, USUAL, Preset
from hub.core.tables import Text, Texts, as_texts, check_names, check_title, convert
from hub.core.transmitters import read_formats


class Table(msgspec.Struct, forbid_unknown_fields=True):
    """The members of a table, as written in the file."""

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
    require_exp: bool | None = None
    revocation_audience: Text | Texts | None = None
    revocation_users: Text | None = None
    revocation_subjects: Text | Texts | None = None
    unknown_user: Literal["accept", "error"] = "accept"
    title: Text | None = None


def read_entry(table: Any, *, max_lifetime: float, leeway: float) -> Entry:
    """Return the entry of a table; times that it does not set are the given ones, in seconds.

    Raises:
        ValueError: if the table is not valid; names the member.
    """
    members = convert(table, Table)
    if members.preset is not None and members.preset not in PRESETS:
        raise ValueError(f"preset: {members.preset} is not one of {', '.join(PRESETS)}")
    preset = USUAL if members.preset is None else PRESETS[members.preset]
    if members.iss is None and not (members.secret or members.public_key):
        raise ValueError("iss: is missing; it is optional only with a secret or a public_key")
    check_names("iss", members.iss or "-")
    check_names("aliases", *members.aliases)
    check_title(members.title)
    return make_entry(
        issuer=members.iss,
        aliases=tuple(members.aliases),
        keys=_key_source(members, preset),
        algorithms=as_texts(members.algorithms) or preset.algorithms,
        audience=as_texts(members.audience),
        preset=members.preset,
        claims={
            name: as_texts(getattr(members, name)) or getattr(preset, name)
            for name in ("audience_claims", "user", "session", "login_time")
        },
        max_lifetime=members.max_lifetime or max_lifetime,
        leeway=leeway if members.leeway is None else members.leeway,
        lifetime_setting="max_lifetime" if members.max_lifetime else "HUB_TOKEN_MAX_LIFETIME",
        logout=_logout_rules(members, preset),
        revocation=_revocation_rules(members),
        title=members.title,
    )


def _logout_rules(members: Table, preset: Preset) -> LogoutRules:
    if ANY in as_texts(members.logout_audience):
        raise ValueError("logout_audience: names clients, and cannot be any")
    return LogoutRules(
        audience=as_texts(members.logout_audience),
        user=members.logout_user,
        require_exp=preset.require_exp if members.require_exp is None else members.require_exp,
    )


def _revocation_rules(members: Table) -> RevocationRules:
    audience = as_texts(members.revocation_audience)
    if ANY in audience:
        raise ValueError("revocation_audience: names this hub, and cannot be any")
    for name in ("revocation_users", "revocation_subjects"):
        if getattr(members, name) is not None and not audience:
            raise ValueError(f"{name}: does nothing without revocation_audience")
    if audience and members.iss is None:
        raise ValueError("revocation_audience: needs an iss")
    return RevocationRules(
        audience=audience,
        users=members.revocation_users,
        subjects=read_formats("revocation_subjects", as_texts(members.revocation_subjects)),
        requires_user=members.unknown_user == "error",
    )


def _key_source(members: Table, preset: Preset) -> KeySource:
    given = {
        Source.DISCOVERY: as_texts(members.iss) if members.discovery else (),
        Source.JWKS_URL: as_texts(members.jwks_url),
        Source.PUBLIC_KEY: as_texts(members.public_key),
        Source.SECRET: as_texts(members.secret),
    }
    named = [KeySource(kind, values) for kind, values in given.items() if values]
    if len(named) > 1:
        names = ", ".join(source.kind.value for source in named)
        raise ValueError(f"{names}: keys come from one of them; a second entry may have the other")
    if named:
        return named[0]
    if members.discovery is False or preset.uses_secret:
        raise ValueError("secret, public_key or jwks_url: one of them is missing")
    iss = members.iss or ""
    if preset.jwks_path is not None:
        return KeySource(Source.JWKS_URL, (iss.rstrip("/") + preset.jwks_path,))
    return KeySource(Source.DISCOVERY, (iss,))
