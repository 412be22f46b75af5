"""The tokens that a guard has verified, so that their signatures are not checked again."""

from __future__ import annotations

import threading
from collections.abc import Callable

from hub.core.model import SECOND, Identity
from hub.core.revocation import begins
from hub.guard.revocations import Mark, Names

MOST_KNOWN = 20_000
MOST_KNOWN_BYTES = 32_000_000
MARGIN = 0.001
"""Seconds at the ends of a token's life in which it takes the exact rule to judge it."""


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


class KnownTokens:
    """The tokens that were verified, up to a limit: the oldest are forgotten first."""

    def __init__(self, generation: int) -> None:
        self._lock = threading.Lock()
        self._known: dict[str, Known] = {}
        self._bytes = 0
        self._generation = generation
        self.find: Callable[[str], Known | None] = self._known.get

    def add(self, token: str, identity: Identity, generation: int) -> Known:
        """Remember a token that was verified, and return it as it is known.

        It is not kept if the keys are no longer those of the ``generation`` before.
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
            while len(self._known) > MOST_KNOWN or self._bytes > MOST_KNOWN_BYTES:
                oldest = next(iter(self._known))
                del self._known[oldest]
                self._bytes -= len(oldest)
        return known

    def renew(self, generation: int) -> None:
        """Forget all tokens if keys have changed, of which ``generation`` is the number."""
        with self._lock:
            if self._generation != generation:
                self._generation = generation
                self._known.clear()
                self._bytes = 0
