"""Reads security event tokens (RFC 8417) as Shared Signals sends them (SSF 1.0 section 4).

The form is checked before the signature (`read_set_header`), the claims after it (`read_set`). Old
forms are accepted, and listed in `SecurityEvent.old_forms`; those that could be mistaken for other
tokens only from a transmitter with ``legacy``.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Iterable
from typing import Any

import msgspec

from hub.core.claims import MAX_DATE, UNNAMEABLE, read_date, read_members
from hub.core.event_types import APPLE, BY_URI, VERIFICATION, Ends, EventType
from hub.core.model import Micros
from hub.core.refusal import Refusal, SignalRefused, refusing
from hub.core.signed_signal import (
    check_audience,
    read_expiry,
    read_iss,
    read_issued_at,
    read_jti,
    read_signal_header,
)
from hub.core.subjects import ISS_SUB, Subject, read_subject
from hub.core.tokens import Header, open_header, read_audiences, read_claims
from hub.core.transmitters import Transmitter, find_reaction

SET_TYPES = frozenset({"secevent+jwt"})
LEGACY_TYPES: frozenset[str | None] = SET_TYPES | {None, "jwt"}

INITIATORS = frozenset({"admin", "user", "policy", "system"})
MAX_REASON_LENGTH = 500
MAX_STATE_LENGTH = 1024
MAX_URI_LENGTH = 512


class SecurityEvent(msgspec.Struct, frozen=True):
    """One event of a verified token.

    ``kind`` is None for an event that the hub does not know. ``members`` are those of the event,
    with their types checked where the hub uses them. ``subject`` is None if the event ends nothing,
    whatever it is about; ``at`` is when it happened, if it ends something and states that.
    ``state`` is that of a verification event. ``old_forms`` describes what is written as in a
    draft, for the log.
    """

    iss: str
    jti: str
    issued_at: Micros
    uri: str
    kind: EventType | None
    members: dict[str, Any]
    subject: Subject | None = None
    at: Micros | None = None
    initiating_entity: str | None = None
    reason_admin: str | None = None
    reason_user: str | None = None
    state: str | None = None
    old_forms: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The short name of a known event, or the URI of another one."""
        return self.uri if self.kind is None else self.kind.name


def find_transmitter(token: str, transmitters: Iterable[Transmitter]) -> Transmitter:
    """Return the transmitter that a token claims to be from, so that it can be verified.

    Several with the same ``iss`` are distinguished by ``aud``. Nothing else is checked here.

    Raises:
        SignalRefused: if it is malformed, or of none of them.
    """
    with refusing(Refusal.MALFORMED):
        open_header(token)
        claims = read_claims(token)
    named = [one for one in transmitters if one.rules.is_of(claims.get("iss"))]
    if not named:
        raise SignalRefused(Refusal.ISSUER, "of another issuer (iss)")
    with refusing(Refusal.MALFORMED):
        given = read_audiences("aud", claims.get("aud"))
    for one in named:
        if not set(one.rules.audience or ()).isdisjoint(given):
            return one
    raise SignalRefused(Refusal.AUDIENCE, "for another audience (aud)")


def read_set_header(token: str, transmitter: Transmitter) -> Header:
    """Return the header of an event token, so that its key can be looked up.

    Raises:
        SignalRefused: if it is not typed as an event (SSF 1.0 section 4.1.1); see also
            `read_signal_header`.
    """
    return read_signal_header(token, LEGACY_TYPES if transmitter.legacy else SET_TYPES)


def read_set(claims: dict[str, Any], transmitter: Transmitter, now: Micros) -> SecurityEvent:
    """Return the event in the verified claims of a token of a transmitter.

    Raises:
        SignalRefused: if it is not a valid event token for this hub; ``detail`` names the claim.
    """
    rules = transmitter.rules
    iss = read_iss(claims, rules)
    check_audience(claims, rules.audience or ())
    if claims.get("nonce") is not None:
        raise SignalRefused(Refusal.NONCE, "has a nonce, as an ID token does")
    old = _check_other_tokens_claims(claims, transmitter, now)
    uri, members, form = _read_event(claims.get("events"), iss)
    kind = BY_URI.get(uri)
    subject, at, written = None, None, list[str]()
    if _ends_something(uri, kind, members, transmitter):
        subject, written = _read_subject(claims, members)
        at, timed = _read_time(claims, members)
        written += timed
    return SecurityEvent(
        iss=iss,
        jti=read_jti(claims),
        issued_at=read_issued_at(claims, rules, now),
        uri=uri,
        kind=kind,
        members=members,
        subject=subject,
        at=at,
        initiating_entity=_read_initiator(members),
        reason_admin=_read_reason(members, "reason_admin"),
        reason_user=_read_reason(members, "reason_user"),
        state=_read_state(members, kind),
        old_forms=(*old, *form, *written),
    )


def _check_other_tokens_claims(
    claims: dict[str, Any], transmitter: Transmitter, now: Micros
) -> list[str]:
    """Check ``sub`` and ``exp``, which must not be in an event (SSF 1.0 section 4.1.3)."""
    present = [claim for claim in ("sub", "exp") if claims.get(claim) is not None]
    if present and not transmitter.legacy:
        raise SignalRefused(Refusal.TYPE, f"an event has no {present[0]} (SSF 1.0)")
    read_expiry(claims, transmitter.rules, now)
    return [f"has {claim}" for claim in present]


