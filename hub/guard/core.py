"""What `Guard` and `SyncGuard` share: the verdicts, and what is done to reach them.

Theory of operation. A thread follows the feed (`FeedReader`) and keeps what it says (`FeedState`).
A check is answered from there, without any waiting: `recall` and `recall_session` do so where
nothing is in doubt, at the price of a few look-ups. Everything else is left to `checking` and
`checking_session`, which may wait for keys or for the hub's own answer.

An answer of the hub is only good for the facts that were known when it was asked: if a logout that
concerns the session is heard meanwhile, the session is judged anew.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import math
import os
import threading
import time
import weakref
from collections.abc import Callable, Hashable, Mapping
from typing import Any

from hub.core.claims import is_name
from hub.core.feed import Revocation
from hub.core.issuers import Entry, resolve_issuer
from hub.core.model import (
    SECOND,
    Identity,
    Micros,
    Reason,
    RevocationState,
    UserKey,
    user_key,
)
from hub.core.revocation import begins, judge
from hub.errors import (
    InvalidRequest,
    LoginRequired,
    TokenRevoked,
    TokenTooOld,
    Unauthorized,
    Unavailable,
)
from hub.guard.clock import clock
from hub.guard.feed_reader import FeedReader
from hub.guard.feed_state import FeedState, Heard, Knowledge
from hub.guard.flights import Flights
from hub.guard.hub_calls import ASK_TIMEOUT, HubCalls
from hub.guard.options import OnStale, Options
from hub.guard.revocations import Mark, Names
from hub.guard.steps import Steps, Wait
from hub.guard.tickets import Ticketing, find_ticketing
from hub.guard.verifier import Verifier
from hub.guard.watches import OnEnd, Watched, Watches

log = logging.getLogger("logout_hub.guard")

MOST_KNOWN = 20_000
"""Verified tokens, and sessions, that are remembered."""
MOST_KNOWN_BYTES = 32_000_000
MARGIN = 0.001
"""Seconds at the ends of a token's life in which `recall` leaves the verdict to `checking`."""
JOIN_SECONDS = 1.0
"""For how long others may join a question that was asked."""
MOST_ATTEMPTS = 3
ASKING_LIFETIME = 60.0
"""Seconds for which the ticket with which the hub is asked lives."""

METRICS = {
    "staleness_seconds": "how old the knowledge is, at each confirmation and each failure",
    "revocations": "the revocations in force, whenever everything is known anew",
    "connects": "1, for each connection to the feed",
    "resets": "1, each time the feed could not go on from where it was",
    "ask_seconds": "how long the hub took to answer a question",
    "asks_failed": "1, for each question that the hub did not answer",
}
"""What a guard measures."""

SessionNames = tuple[Names, str]


class Known:
    """A verified token; ``answer`` holds the facts for which the hub said that it is good."""

    __slots__ = ("answer", "begun", "closes", "identity", "names", "opens")

    def __init__(self, identity: Identity, names: Names) -> None:
        self.identity = identity
        self.names = names
        self.begun = identity.begun
        self.opens = begins(identity) / SECOND + MARGIN
        self.closes = (identity.exp + identity.leeway) / SECOND - MARGIN
        self.answer: Mark | None = None


