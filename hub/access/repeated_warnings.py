"""Limits recurring warnings in the log: each is logged at once, then once a minute."""

from __future__ import annotations

import asyncio

EVERY = 60.0
MOST = 100


class RepeatedWarnings:
    """Says whether a warning is due: it is new, or was last logged at least a minute ago."""

    def __init__(self) -> None:
        self._logged_at: dict[str, float] = {}

    def is_due(self, text: str) -> bool:
        """Return whether to log this now; if so, it counts as logged."""
        now = asyncio.get_running_loop().time()
        if now - self._logged_at.get(text, now - EVERY) < EVERY:
            return False
        if len(self._logged_at) >= MOST:
            self._logged_at.clear()
        self._logged_at[text] = now
        return True

    def forget(self) -> None:
        """Forget all warnings, since the problem is solved."""
        self._logged_at.clear()
