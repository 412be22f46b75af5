"""One timer for all sockets, for pings, timeouts and closes.

A timer handle for each socket would cost memory and a heap operation; a timer wheel costs a set
entry. Timers never fire early, and at most one step late.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable
from typing import Protocol

import structlog

log = structlog.get_logger(__name__)

STEP = 0.25


class Timed(Protocol):
    """An object that can be started on a wheel; ``due`` belongs to the wheel."""

    due: int

    def on_timer(self) -> None:
        """Handle the timeout."""
        ...


class Timer:
    """A timer that calls a function."""

    __slots__ = ("_call", "due")

    def __init__(self, call: Callable[[], None]) -> None:
        self._call = call
        self.due = 0

    def on_timer(self) -> None:
        """Call the function."""
        self._call()


class TimerWheel:
    """Calls `Timed.on_timer` of items when they are due; it turns only while there are any."""

    _loop: asyncio.AbstractEventLoop
    """The running loop while the wheel turns. In Python 3.11 asking for it is a system call."""

    def __init__(self) -> None:
        self._waiting: defaultdict[int, set[Timed]] = defaultdict(set)
        self._tick = 0
        self._turning: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        """Return how many timers are running."""
        return sum(map(len, self._waiting.values()))

    def start(self, item: Timed, seconds: float) -> None:
        """Start a timer for ``item``, replacing the one that it has."""
        if self._turning is None:
            self._loop = asyncio.get_running_loop()
            self._tick = int(self._loop.time() / STEP)
            self._turn_later()
        now = self._loop.time()
        # An item fires at the end of its step; a step that the wheel has passed never recurs.
        due = max(int((now + seconds) / STEP), self._tick) + 1
        if due != item.due:
            if item.due:
                self.stop(item)
            item.due = due
            self._waiting[due].add(item)

    def stop(self, item: Timed) -> None:
        """Stop the timer of ``item``, if it has one."""
        if not item.due:
            return
        waiting = self._waiting.get(item.due)
        if waiting is not None:
            waiting.discard(item)
            if not waiting:
                del self._waiting[item.due]
        item.due = 0

    def _turn_later(self) -> None:
        self._turning = self._loop.call_at((self._tick + 1) * STEP, self._turn)

    def _turn(self) -> None:
        # By the clock instead of counting, so that small delays do not add up.
        reached = int(self._loop.time() / STEP)
        while self._tick < reached:
            self._tick += 1
            for item in self._waiting.pop(self._tick, ()):
                if item.due == self._tick:
                    self._fire(item)
        # Only now: a timer started meanwhile must not restart the wheel and skip steps.
        self._turning = None
        if self._waiting:
            self._turn_later()

    def _fire(self, item: Timed) -> None:
        try:
            item.on_timer()
        except Exception:
            log.exception("a timer failed")
