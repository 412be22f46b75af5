"""Checks whether this replica is ready; the result is at most a second old."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from hub.core.partition import is_enough
from hub.errors import Unavailable
from hub.store.base import Store

FRESH = 1.0


class Readiness:
    """Checks whether this replica is ready; asks the store at most once a second for all callers.

    ``lease`` is this replica's: renewing it shows which partitions can be written to.
    ``unconfirmed`` returns the partitions whose logouts are not received, with the reasons;
    ``is_leaving`` returns whether this replica is stopping.
    """

    def __init__(
        self,
        store: Store,
        lease: str,
        unconfirmed: Callable[[], Mapping[int, str]],
        is_leaving: Callable[[], bool],
    ) -> None:
        self._store = store
        self._lease = lease
        self._unconfirmed = unconfirmed
        self._is_leaving = is_leaving
        self._asked_at = float("-inf")
        self._asking: asyncio.Future[Mapping[int, str]] | None = None

    async def check(self) -> dict[int, str]:
        """Return the partitions that are not served, each with the reason.

        Raises:
            Unavailable: if they are more than half, or this replica is stopping.
        """
        now = asyncio.get_running_loop().time()
        if self._asking is None or (self._asking.done() and now - self._asked_at >= FRESH):
            self._asked_at = now
            self._asking = asyncio.ensure_future(self._store.renew(self._lease))
        # Shielded, since other callers may be waiting for the same answer.
        unwritten = await asyncio.shield(self._asking)
        unserved = {**unwritten, **self._unconfirmed()}
        if self._is_leaving():
            raise Unavailable("this replica is shutting down")
        count = self._store.partition_count
        if not is_enough(count - len(unserved), count):
            raise Unavailable(f"logouts are not received{_name(unserved, count)}")
        return unserved


def _name(unserved: Mapping[int, str], count: int) -> str:
    """Describe the partitions that are not served, grouped by reason."""
    reasons: dict[str, list[int]] = {}
    for number, reason in sorted(unserved.items()):
        reasons.setdefault(reason, []).append(number)
    if len(reasons) == 1 and len(unserved) == count:
        return f" ({reasons.popitem()[0]})"
    groups = (f"{', '.join(map(str, found))} ({reason})" for reason, found in reasons.items())
    return f" in partitions {'; '.join(groups)}"
