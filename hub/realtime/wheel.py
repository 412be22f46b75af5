"""One timer for all sockets: pings, time-outs and last cuts, a fraction of a second apart.

A timer handle a socket costs memory and a heap operation; a wheel costs a set entry. What is put
on it is told when its time has come, never early and at most one step late.
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

    def on_time(self) -> None:
        """Do what was to be done."""
        ...


class Alarm:
    """Calls a function when its time has come."""

    __slots__ = ("_call", "due")

    def __init__(self, call: Callable[[], None]) -> None:
        self._call = call
        self.due = 0

    def on_time(self) -> None:
        """Call it."""
        self._call()


class Wheel:
    """Tells things that their time has come. Turns only while something waits."""

    def __init__(self) -> None:
        self._waiting: dict[int, set[Timed]] = {}
        self._tick = 0
        self._turning: asyncio.TimerHandle | None = None

    def put(self, item: Timed, seconds: float) -> None:
        """Let ``item`` wait for so many seconds; what it waited for before is forgotten."""
        self.drop(item)
        now = asyncio.get_running_loop().time()
        if self._turning is None:
            self._tick = int(now / STEP)
            self._turn_later()
        # A step counts once it is over; one that was turned already never comes again.
        item.due = max(int((now + seconds) / STEP), self._tick) + 1
        self._waiting.setdefault(item.due, set()).add(item)

    def drop(self, item: Timed) -> None:
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
                    self._tell(item)
        # Not before: what is put meanwhile must not begin the wheel anew, past what is still due.
        self._turning = None
        if self._waiting:
            self._turn_later()

    def _tell(self, item: Timed) -> None:
        try:
            item.on_time()
        except Exception:
            log.exception("what was due could not be done")
