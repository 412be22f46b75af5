"""The ``[[transmitter]]`` tables: who sends security events, and what each event does.

A transmitter belongs to one issuer entry, and can end sessions of that entry's users only.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Annotated, Any
from urllib.parse import urlsplit, urlunsplit

import msgspec

from hub.core.event_types import NOTHING, STREAM_EVENTS, EventType, Reaction, read_reactions
from hub.core.issuers import (
    Entry,
    KeySource,
    Source,
    check_address,
    find_entry,
    pin_algorithms,
)
from hub.core.model import SECOND
from hub.core.tables import Text, Texts, as_texts, check_names, check_title, convert
from hub.core.tokens import Rules

WELL_KNOWN = "/.well-known/ssf-configuration"

FORMATS = ("iss_sub", "opaque", "email", "phone_number", "account", "did", "uri")
"""Formats of a subject (RFC 9493 section 3.2) that may name a user."""

USUAL_FORMATS = {"email": ("email",), "phone_number": ("phone_number",)}


class Delivery(enum.StrEnum):
    """How events are delivered: pushed (RFC 8935) or polled (RFC 8936)."""

    PUSH = "push"
    POLL = "poll"


class Access(msgspec.Struct, frozen=True):
    """How the hub authenticates at a transmitter: a bearer token, or client credentials.

    All members are None for a transmitter whose API the hub does not call.
    """

    token: str | None = None
    client_id: str | None = None
    client_secret: str | None = None
    token_url: str | None = None
    scope: str | None = None

    def __repr__(self) -> str:
        return f"Access({'token' if self.token else self.client_id})"


class Transmitter(msgspec.Struct, frozen=True):
    """A sender of security events.

    ``rules`` are for its signatures, its ``iss`` and our ``aud``. ``issuer`` is the ``iss`` of the
    entry whose users it knows, ``subjects`` the formats of a subject whose id is a user's name
    there. A push must have ``authorization``, if set, in its header of that name. With ``legacy``,
    events without a ``typ``, or with ``exp`` and ``sub``, are accepted. ``reactions`` are those
    that differ from the usual ones, by the name or URI of the event. ``poll_interval`` is in
    seconds.
    """

    rules: Rules
    configuration_url: str
    delivery: Delivery
    issuer: str
    subjects: tuple[str, ...]
    jwks_url: str | None = None
    title: str | None = None
    authorization: str | None = None
    access: Access = Access()
    poll_interval: float = 10.0
    legacy: bool = False
    reactions: dict[str, Reaction] = {}

    @property
    def iss(self) -> str:
        """The ``iss`` of its events."""
        return self.rules.issuer or ""

    def __repr__(self) -> str:
        return f"Transmitter({self.iss}, {self.delivery.value})"


def find_reaction(transmitter: Transmitter, name: str, kind: EventType | None) -> Reaction:
    """Return what an event of a transmitter does, by its name; its condition is another matter."""
    if kind is not None and kind.name in STREAM_EVENTS:
        return NOTHING
    return transmitter.reactions.get(name, NOTHING if kind is None else kind.reaction)


class Table(msgspec.Struct, forbid_unknown_fields=True):
    """The members of a table, as written in the file."""

    iss: Text
    aud: Text | Texts
    delivery: Delivery
    configuration_url: Text | None = None
    jwks_url: Text | None = None
    algorithms: Texts | None = None
    issuer: str | None = None
    subjects: Text | Texts | None = None
    title: Text | None = None
    authorization: Text | None = None
    token: Text | None = None
    client_id: Text | None = None
    client_secret: Text | None = None
    token_url: Text | None = None
    scope: Text | None = None
    poll_interval: Annotated[float, msgspec.Meta(ge=1, le=3600)] = 10.0
    legacy: bool = False
    events: dict[str, Any] = {}


def read_transmitter(table: Any, entries: Sequence[Entry], *, leeway: float) -> Transmitter:
    """Return the transmitter of a table; ``leeway`` is how far its clock may differ, in seconds.

    Raises:
        ValueError: if the table is not valid; names the member, never a secret.
    """
    members = convert(table, Table)
    check_names("iss", members.iss)
    check_title(members.title)
    _check_addresses(members)
    _check_header(members)
    entry = _find_owner(members, entries)
    return Transmitter(
        rules=Rules(
            algorithms=pin_algorithms(
                as_texts(members.algorithms), KeySource(Source.JWKS_URL, (members.iss,))
            ),
            max_lifetime=0,
            issuer=members.iss,
            audience=as_texts(members.aud),
            leeway=round(leeway * SECOND),
        ),
        configuration_url=members.configuration_url or locate_configuration(members.iss),
        delivery=members.delivery,
        issuer=entry.rules.issuer or "",
        subjects=read_formats("subjects", as_texts(members.subjects)) or usual_formats(entry),
        jwks_url=members.jwks_url,
        title=members.title,
        authorization=members.authorization,
        access=_read_access(members),
        poll_interval=members.poll_interval,
        legacy=members.legacy,
        reactions=read_reactions(members.events),
    )


def locate_configuration(iss: str) -> str:
    """Return the URL of a transmitter's configuration (SSF 1.0 section 7.2)."""
    parts = urlsplit(iss)
    return urlunsplit((parts.scheme, parts.netloc, WELL_KNOWN + parts.path.rstrip("/"), "", ""))


