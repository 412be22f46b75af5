"""The two central rules: whether a token is revoked, and which sessions a logout ends.

Theory of operation. The store keeps three kinds of facts. A *tombstone* records that a session was
ended by name. A *cut-off* records that, at one instant, all sessions of a user (or of everyone)
were ended; it may keep one session, that of the caller who ended the others. The *registry* records
which sessions have presented tokens, when, and how new those were. `judge` uses only these facts:

1. A session with a tombstone is revoked. If tokens state the time of their login, the tombstone
   ends logins up to its instant: a later login may continue under the same session id.
2. Otherwise the newest cut-off that did not keep the session counts: the token is revoked if it
   began at that instant or before.

   A logout that reports something that happened earlier (`Logout.before`) counts as of that time,
   its *horizon*, so that it does not end a login that has begun since.
3. A token that is not revoked may still be expired or not valid yet, by the store's clock.

A token begins when its login began, if it states that, or else when it was issued: see
`Identity.begun`. A refresh therefore does not make a login newer. A token that was refreshed after
the logout that ended its login is refused with ``login_required``: every other token of this login
would be refused too.

A time in whole seconds (most issuers write no fraction) may mean any instant of its second, so
within the second of a cut-off it proves nothing. Then the registry decides: a session that was
registered after the cut-off, by a token that began after it, is alive. Any other token of that
second is refused with ``token_too_old`` instead of ``token_revoked``: most likely the person has
just logged in again and only needs a new token. A token that is certainly older stays revoked,
whatever happened to its session.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from hub.core.model import SECOND, Identity, Logout, Micros, RevocationState, Scope, Session
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
"""The longest ``retry_after`` for a token that is not valid yet."""


def judge(identity: Identity, state: RevocationState) -> Unauthorized | None:
    """Return why the token of ``identity`` is refused, or None if it is accepted.

    The identity's leeway applies to ``exp``, ``nbf`` and a future ``iat``, never to a logout. Times
    in the future get one more second, since an issuer may round them up.
    """
    now, tombstone = state.now, state.tombstone
    if tombstone is not None and not outlives(identity, tombstone):
        return _refuse(identity, tombstone, now) or TokenRevoked(logout=tombstone)
    cutoff = newest_cutoff(identity.sid, state.cutoffs)
    if cutoff is not None and identity.begun <= cutoff.horizon:
        if (refusal := _refuse(identity, cutoff, now)) is not None:
            return refusal
        # With a known login time, the registration may be that of another login.
        if identity.login_at is not None or not _is_newer(state.session, cutoff):
            # When a token issued in whole seconds will be newer than the cut-off.
            wait = max(0, (cutoff.horizon // SECOND + 1) * SECOND - now)
            why = "get a token that is issued later"
            return TokenTooOld(why, logout=cutoff, retry_after=wait / SECOND)
    if identity.valid_until <= now:
        return TokenExpired()
    early = begins(identity) - now
    if early > MAX_WAIT:
        return TokenInvalid("the token is not valid yet")
    if early > 0:
        return TokenNotYetValid("wait, or set the issuer's clock", retry_after=early / SECOND)
    return None


def outlives(identity: Identity, tombstone: Logout) -> bool:
    """Return whether a token belongs to a login that began after its session id was ended."""
    return identity.login_at is not None and identity.login_at > tombstone.horizon


def _refuse(identity: Identity, logout: Logout, now: Micros) -> Unauthorized | None:
    """Return why a token that began no later than a logout is revoked; None if it may be newer."""
    if identity.login_at is not None and identity.iat > logout.at:
        return LoginRequired(logout=logout, max_age=max(0, now - logout.at) // SECOND)
    if issued_until(identity.begun) < logout.horizon:
        return TokenRevoked(logout=logout)
    return None


def begins(identity: Identity) -> Micros:
    """Return the time from which `judge` accepts a token, unless it is revoked."""
    return max(identity.iat, identity.nbf, identity.begun) - identity.leeway - SECOND


def apply_leeway(identity: Identity) -> Identity:
    """Return the identity with ``nbf`` and ``exp`` as `judge` applies them."""
    return msgspec.structs.replace(identity, nbf=begins(identity), exp=identity.valid_until)


def newest_cutoff(sid: str, cutoffs: Iterable[Logout]) -> Logout | None:
    """Return the newest of the cut-offs that did not keep the session ``sid``."""
    ended_by = (cutoff for cutoff in cutoffs if ends(cutoff, sid))
    return max(ended_by, key=lambda cutoff: cutoff.horizon, default=None)


def _is_newer(session: Session | None, cutoff: Logout) -> bool:
    return session is not None and min(session.registered_at, session.begun) > cutoff.horizon


def alive_until(state: RevocationState) -> Micros:
    """Return the time, by the store's clock, up to which a session is known to be alive.

    ``state`` is the answer by which it was judged. Logouts up to that time were considered, and a
    later one may end the session. The instant of the answer is excluded, since more may have
    happened within it; the cut-offs are included, even if the clock has been set back since.
    """
    return max([state.now - 1, *(cutoff.at for cutoff in state.cutoffs)])


def supersede(cutoff: Logout, older: Sequence[Logout]) -> tuple[Logout, ...]:
    """Return the cut-offs to store when ``cutoff`` is written: the newest, and the kept one if any.

    The newest is that with the latest horizon, usually ``cutoff`` itself. One that keeps a session
    says nothing about it, so the newest one that ended that session is stored too; otherwise
    keeping a session could revive it.
    """
    newest, *others = sorted((cutoff, *older), key=lambda one: one.horizon, reverse=True)
    kept_sid = newest.sid if newest.scope is Scope.OTHERS else None
    kept_cutoff = None if kept_sid is None else newest_cutoff(kept_sid, others)
    return (newest,) if kept_cutoff is None else (newest, kept_cutoff)


def may_register(identity: Identity, cutoffs: Iterable[Logout]) -> bool:
    """Return whether this token may register a session that is not registered.

    This only keeps sessions that ended long ago out of the registry; `judge` decides whether a
    token is accepted.
    """
    cutoff = newest_cutoff(identity.sid, cutoffs)
    return cutoff is None or identity.begun > cutoff.horizon


def is_surely_alive(identity: Identity, state: RevocationState) -> bool:
    """Return whether comparing times is enough to accept a token; if not, use `judge`.

    ``identity`` is as `apply_leeway` returns it. A store uses this rule where it cannot call
    `judge`: within an atomic change. `judge` accepts every token that this accepts.
    """
    is_newer = all(identity.begun > cutoff.horizon for cutoff in state.cutoffs)
    is_ended = state.tombstone is not None
    return is_newer and not is_ended and identity.nbf <= state.now < identity.exp


def issued_until(at: Micros) -> Micros:
    """Return the last instant that a time in a token can mean."""
    return at + SECOND - 1 if at % SECOND == 0 else at


def ends(logout: Logout, sid: str) -> bool:
    """Return whether ``logout`` ends the session ``sid`` of its user."""
    match logout.scope:
        case Scope.ALL:
            return True
        case Scope.OTHERS:
            return sid != logout.sid
        case Scope.SESSION:
            return sid == logout.sid


def ends_registered(logout: Logout, session: Session) -> bool:
    """Return whether ``logout`` ends a registered session of its scope, by when that began.

    A session whose login time is unknown began when it was first seen, or when its newest token was
    issued, whichever was earlier; one that is ended by name is ended whenever it began.
    """
    if logout.before is None:
        return True
    if session.login_at is not None:
        return session.login_at <= logout.before
    is_named = logout.scope is Scope.SESSION
    return is_named or min(session.begun, session.created_at) <= logout.before


def surely_ends(logout: Logout, identity: Identity) -> bool:
    """Return whether ``logout`` ends every session of its scope that has a token of ``identity``.

    If not, the registry decides (`ends_registered`), which knows when the session was first seen.
    """
    if logout.before is None:
        return True
    is_named = logout.scope is Scope.SESSION and identity.login_at is None
    return is_named or identity.begun <= logout.before


def identify(user: str, session: Session, leeway: Micros = 0) -> Identity:
    """Return the identity of a registered session's newest token, for `judge`."""
    return Identity(
        user=user,
        sub="",
        iss="",
        sid=session.sid,
        iat=session.begun,
        exp=session.expires_at,
        leeway=leeway,
    )


def living(user: str, sessions: list[Session], state: RevocationState) -> list[Session]:
    """Return the registered sessions of a user that are alive, by the same rule as tokens."""
    return [
        session
        for session in sessions
        if judge(
            # Do not hide a session that was accepted with a time in the future.
            identify(user, session, leeway=max(0, session.begun - state.now)),
            RevocationState(now=state.now, session=session, cutoffs=state.cutoffs),
        )
        is None
    ]