def _read_event(events: Any, iss: str) -> tuple[str, dict[str, Any], list[str]]:
    """Return the URI and members of the only event, and the old forms in which it is written."""
    old = []
    if isinstance(events, str):
        events, old = _decode(events), ["events is text"]
        if isinstance(events.get("type"), str):
            return _read_apples(events, iss, old)
    if not isinstance(events, dict):
        raise SignalRefused(Refusal.EVENT, "the claim events is not an object")
    if not all(isinstance(members, dict) for members in events.values()):
        raise SignalRefused(Refusal.EVENT, "the event is not an object")
    uri = _choose_uri(events)
    return _check_uri(uri), events[uri], old


def _choose_uri(uris: Collection[str]) -> str:
    """Return the URI of the only event.

    Several may be alternatives for one event (SSF 1.0 section 4.2.1): the first by which the hub
    knows it counts.
    """
    first = next(iter(uris), "")
    kind = BY_URI.get(first)
    if len(uris) > 1 and kind is not None and set(uris) <= set(kind.uris):
        return next(uri for uri in kind.uris if uri in uris)
    if len(uris) != 1:
        raise SignalRefused(Refusal.EVENT, f"the claim events has {len(uris)} events, not one")
    return first


def _check_uri(uri: str) -> str:
    if not 0 < len(uri) <= MAX_URI_LENGTH or not uri.isprintable():
        raise SignalRefused(
            Refusal.EVENT, f"the event is not named by 1 to {MAX_URI_LENGTH} characters"
        )
    return uri


def _read_apples(
    event: dict[str, Any], iss: str, old: list[str]
) -> tuple[str, dict[str, Any], list[str]]:
    """Return an event as Apple writes it: flat, with its time under another name."""
    members = {name: value for name, value in event.items() if name not in ("type", "event_time")}
    if "sub" in members:
        members["subject"] = {"format": ISS_SUB, "iss": iss, "sub": members.pop("sub")}
    if event.get("event_time") is not None:
        members["event_timestamp"] = event["event_time"]
    return _check_uri(APPLE + event["type"]), members, [*old, "the event is flat"]


def _decode(text: str) -> dict[str, Any]:
    with refusing(Refusal.EVENT):
        return read_members(text.encode(errors="replace"))


def _ends_something(
    uri: str, kind: EventType | None, members: dict[str, Any], transmitter: Transmitter
) -> bool:
    """Return whether an event ends sessions, if its subject has any.

    Otherwise nothing depends on its subject and its time, which are then not even checked.
    """
    reaction = find_reaction(transmitter, uri if kind is None else kind.name, kind)
    if reaction.ends is Ends.NOTHING:
        return False
    if kind is None or kind.condition is None:
        return True
    _optional_text(members, kind.condition.member, MAX_REASON_LENGTH)
    return kind.applies(members)


def _read_subject(claims: dict[str, Any], members: dict[str, Any]) -> tuple[Subject, list[str]]:
    """Return the subject of an event, and the old forms in which it is written.

    Events of drafts have their subject inside; ``sub_id`` goes first (SSF 1.0 section 3.1.1).
    """
    given, old = claims.get("sub_id"), []
    if given is None and (given := members.get("subject")) is not None:
        old = ["the subject is in the event"]
    elif given is None and claims.get("sub") is not None:
        given = {"format": ISS_SUB, "iss": claims["iss"], "sub": claims["sub"]}
    if given is None:
        raise SignalRefused(Refusal.SUBJECT, "has no sub_id")
    subject = read_subject(given)
    return subject, [*old, "the subject has no format"] if subject.old else old


def _read_time(claims: dict[str, Any], members: dict[str, Any]) -> tuple[Micros | None, list[str]]:
    """Return when an event happened, and in what old form that is written.

    It is in seconds (CAEP 1.0 section 2, RFC 8417 section 2.2). A number that is too large for that
    is one of milliseconds, as Apple and others write them: of any day since 1978.
    """
    for owner, name in ((members, "event_timestamp"), (claims, "toe")):
        at = owner.get(name)
        if at is None:
            continue
        is_number = isinstance(at, int | float) and not isinstance(at, bool)
        # The longest numbers cannot be divided.
        in_millis = is_number and MAX_DATE < at <= 1000 * MAX_DATE
        with refusing(Refusal.MALFORMED):
            found = read_date(name, at / 1000 if in_millis else at)
        return found, [f"{name} is in milliseconds"] if in_millis else []
    return None, []


def _read_initiator(members: dict[str, Any]) -> str | None:
    """Return the initiating entity; None if CAEP 1.0 section 2 does not have it."""
    given = members.get("initiating_entity")
    return given if isinstance(given, str) and given in INITIATORS else None


def _read_reason(members: dict[str, Any], member: str) -> str | None:
    """Return a reason in English, else in the first language; drafts had it as text.

    What is no text is left out: nothing depends on a reason.
    """
    given = members.get(member)
    if isinstance(given, dict):
        texts = [(language, text) for language, text in given.items() if isinstance(text, str)]
        # English first, then any English such as en-GB; the order is otherwise kept.
        texts.sort(key=lambda one: (one[0].lower() != "en", not one[0].lower().startswith("en-")))
        given = texts[0][1] if texts else None
    return _for_people(given) if isinstance(given, str) else None


def _for_people(text: str) -> str | None:
    shown = "".join(" " if unicodedata.category(char) in UNNAMEABLE else char for char in text)
    return " ".join(shown.split())[:MAX_REASON_LENGTH] or None


def _read_state(members: dict[str, Any], kind: EventType | None) -> str | None:
    """Return the state of a verification event; None for any other event."""
    is_verification = kind is not None and kind.name == VERIFICATION
    return _optional_text(members, "state", MAX_STATE_LENGTH) if is_verification else None


def _optional_text(members: dict[str, Any], member: str, most: int) -> str | None:
    value = members.get(member)
    if value is None or (isinstance(value, str) and len(value) <= most):
        return value
    raise SignalRefused(Refusal.MALFORMED, f"the {member} of the event is not a short text")
