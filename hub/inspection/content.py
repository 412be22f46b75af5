"""Checks of a token's claims: audience, user, session, login time, and dates."""

from __future__ import annotations

import msgspec

from hub.core.claims import find_claim, first_claim, is_name, read_date, read_id
from hub.core.model import SECOND, Identity, Micros, RevocationState
from hub.core.revocation import judge
from hub.core.tokens import AUTH_TIME, check_parties
from hub.errors import TokenExpired, TokenInvalid
from hub.inspection.recognition import AUDIENCE_TIPS, LOGIN_CLAIMS, LOGIN_TIPS, PARTY_CLAIMS
from hub.inspection.subject import Check, Subject
from hub.inspection.text import show, show_span, show_time


def check_audience(subject: Subject) -> Check:
    """Check whether the token has the audience that the entry asks for."""
    rules, present = subject.rules, ", ".join(_parties(subject)) or "nobody"
    if subject.entry is None:
        return Check("audience", "unchecked", f"for {present}")
    if rules.audience is None:
        detail = f"for {present}; any is accepted"
        if not subject.entry.keys.is_fetched:
            return Check("audience", "good", detail)
        advice = (
            f"tokens of the issuer's other apps are accepted: set {subject.setting('audience')}"
        )
        return Check("audience", "fair", detail, advice)
    try:
        check_parties(subject.claims, msgspec.structs.replace(rules, issuer=None))
    except TokenInvalid:
        wanted = f"{', '.join(rules.audience)} in {' or '.join(rules.audience_claims)}"
        return Check(
            "audience", "bad", f"for {present}; wanted is {wanted}", _advise_audience(subject)
        )
    return Check("audience", "good", f"for {present}")


def _parties(subject: Subject) -> list[str]:
    given = ((name, find_claim(subject.claims, name)) for name in PARTY_CLAIMS)
    return [f"{show(value)} ({name})" for name, value in given if value is not None]


def _advise_audience(subject: Subject) -> str:
    for name in PARTY_CLAIMS[1:]:
        if find_claim(subject.claims, name) in (subject.rules.audience or ()):
            return subject.setting("audience_claims", ["aud", name])
    given = (find_claim(subject.claims, name) for name in PARTY_CLAIMS)
    names = [value[0] if isinstance(value, list) and value else value for value in given]
    first = next((name for name in names if isinstance(name, str) and is_name(name)), None)
    tip = AUDIENCE_TIPS.get(subject.preset, "or have the app ask for tokens of that audience")
    return f"if that is your app: {subject.setting('audience', first)}; {tip}"


def check_user(subject: Subject) -> Check:
    """Check whether the token names its user."""
    claim, value = first_claim(subject.claims, subject.rules.user)
    if not claim:
        others = [n for n in ("sub", "user_id", "uid", "oid") if n in subject.claims]
        advice = subject.setting("user", others[0]) if others else "have the issuer write it"
        detail = f"the claim {' or '.join(subject.rules.user)} is missing"
        return Check("user", "bad", detail, advice)
    try:
        return Check("user", "good", f"{show(read_id(claim, value))} ({claim})")
    except TokenInvalid as error:
        advice = f"name another claim: {subject.setting('user')}"
        return Check("user", "bad", error.detail, advice)


def check_session(subject: Subject, identity: Identity) -> Check:
    """Check whether the token names its login, so that a refresh keeps the session."""
    claim, _ = first_claim(subject.claims, subject.rules.session)
    if not identity.per_token:
        return Check("session", "good", f"{show(identity.sid)} ({claim})")
    source = "jti" if subject.claims.get("jti") is not None else "a hash of the token"
    detail = f"{show(identity.sid)} ({source}), per token: each refresh is a new session"
    others = [
        name
        for name in (*LOGIN_CLAIMS, *subject.claims)
        if name.rpartition("/")[2] in LOGIN_CLAIMS and find_claim(subject.claims, name)
    ]
    if others:
        advice = subject.setting("session", others[0])
    else:
        usual = "have the issuer write the login's id, sid, into access tokens"
        advice = LOGIN_TIPS.get(subject.preset, usual)
    return Check("session", "fair", detail, advice)


def check_login_time(subject: Subject, identity: Identity) -> Check:
    """Check whether the token says when its login began, so that a logout ends it for good."""
    claim, _ = first_claim(subject.claims, subject.rules.login_time)
    if identity.login_at is not None:
        return Check("login time", "good", f"{show_time(identity.login_at)} ({claim})")
    detail = "missing: after a logout, a refresh may revive a session that the hub had never seen"
    if find_claim(subject.claims, "amr.0.timestamp") is not None:
        advice = subject.setting("login_time", "amr.0.timestamp")
    else:
        advice = f"have the issuer write {AUTH_TIME} into access tokens"
    return Check("login time", "fair", detail, advice)


def check_times(subject: Subject, now: Micros) -> list[Check]:
    """Check how long the token is valid, and whether it is now, by this machine's clock."""
    missing = [name for name in ("iat", "exp") if subject.claims.get(name) is None]
    if missing:
        advice = "have the issuer write it: a token without it is never accepted"
        return [Check("times", "bad", f"the claim {missing[0]} is missing", advice)]
    try:
        iat, exp, nbf = (
            read_date(name, subject.claims.get(name) or 0) for name in ("iat", "exp", "nbf")
        )
    except TokenInvalid as error:
        return [Check("times", "bad", error.detail, "have the issuer write seconds since 1970")]
    return [_lifetime(subject, exp - iat), _clock(subject, iat, exp, nbf, now)]


def _lifetime(subject: Subject, lifetime: Micros) -> Check:
    most = subject.rules.max_lifetime
    if lifetime <= 0:
        return Check("lifetime", "bad", "exp is not after iat", "fix it at the issuer")
    if lifetime <= most:
        return Check("lifetime", "good", show_span(lifetime))
    detail = f"{show_span(lifetime)}, and at most {show_span(most)} is accepted"
    need = -(-lifetime // SECOND)
    advice = f"shorten it at the issuer, or {subject.setting('max_lifetime', need)}"
    return Check("lifetime", "bad", detail, advice)


def _clock(subject: Subject, iat: Micros, exp: Micros, nbf: Micros, now: Micros) -> Check:
    leeway = subject.rules.leeway
    about = Identity(user="", sub="", iss="", sid="", iat=iat, exp=exp, nbf=nbf, leeway=leeway)
    refusal, end = judge(about, RevocationState(now=now)), exp + leeway
    if refusal is None:
        detail = f"lives until {show_time(end)}, {show_span(end - now)} from now"
        return Check("times", "good", detail)
    if isinstance(refusal, TokenExpired):
        detail = f"expired at {show_time(end)}, {show_span(now - end)} ago"
        return Check("times", "bad", detail, "take a newer token")
    ahead = max(iat, nbf)
    detail = f"begins at {show_time(ahead)}, {show_span(ahead - now)} from now"
    advice = f"set the issuer's clock and this machine's, or raise {subject.setting('leeway')}"
    return Check("times", "bad", detail, advice)
