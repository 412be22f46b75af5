"""What logout tokens and security events have in common: signed JWTs that are not access tokens."""

from __future__ import annotations

from typing import Any

from hub.core.claims import read_date, read_name
from hub.core.model import SECOND, Micros
from hub.core.refusal import Refusal, SignalEarly, SignalRefused, refusing
from hub.core.revocation import MAX_WAIT
from hub.core.tokens import Header, Rules, open_header, read_alg_and_kid, read_audiences

GRANULARITY: Micros = SECOND
"""How far a sender's clock may be ahead, in addition to its leeway: most write whole seconds."""


def read_signal_header(token: str, types: frozenset[str | None]) -> Header:
    """Return the header of a signal, so that its sender and its key can be looked up.

    ``types`` are the accepted values of ``typ``, in lower case and without ``application/``
    (RFC 7515 section 4.1.9); None among them if it may be absent.

    Raises:
        SignalRefused: if the token is not a JWT in compact form of at most 8 KB, is of another
            type, repeats a member, or uses an extension.
    """
    with refusing(Refusal.MALFORMED):
        members = open_header(token)
    kind = members.get("typ")
    word = kind.lower().removeprefix("application/") if isinstance(kind, str) else kind
    if not (word is None or isinstance(word, str)) or word not in types:
        raise SignalRefused(Refusal.TYPE, "a token of another kind (typ)")
    with refusing(Refusal.SIGNATURE):
        return read_alg_and_kid(members)


def read_jti(claims: dict[str, Any]) -> str:
    """Return the id of a signal, by which a repeated one is recognized.

    Raises:
        SignalRefused: if there is none.
    """
    return _read_required(claims, "jti")


def read_iss(claims: dict[str, Any], rules: Rules) -> str:
    """Return the ``iss`` of a signal from the sender with these rules, in its first spelling.

    Raises:
        SignalRefused: if it is missing, or of somebody else.
    """
    iss = claims.get("iss")
    if iss is None or not rules.is_of(iss):
        raise SignalRefused(Refusal.ISSUER, "of another issuer (iss)")
    return rules.issuer or _read_required(claims, "iss")


def _read_required(claims: dict[str, Any], claim: str) -> str:
    if claims.get(claim) is None:
        raise SignalRefused(Refusal.MALFORMED, f"the claim {claim} is missing")
    with refusing(Refusal.MALFORMED):
        return read_name(claim, claims[claim])


def check_audience(claims: dict[str, Any], accepted: tuple[str, ...]) -> None:
    """Check that ``aud``, a text or a list, holds one of the accepted names.

    Raises:
        SignalRefused: if it does not.
    """
    with refusing(Refusal.MALFORMED):
        given = read_audiences("aud", claims.get("aud"))
    if set(accepted).isdisjoint(given):
        raise SignalRefused(Refusal.AUDIENCE, "for another audience (aud)")


def read_issued_at(claims: dict[str, Any], rules: Rules, now: Micros) -> Micros:
    """Return the ``iat`` of a signal; ``nbf`` is checked too, if it is there.

    Raises:
        SignalEarly: if either is ahead of ``now``, by so little that it soon will not be.
        SignalRefused: if ``iat`` is missing, or either is further ahead.
    """
    if claims.get("iat") is None:
        raise SignalRefused(Refusal.MALFORMED, "the claim iat is missing")
    times = {claim: claims[claim] for claim in ("iat", "nbf") if claims.get(claim) is not None}
    for claim, value in times.items():
        with refusing(Refusal.MALFORMED):
            at = read_date(claim, value)
        early = at - now - rules.leeway - GRANULARITY
        if early > MAX_WAIT:
            raise SignalRefused(Refusal.FUTURE, _describe_future(claim))
        if early > 0:
            raise SignalEarly(_describe_future(claim), retry_after=early / SECOND)
    return read_date("iat", claims["iat"])


def _describe_future(claim: str) -> str:
    return f"from the future ({claim}): compare the clocks"


def read_expiry(claims: dict[str, Any], rules: Rules, now: Micros) -> Micros | None:
    """Return the ``exp`` of a signal, or None if it has none.

    Raises:
        SignalRefused: if it has passed.
    """
    if claims.get("exp") is None:
        return None
    with refusing(Refusal.MALFORMED):
        exp = read_date("exp", claims["exp"])
    if exp + rules.leeway <= now:
        raise SignalRefused(Refusal.EXPIRED, "it has expired (exp)")
    return exp


def read_horizon(at: Micros, now: Micros, leeway: Micros) -> Micros:
    """Return the time up to which logins end if something happened at a stated time.

    A whole second counts as all of it. A login has the time of its issuer's clock, and that may be
    ahead of ``now`` as the signal's may, so the result may be later than ``now``: by the leeway, or
    as far as ``at`` itself is, but never later than what was stated may mean.
    """
    return min(end_of_second(at), max(at, now + leeway))


def reach_ahead(issued_at: Micros, now: Micros, leeway: Micros) -> Micros | None:
    """Return the horizon of a signal that ends whatever login there is; None for now.

    The logins that end have begun when the signal was issued, by a clock that may be ahead.
    """
    horizon = read_horizon(issued_at, now, leeway)
    return horizon if horizon > now else None


def end_of_second(at: Micros) -> Micros:
    """Return the latest time that a stated time may mean: a whole second counts as all of it."""
    return at if at % SECOND else at + SECOND - 1