def usual_formats(entry: Entry) -> tuple[str, ...]:
    """Return the formats of a subject whose id is a user's name in an entry, by its user claim."""
    return USUAL_FORMATS.get(entry.rules.user[0], ("iss_sub", "opaque"))


def read_formats(member: str, given: tuple[str, ...]) -> tuple[str, ...]:
    """Return the formats of a subject in a member.

    Raises:
        ValueError: if one may not name a user; names the member.
    """
    for name in given:
        if name not in FORMATS:
            raise ValueError(f"{member}: {name} is not one of {', '.join(FORMATS)}")
    return given


def _find_owner(members: Table, entries: Sequence[Entry]) -> Entry:
    """Return the entry whose users the transmitter knows."""
    if members.issuer is not None:
        if (named := find_entry(entries, members.issuer)) is None:
            raise ValueError(f"issuer: no [[issuer]] is {members.issuer}")
        return named
    if (same := find_entry(entries, members.iss)) is not None:
        return same
    if len({entry.rules.issuer for entry in entries}) == 1:
        return entries[0]
    raise ValueError("issuer: is required, since there are several issuers and none has this iss")


def _check_addresses(members: Table) -> None:
    if members.jwks_url is None or members.delivery is Delivery.POLL:
        # If it is derived, the member that it is derived from is in the file.
        member = "iss" if members.configuration_url is None else "configuration_url"
        check_address(member, members.configuration_url or members.iss)
    for member in ("jwks_url", "token_url"):
        if (url := getattr(members, member)) is not None:
            check_address(member, url)


def _check_header(members: Table) -> None:
    given = members.authorization
    if given is None:
        return
    if members.delivery is not Delivery.PUSH:
        raise ValueError("authorization: is the header of a push")
    if len(given) < 16 or not given.isascii() or not given.isprintable() or given != given.strip():
        raise ValueError(
            "authorization: a header's value has 16 printable ASCII characters or more"
        )


def _read_access(members: Table) -> Access:
    credentials = {
        name: getattr(members, name) for name in ("client_id", "client_secret", "token_url")
    }
    missing = [name for name, value in credentials.items() if value is None]
    if members.token is not None and (len(missing) < len(credentials) or members.scope):
        raise ValueError("token, client_id: the hub authenticates by one of them")
    if 0 < len(missing) < len(credentials) or (missing and members.scope):
        raise ValueError(f"{missing[0]}: is missing; client credentials need it")
    if members.delivery is Delivery.POLL and missing and members.token is None:
        raise ValueError("token: is missing; a poll needs it, or client credentials")
    return Access(token=members.token, scope=members.scope, **credentials)


def check_transmitters(transmitters: Sequence[Transmitter]) -> None:
    """Check that the events of each transmitter can be distinguished from those of the others.

    Raises:
        ValueError: if two have the same ``iss`` and a common ``aud``; names the ``iss``.
    """
    taken: set[tuple[str, str]] = set()
    for transmitter in transmitters:
        for aud in transmitter.rules.audience or ():
            if (transmitter.iss, aud) in taken:
                raise ValueError(f"{transmitter.iss}: two transmitters send to {aud}")
            taken.add((transmitter.iss, aud))
