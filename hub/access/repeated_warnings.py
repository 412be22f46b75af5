"""Keeps a warning that recurs from filling the log: it is logged once, then once a minute."""

from __future__ import annotations

import asyncio

EVERY = 60.0
MOST = 100


class RepeatedWarnings:
    """Tells whether a warning is due: it is new, or was last logged at least a minute ago."""

    def __init__(self) -> None:
        self._logged_at: dict[str, float] = {}

    def is_due(self, text: str) -> bool:
        """Tell whether to log this now; counts as logged if so."""
        now = asyncio.get_running_loop().time()
        if now - self._logged_at.get(text, now - EVERY) < EVERY:
            return False
        if len(self._logged_at) >= MOST:
            self._logged_at.clear()
        self._logged_at[text] = now
        return True

    def forget(self) -> None:
        """Start over, since the problem has gone away."""
        self._logged_at.clear()
