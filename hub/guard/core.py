"""What `Guard` and `SyncGuard` share: checks of tokens and sessions.

Theory of operation. A thread follows the feed (`FeedReader`) and stores its content (`FeedState`).
`recall` and `recall_session` answer from there without waiting, by a few look-ups, whenever the
session is certainly alive. In all other cases they return None, and `checking` or
`checking_session` decides, which may wait for keys or for the hub's own answer (`Verdicts`).
"""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

from hub.core.feed import Revocation
from hub.core.model import SECOND, Identity, Micros, Reason
from hub.errors import (
    InvalidRequest,
    Unavailable,
)
from hub.guard.callbacks import call_safely
from hub.guard.clock import clock
from hub.guard.feed_reader import FeedReader
from hub.guard.feed_state import FeedState, Update
from hub.guard.flights import Flights
from hub.guard.known_tokens import Known, KnownTokens
from hub.guard.options import Options
from hub.guard.own_logout import note_end
from hub.guard.questions import Questions
from hub.guard.revocations import Mark
from hub.guard.steps import CLOSED, Steps, Wait
from hub.guard.verdicts import Verdicts
from hub.guard.verifier import Verifier
from hub.guard.watches import OnEnd, Watched, Watches

log = logging.getLogger("logout_hub.guard")

USUALLY_REMEMBERED = 30 * 86400
"""How many seconds a hub remembers logouts by default (HUB_LOGIN_MAX_LIFETIME)."""

METRICS = {
    "staleness_seconds": "how old the knowledge is, at each event of the feed and each failure",
    "revocations": "how many revocations are in force, after each complete snapshot",
    "connects": "1 for each connection to the feed",
    "resets": "1 each time the feed could not be resumed",
    "ask_seconds": "how long the hub took to answer a question",
    "asks_failed": "1 for each question that the hub did not answer",
}
"""What a guard measures."""


