"""Runs blocking calls in threads; callers that ask for the same call share its result."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from hub.errors import Unavailable
from hub.guard.clock import clock

MAX_THREADS = 8
"""The usual number of threads, enough for questions to one hub."""
MAX_WAITING = 256
"""The maximum number of calls in progress or waiting for a thread; any more are refused."""


class Flights:
    """Runs calls in threads, one at a time of each name. `close` it when done.

    ``names`` is how many names there are, if that is known: then each has a thread of its own,
    started when it is needed, and no call waits for another.
    """

    def __init__(self, names: int | None = None) -> None:
        threads = MAX_THREADS if names is None else max(1, names)
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="logout-hub-guard")
        self._most = MAX_WAITING if names is None else threads
        self._lock = threading.Lock()
        self._flights: dict[Hashable, tuple[Future[Any], float]] = {}
        self._count = 0

    def join(
        self, name: Hashable, call: Callable[[], Any], max_age: float = float("inf")
    ) -> tuple[Future[Any], float]:
        """Return a future of the call ``name``, which is started if need be, and when it began.

        A call that began more than ``max_age`` seconds ago is not joined, but made again.

        Raises:
            Unavailable: when too many calls are waiting, or after `close`.
        """
        with self._lock:
            flight, begun = self._flights.get(name, (None, 0.0))
            if flight is not None and clock() - begun <= max_age:
                return flight, begun
            if self._count >= self._most:
                raise Unavailable("too many calls are waiting for an answer")
            begun = clock()  # before the call: its answer may be that old
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
        """Wait for calls in progress, and cancel those that have not begun."""
        self._pool.shutdown(cancel_futures=True)
