"""One timer for all sockets: pings, time-outs and closes, a fraction of a second apart.

A timer handle for each socket costs memory and a heap operation; a wheel costs a set entry. What is
started on it fires when its time is over, never early and at most one step late.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

import structlog

log = structlog.get_logger(__name__)

STEP = 0.25


class Timed(Protocol):
    """Something that waits on a wheel; ``due`` belongs to the wheel."""

    due: int

    def on_timer(self) -> None:
        """Do what was to be done."""
        ...


class Timer:
    """Calls a function when its time is over."""

    __slots__ = ("_call", "due")

    def __init__(self, call: Callable[[], None]) -> None:
        self._call = call
        self.due = 0

    def on_timer(self) -> None:
        """Call it."""
        self._call()


class TimerWheel:
    """Fires what waits on it. ListLimiter only while something waits."""

    def __init__(self) -> None:
        self._waiting: dict[int, set[Timed]] = {}
        self._tick = 0
        self._turning: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        """Return how many timers are running."""
        return sum(map(len, self._waiting.values()))

    def start(self, item: Timed, seconds: float) -> None:
        """Let ``item`` wait for so many seconds; what it waited for before is forgotten."""
        self.stop(item)
        now = asyncio.get_running_loop().time()
        if self._turning is None:
            self._tick = int(now / STEP)
            self._turn_later()
        # A step counts once it is over; one that was turned already never comes again.
        item.due = max(int((now + seconds) / STEP), self._tick) + 1
        self._waiting.setdefault(item.due, set()).add(item)

    def stop(self, item: Timed) -> None:
        """Let ``item`` wait for nothing."""
        waiting = self._waiting.get(item.due)
        if waiting is not None:
            waiting.discard(item)
            if not waiting:
                del self._waiting[item.due]
        item.due = 0

    def _turn_later(self) -> None:
        loop = asyncio.get_running_loop()
        self._turning = loop.call_at((self._tick + 1) * STEP, self._turn)

    def _turn(self) -> None:
        # By the clock and not by counting, lest a wait of hours ends late by all small delays.
        reached = int(asyncio.get_running_loop().time() / STEP)
        while self._tick < reached:
            self._tick += 1
            for item in self._waiting.pop(self._tick, ()):
                if item.due == self._tick:
                    self._fire(item)
        # Not before: what is started meanwhile must not begin the wheel anew, past what is due.
        self._turning = None
        if self._waiting:
            self._turn_later()

    def _fire(self, item: Timed) -> None:
        try:
            item.on_timer()
        except Exception:
            log.exception("a timer failed")
