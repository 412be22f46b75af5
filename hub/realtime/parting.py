"""Transports whose CONNECT was refused: left open for a moment, so that the client stops by itself.

A client that finds the transport closed while it still handles CONNECT_ERROR takes that for a
failed network, and connects again without end. Those that end it by themselves do so within the
moment; the others are told DISCONNECT after it, which all of them obey, and are closed.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from hub.realtime.wheel import Alarm, Wheel

MOMENT = 1.0
MOST = 2000
"""How many may wait; one more, and the moment of the oldest is over."""


class Partings:
    """Those of this replica; ``end`` is called with a transport's id and the namespace refused."""

    def __init__(self, wheel: Wheel, end: Callable[[str, str], None]) -> None:
        self._wheel = wheel
        self._end = end
        self._waiting: dict[str, tuple[str, Alarm]] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def begin(self, sid: str, namespace: str) -> None:
        """Leave a transport open for a moment."""
        self.drop(sid)
        if len(self._waiting) >= MOST:
            self._over(next(iter(self._waiting)))
        alarm = Alarm(partial(self._over, sid))
        self._waiting[sid] = (namespace, alarm)
        self._wheel.put(alarm, MOMENT)

    def namespace(self, sid: str) -> str | None:
        """Return the namespace that a transport was refused; None when it waits for nothing."""
        return self._waiting[sid][0] if sid in self._waiting else None

    def drop(self, sid: str) -> None:
        """Forget a transport."""
        waiting = self._waiting.pop(sid, None)
        if waiting is not None:
            self._wheel.drop(waiting[1])

    def _over(self, sid: str) -> None:
        namespace = self._waiting[sid][0]
        self.drop(sid)
        self._end(sid, namespace)
