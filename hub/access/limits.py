"""Rate limits of this replica, and the log of what they refused.

Limits across replicas are in the store. Memory is bounded: the number of buckets is limited, and
the log names a limited number of sources once a minute, instead of a line for each refusal.
"""

from __future__ import annotations

import asyncio
import ipaddress

import structlog

from hub.access.keys import KeyUncertain
from hub.core.rate import Rate, take
from hub.core.tally import Tally
from hub.errors import RateLimited, TokenInvalid, TokenMissing
from hub.metrics import Metrics

log = structlog.get_logger(__name__)

MAX_BUCKETS = 100_000
MAX_LOGGED = 1000
LOG_EVERY = 60.0

REFUSAL_DELAY = 0.25
"""Seconds by which the answer 429 is delayed."""

MAX_DELAYED = 1000

GUESSES = (TokenMissing, TokenInvalid, KeyUncertain)
"""Errors of tokens that were never valid, or cannot be told from such: an address is charged."""


class Refusals:
    """Counts refusals by kind, and logs their sources once a minute."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._tally = Tally[str](MAX_LOGGED)
        self._logged_at = float("-inf")

    def note(self, kind: str, source: str) -> None:
        """Count a refusal; ``kind`` is one of a closed set, ``source`` is an address or a user."""
        self._metrics.limited.inc(kind)
        self._tally.add(kind, source)
        now = asyncio.get_running_loop().time()
        if now - self._logged_at >= LOG_EVERY:
            self._logged_at = now
            self._log_sources()

    def _log_sources(self) -> None:
        for (kind, source), count in self._tally.take():
            log.warning("limited", kind=kind, source=source, refused=count)


class Limiter:
    """A rate limit for each key; without a rate nothing is refused."""

    def __init__(self, kind: str, rate: Rate | None, refusals: Refusals) -> None:
        self._kind = kind
        self._rate = rate
        self._refusals = refusals
        self._paid_until: dict[str, float] = {}

    def take(self, key: str, source: str | None = None, cost: float = 1) -> None:
        """Take ``cost`` from the bucket of ``key``; the log names ``source``, if given, instead.

        Raises:
            RateLimited: if it does not hold that much; with ``retry_after``.
        """
        if self._rate is None:
            return
        now = asyncio.get_running_loop().time()
        # Moved to the end: the bucket that was not used for longest is first.
        paid_until, wait = take(self._rate, self._paid_until.pop(key, 0.0), now, cost)
        self._paid_until[key] = paid_until
        self._forget(now)
        if wait:
            self._refusals.note(self._kind, source or key)
            raise RateLimited(f"more than the limit of {self._kind} allows", retry_after=wait)

    def is_spent(self, key: str) -> bool:
        """Return whether the next `take` of ``key`` would be refused, without taking anything."""
        if self._rate is None:
            return False
        now = asyncio.get_running_loop().time()
        return take(self._rate, self._paid_until.get(key, 0.0), now)[1] > 0

    def _forget(self, now: float) -> None:
        # Two for each call, so that the table shrinks faster than it grows.
        for _ in range(2):
            first = next(iter(self._paid_until))
            if self._paid_until[first] > now and len(self._paid_until) <= MAX_BUCKETS:
                break
            if len(self._paid_until) == 1:
                break
            del self._paid_until[first]


class Limits:
    """The limits that HTTP and sockets share, with one count of refusals."""

    def __init__(
        self,
        refusals: Refusals,
        refused: Rate | None,
        calls: Rate | None,
        admin: Rate | None,
        clients: Rate | None = None,
    ) -> None:
        self.refused = Limiter("refused", refused, refusals)
        self.calls = Limiter("calls", calls, refusals)
        self.admin = Limiter("admin", admin, refusals)
        self.clients = Limiter("clients", clients, refusals)
        self._delayed = 0

    def charge_refused(self, ip: str) -> None:
        """Count a refused or abandoned attempt of an address.

        Raises:
            RateLimited: when there were too many.
        """
        self.refused.take(address_key(ip))

    async def delay_refusal(self) -> None:
        """Delay the answer to a refused request, which slows down clients that retry at once.

        Beyond a number of delayed answers there is no delay.
        """
        if self._delayed >= MAX_DELAYED:
            return
        self._delayed += 1
        try:
            await asyncio.sleep(REFUSAL_DELAY)
        finally:
            self._delayed -= 1


def address_key(ip: str) -> str:
    """Return the key of an address: an IPv6 /64 shares one, since a household has that many."""
    if ":" not in ip:
        return ip
    return str(ipaddress.ip_network(f"{ip}/64", strict=False))
