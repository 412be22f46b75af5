"""Subject identifiers (RFC 9493, SSF 1.0 section 3): whom an event or a request is about.

A subject is parsed first (`read_subject`), then resolved to a user or session of an issuer entry
(`resolve_subject`, `resolve_for`). Values are compared exactly: two spellings of an email address
are two users.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any

import msgspec

from hub.core.claims import is_name
from hub.core.issuers import Entry, find_entry
from hub.core.model import user_key
from hub.core.refusal import Refusal, SignalRefused
from hub.core.signal import Target
from hub.core.transmitters import FORMATS, Transmitter, usual_formats
from hub.errors import InvalidRequest

MAX_TEXT_LENGTH = 2048
MAX_ALIASES = 20

COMPLEX = "complex"
ALIASES = "aliases"
ISS_SUB = "iss_sub"
JWT_ID = "jwt_id"
OPAQUE = "opaque"

MEMBERS: dict[str, tuple[str, ...]] = {
    "account": ("uri",),
    "email": ("email",),
    ISS_SUB: ("sub", "iss"),
    OPAQUE: ("id",),
    "phone_number": ("phone_number",),
    "did": ("url",),
    "uri": ("uri",),
    JWT_ID: ("jti", "iss"),
    "saml_assertion_id": ("assertion_id", "issuer"),
}
"""The required members of each format: the identifier, then its issuer if there is one."""

SCHEMES = {"account": "acct:", "did": "did:"}

OLD_TYPE = "subject_type"
"""Names of formats in drafts, which Google's events still use."""

ID_TOKEN_CLAIMS = "id_token_claims"  # noqa: S105 - the name of a format
OLD_FORMATS = {"phone": "phone_number"}


class Identifier(msgspec.Struct, frozen=True):
    """A simple identifier; ``id`` is None in a format that the hub does not know.

    ``iss`` is its issuer, if the format has one.
    """

    format: str
    id: str | None = None
    iss: str | None = None


ALL_SESSIONS = (Identifier(OPAQUE, "ALL"),)
"""The session that Keycloak names to mean all sessions of the user ("log out all sessions")."""


class Subject(msgspec.Struct, frozen=True):
    """The subject of an event or request: a ``user``, a ``session``, or both if it is complex.

    Each is given by one identifier, or by several that mean the same. ``narrowed`` if a session was
    named, understood or not. ``opaque`` is the id of a simple subject of that format, which may be
    one of a user or of a session. ``old`` if the subject is in a form of a draft.
    """

    user: tuple[Identifier, ...] = ()
    session: tuple[Identifier, ...] = ()
    narrowed: bool = False
    opaque: str | None = None
    old: bool = False


def read_subject(value: Any) -> Subject:
    """Return the subject in a member such as ``sub_id``.

    A subject of an unknown format is accepted, and resolves to nobody.

    Raises:
        SignalRefused: if it is none, or lacks a member; ``reason`` is `Refusal.SUBJECT`.
    """
    members = _object(value)
    if members.get("format") == COMPLEX or _is_untyped_complex(members):
        return _read_complex(members)
    identifiers = _read_simple(members, nested=False)
    old = "format" not in members
    if [one.format for one in identifiers] == [JWT_ID]:
        return Subject(session=identifiers, narrowed=True, old=old)
    is_opaque = [one.format for one in identifiers] == [OPAQUE]
    opaque = identifiers[0].id if is_opaque else None
    return Subject(user=identifiers, opaque=opaque, old=old)


def _object(value: Any) -> dict[str, Any]:
    """Return the members of an object, without those that are null."""
    if not isinstance(value, dict):
        raise SignalRefused(Refusal.SUBJECT, "the subject is not an object")
    return {name: member for name, member in value.items() if member is not None}


def _is_untyped_complex(members: dict[str, Any]) -> bool:
    """Return whether a subject without a format is complex, as in drafts."""
    typed = "format" in members or OLD_TYPE in members
    return not typed and any(isinstance(members.get(name), dict) for name in ("user", "session"))


