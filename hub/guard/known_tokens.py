"""The tokens that a guard has verified, so that their signatures are not checked again."""

from __future__ import annotations

import threading
from collections.abc import Callable

from hub.core.model import SECOND, Identity
from hub.core.revocation import begins
from hub.guard.revocations import Mark, Names

MAX_KNOWN = 20_000
MAX_KNOWN_BYTES = 32_000_000
MARGIN = 0.001
"""Seconds at either end of a token's lifetime in which only the exact rule decides."""


class Known:
    """A verified token or a session; ``answer`` is the mark with which the hub accepted it."""

    __slots__ = ("answer", "begun", "identity", "names", "valid_from", "valid_until")

    def __init__(self, identity: Identity, names: Names) -> None:
        self.identity = identity
        self.names = names
        self.begun = identity.begun
        self.valid_from = begins(identity) / SECOND + MARGIN
        self.valid_until = identity.valid_until / SECOND - MARGIN
        self.answer: Mark | None = None


class KnownTokens:
    """The verified tokens, up to a limit: the oldest are forgotten first."""

    def __init__(self, generation: int) -> None:
        self._lock = threading.Lock()
        self._known: dict[str, Known] = {}
        self._bytes = 0
        self._generation = generation
        self.find: Callable[[str], Known | None] = self._known.get

    def add(self, token: str, identity: Identity, generation: int) -> Known:
        """Remember a verified token, and return what is known of it.

        It is not kept if the keys have changed since the ``generation`` that verified it.
        """
        with self._lock:
            known = self._known.get(token)
            if known is not None:
                return known
            known = Known(identity, Names(identity.user, identity.sid))
            if generation != self._generation:
                return known
            self._known[token] = known
            self._bytes += len(token)
            while len(self._known) > MAX_KNOWN or self._bytes > MAX_KNOWN_BYTES:
                oldest = next(iter(self._known))
                del self._known[oldest]
                self._bytes -= len(oldest)
        return known

    def renew(self, generation: int) -> None:
        """Forget all tokens if the keys have changed, that is if ``generation`` is a later one."""
        with self._lock:
            if self._generation < generation:  # threads may come in another order
                self._generation = generation
                self._known.clear()
                self._bytes = 0
