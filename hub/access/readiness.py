"""Whether this replica can do its work, as of the last second."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from hub.core.partition import is_enough
from hub.errors import Unavailable
from hub.store.base import Store

FRESH = 1.0


class Readiness:
    """Asks the store at most once a second, however many ask here: each answer is shared.

    ``lease`` is this replica's, whose renewal tells in which partitions the store can be written;
    ``unheard`` tells in which of them logouts are not heard, and why; ``is_leaving`` whether this
    replica stops.
    """

    def __init__(
        self,
        store: Store,
        lease: str,
        unheard: Callable[[], Mapping[int, str]],
        is_leaving: Callable[[], bool],
    ) -> None:
        self._store = store
        self._lease = lease
        self._unheard = unheard
        self._is_leaving = is_leaving
        self._asked_at = float("-inf")
        self._asking: asyncio.Future[Mapping[int, str]] | None = None

    async def check(self) -> dict[int, str]:
        """Return the partitions that are not served, each with why; mostly there are none.

        Raises:
            Unavailable: when they are more than half of all, or this replica stops.
        """
        now = asyncio.get_running_loop().time()
        if self._asking is None or (self._asking.done() and now - self._asked_at >= FRESH):
            self._asked_at = now
            self._asking = asyncio.ensure_future(self._store.renew(self._lease))
        # Shielded: others wait for the same answer.
        unwritten = await asyncio.shield(self._asking)
        unserved = {**unwritten, **self._unheard()}
        if self._is_leaving():
            raise Unavailable("this replica stops")
        count = self._store.partition_count
        if not is_enough(count - len(unserved), count):
            raise Unavailable(f"logouts are not heard{_name(unserved, count)}")
        return unserved


def _name(unserved: Mapping[int, str], count: int) -> str:
    """Return which partitions are not served, and why, those of one reason together."""
    reasons: dict[str, list[int]] = {}
    for number, reason in sorted(unserved.items()):
        reasons.setdefault(reason, []).append(number)
    if len(reasons) == 1 and len(unserved) == count:
        return f" ({reasons.popitem()[0]})"
    told = (f"{', '.join(map(str, found))} ({reason})" for reason, found in reasons.items())
    return f" in partitions {'; '.join(told)}"
