"""One timer for all sockets: pings, time-outs and last cuts, a fraction of a second apart.

A timer handle a socket costs memory and a heap operation; a wheel costs a set entry. What is put
on it is told when its time has come, never early and at most one step late.
"""

from __future__ import annotations

import asyncio
from math import ceil
from typing import Protocol

STEP = 0.25


class Timed(Protocol):
    """Something that waits on a wheel; ``due`` belongs to the wheel."""

    due: int

    def on_time(self) -> None:
        """Do what was to be done."""
        ...


class Wheel:
    """Tells things that their time has come. Turns only while something waits."""

    def __init__(self) -> None:
        self._waiting: dict[int, set[Timed]] = {}
        self._tick = 0
        self._turning: asyncio.TimerHandle | None = None

    def put(self, item: Timed, seconds: float) -> None:
        """Let ``item`` wait for so many seconds; what it waited for before is forgotten."""
        self.drop(item)
        if self._turning is None:
            self._turn_later()
        # One more step, since the current one has partly passed.
        item.due = self._tick + ceil(seconds / STEP) + 1
        self._waiting.setdefault(item.due, set()).add(item)

    def drop(self, item: Timed) -> None:
        """Let ``item`` wait for nothing."""
        waiting = self._waiting.get(item.due)
        if waiting is not None:
            waiting.discard(item)
            if not waiting:
                del self._waiting[item.due]

    def _turn_later(self) -> None:
        self._turning = asyncio.get_running_loop().call_later(STEP, self._turn)

    def _turn(self) -> None:
        self._tick += 1
        self._turning = None
        for item in self._waiting.pop(self._tick, ()):
            item.on_time()
        if self._waiting and self._turning is None:
            self._turn_later()