class Core:
    """The guard itself; see `hub.guard.Guard` for what its methods promise."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.verifier = Verifier(options.entries, options.tls, self._renew_known)
        self.on_logout: list[Callable[[Revocation], None]] = []
        self.on_stale: list[Callable[[bool], None]] = []
        self._questions = Questions(options, self._measure)
        self._max_staleness = options.max_staleness
        self._is_closed = False
        self._begin_anew()
        _cores.add(self)

    def _begin_anew(self) -> None:
        """Set the state to that of a new guard, also in a forked process."""
        self._lock = threading.Lock()
        self.watches = Watches()
        self._state = FeedState()
        self._known = KnownTokens(self.verifier.generation)
        self._verdicts = Verdicts(self.options, self._state, self._known)
        self.recall, self.recall_session = self._verdicts.recall, self._verdicts.recall_session
        self._flights: Flights | None = None
        self._key_flights: Flights | None = None
        self._reader: FeedReader | None = None
        self._settles_by = float("-inf")
        self._seen_connects = self._seen_resets = 0
        self._was_stale = True

    # ---- Start and end ----

    def opening(self) -> Steps[None]:
        """Do as `settling` does, also after `close`: with new threads, keeping what is known."""
        with self._lock:
            if self._is_closed:
                self._is_closed, self._reader = False, None
                self._flights = self._key_flights = None
        yield from self.settling()

    def settling(self) -> Steps[None]:
        """Start following the feed if nobody has, as in a forked process, and wait for it.

        All callers wait until it is ready, up to ``start_timeout`` after the first came.
        """
        if self._reader is None:
            yield from self._starting()
        reader, remaining = self._reader, self._settles_by - clock()
        if reader is not None and not self._state.is_ready and remaining > 0:
            with contextlib.suppress(TimeoutError):
                yield Wait(reader.settled, remaining)

    def _starting(self) -> Steps[None]:
        """Start following the feed, and wait until it is ready, up to ``start_timeout``.

        Does nothing if that was begun before, or the guard is closed.
        """
        with self._lock:
            if self._is_closed or self._reader is not None:
                return
            # Issuers that do not answer must keep neither questions waiting for a thread, nor each
            # other's tokens.
            self._flights, self._key_flights = Flights(), Flights(self.verifier.fetches)
            reader = FeedReader(
                self.options.urls,
                self.options.token,
                self._state,
                tls=self.options.tls,
                on_update=self._handle,
                on_step=self._step,
            )
            self._settles_by = clock() + self.options.start_timeout
            reader.start()
            self._reader = reader
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
        """Stop the threads; from now on, checks raise Unavailable."""
        with self._lock:
            self._is_closed = True
            reader, flights = self._reader, (self._flights, self._key_flights)
        if reader is not None:
            reader.stop()
        for one in flights:
            if one is not None:
                one.close()

    def _require(self, flights: Flights | None) -> Flights:
        if flights is None or self._is_closed:
            raise Unavailable(CLOSED)
        return flights

    # ---- Freshness ----

    @property
    def is_ready(self) -> bool:
        """Whether the feed has said which revocations are in force."""
        return self._state.is_ready

    @property
    def staleness(self) -> float:
        """How many seconds old the oldest part of the knowledge is."""
        return self._state.knowledge.freshness.staleness(clock())

    def now(self) -> float:
        """Return a time that the store's clock has reached.

        Raises:
            Unavailable: when the hub has not said it yet. By the machine's clock, which may be
                ahead, a login might outlive its logout, so only ``allow`` falls back to that.
        """
        if not self._state.is_ready and self.options.on_stale != "allow":
            raise Unavailable("the guard has not received the time from the hub yet")
        return self._time()

    def _time(self) -> float:
        """Return a time that the store's clock has reached; until `ready`, the machine's time."""
        earliest = self._state.knowledge.freshness.earliest
        return time.time() if earliest is None else clock() + earliest

    # ---- What may have to wait ----

    def checking(self, token: str) -> Steps[Identity]:
        """Return whose token this is, unless it is refused.

        Raises:
            Unauthorized: when it is invalid, expired or revoked.
            Unavailable: when that is not known now.
        """
        yield from self.settling()
        known = self._known.find(token)
        if known is None:
            known = yield from self._verifying(token)

        def ask(mark: Mark) -> Steps[float]:
            return self._questions.asking(token, mark, self._require(self._flights))

        return (yield from self._verdicts.deciding(known, ask))

    def checking_session(
        self, user: str, sid: str, logged_in_at: float, issuer: str | None
    ) -> Steps[Identity]:
        """Return the identity of a session, unless it is refused; raises as `checking`."""
        yield from self.settling()
        session = self._verdicts.describe_session(user, sid, logged_in_at, issuer)

        def ask(mark: Mark) -> Steps[float]:
            flights = self._require(self._flights)
            if not self._state.is_ready and self._time() - logged_in_at > USUALLY_REMEMBERED:
                raise Unavailable("the hub has not said for how long it remembers logouts")
            return self._questions.asking_session(session.identity, mark, self._time(), flights)

        return (yield from self._verdicts.deciding(session, ask))

    def _verifying(self, token: str) -> Steps[Known]:
        if not self.verifier.entries:
            raise InvalidRequest("this guard has no issuers: it checks sessions only")
        before = self.verifier.generation
        identity = yield from self.verifier.verifying(token, self._require(self._key_flights))
        return self._known.add(token, identity, before)

    def _renew_known(self) -> None:
        """Forget verified tokens once keys have changed."""
        self._known.renew(self.verifier.generation)

    # ---- Tickets and logouts ----

    def mint_ticket(self, user: str, sid: str, **members: Any) -> str:
        """Return a ticket for a session; see `Questions.mint_ticket`."""
        # The hub judges it, so this machine's clock is good enough for `iat`.
        return self._questions.mint_ticket(user, sid, self._time(), **members)

    def ending(
        self, user: str, sid: str, *, reason: str | Reason, issuer: str | None
    ) -> Steps[None]:
        """End a session at the hub; raises as `Questions.ending` does."""
        names, iss = self._verdicts.find_names(user, sid, issuer)
        note_end(names.user_key, sid)
        command = {"user": user, "sid": sid, "scope": "session", "reason": Reason(reason).value}
        if iss:
            command["iss"] = iss
        if self._reader is None:
            yield from self._starting()
        yield from self._questions.ending(command, self._require(self._flights))

    # ---- Watching ----

    def watch(
        self,
        user: str,
        sid: str,
        issuer: str | None,
        logged_in_at: float | None,
        issued_at: float | None,
        on_end: OnEnd,
    ) -> Watched:
        """Call ``on_end`` when the session ends, or at once if it has ended."""
        names, _ = self._verdicts.find_names(user, sid, issuer)
        at = issued_at if logged_in_at is None else logged_in_at
        begun = None if at is None else round(at * SECOND)
        watched = Watched(
            names,
            sid,
            begun,
            functools.partial(call_safely, on_end),
            is_renewed=logged_in_at is None and issued_at is not None,
            mark=self._verdicts.find_answer(names, sid, begun),
        )
        self.watches.add(watched)
        self.watches.look_at(watched, self._state.knowledge.revocations, self._store_time())
        return watched

    def _store_time(self) -> Micros:
        return round(self._time() * SECOND)

    # ---- In the reader's thread ----

    def _handle(self, update: Update) -> None:
        revocations = self._state.knowledge.revocations
        for missed in update.missed:
            self._tell_logout(missed)
        if update.logout is not None:
            self._tell_logout(update.logout)
            self.watches.end(update.logout, revocations.partitions)
        if update.is_anew:
            self._measure("revocations", len(revocations))
            self.watches.look(revocations, self._store_time())

    def _tell_logout(self, revocation: Revocation) -> None:
        for tell in tuple(self.on_logout):
            call_safely(tell, revocation)

    def _step(self) -> None:
        if self._key_flights is not None:
            self.verifier.renew(self._key_flights)
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


# ---- Processes that fork ----

_cores: weakref.WeakSet[Core] = weakref.WeakSet()


def _begin_anew_after_fork() -> None:
    # A fork copies no threads, and a lock may be held by one that no longer exists.
    for core in _cores:
        if core._reader is not None:
            core._reader.disown()
        core._begin_anew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew_after_fork)
