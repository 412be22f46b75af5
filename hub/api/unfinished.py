"""What is held of requests that have not arrived whole, of all connections together.

Whoever sends the most of a request, and then nothing, has it kept in memory for as long as the hub
waits for the rest. Honest requests arrive within moments. So when too much is held, or too many
connections hold something, the oldest give way.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

MOST_HELD = 64 * 1024 * 1024
"""Bytes of unfinished requests."""

MOST_HEAD = 64 * 1024
"""Bytes of one request before its body; far more than clients and proxies send."""

PIECE = 16 * 1024
"""Bytes that are parsed at once. What follows a whole request in one piece is not counted."""


class Abortable(Protocol):
    """A connection."""

    def abort(self) -> None:
        """Close at once."""
        ...


class Unfinished:
    """The connections that hold a part of a request, oldest first, each with its bytes.

    ``most`` returns how many they may be.
    """

    def __init__(self, most: Callable[[], int]) -> None:
        self._most = most
        self._held: dict[Abortable, int] = {}
        self._total = 0

    def __len__(self) -> int:
        return len(self._held)

    def note(self, connection: Abortable, size: int) -> None:
        """Note how many bytes a connection holds now; abort the oldest if that is too much."""
        if size:
            self._total += size - self._held.get(connection, 0)
            self._held[connection] = size
        else:
            self._total -= self._held.pop(connection, 0)
        while self._total > MOST_HELD or len(self._held) > self._most():
            oldest = next(iter(self._held))
            self._total -= self._held.pop(oldest)
            oldest.abort()
