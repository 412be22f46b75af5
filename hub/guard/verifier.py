"""Verifies tokens by the rules of the issuer entries, as the hub does."""

from __future__ import annotations

import functools
import ssl
from collections.abc import Sequence

from hub.core.issuers import Entry, KeySource, check_entries, select_entry
from hub.core.model import Identity
from hub.core.tokens import check_signature_by_any, identify, read_claims, read_header
from hub.guard.clock import clock
from hub.guard.flights import Flights
from hub.guard.keys import FETCH_TIMEOUT, Keys, make_keys
from hub.guard.steps import Steps, Wait


class Verifier:
    """The issuer entries with their keys.

    A verification is void once ``generation`` has changed; some keys are due after ``until``.

    Raises:
        IssuersError: if entries conflict.
    """

    def __init__(self, entries: Sequence[Entry], tls: ssl.SSLContext | None = None) -> None:
        check_entries(entries)
        self.entries = tuple(entries)
        self._keys: dict[KeySource, Keys] = {
            entry.keys: make_keys(entry.keys, tls) for entry in self.entries
        }

    @property
    def generation(self) -> int:
        """How often keys have been fetched."""
        return sum(keys.fetched for keys in self._keys.values())

    @property
    def until(self) -> float:
        """When some keys have to be fetched again, by the guard's clock."""
        return min((keys.until for keys in self._keys.values()), default=float("inf"))

    def verifying(self, token: str, flights: Flights) -> Steps[Identity]:
        """Return the identity of a token, without judging whether its session is alive.

        Raises:
            TokenInvalid: when it is malformed, forged, or from an unknown issuer.
            Unavailable: when the keys cannot be fetched.
        """
        header = read_header(token)
        entry = select_entry(self.entries, header, read_claims(token).get("iss"))
        keys, now = self._keys[entry.keys], clock()
        if keys.is_due(header):
            yield from self._fetching(entry.keys, now, flights)
        claims, _ = check_signature_by_any(token, keys.find(header), entry.rules)
        return identify(claims, token, entry.rules)

    def renewing(self, flights: Flights) -> Steps[None]:
        """Fetch the keys that are due."""
        for source, keys in self._keys.items():
            if keys.until < (now := clock()):
                yield from self._fetching(source, now, flights)

    def _fetching(self, source: KeySource, since: float, flights: Flights) -> Steps[None]:
        fetch = functools.partial(self._keys[source].fetch, since)
        try:
            # Up to three calls: two addresses of metadata, and the key set.
            flight, _ = flights.join(source, fetch)
            yield Wait(flight, 3 * FETCH_TIMEOUT + 1)
        except TimeoutError:
            return
