"""Counts of what strangers do, in bounded memory."""

from __future__ import annotations

from collections import Counter

OTHERS = "others"
"""Whom it is put down to when no more can be told apart."""


class Tally:
    """How often what was done, and by whom; at most ``most`` such pairs are told apart."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._counts: Counter[tuple[str, str]] = Counter()

    def __len__(self) -> int:
        return len(self._counts)

    def add(self, what: str, whom: str) -> None:
        """Count one more; ``what`` is of a closed set."""
        key = (what, whom)
        if key not in self._counts and len(self._counts) >= self._most:
            key = (what, OTHERS)
        self._counts[key] += 1

    def take(self) -> list[tuple[tuple[str, str], int]]:
        """Return the counts, the highest first, and begin anew."""
        counts = self._counts.most_common()
        self._counts.clear()
        return counts
