"""Tells sockets of a logout, waits for their acknowledgement, and cuts them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from hub.core.model import Logout, State
from hub.core.wire import describe_logout
from hub.metrics import Metrics
from hub.realtime.connections import Connection, Connections
from hub.store.base import Heard

EVENT = "logoutNotification"


class Transport(Protocol):
    """The part of a Socket.IO server that delivery needs."""

    def ask(
        self,
        sockets: Iterable[Connection],
        event: str,
        data: object,
        on_ack: Callable[[str, object], None],
    ) -> Callable[[], None]:
        """Send an event to many sockets; return what ends hearing their acknowledgements."""
        ...

    def cut(self, sid: str) -> None:
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
        self._rounds: set[asyncio.Task[None]] = set()

    def deliver(self, heard: Heard) -> int:
        """Begin to end the sockets in scope, and return how many there are.

        They count as ended at once: nothing that they still send is obeyed, and a socket that is
        being accepted at this moment is refused.
        """
        ended = self._connections.ended_by(heard)
        self.end(ended, heard.logout)
        return len(ended)

    def end(self, connections: Sequence[Connection], logout: Logout) -> None:
        """Begin to end some sockets because of ``logout``: tell them all, cut each in its time."""
        for connection in connections:
            connection.ended = logout
        told = {connection.sid: connection for connection in connections if connection.accepted}
        if told:
            work = _Round(self._transport, self._metrics, told).run(logout, self._grace)
            task = asyncio.create_task(work)
            self._rounds.add(task)
            task.add_done_callback(self._rounds.discard)

    async def close(self) -> None:
        """Wait until every socket that was told is cut; bounded by the grace."""
        await asyncio.gather(*self._rounds, return_exceptions=True)


class _Round:
    """The sockets of one logout, from the telling to the last cut: one task for all of them."""

    def __init__(self, transport: Transport, metrics: Metrics, told: dict[str, Connection]) -> None:
        self._transport = transport
        self._metrics = metrics
        self._told = told
        self._done = asyncio.Event()
        self._began = asyncio.get_running_loop().time()

    async def run(self, logout: Logout, grace: float) -> None:
        """Tell all, cut each that acknowledges, and after the grace the others."""
        notice = describe_logout(logout)
        deaf = self._transport.ask(self._told.values(), EVENT, notice, self._on_ack)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace):
                await self._done.wait()
        deaf()
        late = list(self._told.values())
        self._metrics.notices.labels(State.NOTIFIED.value).inc(len(late))
        # A socket that asked for something, this logout perhaps, is owed its answer before the cut.
        owed = [task for connection in late for task in connection.busy]
        if owed:
            await asyncio.wait(owed, timeout=grace)
        for connection in late:
            self._transport.cut(connection.sid)

    def _on_ack(self, sid: str, answer: object) -> None:
        connection = self._told.get(sid)
        if connection is None:
            return
        took = asyncio.get_running_loop().time() - self._began
        self._metrics.acknowledged_seconds.observe(took)
        if connection.busy:
            next(iter(connection.busy)).add_done_callback(lambda task: self._release(sid))
        else:
            self._release(sid)

    def _release(self, sid: str) -> None:
        if self._told.pop(sid, None) is None:
            return
        self._metrics.notices.labels(State.ACKNOWLEDGED.value).inc()
        self._transport.cut(sid)
        if not self._told:
            self._done.set()
