"""The hub's verdict on a token, with every check; pure, with keys and the time as arguments.

The verdict comes from the hub's own rules, in the order of `Issuers.verify`. The checks beside it
cover everything, also after the first fault.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import msgspec

from hub.access.issuers import Issuers
from hub.core.claims import first_claim
from hub.core.issuers import Entry
from hub.core.kinds import without_kind
from hub.core.model import Identity, Micros, RevocationState, seconds
from hub.core.revocation import judge
from hub.core.tokens import (
    Header,
    Rules,
    check_signature_by_any,
    identify,
    open_header,
    read_claims,
    read_header,
)
from hub.errors import HubError, TokenInvalid
from hub.inspection import content, envelope
from hub.inspection.envelope import Found, explain_form
from hub.inspection.subject import Check, Subject

NO_LIMIT: Micros = 2**62


@dataclass(frozen=True, slots=True)
class Reading:
    """What a token says, and the claims that it was read from."""

    identity: Identity
    user_claim: str
    session_claim: str
    login_claim: str

    def describe(self) -> dict[str, Any]:
        """Return the reading for JSON; times are seconds."""
        identity = self.identity
        login = {"value": seconds(identity.login_at or 0), "claim": self.login_claim}
        return {
            "user": {"value": identity.sub, "claim": self.user_claim},
            "session": {
                "value": identity.sid,
                "claim": self.session_claim or None,
                "per_token": identity.per_token,
            },
            "login_time": None if identity.login_at is None else login,
            "issued_at": seconds(identity.iat),
            "expires_at": seconds(identity.exp),
            "lives_until": seconds(identity.valid_until),
            "scopes": list(identity.scopes),
        }


@dataclass(frozen=True, slots=True)
class Inspection:
    """The hub's verdict on a token, every check, and what it says, accepted or not."""

    checks: tuple[Check, ...]
    refusal: HubError | None
    is_verified: bool
    entry: Entry | None = None
    reading: Reading | None = None

    @property
    def taken(self) -> bool | None:
        """Whether the hub accepts it; None when it depends on an unchecked signature."""
        return False if self.refusal is not None else self.is_verified or None

    def describe(self) -> dict[str, Any]:
        """Return the inspection for JSON."""
        refusal = None
        if self.refusal is not None:
            detail = self.refusal.detail or self.refusal.title
            refusal = {"code": self.refusal.code, "detail": detail}
        return {
            "taken": self.taken,
            "refusal": refusal,
            "issuer": None if self.entry is None else self.entry.name,
            "preset": None if self.entry is None else self.entry.preset,
            "checks": [asdict(check) for check in self.checks],
            **({} if self.reading is None else self.reading.describe()),
        }


def choose(token: str, entries: Sequence[Entry]) -> tuple[Header, Entry] | None:
    """Return the header of a token and the entry that it belongs to; None when there is none."""
    try:
        header = read_header(token)
        return header, Issuers(entries).find(header, read_claims(token).get("iss"))
    except TokenInvalid:
        return None


def inspect(
    token: str, entries: Sequence[Entry], found: Found, now: Micros, *, in_file: bool
) -> Inspection:
    """Inspect ``token``, with the keys that were found for its header.

    ``in_file`` says that the entries are from a file, so that advice names its members.
    """
    refusal = decide(token, entries, found, now)
    is_verified = found is not None
    try:
        header, claims = open_header(token), read_claims(token)
    except TokenInvalid as error:
        return Inspection((explain_form(token, error),), refusal, is_verified)
    chosen = choose(token, entries)
    entry = chosen[1] if chosen else _nearest(claims, entries)
    subject = Subject(header, claims, entry, tuple(entries), in_file)
    identity, unreadable = _identify(token, claims, subject.rules)
    checks = _check_all(subject, token, found if chosen else None, identity, now)
    if unreadable and not any(c.verdict == "bad" and c.name in ("user", "times") for c in checks):
        checks.append(Check("claims", "bad", unreadable, "fix that claim at the issuer"))
    if refusal is not None and not any(check.verdict == "bad" for check in checks):
        checks.append(Check("rules", "bad", refusal.detail or refusal.title))
    reading = None
    if identity is not None:
        rules = subject.rules
        names = (first_claim(claims, of)[0] for of in (rules.user, rules.session, rules.login_time))
        reading = Reading(identity, *names)
    return Inspection(tuple(checks), refusal, is_verified, chosen[1] if chosen else None, reading)


def _check_all(
    subject: Subject, token: str, found: Found, identity: Identity | None, now: Micros
) -> list[Check]:
    """Return every check, in the order in which to fix what they find."""
    readings = [content.check_audience(subject), content.check_user(subject)]
    if identity is not None:
        readings += [
            content.check_session(subject, identity),
            content.check_login_time(subject, identity),
        ]
    return [
        Check("form", "good", f"a JWT of {len(token)} bytes"),
        envelope.check_kind(subject),
        envelope.check_issuer(subject, fits=all(check.verdict == "good" for check in readings)),
        envelope.check_algorithm(subject),
        envelope.check_signature(subject, token, found),
        *readings,
        *content.check_times(subject, now),
    ]


def decide(token: str, entries: Sequence[Entry], found: Found, now: Micros) -> HubError | None:
    """Return why the hub would refuse a token, logouts aside; None when it accepts it.

    When no keys were fetched, the signature is assumed to be right.
    """
    try:
        header = read_header(token)
        claims = read_claims(token)
        entry = Issuers(entries).find(header, claims.get("iss"))
        if found is not None:
            claims = _verify(token, found, entry.rules)
        identity = identify(claims, token, entry.rules)
    except HubError as error:
        return error
    return judge(identity, RevocationState(now=now))


def _verify(token: str, found: Sequence[Any] | HubError, rules: Rules) -> dict[str, Any]:
    if isinstance(found, HubError):
        raise found
    if not found:
        raise TokenInvalid("there is no key")
    return check_signature_by_any(token, found, rules)[0]


def _nearest(claims: dict[str, Any], entries: Sequence[Entry]) -> Entry | None:
    named = [entry for entry in entries if entry.rules.is_of(claims.get("iss"))]
    return named[0] if named else entries[0] if len(entries) == 1 else None


def _identify(token: str, claims: dict[str, Any], rules: Rules) -> tuple[Identity | None, str]:
    """Return the identity in a token of whatever kind and audience, or why it has none."""
    lenient = msgspec.structs.replace(
        rules, issuer=None, aliases=(), audience=None, max_lifetime=NO_LIMIT
    )
    try:
        return identify(without_kind(claims), token, lenient), ""
    except TokenInvalid as error:
        return None, error.detail
