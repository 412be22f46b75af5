"""Emits an event to many sockets, encoded once, and collects their acknowledgements."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Protocol

from hub.protocol.engineio import MESSAGE
from hub.protocol.frames import encode_text
from hub.protocol.socketio import Ack, encode_event


class Recipient(Protocol):
    """A socket that events are sent to."""

    @property
    def id(self) -> str:
        """The socket's id."""
        ...

    def send(self, packet: str, frame: bytes) -> None:
        """Send an Engine.IO packet; ``frame`` is its WebSocket frame."""
        ...


OnAck = Callable[[str, object], None]
"""Called with a socket's id and the first argument of its acknowledgement."""


class Acknowledgements:
    """The events whose acknowledgements are awaited, by acknowledgement id."""

    def __init__(self) -> None:
        self._awaited: dict[int, OnAck] = {}
        self._last = 0

    def emit(
        self, sockets: Iterable[Recipient], event: str, data: object, on_ack: OnAck
    ) -> Callable[[], None]:
        """Emit an event to many sockets, and call ``on_ack`` for each that acknowledges it.

        Returns a function that stops waiting for acknowledgements.
        """
        self._last += 1
        packet = MESSAGE + encode_event(event, data, self._last)
        frame = encode_text(packet)
        self._awaited[self._last] = on_ack
        for socket in list(sockets):
            socket.send(packet, frame)
        return partial(self._forget, self._last)

    def take(self, socket_id: str, ack: Ack) -> None:
        """Pass an acknowledgement on; one that is not awaited is ignored."""
        on_ack = self._awaited.get(ack.id)
        if on_ack is not None:
            on_ack(socket_id, ack.args[0] if ack.args else None)

    def _forget(self, number: int) -> None:
        self._awaited.pop(number, None)
