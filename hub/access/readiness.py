"""Whether this replica can do its work, as of the last second."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from hub.errors import Unavailable
from hub.store.base import Store

FRESH = 1.0


class Readiness:
    """Asks the store at most once a second, however many ask here: each answer is shared.

    ``lease`` is this replica's, whose renewal tells whether the store can be written;
    ``is_following`` tells whether logouts are heard.
    """

    def __init__(self, store: Store, lease: str, is_following: Callable[[], bool]) -> None:
        self._store = store
        self._lease = lease
        self._is_following = is_following
        self._asked_at = float("-inf")
        self._asking: asyncio.Future[None] | None = None

    async def check(self) -> None:
        """Return when the replica is ready.

        Raises:
            Unavailable: when the store cannot be written, or logouts are not heard.
        """
        now = asyncio.get_running_loop().time()
        if self._asking is None or (self._asking.done() and now - self._asked_at >= FRESH):
            self._asked_at = now
            self._asking = asyncio.ensure_future(self._store.renew(self._lease))
        # Shielded: others wait for the same answer.
        await asyncio.shield(self._asking)
        if not self._is_following():
            raise Unavailable("logouts are not heard")
