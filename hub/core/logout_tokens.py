"""Reads logout tokens (OpenID Connect Back-Channel Logout 1.0 with errata set 1).

The form is checked before the signature (`read_logout_header`), the claims after it
(`read_logout_token`). A claim that is null counts as absent, as everywhere (`hub.core.claims`).
"""

from __future__ import annotations

from typing import Any

from hub.core.claims import find_claim, read_id
from hub.core.issuers import Entry
from hub.core.model import SECOND, Micros, Origin, Reason, user_key
from hub.core.refusal import Refusal, SignalRefused, refusing
from hub.core.signal import Channel, Signal, Target
from hub.core.signed_signal import (
    check_audience,
    reach_ahead,
    read_expiry,
    read_horizon,
    read_iss,
    read_issued_at,
    read_jti,
    read_signal_header,
)
from hub.core.tokens import Header

LOGOUT_EVENT = "http://schemas.openid.net/event/backchannel-logout"
EVENT_NAME = "backchannel-logout"

LOGOUT_TYPES = frozenset({None, "jwt", "logout+jwt"})
"""Accepted values of ``typ``: explicit typing is only recommended (section 2.4)."""

MAX_AGE: Micros = 120 * SECOND
"""The maximum age of a token without ``exp``; section 4 recommends the same for ``exp``."""


def read_logout_header(token: str) -> Header:
    """Return the header of a logout token, so that its issuer entry and its key can be looked up.

    Raises:
        SignalRefused: see `read_signal_header`.
    """
    return read_signal_header(token, LOGOUT_TYPES)


def read_logout_token(claims: dict[str, Any], entry: Entry, now: Micros) -> Signal:
    """Return what a logout token of an entry asks for, by its verified claims (section 2.6).

    Raises:
        SignalRefused: if it is not a valid logout token for this hub; ``detail`` names the claim.
    """
    rules = entry.rules
    iss = read_iss(claims, rules)
    if not entry.logout.audience:
        raise SignalRefused(
            Refusal.OFF,
            f"back-channel logout is off for {entry.name}: set logout_audience of the issuer to "
            "the id of your client",
        )
    check_audience(claims, entry.logout.audience)
    _check_event(claims.get("events"))
    if claims.get("nonce") is not None:
        raise SignalRefused(Refusal.NONCE, "has a nonce, as an ID token does")
    issued_at = read_issued_at(claims, rules, now)
    _check_lifetime(claims, entry, issued_at, now)
    target = _read_target(claims, entry)
    is_of_one_login = target.sid is not None and target.user is not None
    read_before = reach_ahead if is_of_one_login else read_horizon
    return Signal(
        channel=Channel.BACKCHANNEL,
        id=read_jti(claims),
        target=target,
        origin=Origin(by=iss, event=EVENT_NAME, title=entry.title, at=issued_at),
        reason=Reason.IDENTITY_PROVIDER,
        issued_at=issued_at,
        before=read_before(issued_at, now, rules.leeway),
    )


def _check_event(events: Any) -> None:
    """Check that the event is a logout: an object, whose members are ignored.

    Early drafts had an array of names; Keycloak's event has a member (section 2.4).
    """
    if not isinstance(events, dict):
        raise SignalRefused(Refusal.EVENT, "the claim events is not an object")
    if LOGOUT_EVENT not in events:
        raise SignalRefused(Refusal.EVENT, f"the claim events has no {LOGOUT_EVENT}")
    if not isinstance(events[LOGOUT_EVENT], dict):
        raise SignalRefused(Refusal.EVENT, "the event is not an object")


def _check_lifetime(claims: dict[str, Any], entry: Entry, issued_at: Micros, now: Micros) -> None:
    """Check that a token has not expired; the errata set 1 made ``exp`` required (section 2.4)."""
    if read_expiry(claims, entry.rules, now) is not None:
        return
    if entry.logout.require_exp:
        raise SignalRefused(
            Refusal.MALFORMED, "the claim exp is missing; require_exp of the issuer is true"
        )
    if now - issued_at > MAX_AGE + entry.rules.leeway:
        raise SignalRefused(
            Refusal.EXPIRED, f"older than {MAX_AGE // SECOND} seconds (iat), and without exp"
        )


def _read_target(claims: dict[str, Any], entry: Entry) -> Target:
    """Return the session (``sid``) or user that a token names (section 2.4)."""
    with refusing(Refusal.SUBJECT):
        sid = None if claims.get("sid") is None else read_id("sid", claims["sid"])
        sub = None if claims.get("sub") is None else read_id("sub", claims["sub"])
        name = _read_user(claims, entry)
    if sid is None and sub is None and name is None:
        raise SignalRefused(Refusal.SUBJECT, "has neither sub nor sid")
    if sid is None and name is None:
        raise SignalRefused(
            Refusal.SUBJECT,
            f"does not name the user: users of {entry.name} go by {entry.rules.user[0]}, and "
            f"{_looked_for(entry)}",
        )
    iss = entry.rules.issuer or ""
    return Target(iss=iss, user=None if name is None else user_key(iss, name), sid=sid)


def _read_user(claims: dict[str, Any], entry: Entry) -> str | None:
    claim = entry.logout.user or ("sub" if entry.rules.user[0] == "sub" else None)
    value = None if claim is None else find_claim(claims, claim)
    return None if claim is None or value is None else read_id(claim, value)


def _looked_for(entry: Entry) -> str:
    if entry.logout.user is None:
        return "logout_user of the issuer is not set"
    return f"it has no {entry.logout.user} (logout_user)"
