"""Counts events by arbitrary names, in bounded memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from typing import Generic, TypeVar

OTHERS = "others"
"""The name that counts all others once the table is full."""

Action = TypeVar("Action", bound=Hashable)


class Tally(Generic[Action]):
    """Counts pairs of an action and who did it; at most ``most`` pairs are counted separately."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._counts: Counter[tuple[Action, str]] = Counter()

    def __len__(self) -> int:
        return len(self._counts)

    def add(self, what: Action, whom: str) -> None:
        """Count one event; ``what`` must be one of a fixed set."""
        key = (what, whom)
        if key not in self._counts and len(self._counts) >= self._most:
            key = (what, OTHERS)
        self._counts[key] += 1

    def take(self) -> list[tuple[tuple[Action, str], int]]:
        """Return the counts, highest first, and reset them."""
        counts = self._counts.most_common()
        self._counts.clear()
        return counts