class Core:
    """The guard itself; see `hub.guard.Guard` for what its methods promise."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.verifier = Verifier(options.entries, options.tls)
        self.on_logout: list[Callable[[Revocation], None]] = []
        self.on_stale: list[Callable[[bool], None]] = []
        self._hub = HubCalls(options.urls, options.tls)
        self._find_names = functools.lru_cache(MOST_KNOWN)(
            functools.partial(name_session, options.entries)
        )
        self._ticketing: dict[str | None, Ticketing | None] = {}
        self._max_staleness = options.max_staleness
        self._is_closed = False
        self._begin_anew()
        _cores.add(self)

    def _begin_anew(self) -> None:
        """Forget everything: at first, and in a process that was forked off."""
        self._lock = threading.Lock()
        self.watches = Watches()
        self._state = FeedState()
        self._known: dict[str, Known] = {}
        self._known_bytes = 0
        # The logins that the hub has accepted in spite of some facts, for those who watch them.
        self._accepted: dict[tuple[UserKey, str, Micros], Mark] = {}
        self._generation = self.verifier.generation
        self._keys_until = self.verifier.until
        self._flights: Flights | None = None
        self._reader: FeedReader | None = None
        self._seen_connects = self._seen_resets = 0
        self._was_stale = True

    # ---- Start and end ----

    def starting(self) -> Steps[None]:
        """Begin to follow the feed, and wait until it is ready, up to ``start_timeout``."""
        with self._lock:
            if self._is_closed or self._reader is not None:
                return
            self._flights = Flights()
            self._reader = reader = FeedReader(
                self.options.urls,
                self.options.token,
                self._state,
                tls=self.options.tls,
                on_heard=self._hear,
                on_step=self._step,
            )
            reader.start()
        with contextlib.suppress(TimeoutError):
            yield Wait(reader.settled, self.options.start_timeout)
        if not self._state.is_ready:
            log.error(
                "the guard is not ready: no feed of revocations from %s (%s); until there is one, "
                "on_stale=%r applies",
                ", ".join(self.options.urls),
                reader.trouble,
                self.options.on_stale,
            )

    def close(self) -> None:
        """End the threads; what is asked of the guard from now on it does not answer."""
        with self._lock:
            self._is_closed = True
            reader, flights = self._reader, self._flights
        if reader is not None:
            reader.stop()
        if flights is not None:
            flights.close()

    def _require_flights(self) -> Flights:
        if self._flights is None or self._is_closed:
            raise Unavailable("the guard is closed")
        return self._flights

    # ---- Freshness ----

    @property
    def is_ready(self) -> bool:
        """Whether the feed has said what is in force."""
        return self._state.is_ready

    @property
    def staleness(self) -> float:
        """How many seconds old the oldest part of the knowledge is."""
        return self._state.knowledge.freshness.staleness(clock())

    def now(self) -> float:
        """Return the store's time, at least; by the machine's clock before the first `ready`."""
        earliest = self._state.knowledge.freshness.earliest
        return time.time() if earliest is None else clock() + earliest

    # ---- What needs no waiting ----

    def recall(self, token: str) -> Identity | None:
        """Return the identity of a token that is known, and good beyond doubt; else None."""
        known = self._known.get(token)
        if known is None:
            return None
        knowledge, now = self._state.knowledge, clock()
        freshness = knowledge.freshness
        if now - freshness.until > self._max_staleness or freshness.late or now > self._keys_until:
            return None
        if not known.opens <= now + freshness.latest < known.closes:  # type: ignore[operator]
            return None
        if not knowledge.revocations.surely_spare(known.names, known.begun):
            return None
        return known.identity

    def recall_session(
        self, user: str, sid: str, logged_in_at: float, issuer: str | None
    ) -> Identity | None:
        """Do the same for an app's own session."""
        names, iss = self._find_names(user, sid, issuer)
        knowledge, now = self._state.knowledge, clock()
        freshness, revocations = knowledge.freshness, knowledge.revocations
        if now - freshness.until > self._max_staleness or freshness.late:
            return None
        lifetime = revocations.lifetime
        age = now + freshness.latest - logged_in_at  # type: ignore[operator]
        if not 0 <= age < lifetime / SECOND - MARGIN:  # nor is it NaN
            return None
        begun = round(logged_in_at * SECOND)
        if not revocations.surely_spare(names, begun):
            return None
        return Identity(names.user_key, user, iss, sid, begun, begun + lifetime, login_at=begun)

    # ---- What may have to wait ----

    def checking(self, token: str) -> Steps[Identity]:
        """Return whose token this is, unless it is refused.

        Raises:
            Unauthorized: when it is invalid, expired or revoked.
            Unavailable: when that is not known now.
        """
        yield from self._preparing()
        known = self._known.get(token)
        if known is None:
            known = yield from self._verifying(token)
        question = token.encode()
        return (yield from self._deciding(known, question, lambda: self._ask(token)))

    def checking_session(
        self, user: str, sid: str, logged_in_at: float, issuer: str | None
    ) -> Steps[Identity]:
        """Return the identity of a session, unless it is refused; raises as `checking`."""
        if not (math.isfinite(logged_in_at) and 0 <= logged_in_at < 1e11):
            raise InvalidRequest("logged_in_at is no time in seconds")
        yield from self._preparing()
        names, iss = self._find_names(user, sid, issuer)
        begun = round(logged_in_at * SECOND)
        until = begun + self._state.knowledge.revocations.lifetime
        identity = Identity(names.user_key, user, iss, sid, begun, until, login_at=begun)
        question = (names.user_key, sid, begun)
        return (
            yield from self._deciding(
                Known(identity, names), question, lambda: self._ask_session(identity)
            )
        )

    def _preparing(self) -> Steps[None]:
        if self._reader is None:
            yield from self.starting()  # in a process that was forked off, or never started
        if clock() > self._keys_until:
            yield from self.verifier.renewing(self._require_flights())
            self._renew_known()

    def _verifying(self, token: str) -> Steps[Known]:
        if not self.verifier.entries:
            raise InvalidRequest("this guard has no issuers: it checks sessions only")
        identity = yield from self.verifier.verifying(token, self._require_flights())
        self._renew_known()
        with self._lock:
            known = self._known.get(token)
            if known is not None:
                return known
            known = self._known[token] = Known(identity, Names(identity.user, identity.sid))
            self._known_bytes += len(token)
            while len(self._known) > MOST_KNOWN or self._known_bytes > MOST_KNOWN_BYTES:
                oldest = next(iter(self._known))
                del self._known[oldest]
                self._known_bytes -= len(oldest)
        return known

    def _renew_known(self) -> None:
        """Forget verified tokens once keys have changed."""
        with self._lock:
            if self._generation != (generation := self.verifier.generation):
                self._generation = generation
                self._known, self._known_bytes = {}, 0
            self._keys_until = self.verifier.until

    def _deciding(
        self, known: Known, question: Hashable, ask: Callable[[], Unauthorized | None]
    ) -> Steps[Identity]:
        identity, names, on_stale = known.identity, known.names, self.options.on_stale
        for _ in range(MOST_ATTEMPTS):
            knowledge = self._state.knowledge  # which a `ready` replaces: read it once
            is_stale = self._is_stale(knowledge, names)
            mark = knowledge.revocations.mark(names)
            refusal = self._judge(knowledge, known, mark)
            is_doubtful = isinstance(refusal, TokenTooOld) and identity.login_at is None
            if refusal is not None and not (is_doubtful and on_stale != "refuse"):
                raise refusal
            if refusal is None and not is_stale:
                return identity
            if not is_doubtful and on_stale != "ask":
                return self._settle_for(on_stale, identity)
            # What was asked before a logout was heard says nothing of it, so that is not joined.
            answer = yield from self._asking((question, mark), ask)
            if answer is not None:
                raise answer
            if self._state.knowledge.revocations.mark(names) == mark:
                if is_doubtful:
                    self._remember_answer(known, mark)
                return identity
        raise Unavailable("logouts of this user follow each other too quickly")

    def _remember_answer(self, known: Known, mark: Mark) -> None:
        known.answer = mark
        with self._lock:
            self._accepted[known.identity.user, known.identity.sid, known.begun] = mark
            if len(self._accepted) > MOST_KNOWN:
                del self._accepted[next(iter(self._accepted))]

    def _is_stale(self, knowledge: Knowledge, names: Names) -> bool:
        partition = names.slot % knowledge.revocations.partitions
        return knowledge.freshness.staleness(clock(), partition) > self._max_staleness

    def _judge(self, knowledge: Knowledge, known: Known, mark: Mark) -> Unauthorized | None:
        """Return why a session is refused by what is known, or None."""
        identity = known.identity
        latest = knowledge.freshness.latest
        if latest is None and self.options.on_stale != "allow":
            return None  # nothing is known, not even the time: it will not be accepted by that
        # Only who allows everything while the hub is silent has tokens end by this machine's clock.
        now = round((time.time() if latest is None else clock() + latest) * SECOND)
        if known.answer == mark:
            return judge(identity, RevocationState(now=now))
        return knowledge.revocations.judge(identity, now, known.names)

    def _settle_for(self, on_stale: OnStale, identity: Identity) -> Identity:
        if on_stale == "allow":
            return identity
        raise Unavailable(f"the guard has not heard of the hub for {self.staleness:.0f} s")

    # ---- Asking the hub ----

    def _asking(
        self, question: Hashable, ask: Callable[[], Unauthorized | None]
    ) -> Steps[Unauthorized | None]:
        begun = clock()
        max_age = min(JOIN_SECONDS, self._max_staleness)
        try:
            flight = self._require_flights().join(("ask", question), ask, max_age)
            answer: Unauthorized | None = yield Wait(flight, 2 * ASK_TIMEOUT)
        except (TimeoutError, Unavailable) as error:
            self._measure("asks_failed", 1)
            if isinstance(error, Unavailable):
                raise
            raise Unavailable("the hub did not answer in time") from None
        self._measure("ask_seconds", clock() - begun)
        return answer

    def _ask(self, token: str) -> Unauthorized | None:
        return self._hub.verify(token)

    def _ask_session(self, identity: Identity) -> Unauthorized | None:
        login_time = None if identity.login_at is None else identity.login_at / SECOND
        ticket = self.mint_ticket(
            identity.sub,
            identity.sid,
            issuer=identity.iss or None,
            login_time=login_time,
            lifetime=ASKING_LIFETIME,
        )
        refusal = self._hub.verify(ticket)
        if refusal is None or isinstance(refusal, TokenRevoked | LoginRequired | TokenTooOld):
            return refusal
        raise Unavailable(f"the hub does not take the guard's ticket: {refusal.detail}")

    def mint_ticket(
        self,
        user: str,
        sid: str,
        *,
        issuer: str | None = None,
        login_time: float | None = None,
        lifetime: float = 300,
        name: str | None = None,
        claims: Mapping[str, Any] | None = None,
    ) -> str:
        """Return a ticket; see `hub.guard.Guard.mint_ticket`."""
        if issuer not in self._ticketing:
            found = find_ticketing(self.options.secret, self.options.entries, issuer)
            self._ticketing[issuer] = found
        ticketing = self._ticketing[issuer]
        if ticketing is None:
            raise Unavailable("the guard has no secret to sign tickets with")
        return ticketing.mint(
            user,
            sid,
            self.now(),
            lifetime=lifetime,
            issuer=issuer,
            login_time=login_time,
            claims={"name": name, **(claims or {})},
        )

    def ending(
        self, user: str, sid: str, *, reason: str | Reason, issuer: str | None
    ) -> Steps[None]:
        """End a session at the hub."""
        credential = self.options.admin_token
        if credential is None:
            raise Unavailable("the guard has no admin_token to end sessions with")
        _, iss = self._find_names(user, sid, issuer)
        order = {"user": user, "sid": sid, "scope": "session", "reason": Reason(reason).value}
        if iss:
            order["iss"] = iss
        if self._reader is None:
            yield from self.starting()
        call = functools.partial(self._hub.end_sessions, credential, order)
        try:
            yield Wait(self._require_flights().join(object(), call), 2 * ASK_TIMEOUT)
        except TimeoutError:
            raise Unavailable("the hub did not answer in time") from None

    # ---- Watching ----

    def watch(
        self, user: str, sid: str, issuer: str | None, logged_in_at: float | None, on_end: OnEnd
    ) -> Watched:
        """Call ``on_end`` once the session has ended, perhaps at once."""
        names, _ = self._find_names(user, sid, issuer)
        begun = None if logged_in_at is None else round(logged_in_at * SECOND)
        mark = () if begun is None else self._accepted.get((names.user_key, sid, begun), ())
        watched = Watched(names, sid, begun, functools.partial(call_safely, on_end), mark)
        self.watches.add(watched)
        self.watches.look_at(watched, self._state.knowledge.revocations, self._store_time())
        return watched

    def _store_time(self) -> Micros:
        return round(self.now() * SECOND)

    # ---- In the reader's thread ----

    def _hear(self, heard: Heard) -> None:
        revocations = self._state.knowledge.revocations
        if heard.logout is not None:
            for tell in tuple(self.on_logout):
                call_safely(tell, heard.logout)
            self.watches.end(heard.logout, revocations.partitions)
        if heard.is_anew:
            self._measure("revocations", len(revocations))
            self.watches.look(revocations, self._store_time())

    def _step(self) -> None:
        staleness = self.staleness
        self._measure("staleness_seconds", staleness)
        reader, resets = self._reader, self._state.resets
        if reader is not None and self._seen_connects != reader.connects:
            self._seen_connects = reader.connects
            self._measure("connects", 1)
        if self._seen_resets != resets:
            self._seen_resets = resets
            self._measure("resets", 1)
        is_stale = staleness > self._max_staleness
        if is_stale != self._was_stale:
            self._was_stale = is_stale
            for tell in tuple(self.on_stale):
                call_safely(tell, is_stale)

    def _measure(self, name: str, value: float) -> None:
        if self.options.on_metric is not None:
            call_safely(self.options.on_metric, name, value)


def call_safely(call: Callable[..., Any], *arguments: Any) -> None:
    """Call what an app has given; what it raises is logged and harms nothing, not even an exit."""
    try:
        call(*arguments)
    except (Exception, SystemExit):
        log.exception("a callback of the guard failed")


def name_session(
    entries: tuple[Entry, ...], user: str, sid: str, issuer: str | None
) -> SessionNames:
    """Return the names of an app's own session, and the ``iss`` that its user belongs to.

    Raises:
        InvalidRequest: if there can be no such session, or ``issuer`` is needed.
    """
    if not is_name(user) or not is_name(sid):
        raise InvalidRequest("user and sid are texts of 1 to 256 characters without controls")
    iss = resolve_issuer(entries, issuer)[0] if entries else issuer or ""
    return Names(user_key(iss, user), sid), iss


# ---- Processes that fork ----

_cores: weakref.WeakSet[Core] = weakref.WeakSet()


def _begin_anew_after_fork() -> None:
    # No thread is forked along, and a lock may be held by one that is not there any more.
    for core in _cores:
        core._begin_anew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew_after_fork)
