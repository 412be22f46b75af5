"""The two rules of the house: is this token dead, and which sessions does this logout end.

Theory of operation. The store keeps three kinds of facts. A *tombstone* says that a session was
ended by name. A *cut-off* says that, at one instant, everything of a user (or of everybody) ended;
it may keep one session, the one that asked to end the others. The *registry* says which sessions
have shown themselves, when, and with how new a token. `judge` weighs these facts and nothing else:

1. A session with a tombstone is dead.
2. Otherwise the newest cut-off counts, and the session outlives it when the cut-off kept it, when
   it was registered afterwards with a token issued afterwards, or when this token was issued
   afterwards.
3. What the facts leave alive may still be expired or not valid yet, by the store's clock.

A whole-second ``iat`` (most issuers write no fraction) may stand for any instant of its second, so
within the second of a cut-off the rule refuses it, and says ``token_too_old`` instead of
``token_revoked``: the person just logged in again and only needs a fresh token.
"""

from __future__ import annotations

from hub.core.model import SECOND, Identity, Logout, Micros, Scope, Session, Standing
from hub.errors import TokenExpired, TokenInvalid, TokenRevoked, TokenTooOld, Unauthorized


def judge(identity: Identity, standing: Standing, leeway: Micros = 0) -> Unauthorized | None:
    """Return why the token of ``identity`` is dead, or None when it is alive.

    ``leeway`` is how far the issuer's clock may differ from the store's; it stretches ``exp``,
    ``nbf`` and a future ``iat``, never a logout. One second more is allowed for dates that lie
    ahead, since an issuer may round them up.
    """
    if standing.tombstone is not None:
        return TokenRevoked(logout=standing.tombstone)
    cutoff = max(standing.cutoffs, key=lambda cut: cut.at, default=None)
    if cutoff is not None and not _outlives(identity, standing.session, cutoff):
        if issued_until(identity.iat) >= cutoff.at:
            return TokenTooOld("log in again or refresh the token", logout=cutoff)
        return TokenRevoked(logout=cutoff)
    if identity.exp + leeway <= standing.now:
        return TokenExpired()
    if max(identity.iat, identity.nbf) > standing.now + leeway + SECOND:
        return TokenInvalid("the token is not valid yet")
    return None


def _outlives(identity: Identity, session: Session | None, cutoff: Logout) -> bool:
    if cutoff.scope is Scope.OTHERS and identity.sid == cutoff.sid:
        return True
    if session is not None and session.registered_at > cutoff.at and session.iat > cutoff.at:
        return True
    return identity.iat > cutoff.at


def issued_until(iat: Micros) -> Micros:
    """Return the last instant at which a token with this ``iat`` can have been issued."""
    return iat + SECOND - 1 if iat % SECOND == 0 else iat


def ends(logout: Logout, sid: str) -> bool:
    """Tell whether ``logout`` ends the session ``sid`` of a user that it is about."""
    match logout.scope:
        case Scope.ALL:
            return True
        case Scope.OTHERS:
            return sid != logout.sid
        case Scope.SESSION:
            return sid == logout.sid


def identify(user: str, session: Session) -> Identity:
    """Return the identity of the newest token of a registered session, to judge it by."""
    return Identity(
        user=user, sub="", iss="", sid=session.sid, iat=session.iat, exp=session.expires_at
    )


def living(user: str, sessions: list[Session], standing: Standing) -> list[Session]:
    """Return those of a user's registered sessions that are alive, by the same rule as tokens."""
    return [
        session
        for session in sessions
        if judge(
            identify(user, session),
            Standing(now=standing.now, session=session, cutoffs=standing.cutoffs),
            leeway=max(0, session.iat - standing.now),
        )
        is None
    ]
