"""Limits the memory for incomplete requests, of all connections together.

A client that sends most of a request and then stops occupies memory for as long as the hub waits
for the rest, while honest requests arrive within moments. So if too much is held, or too many
connections hold something, the oldest are aborted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

MAX_HELD = 64 * 1024 * 1024
"""Bytes of all incomplete requests."""

MAX_HEAD = 64 * 1024
"""Bytes of one request before its body; far more than clients and proxies send."""

PIECE = 16 * 1024
"""Bytes that are parsed at once. Bytes after a complete request in the same piece do not count."""


class Abortable(Protocol):
    """A connection."""

    def abort(self) -> None:
        """Close at once."""
        ...


class Unfinished:
    """The connections with an incomplete request, oldest first, each with its bytes.

    ``most`` returns how many there may be.
    """

    def __init__(self, most: Callable[[], int]) -> None:
        self._most = most
        self._held: dict[Abortable, int] = {}
        self._total = 0

    def __len__(self) -> int:
        return len(self._held)

    def note(self, connection: Abortable, size: int) -> None:
        """Set how many bytes a connection holds; abort the oldest while there is too much."""
        if size:
            self._total += size - self._held.get(connection, 0)
            self._held[connection] = size
        else:
            self._total -= self._held.pop(connection, 0)
        while self._total > MAX_HELD or len(self._held) > self._most():
            oldest = next(iter(self._held))
            self._total -= self._held.pop(oldest)
            oldest.abort()
