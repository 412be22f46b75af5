"""Sockets whose CONNECT was refused: left open for a moment, so that the client stops by itself.

A client that finds the transport closed while it still handles CONNECT_ERROR takes that for a
failed network, and connects again without end. Older ones that close by themselves do so within the
moment; the others are sent DISCONNECT after it, which all of them obey, and are closed.
"""

from __future__ import annotations

from typing import Protocol

from hub.realtime.timer_wheel import Timer, TimerWheel

SECONDS = 1.0
MAX_LINGERING = 2000
"""How many may wait; with one more, the time of the oldest is over."""


class Refused(Protocol):
    """A refused socket."""

    def dismiss(self) -> None:
        """Send DISCONNECT and close."""
        ...


class Lingering:
    """Those of this replica."""

    def __init__(self, timers: TimerWheel) -> None:
        self._timers = timers
        self._waiting: dict[Refused, Timer] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def __contains__(self, socket: Refused) -> bool:
        return socket in self._waiting

    def add(self, socket: Refused) -> None:
        """Leave a socket open for a moment."""
        self.remove(socket)
        if len(self._waiting) >= MAX_LINGERING:
            self._dismiss(next(iter(self._waiting)))
        timer = Timer(lambda: self._dismiss(socket))
        self._waiting[socket] = timer
        self._timers.start(timer, SECONDS)

    def remove(self, socket: Refused) -> None:
        """Forget a socket."""
        timer = self._waiting.pop(socket, None)
        if timer is not None:
            self._timers.stop(timer)

    def _dismiss(self, socket: Refused) -> None:
        self.remove(socket)
        socket.dismiss()
