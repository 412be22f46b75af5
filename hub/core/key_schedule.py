"""When an issuer's published keys are fetched, and what is known of a key that is not among them.

The hub and guards in Python use this rule; `guard_js/key-schedule.js` repeats it.
"""

from __future__ import annotations

import msgspec

KEY_SET_LIFETIME = 3600.0
"""Seconds within which a key set is fetched again."""
RENEWED_EARLY = 60.0
"""How many seconds before that it is due, so that a first failure can be made up for."""
COOL_DOWN = 30.0
"""Seconds in which keys that are not there cause at most one fetch; and after which keys are due
again if the last fetch failed."""
FAILED_COOL_DOWN = 5.0
"""Seconds after a failed fetch before a key that is not there causes another."""
FIRST_COOL_DOWN = 1.0
"""The same, as long as there are no keys at all."""

NEVER = float("-inf")


class KeySchedule(msgspec.Struct, frozen=True):
    """What came of the fetches of one key set so far. Times are seconds, by any one clock.

    ``fetched`` counts the fetches that succeeded. ``ended_at`` is when the last one ended, and
    ``has_failed`` whether it failed. ``looked_at`` is when keys were last fetched, successfully,
    for a key that was not there.
    """

    fetched: int = 0
    ended_at: float = NEVER
    has_failed: bool = False
    looked_at: float = NEVER

    @property
    def is_failing(self) -> bool:
        """Whether a key that is not there may be one of the issuer's: it cannot be asked now."""
        return self.has_failed or not self.fetched

    def is_due(self, now: float) -> bool:
        """Return whether to fetch keys again that are in use. Nobody has to wait for that."""
        if not self.fetched:
            return False
        lasts = COOL_DOWN if self.has_failed else KEY_SET_LIFETIME - RENEWED_EARLY
        return now - self.ended_at > lasts

    def wait(self, now: float) -> float:
        """Return in how many seconds to fetch for a key that is not there; 0 if at once."""
        if not self.fetched:
            return max(0.0, self.ended_at + FIRST_COOL_DOWN - now)
        if self.has_failed:
            return max(0.0, self.ended_at + FAILED_COOL_DOWN - now)
        return max(0.0, self.looked_at + COOL_DOWN - now)

    def after_fetch(self, now: float, *, succeeded: bool) -> KeySchedule:
        """Return the schedule after a fetch that has ended."""
        return KeySchedule(self.fetched + succeeded, now, not succeeded, self.looked_at)

    def after_look(self, now: float, *, found: bool) -> KeySchedule:
        """Return the schedule after a fetch for a key that was not there; ``found`` if it is now.

        That counts even if it is found: an issuer's servers may publish different keys in turn. The
        first fetch, which brought the first keys at all, counts only if it is not.
        """
        if self.is_failing or (found and self.fetched == 1):
            return self
        return msgspec.structs.replace(self, looked_at=now)
