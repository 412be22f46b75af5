"""The two rules of the house: is this token dead, and which sessions does this logout end.

Theory of operation. The store keeps three kinds of facts. A *tombstone* says that a session was
ended by name. A *cut-off* says that, at one instant, everything of a user (or of everybody) ended;
it may keep one session, the one that asked to end the others. The *registry* says which sessions
have shown themselves, when, and with how new a token. `judge` weighs these facts and nothing else:

1. A session with a tombstone is dead. Where tokens tell when their login began, the tombstone ends
   the logins up to its instant: a later login may go on under the same session id.
2. Otherwise the newest cut-off counts, of those that did not keep the session: the token is dead
   when it began at that instant or before.
3. What the facts leave alive may still be expired or not valid yet, by the store's clock.

A token begins when its login began, where it says so, or else when it was issued: `Identity.begun`.
So a refresh does not make a login younger. One that was refreshed after the logout which ended its
login is refused with ``login_required``: no other token of this login will do better.

A whole-second time (most issuers write no fraction) may stand for any instant of its second, so
within the second of a cut-off it proves nothing. Then the registry decides: a session that was
registered after the cut-off, by a token begun after it, is alive. Any other token of that second
is refused, with ``token_too_old`` instead of ``token_revoked``: most likely the person just logged
in again and only needs a fresh token. A token that is certainly older stays dead, whatever became
of its session.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from hub.core.model import SECOND, Identity, Logout, Micros, Scope, Session, Standing
from hub.errors import (
    LoginRequired,
    TokenExpired,
    TokenInvalid,
    TokenNotYetValid,
    TokenRevoked,
    TokenTooOld,
    Unauthorized,
)

MAX_WAIT = 60 * SECOND
"""How long one may be asked to wait until a token is valid."""


def judge(identity: Identity, standing: Standing) -> Unauthorized | None:
    """Return why the token of ``identity`` is dead, or None when it is alive.

    The identity's leeway stretches ``exp``, ``nbf`` and a future ``iat``, never a logout. One
    second more is allowed for dates that lie ahead, since an issuer may round them up.
    """
    now, tombstone = standing.now, standing.tombstone
    if tombstone is not None and not outlives(identity, tombstone):
        return _refuse(identity, tombstone, now) or TokenRevoked(logout=tombstone)
    cutoff = newest_cutoff(identity.sid, standing.cutoffs)
    if cutoff is not None and identity.begun <= cutoff.at:
        if (refusal := _refuse(identity, cutoff, now)) is not None:
            return refusal
        # What another login registered says nothing of this one.
        if identity.login_at is not None or not _is_newer(standing.session, cutoff):
            # Not this token: one that is issued from then on, even in whole seconds.
            wait = max(0, (cutoff.at // SECOND + 1) * SECOND - now)
            why = "get a token that is issued later"
            return TokenTooOld(why, logout=cutoff, retry_after=wait / SECOND)
    if identity.exp + identity.leeway <= now:
        return TokenExpired()
    early = begins(identity) - now
    if early > MAX_WAIT:
        return TokenInvalid("the token is not valid yet")
    if early > 0:
        return TokenNotYetValid("wait, or set the issuer's clock", retry_after=early / SECOND)
    return None


def outlives(identity: Identity, tombstone: Logout) -> bool:
    """Tell whether a token is of a login that began after its session id was ended."""
    return identity.login_at is not None and identity.login_at > tombstone.at


def _refuse(identity: Identity, logout: Logout, now: Micros) -> Unauthorized | None:
    """Return why a token that did not begin after a logout is dead; None when it may be newer."""
    if identity.login_at is not None and identity.iat > logout.at:
        return LoginRequired(logout=logout, max_age=max(0, now - logout.at) // SECOND)
    if issued_until(identity.begun) < logout.at:
        return TokenRevoked(logout=logout)
    return None


def begins(identity: Identity) -> Micros:
    """Return from when on `judge` lets a token be, if nothing ended it."""
    return max(identity.iat, identity.nbf, identity.begun) - identity.leeway - SECOND


def apply_leeway(identity: Identity) -> Identity:
    """Return the identity valid from when to when `judge` lets it be, if nothing ended it."""
    return msgspec.structs.replace(
        identity, nbf=begins(identity), exp=identity.exp + identity.leeway
    )


def newest_cutoff(sid: str, cutoffs: Iterable[Logout]) -> Logout | None:
    """Return the newest of the cut-offs that did not keep the session ``sid``."""
    return max((cut for cut in cutoffs if ends(cut, sid)), key=lambda cut: cut.at, default=None)


def _is_newer(session: Session | None, cutoff: Logout) -> bool:
    return session is not None and min(session.registered_at, session.begun) > cutoff.at


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
    return cutoff is None or identity.begun > cutoff.at


def is_surely_alive(identity: Identity, standing: Standing) -> bool:
    """Tell whether a token is alive by comparing times alone; otherwise it is to be judged.

    ``identity`` is as `apply_leeway` returns it. A store asks this where it cannot ask `judge`: at
    the very instant of a change. What it lets pass, `judge` would.
    """
    is_newer = all(identity.begun > cutoff.at for cutoff in standing.cutoffs)
    is_ended = standing.tombstone is not None
    return is_newer and not is_ended and identity.nbf <= standing.now < identity.exp


def issued_until(at: Micros) -> Micros:
    """Return the last instant that a time in a token can stand for."""
    return at + SECOND - 1 if at % SECOND == 0 else at


def ends(logout: Logout, sid: str) -> bool:
    """Tell whether ``logout`` ends the session ``sid`` of a user that it is about."""
    match logout.scope:
        case Scope.ALL:
            return True
        case Scope.OTHERS:
            return sid != logout.sid
        case Scope.SESSION:
            return sid == logout.sid


def identify(user: str, session: Session, leeway: Micros = 0) -> Identity:
    """Return the identity of the newest token of a registered session, to judge it by."""
    return Identity(
        user=user,
        sub="",
        iss="",
        sid=session.sid,
        iat=session.begun,
        exp=session.expires_at,
        leeway=leeway,
    )


def living(user: str, sessions: list[Session], standing: Standing) -> list[Session]:
    """Return those of a user's registered sessions that are alive, by the same rule as tokens."""
    return [
        session
        for session in sessions
        if judge(
            # One that was let in with a date ahead is not hidden by it.
            identify(user, session, leeway=max(0, session.begun - standing.now)),
            Standing(now=standing.now, session=session, cutoffs=standing.cutoffs),
        )
        is None
    ]
