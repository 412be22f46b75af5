"""What a guard asks the hub when it cannot decide by itself, and the tickets that it signs."""

from __future__ import annotations

import functools
from collections.abc import Callable, Hashable, Mapping
from typing import Any

from hub.core.model import SECOND, Identity
from hub.errors import LoginRequired, TokenRevoked, TokenTooOld, Unauthorized, Unavailable
from hub.guard.clock import clock
from hub.guard.flights import Flights
from hub.guard.hub_calls import ASK_TIMEOUT, HubCalls
from hub.guard.options import OnMetric, Options
from hub.guard.revocations import Mark
from hub.guard.steps import Steps, Wait
from hub.guard.tickets import Ticketing, find_ticketing

JOIN_SECONDS = 1.0
"""How many seconds after a question is asked the same question shares its answer."""
TICKET_LIFETIME = 60.0
"""How many seconds the ticket with which the hub is asked is valid."""
MAX_ISSUERS = 100
"""How many issuers' ways to sign tickets are kept."""
LATE = "the hub did not answer in time"


class Questions:
    """Asks the hub; ``measure`` receives how long that took, or that it failed.

    Questions share an answer only if they have the same ``mark``, the facts known to the guard: an
    answer from before a logout arrived says nothing about that logout.
    """

    def __init__(self, options: Options, measure: OnMetric) -> None:
        self._options = options
        self._measure = measure
        self._hub = HubCalls(options.urls, options.tls)
        find = functools.partial(find_ticketing, options.secret, options.entries)
        self._find_ticketing: Callable[[str | None], Ticketing | None]
        self._find_ticketing = functools.lru_cache(MAX_ISSUERS)(find)

    def asking(self, token: str, mark: Mark, flights: Flights) -> Steps[float]:
        """Ask about a token, and return when the hub was asked, if it accepts the token.

        Raises:
            Unauthorized: the hub's error, if it refuses the token.
            Unavailable: when it does not say.
        """
        ask = functools.partial(self._hub.verify, token)
        return (yield from self._ask(("token", token, mark), ask, flights))

    def asking_session(
        self, identity: Identity, mark: Mark, now: float, flights: Flights
    ) -> Steps[float]:
        """Ask about a session, with a ticket issued at ``now``; raises as `asking` does."""
        ticket = self.mint_ticket(
            identity.sub,
            identity.sid,
            now,
            issuer=identity.iss or None,
            login_time=identity.begun / SECOND,
            lifetime=TICKET_LIFETIME,
        )
        name = ("session", identity.user, identity.sid, identity.begun, mark)
        ask = functools.partial(self._verify_ticket, ticket)
        return (yield from self._ask(name, ask, flights))

    def _verify_ticket(self, ticket: str) -> Unauthorized | None:
        refusal = self._hub.verify(ticket)
        if refusal is None or isinstance(refusal, TokenRevoked | LoginRequired | TokenTooOld):
            return refusal
        raise Unavailable(f"the hub does not accept the guard's ticket: {refusal.detail}")

    def _ask(
        self, name: Hashable, ask: Callable[[], Unauthorized | None], flights: Flights
    ) -> Steps[float]:
        begun = clock()
        max_age = min(JOIN_SECONDS, self._options.max_staleness)
        try:
            flight, asked_at = flights.join(name, ask, max_age)
            refusal: Unauthorized | None = yield Wait(flight, 2 * ASK_TIMEOUT)
        except (TimeoutError, Unavailable) as error:
            self._measure("asks_failed", 1)
            raise error if isinstance(error, Unavailable) else Unavailable(LATE) from None
        self._measure("ask_seconds", clock() - begun)
        if refusal is not None:
            raise refusal
        return asked_at

    def ending(self, command: dict[str, Any], flights: Flights) -> Steps[None]:
        """Have the hub carry out an administrator's logout.

        Raises:
            HubError: the hub's error, if it refuses.
            Unavailable: when it does not answer, or the guard has no ``admin_token``.
        """
        credential = self._options.admin_token
        if credential is None:
            raise Unavailable("the guard has no admin_token to end sessions with")
        flight, _ = flights.join(object(), lambda: self._hub.end_sessions(credential, command))
        try:
            yield Wait(flight, 2 * ASK_TIMEOUT)
        except TimeoutError:
            raise Unavailable(LATE) from None

    def mint_ticket(
        self,
        user: str,
        sid: str,
        now: float,
        *,
        issuer: str | None = None,
        login_time: float | None = None,
        lifetime: float = 300,
        name: str | None = None,
        claims: Mapping[str, Any] | None = None,
    ) -> str:
        """Return a ticket issued at ``now``; see `hub.guard.Guard.mint_ticket`.

        Raises:
            Unavailable: when the guard has no secret.
        """
        ticketing = self._find_ticketing(issuer)
        if ticketing is None:
            raise Unavailable("the guard has no secret to sign tickets with")
        return ticketing.mint(
            user,
            sid,
            now,
            lifetime=lifetime,
            issuer=issuer,
            login_time=login_time,
            claims={"name": name, **(claims or {})},
        )
