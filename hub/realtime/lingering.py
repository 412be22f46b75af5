"""Keeps sockets open for a moment after their CONNECT was refused, so that the client can close.

A client whose transport closes while it is still handling CONNECT_ERROR treats that as a network
failure, and reconnects endlessly. Older clients close the transport themselves within the refusal
delay. To the others DISCONNECT is sent after it, which all clients obey, and they are closed.
"""

from __future__ import annotations

from typing import Protocol

from hub.realtime.timer_wheel import Timer, TimerWheel

SECONDS = 1.0
"""The refusal delay."""

MAX_LINGERING = 2000
"""How many may be kept open; one more closes the oldest."""


class Refused(Protocol):
    """A refused socket."""

    def dismiss(self) -> None:
        """Send DISCONNECT and close."""
        ...


class Lingering:
    """The refused sockets of this replica that are still open."""

    def __init__(self, timers: TimerWheel) -> None:
        self._timers = timers
        self._waiting: dict[Refused, Timer] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def __contains__(self, socket: Refused) -> bool:
        return socket in self._waiting

    def add(self, socket: Refused) -> None:
        """Dismiss a socket after the refusal delay."""
        self.remove(socket)
        if len(self._waiting) >= MAX_LINGERING:
            self._dismiss(next(iter(self._waiting)))
        timer = Timer(lambda: self._dismiss(socket))
        self._waiting[socket] = timer
        self._timers.start(timer, SECONDS)

    def remove(self, socket: Refused) -> None:
        """Remove a socket, if it is here, without dismissing it."""
        timer = self._waiting.pop(socket, None)
        if timer is not None:
            self._timers.stop(timer)

    def _dismiss(self, socket: Refused) -> None:
        self.remove(socket)
        socket.dismiss()
