"""The verdicts of a guard: by what it knows if that is enough, otherwise by the hub's answer.

An answer of the hub only holds for the facts that were known when it was asked: if a logout that
concerns the session arrives in the meantime, the session is judged again.
"""

from __future__ import annotations

import functools
import math
import threading
import time
from collections.abc import Callable

from hub.core.claims import is_name
from hub.core.issuers import Entry, resolve_issuer
from hub.core.model import SECOND, Identity, Micros, RevocationState, UserKey, user_key
from hub.core.revocation import judge
from hub.errors import InvalidRequest, TokenTooOld, Unauthorized, Unavailable
from hub.guard.clock import clock
from hub.guard.feed_state import FeedState, Knowledge
from hub.guard.known_tokens import MAX_KNOWN, Known, KnownTokens
from hub.guard.options import OnStale, Options
from hub.guard.revocations import Mark, Names
from hub.guard.steps import Steps

MAX_ATTEMPTS = 3


class Verdicts:
    """Judges verified tokens, and sessions, by ``state``."""

    def __init__(self, options: Options, state: FeedState, known: KnownTokens) -> None:
        self.find_names = functools.lru_cache(MAX_KNOWN)(
            functools.partial(name_session, options.entries)
        )
        self._describe = functools.lru_cache(MAX_KNOWN)(self._describe_anew)
        self._state = state
        self._find_known = known.find
        self._max_staleness = options.max_staleness
        self._on_stale = options.on_stale
        self._lock = threading.Lock()
        self._answers: dict[tuple[UserKey, str, Micros], Mark] = {}

    # ---- What needs no waiting ----

    def recall(self, token: str) -> Identity | None:
        """Return the identity of a known token that is certainly alive, otherwise None."""
        known = self._find_known(token)
        return None if known is None else self._recall(known)

    def recall_session(
        self, user: str, sid: str, logged_in_at: float, issuer: str | None
    ) -> Identity | None:
        """Do the same for an app's own session; raises as `describe_session` does."""
        return self._recall(self.describe_session(user, sid, logged_in_at, issuer))

    def _recall(self, known: Known) -> Identity | None:
        knowledge, now = self._state.knowledge, clock()
        freshness = knowledge.freshness
        if now - freshness.until > self._max_staleness or freshness.late:
            return None
        if not known.valid_from <= now + freshness.latest < known.valid_until:  # type: ignore[operator]
            return None
        if not knowledge.revocations.surely_accept(known.names, known.begun):
            return None
        return known.identity

    def describe_session(
        self, user: str, sid: str, logged_in_at: float, issuer: str | None
    ) -> Known:
        """Return a session in the form that `deciding` takes.

        Raises:
            InvalidRequest: if there can be no such session.
        """
        lifetime = self._state.knowledge.revocations.lifetime
        return self._describe(user, sid, logged_in_at, issuer, lifetime)

    def _describe_anew(
        self, user: str, sid: str, logged_in_at: float, issuer: str | None, lifetime: Micros
    ) -> Known:
        if not (math.isfinite(logged_in_at) and 0 <= logged_in_at < 1e11):
            raise InvalidRequest("logged_in_at is not a time in seconds")
        names, iss = self.find_names(user, sid, issuer)
        begun = round(logged_in_at * SECOND)
        until = begun + lifetime
        return Known(Identity(names.user_key, user, iss, sid, begun, until, login_at=begun), names)

    # ---- What may have to wait ----

    def deciding(self, known: Known, ask: Callable[[Mark], Steps[float]]) -> Steps[Identity]:
        """Return the identity, unless it is refused; ``ask`` asks the hub if need be.

        Raises:
            Unauthorized: when it is expired or revoked.
            Unavailable: when neither the guard nor the hub can tell at the moment.
        """
        identity, names, on_stale = known.identity, known.names, self._on_stale
        for _ in range(MAX_ATTEMPTS):
            knowledge = self._state.knowledge  # read once, since a `ready` replaces it
            is_stale = self._is_stale(knowledge, names)
            mark = knowledge.revocations.mark(names)
            refusal = self._judge(knowledge, known, mark)
            # The hub may have registered the session since the logout, and then accepts it.
            may_be_registered = isinstance(refusal, TokenTooOld) and identity.login_at is None
            if refusal is not None and not (may_be_registered and on_stale != "refuse"):
                raise refusal
            if refusal is None and not is_stale:
                return identity
            if not may_be_registered and on_stale != "ask":
                return self._settle_for(on_stale, identity)
            asked_at = yield from ask(mark)
            if clock() - asked_at > self._max_staleness:
                continue  # the answer itself is too old by now
            if self._state.knowledge.revocations.mark(names) == mark:
                if may_be_registered:
                    self._note_answer(known, mark)
                return identity
        raise Unavailable("the hub answers too slowly, or logouts follow each other too quickly")

    def _note_answer(self, known: Known, mark: Mark) -> None:
        known.answer = mark
        with self._lock:
            self._answers[known.names.user_key, known.identity.sid, known.begun] = mark
            if len(self._answers) > MAX_KNOWN:
                del self._answers[next(iter(self._answers))]

    def find_answer(self, names: Names, sid: str, begun: Micros | None) -> Mark:
        """Return the mark with which the hub accepted a login, or an empty one."""
        return () if begun is None else self._answers.get((names.user_key, sid, begun), ())

    def _is_stale(self, knowledge: Knowledge, names: Names) -> bool:
        partition = names.slot % knowledge.revocations.partitions
        return knowledge.freshness.staleness(clock(), partition) > self._max_staleness

    def _judge(self, knowledge: Knowledge, known: Known, mark: Mark) -> Unauthorized | None:
        """Return why the known facts refuse a session, or None."""
        identity = known.identity
        latest = knowledge.freshness.latest
        if latest is None and self._on_stale != "allow":
            return None  # not even the time is known, so the caller will not accept this as fresh
        # Only with `allow` do tokens expire by this machine's clock.
        now = round((time.time() if latest is None else clock() + latest) * SECOND)
        if known.answer == mark:
            return judge(identity, RevocationState(now=now))
        return knowledge.revocations.judge(identity, now, known.names)

    def _settle_for(self, on_stale: OnStale, identity: Identity) -> Identity:
        if on_stale == "allow":
            return identity
        staleness = self._state.knowledge.freshness.staleness(clock())
        raise Unavailable(f"the guard has had no confirmation from the hub for {staleness:.0f} s")


def name_session(
    entries: tuple[Entry, ...], user: str, sid: str, issuer: str | None
) -> tuple[Names, str]:
    """Return the names of an app's own session, and the ``iss`` that its user belongs to.

    Raises:
        InvalidRequest: if there can be no such session, or ``issuer`` is needed.
    """
    if not is_name(user) or not is_name(sid):
        raise InvalidRequest(
            "user and sid must have 1 to 256 characters, and no control characters"
        )
    iss = resolve_issuer(entries, issuer)[0] if entries else issuer or ""
    return Names(user_key(iss, user), sid), iss
