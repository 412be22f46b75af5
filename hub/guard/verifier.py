"""Verifies tokens by the rules of the issuer entries, as the hub does."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any

from hub.core.issuers import Entry, KeySource, check_entries, select_entry
from hub.core.model import Identity
from hub.core.tokens import Header, check_signature_by_any, identify, read_claims, read_header
from hub.errors import Unavailable
from hub.guard.clock import clock
from hub.guard.flights import Flights
from hub.guard.keys import FETCH_TIMEOUT, Keys, make_keys
from hub.guard.steps import Steps, Wait

WAIT_TIMEOUT = FETCH_TIMEOUT + 1
"""Seconds that a check waits for its issuer's keys."""


class Verifier:
    """The issuer entries with their keys.

    A verification is void once ``generation`` has changed. ``on_fetched`` is called in the thread
    that has fetched keys, or failed to.

    Raises:
        IssuersError: if entries conflict.
    """

    def __init__(
        self,
        entries: Sequence[Entry],
        tls: ssl.SSLContext | None = None,
        on_fetched: Callable[[], None] = lambda: None,
    ) -> None:
        check_entries(entries)
        self._on_fetched = on_fetched
        self.entries = tuple(entries)
        self._keys: dict[KeySource, Keys] = {
            entry.keys: make_keys(entry.keys, tls) for entry in self.entries
        }

    @property
    def generation(self) -> int:
        """How often keys have been fetched."""
        return sum(keys.fetched for keys in self._keys.values())

    @property
    def fetches(self) -> int:
        """How many fetches there may be at once: one for each source that is fetched from."""
        return sum(source.is_fetched for source in self._keys)

    def verifying(self, token: str, flights: Flights) -> Steps[Identity]:
        """Return the identity of a token, without judging whether its session is alive.

        It waits only for keys of the token's own issuer, and only if its key is not known.

        Raises:
            TokenInvalid: when it is malformed, forged, or from an unknown issuer.
            Unavailable: when the keys cannot be fetched.
        """
        header = read_header(token)
        entry = select_entry(self.entries, header, read_claims(token).get("iss"))
        keys, now = self._keys[entry.keys], clock()
        if keys.lacks(header):
            try:
                yield Wait(self._fetch(entry.keys, now, flights, header), WAIT_TIMEOUT)
            except TimeoutError:
                raise Unavailable("the issuer's keys could not be fetched in time") from None
        claims, _ = check_signature_by_any(token, keys.find(header), entry.rules)
        return identify(claims, token, entry.rules)

    def renew(self, flights: Flights) -> None:
        """Begin to fetch keys again that are due, without waiting."""
        for source, keys in self._keys.items():
            if keys.is_due:
                with contextlib.suppress(Unavailable):  # the guard is being closed
                    self._fetch(source, clock(), flights)

    def _fetch(
        self, source: KeySource, since: float, flights: Flights, lacking: Header | None = None
    ) -> Future[Any]:
        def fetch() -> None:
            self._keys[source].fetch(since, lacking)
            self._on_fetched()

        return flights.join(source, fetch)[0]