def _read_complex(members: dict[str, Any]) -> Subject:
    """Return a complex subject (SSF 1.0 section 3.3).

    All of it is one principal. A device, a tenant or a group says nothing about users here, so it
    is ignored, as unknown parts are.
    """
    if members.keys() <= {"format"}:
        raise SignalRefused(Refusal.SUBJECT, "the complex subject names nothing")
    given = {name: _object(members[name]) for name in ("user", "session") if name in members}
    parts = {name: _read_simple(part, nested=False) for name, part in given.items()}
    return Subject(
        user=parts.get("user", ()),
        session=parts.get("session", ()),
        narrowed="session" in parts,
        old=not all("format" in part for part in (members, *given.values())),
    )


def _read_simple(members: dict[str, Any], *, nested: bool) -> tuple[Identifier, ...]:
    kind = _read_format(members)
    if kind == ALIASES:
        return _read_aliases(members, nested=nested)
    if kind == COMPLEX:
        raise SignalRefused(Refusal.SUBJECT, "a complex subject within a subject")
    if kind == ID_TOKEN_CLAIMS and "format" not in members:
        return _read_id_token_claims(members)
    return (_read_identifier(kind, members),)


def _read_format(members: dict[str, Any]) -> str:
    """Return the format of an identifier, by its current name."""
    if "format" in members:
        return _text(members, "format")
    if OLD_TYPE not in members:
        raise SignalRefused(Refusal.SUBJECT, "the subject has no format")
    kind = _text(members, OLD_TYPE).replace("-", "_")
    return OLD_FORMATS.get(kind, kind)


def _read_identifier(kind: str, members: dict[str, Any]) -> Identifier:
    required = MEMBERS.get(kind)
    if required is None:
        return Identifier(kind)
    if kind == "phone_number" and OLD_TYPE in members and "phone" in members:
        required = ("phone",)
    name, *whose = (_text(members, member) for member in required)
    scheme = SCHEMES.get(kind, "")
    if not name.startswith(scheme):
        raise SignalRefused(Refusal.SUBJECT, f"the {required[0]} of the subject is no {scheme} URI")
    shown = name.removeprefix(scheme) if kind == "account" else name
    return Identifier(kind, shown, whose[0] if whose else None)


def _read_aliases(members: dict[str, Any], *, nested: bool) -> tuple[Identifier, ...]:
    """Return all identifiers of a subject with several (RFC 9493 section 3.2.8)."""
    given = members.get("identifiers")
    if nested or not isinstance(given, list) or not 0 < len(given) <= MAX_ALIASES:
        raise SignalRefused(
            Refusal.SUBJECT, f"aliases are a list of 1 to {MAX_ALIASES} other identifiers"
        )
    return tuple(
        identifier for one in given for identifier in _read_simple(_object(one), nested=True)
    )


def _read_id_token_claims(members: dict[str, Any]) -> tuple[Identifier, ...]:
    """Return the identifiers of a subject by claims of an ID token, a format of a draft."""
    found = [
        _read_identifier(kind, members)
        for kind in (ISS_SUB, "email", "phone_number")
        if MEMBERS[kind][0] in members
    ]
    if not found:
        raise SignalRefused(Refusal.SUBJECT, "the subject has no sub, email or phone_number")
    return tuple(found)


def _text(members: dict[str, Any], member: str) -> str:
    value = members.get(member)
    if not isinstance(value, str) or not 0 < len(value) <= MAX_TEXT_LENGTH:
        raise SignalRefused(
            Refusal.SUBJECT,
            f"the {member} of the subject is not a string of 1 to {MAX_TEXT_LENGTH}",
        )
    if not all(is_name(value[at : at + 256]) for at in range(0, len(value), 256)):
        raise SignalRefused(
            Refusal.SUBJECT,
            f"the {member} of the subject holds a control or an unassigned character",
        )
    return value


