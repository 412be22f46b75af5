"""A WebSocket that asks to take a session over from polling [Upgrade], for as long as it may take.

Some proxies pass the request for a WebSocket on, and nothing that follows it. The client then goes
on polling, which must work as if there were no probe.
"""

from __future__ import annotations

import asyncio

from hub.protocol.frames import NORMAL
from hub.realtime.timer_wheel import TimerWheel
from hub.realtime.websocket import WebSocket

PROBE_TIMEOUT = 10.0
"""Seconds after which the WebSocket is closed, as by the reference server."""


class Probe:
    """The WebSocket, and its time."""

    __slots__ = ("_began", "_timers", "due", "websocket")

    def __init__(self, websocket: WebSocket, timers: TimerWheel) -> None:
        self.websocket = websocket
        self._timers = timers
        self._began = asyncio.get_running_loop().time()
        self.due = 0
        timers.start(self, PROBE_TIMEOUT)

    @property
    def age(self) -> float:
        """Seconds since it was opened."""
        return asyncio.get_running_loop().time() - self._began

    def end(self) -> None:
        """Stop its time, since it has taken over or is lost."""
        self._timers.stop(self)

    def on_timer(self) -> None:
        """Close the WebSocket; once it is lost, the session knows."""
        self.websocket.close(NORMAL)
