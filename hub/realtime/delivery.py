"""Tells sockets of a logout, waits for their acknowledgement, and cuts them."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Protocol

import structlog

from hub.core.model import Logout, State
from hub.core.wire import describe_logout
from hub.metrics import Metrics
from hub.realtime.connections import Connection, Connections
from hub.store.base import Heard

log = structlog.get_logger(__name__)

EVENT = "logoutNotification"


class Transport(Protocol):
    """The part of a Socket.IO server that delivery needs."""

    async def call(
        self, event: str, data: object, *, to: str, timeout: float
    ) -> object:  # pragma: no cover
        """Send an event to one socket and return what it acknowledged."""
        ...

    async def disconnect(self, sid: str) -> None:  # pragma: no cover
        """End a socket for good."""
        ...


class Delivery:
    """Ends the sockets of this replica that a logout is about; ``grace`` is in seconds."""

    def __init__(
        self, connections: Connections, transport: Transport, grace: float, metrics: Metrics
    ) -> None:
        self._connections = connections
        self._transport = transport
        self._grace = grace
        self._metrics = metrics
        self._tasks: set[asyncio.Task[None]] = set()

    def deliver(self, heard: Heard) -> int:
        """Begin to end the sockets in scope, and return how many there are.

        They count as ended at once: nothing that they still send is obeyed, and a socket that is
        being accepted at this moment is refused.
        """
        ended = self._connections.ended_by(heard)
        for connection in ended:
            self.end(connection, heard.logout)
        return len(ended)

    def end(self, connection: Connection, logout: Logout) -> None:
        """Begin to end one socket because of ``logout``."""
        connection.ended = logout
        if connection.accepted:
            task = asyncio.create_task(self._tell_and_cut(connection, logout))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Wait until every socket that was told is cut; bounded by the grace."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _tell_and_cut(self, connection: Connection, logout: Logout) -> None:
        began = asyncio.get_running_loop().time()
        state = await self._tell(connection, logout)
        if state is State.ACKNOWLEDGED:
            took = asyncio.get_running_loop().time() - began
            self._metrics.acknowledged_seconds.observe(took)
        self._metrics.notices.labels(state.value).inc()
        # A socket that asked for this logout itself is owed its answer before the cut.
        if connection.busy:
            await asyncio.wait(connection.busy, timeout=self._grace)
        await self._transport.disconnect(connection.sid)

    async def _tell(self, connection: Connection, logout: Logout) -> State:
        told = asyncio.ensure_future(
            self._transport.call(
                EVENT, describe_logout(logout), to=connection.sid, timeout=self._grace
            )
        )
        gone = asyncio.ensure_future(connection.gone.wait())
        try:
            await asyncio.wait({told, gone}, return_when=asyncio.FIRST_COMPLETED)
            if told.done() and told.exception() is None:
                return State.ACKNOWLEDGED
            return State.NOTIFIED
        finally:
            for future in (told, gone):
                future.cancel()
                with contextlib.suppress(asyncio.CancelledError, Exception):
                    await future