def resolve_subject(subject: Subject, transmitter: Transmitter, entry: Entry) -> Target | None:
    """Return the user or session of the transmitter's entry that a subject names, or None."""
    own = (transmitter.iss,)
    return resolve_for(subject, entry, formats=transmitter.subjects, own=own)


def resolve_for(
    subject: Subject,
    entry: Entry,
    *,
    formats: Collection[str] | None = None,
    own: Collection[str] = (),
) -> Target | None:
    """Return the user or session of an entry that a subject names, or None.

    ``formats`` are those whose id is a user's name there; the usual ones if it is None. Identifiers
    with an ``iss`` count only if that is the entry's, an alias or one of ``own``.

    If a session is named in an unknown way, the result is None: ending all sessions of the user
    would end others too. The session `ALL_SESSIONS` of a known user is all of them.
    """
    iss = entry.rules.issuer or ""
    ours = {iss, *entry.rules.aliases, *own}
    accepted = usual_formats(entry) if formats is None else formats
    if subject.user and all(_is_foreign(one, ours) for one in subject.user):
        return None
    user = next(_names(subject.user, accepted, ours), None)
    if user is not None and subject.session == ALL_SESSIONS:
        return Target(iss, user_key(iss, user))
    sid = next(_names(subject.session, None, ours), None)
    if (subject.narrowed and sid is None) or (user is None and sid is None):
        return None
    return Target(iss, None if user is None else user_key(iss, user), sid)


def resolve_session(subject: Subject, entry: Entry) -> Target | None:
    """Return the session whose id a simple subject may be, or None if it cannot be one."""
    name = subject.opaque
    return None if name is None or not is_name(name) else Target(entry.rules.issuer or "", sid=name)


def _is_foreign(identifier: Identifier, ours: Collection[str]) -> bool:
    return identifier.iss is not None and identifier.iss not in ours


def _names(
    identifiers: Sequence[Identifier], formats: Collection[str] | None, ours: Collection[str]
) -> Iterator[str]:
    """Return the ids of the identifiers of the entry, limited to ``formats`` if given."""
    for one in identifiers:
        if one.id is None or _is_foreign(one, ours) or not is_name(one.id):
            continue
        if formats is None or one.format in formats:
            yield one.id


def choose_entry(
    subject: Subject, entries: Sequence[Entry], iss: str | None = None
) -> Entry | None:
    """Return the entry of a subject's user, or None: that of ``iss``, if the caller names it.

    Otherwise it is that of the subject's own ``iss``, or the only entry. If the only entry accepts
    any issuer, every name refers to it.

    Raises:
        InvalidRequest: if there are several and none is named.
    """
    named = list(_issuers(subject)) if iss is None else [iss]
    if named:
        others = entries[0] if _takes_any(entries) else None
        return next(filter(None, (find_entry(entries, name) for name in named)), others)
    if len({entry.rules.issuer for entry in entries}) > 1:
        raise InvalidRequest("iss is needed, there are several issuers")
    return entries[0]


def resolve_sub_id(value: Any, entries: Sequence[Entry], iss: str | None = None) -> Target | None:
    """Return the user or session that an administrator or issuer names by ``sub_id``, or None.

    The usual formats of the entry come first, but any other format that can name a user is accepted
    as the user's name too: the caller chose it for this hub.

    Raises:
        InvalidRequest: if it is not a subject, or its issuer is ambiguous.
    """
    subject = read_subject(value)
    entry = choose_entry(subject, entries, iss)
    if entry is None:
        return None
    own = tuple(_issuers(subject)) if _takes_any(entries) else ()
    return resolve_for(subject, entry, own=own) or resolve_for(
        subject, entry, formats=FORMATS, own=own
    )


def _issuers(subject: Subject) -> Iterator[str]:
    """Yield the issuers of a subject's identifiers, if they name any."""
    return (one.iss for one in (*subject.user, *subject.session) if one.iss is not None)


def _takes_any(entries: Sequence[Entry]) -> bool:
    return all(entry.rules.issuer is None for entry in entries)
