"""The issuers' keys in a guard: configured, or fetched by the same rules as in the hub."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Sequence
from typing import Any, TypeAlias

import jwt
import msgspec

from hub.core.issuers import KeySource, Source
from hub.core.key_schedule import KeySchedule
from hub.core.key_set import discovery_addresses, find_key, read_key_set, read_metadata
from hub.core.tokens import Header
from hub.core.verification_keys import load_public_key, prepare_secret
from hub.errors import TokenInvalid, Unavailable
from hub.guard.clock import clock
from hub.guard.http import FAILURES, call

log = logging.getLogger("logout_hub.guard")

FETCH_TIMEOUT = 2.0
"""Seconds that a fetch may take, with all its requests."""


class GivenKeys:
    """Secrets or a public key from the configuration; they do not change."""

    fetched = 0
    is_due = False

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
    """The published keys of an issuer, fetched as `KeySchedule` says.

    While fetching fails, the last keys stay in use.
    """

    def __init__(self, url: str, *, discovers: bool, tls: ssl.SSLContext | None = None) -> None:
        self._url = url
        self._discovers = discovers
        self._tls = tls
        self._keys: list[jwt.PyJWK] = []
        self._schedule = KeySchedule()

    @property
    def fetched(self) -> int:
        """How often they were fetched."""
        return self._schedule.fetched

    @property
    def is_due(self) -> bool:
        """Whether to `fetch` keys again that are in use; nobody has to wait for that."""
        return self._schedule.is_due(clock())

    def lacks(self, header: Header) -> bool:
        """Return whether to `fetch` before looking for the key of ``header``."""
        return find_key(self._keys, header) is None and not self._schedule.wait(clock())

    def find(self, header: Header) -> Sequence[Any]:
        """Return the key that a token with this header was signed with.

        Raises:
            TokenInvalid: when there is none.
            Unavailable: when it may be a new one, since the keys could not be fetched.
        """
        if (key := find_key(self._keys, header)) is not None:
            return (key,)
        if self._schedule.is_failing:
            wait = self._schedule.wait(clock())
            raise Unavailable("the issuer's keys could not be fetched", retry_after=wait)
        raise TokenInvalid("signed with a key that the issuer does not publish")

    def fetch(self, since: float, lacking: Header | None = None) -> None:
        """Fetch the keys, unless that was tried after ``since``; a failure is logged.

        ``lacking`` is the header of the token whose key was not found.
        """
        if self._schedule.ended_at > since:
            return
        succeeded, deadline = False, clock() + FETCH_TIMEOUT
        try:
            url = self._discover(deadline) if self._discovers else self._url
            keys, passed_over = read_key_set(self._get(url, deadline))
        except (*FAILURES, RecursionError) as error:
            log.warning("the keys of %s could not be fetched: %s", self._url, error)
        else:
            if passed_over:
                log.warning("ignoring weak keys of %s: %s", self._url, passed_over)
            self._keys = keys
            succeeded = True
        finally:
            schedule = self._schedule.after_fetch(clock(), succeeded=succeeded)
            if lacking is not None:
                found = find_key(self._keys, lacking) is not None
                schedule = schedule.after_look(clock(), found=found)
            self._schedule = schedule

    def _discover(self, deadline: float) -> str:
        failures = []
        for url in discovery_addresses(self._url):
            try:
                document = msgspec.json.decode(self._get(url, deadline))
            except (*FAILURES, RecursionError) as error:
                failures.append(f"{url}: {str(error) or type(error).__name__}")
                continue
            return read_metadata(document, self._url, url)
        raise ValueError("; ".join(failures))

    def _get(self, url: str, deadline: float) -> bytes:
        remaining = deadline - clock()
        if remaining <= 0:
            raise TimeoutError("the issuer took too long")
        answer = call("GET", url, tls=self._tls, timeout=remaining)
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
