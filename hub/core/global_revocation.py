"""Reads requests for global token revocation (draft-parecki-oauth-global-token-revocation-06).

The draft leaves open how a caller authenticates. Issuers do it as Okta's Universal Logout does: by
an *assertion*, a short-lived JWT of a dedicated type whose audience is this hub.
"""

from __future__ import annotations

from typing import Any

import msgspec

from hub.core.claims import read_date
from hub.core.issuers import Entry
from hub.core.model import SECOND, Micros, Origin, Reason
from hub.core.refusal import Refusal, SignalRefused, refusing
from hub.core.signal import Channel, Signal, Target
from hub.core.signed_signal import (
    check_audience,
    reach_ahead,
    read_expiry,
    read_iss,
    read_issued_at,
    read_jti,
    read_signal_header,
)
from hub.core.strict_json import Repeated, decode
from hub.core.tokens import Header
from hub.errors import InvalidRequest

ASSERTION_TYPE = "global-token-revocation+jwt"
ASSERTION_TYPES = frozenset({ASSERTION_TYPE})
EVENT_NAME = "global-token-revocation"
SUBJECT_MEMBERS = ("sub_id", "subject")
"""The members that may name the user; drafts up to 02, and Auth0, use the second."""

MAX_LIFETIME: Micros = 3600 * SECOND
"""An assertion does not name the user, so a stolen one could be used against anybody: it must
expire soon."""


class Assertion(msgspec.Struct, frozen=True):
    """The authenticated caller: the issuer ``iss``; ``id`` is the assertion's ``jti``.

    ``before`` is as in `Signal`.
    """

    id: str
    iss: str
    issued_at: Micros
    before: Micros | None = None


def read_assertion_header(token: str) -> Header:
    """Return the header of an assertion, so that its issuer entry and key can be looked up.

    Raises:
        SignalRefused: as `read_signal_header` does, also for any other ``typ``.
    """
    return read_signal_header(token, ASSERTION_TYPES)


def read_assertion(claims: dict[str, Any], entry: Entry, now: Micros) -> Assertion:
    """Return the caller, from the verified claims of an assertion.

    Raises:
        SignalRefused: if it is not valid, or not for this hub; ``detail`` names the claim.
    """
    iss = read_iss(claims, entry.rules)
    if not entry.revocation.audience:
        raise SignalRefused(
            Refusal.OFF,
            f"global token revocation is off for {entry.name}: set revocation_audience",
        )
    check_audience(claims, entry.revocation.audience)
    issued_at = read_issued_at(claims, entry.rules, now)
    if read_expiry(claims, entry.rules, now) is None:
        raise SignalRefused(Refusal.MALFORMED, "the claim exp is missing")
    with refusing(Refusal.MALFORMED):
        lifetime = read_date("exp", claims["exp"]) - issued_at
    if not 0 < lifetime <= MAX_LIFETIME:
        most = MAX_LIFETIME // SECOND
        raise SignalRefused(Refusal.MALFORMED, f"exp must follow iat by at most {most} seconds")
    before = reach_ahead(issued_at, now, entry.rules.leeway)
    return Assertion(read_jti(claims), iss, issued_at, before)


def read_revocation_request(body: bytes) -> Any:
    """Return the subject that a request names; other members are ignored.

    Raises:
        InvalidRequest: if it is not a JSON object with one of `SUBJECT_MEMBERS`.
    """
    try:
        members = decode(body)
    except (ValueError, RecursionError):
        raise InvalidRequest("the body is not JSON") from None
    if not isinstance(members, dict):
        raise InvalidRequest("the body is not an object, or a member is repeated")
    given = [members[name] for name in SUBJECT_MEMBERS if name in members]
    if len(given) != 1:
        raise InvalidRequest("the body has sub_id, or else subject, and not both")
    if isinstance(given[0], Repeated):
        raise InvalidRequest(f"the member {given[0].name} is repeated")
    return given[0]


def make_signal(assertion: Assertion, target: Target, title: str | None) -> Signal:
    """Return the signal that ends all sessions of a user; ``title`` is the issuer's, for people."""
    return Signal(
        channel=Channel.GLOBAL,
        id=assertion.id,
        target=target,
        origin=Origin(by=assertion.iss, event=EVENT_NAME, title=title, at=assertion.issued_at),
        reason=Reason.IDENTITY_PROVIDER,
        issued_at=assertion.issued_at,
        before=assertion.before,
    )
