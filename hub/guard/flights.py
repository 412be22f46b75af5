"""Calls that block, in a few threads, and only one at a time of the same name."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from hub.errors import Unavailable
from hub.guard.clock import clock

MOST_THREADS = 8
MOST_WAITING = 256
"""Calls that are under way or wait for a thread, whoever still waits for them; more are refused."""


class Flights:
    """Runs calls; who asks for one that has just begun gets its result. `close` it in the end."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(MOST_THREADS, thread_name_prefix="logout-hub-guard")
        self._lock = threading.Lock()
        self._flights: dict[Hashable, tuple[Future[Any], float]] = {}
        self._count = 0

    def join(
        self, name: Hashable, call: Callable[[], Any], max_age: float = float("inf")
    ) -> tuple[Future[Any], float]:
        """Return the result to come of the call ``name``, and when that began, or begin it.

        One that began more than ``max_age`` seconds ago is not joined.

        Raises:
            Unavailable: when too many wait.
        """
        with self._lock:
            flight, begun = self._flights.get(name, (None, 0.0))
            if flight is not None and clock() - begun <= max_age:
                return flight, begun
            if self._count >= MOST_WAITING:
                raise Unavailable("too many calls wait for an answer")
            begun = clock()  # before the call, whose answer is as old as that at least
            try:
                flight = self._pool.submit(call)
            except RuntimeError:
                raise Unavailable("the guard is closed") from None
            self._flights[name] = (flight, begun)
            self._count += 1
        flight.add_done_callback(lambda done: self._land(name, done))
        return flight, begun

    def _land(self, name: Hashable, flight: Future[Any]) -> None:
        with self._lock:
            self._count -= 1
            if self._flights.get(name, (None, 0.0))[0] is flight:
                del self._flights[name]

    def close(self) -> None:
        """Wait for what is under way, and give up what is not."""
        self._pool.shutdown(cancel_futures=True)
