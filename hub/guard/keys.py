"""The issuers' keys in a guard: configured, or fetched by the same rules as in the hub."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Sequence
from typing import Any, TypeAlias

import jwt
import msgspec

from hub.core.issuers import KeySource, Source
from hub.core.key_set import (
    COOL_DOWN,
    FIRST_COOL_DOWN,
    KEY_SET_LIFETIME,
    discovery_addresses,
    find_key,
    read_key_set,
    read_metadata,
)
from hub.core.tokens import Header
from hub.core.verification_keys import load_public_key, prepare_secret
from hub.errors import TokenInvalid, Unavailable
from hub.guard.clock import clock
from hub.guard.http import FAILURES, call

log = logging.getLogger("logout_hub.guard")

FETCH_TIMEOUT = 2.0
RENEWED_EARLY = 60.0
"""How many seconds before the end of their lifetime keys are fetched again."""


class GivenKeys:
    """Secrets or a public key from the configuration; they do not change."""

    fetched = 0
    is_aging = False

    def __init__(self, *keys: Any) -> None:
        self._keys = keys

    def lacks(self, header: Header) -> bool:
        """Return False: nothing is fetched."""
        return False

    def find(self, header: Header) -> Sequence[Any]:
        """Return the keys."""
        return self._keys

    def fetch(self, since: float, lacking: Header | None = None) -> None:
        """Do nothing."""


class FetchedKeys:
    """The published keys of an issuer, fetched when first needed and then hourly.

    An unknown ``kid`` has them fetched again, unless one did during the cool-down, so that made-up
    ones cost nothing. While fetching fails, the last keys stay in use. ``fetched`` counts the
    fetches.
    """

    def __init__(self, url: str, *, discovers: bool, tls: ssl.SSLContext | None = None) -> None:
        self.fetched = 0
        self._url = url
        self._discovers = discovers
        self._tls = tls
        self._keys: list[jwt.PyJWK] = []
        self._tried_at = float("-inf")
        self._lacked_at = float("-inf")
        """When they were last fetched again for an unknown ``kid``."""

    @property
    def is_aging(self) -> bool:
        """Whether to `fetch` keys again that are in use; nobody has to wait for that."""
        is_used = self._tried_at > float("-inf")
        return is_used and clock() - self._tried_at > KEY_SET_LIFETIME - RENEWED_EARLY

    def lacks(self, header: Header) -> bool:
        """Return whether to `fetch` before looking for the key of ``header``."""
        if find_key(self._keys, header) is not None:
            return False
        if not self._keys:
            return clock() - self._tried_at > FIRST_COOL_DOWN
        return clock() - self._lacked_at > COOL_DOWN

    def find(self, header: Header) -> Sequence[Any]:
        """Return the key that a token with this header was signed with.

        Raises:
            TokenInvalid: when there is none.
            Unavailable: when no keys have been fetched yet.
        """
        if (key := find_key(self._keys, header)) is not None:
            return (key,)
        if not self._keys:
            raise Unavailable("the issuer's keys could not be fetched")
        raise TokenInvalid("signed with a key that the issuer does not publish")

    def fetch(self, since: float, lacking: Header | None = None) -> None:
        """Fetch the keys, unless that was tried after ``since``; a failure is logged.

        ``lacking`` is the header of the token whose key was not found.
        """
        if self._tried_at > since:
            return
        is_first = not self._keys
        try:
            url = self._discover() if self._discovers else self._url
            keys, passed_over = read_key_set(self._get(url))
        except (*FAILURES, RecursionError) as error:
            log.warning("the keys of %s could not be fetched: %s", self._url, error)
        else:
            if passed_over:
                log.warning("ignoring weak keys of %s: %s", self._url, passed_over)
            self._keys = keys
            self.fetched += 1
        finally:
            self._tried_at = clock()
            # Also if its key is found now: an issuer's servers may publish different keys in turn.
            if lacking is not None and not (is_first and find_key(self._keys, lacking)):
                self._lacked_at = self._tried_at

    def _discover(self) -> str:
        failures = []
        for url in discovery_addresses(self._url):
            try:
                document = msgspec.json.decode(self._get(url))
            except (*FAILURES, RecursionError) as error:
                failures.append(f"{url}: {str(error) or type(error).__name__}")
                continue
            return read_metadata(document, self._url, url)
        raise ValueError("; ".join(failures))

    def _get(self, url: str) -> bytes:
        answer = call("GET", url, tls=self._tls, timeout=FETCH_TIMEOUT)
        if answer.status != 200:
            raise ValueError(f"answered {answer.status}")
        return answer.body


Keys: TypeAlias = GivenKeys | FetchedKeys


def make_keys(source: KeySource, tls: ssl.SSLContext | None = None) -> Keys:
    """Return the keys of a source."""
    match source.kind:
        case Source.SECRET:
            return GivenKeys(*(prepare_secret(text) for text in source.values))
        case Source.PUBLIC_KEY:
            return GivenKeys(load_public_key(source.values[0]))
        case Source.DISCOVERY:
            return FetchedKeys(source.values[0], discovers=True, tls=tls)
        case Source.JWKS_URL:
            return FetchedKeys(source.values[0], discovers=False, tls=tls)
