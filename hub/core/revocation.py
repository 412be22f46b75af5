"""The two rules of the house: is this token dead, and which sessions does this logout end.

Theory of operation. The store keeps three kinds of facts. A *tombstone* says that a session was
ended by name. A *cut-off* says that, at one instant, everything of a user (or of everybody) ended;
it may keep one session, the one that asked to end the others. The *registry* says which sessions
have shown themselves, when, and with how new a token. `judge` weighs these facts and nothing else:

1. A session with a tombstone is dead.
2. Otherwise the newest cut-off counts, of those that did not keep the session: the token is dead
   when it was issued at that instant or before.
3. What the facts leave alive may still be expired or not valid yet, by the store's clock.

A whole-second ``iat`` (most issuers write no fraction) may stand for any instant of its second, so
within the second of a cut-off it proves nothing. Then the registry decides: a session that was
registered after the cut-off, by a token issued after it, is alive. Any other token of that second
is refused, with ``token_too_old`` instead of ``token_revoked``: most likely the person just logged
in again and only needs a fresh token. A token that is certainly older stays dead, whatever became
of its session.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

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
    cutoff = newest_cutoff(identity.sid, standing.cutoffs)
    if cutoff is not None and identity.iat <= cutoff.at:
        if issued_until(identity.iat) < cutoff.at:
            return TokenRevoked(logout=cutoff)
        if not _is_newer(standing.session, cutoff):
            return TokenTooOld("log in again or refresh the token", logout=cutoff)
    if identity.exp + leeway <= standing.now:
        return TokenExpired()
    if max(identity.iat, identity.nbf) > standing.now + leeway + SECOND:
        return TokenInvalid("the token is not valid yet")
    return None


def stretch(identity: Identity, leeway: Micros) -> Identity:
    """Return the identity valid from when to when `judge` lets it be, if nothing ended it."""
    begins = max(identity.iat, identity.nbf) - leeway - SECOND
    return msgspec.structs.replace(identity, nbf=begins, exp=identity.exp + leeway)


def newest_cutoff(sid: str, cutoffs: Iterable[Logout]) -> Logout | None:
    """Return the newest of the cut-offs that did not keep the session ``sid``."""
    return max((cut for cut in cutoffs if ends(cut, sid)), key=lambda cut: cut.at, default=None)


def _is_newer(session: Session | None, cutoff: Logout) -> bool:
    return session is not None and min(session.registered_at, session.iat) > cutoff.at


def alive_until(standing: Standing) -> Micros:
    """Return up to when, by the store's clock, a session that was found alive is known to be so.

    A logout of a later time may end it, one of this time or before was weighed. The instant of the
    answer itself does not count, since more may have happened in it; a cut-off that was weighed
    does, though the store's clock was set back since.
    """
    return max([standing.now - 1, *(cutoff.at for cutoff in standing.cutoffs)])


def supersede(cutoff: Logout, older: Sequence[Logout]) -> tuple[Logout, ...]:
    """Return the cut-offs to remember once ``cutoff`` is written: itself, and what it does not say.

    A cut-off that keeps a session says nothing of it, so the newest one that ended that session
    is remembered with it; otherwise keeping a session could bring it back to life.
    """
    spared = cutoff.sid if cutoff.scope is Scope.OTHERS else None
    floor = None if spared is None else newest_cutoff(spared, older)
    return (cutoff,) if floor is None else (cutoff, floor)


def may_register(identity: Identity, cutoffs: Iterable[Logout]) -> bool:
    """Tell whether a session that is not in the registry may enter it with this token.

    This only keeps the registry clean of sessions that are long dead: `judge` says who is.
    """
    cutoff = newest_cutoff(identity.sid, cutoffs)
    return cutoff is None or identity.iat > cutoff.at


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
