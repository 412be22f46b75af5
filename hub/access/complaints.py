"""What goes wrong again and again is said once, and then once a minute."""

from __future__ import annotations

import asyncio

EVERY = 60.0
MOST = 100


class Complaints:
    """Tells whether something is worth a line: it is new, or was last said a minute ago."""

    def __init__(self) -> None:
        self._said: dict[str, float] = {}

    def is_new(self, text: str) -> bool:
        """Tell whether to say this now; who asks says it then."""
        now = asyncio.get_running_loop().time()
        if now - self._said.get(text, now - EVERY) < EVERY:
            return False
        if len(self._said) >= MOST:
            self._said.clear()
        self._said[text] = now
        return True

    def forget(self) -> None:
        """Say everything anew: all was well meanwhile."""
        self._said.clear()
