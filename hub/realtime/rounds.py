"""Notifies sockets of a logout, waits for their acknowledgements, and cuts them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import structlog

from hub.access.views import as_payload, view_logout
from hub.core.model import Logout, State
from hub.core.receipt import read_failures
from hub.metrics import Metrics
from hub.realtime.acknowledgements import Acknowledgements
from hub.realtime.connections import Connection
from hub.realtime.progress import SocketOutcome

log = structlog.get_logger(__name__)

EVENT = "logoutNotification"

LARGE = 32
"""A logout of more sockets than this is large: they are cut together, not one by one."""

GATHER = 0.05
"""Seconds for which the sockets of a large logout that have acknowledged wait for others."""


class Round:
    """Sockets that are notified together, from the notification to the last cut.

    Once all are cut, ``on_end`` is called with their outcomes, and ``done`` is set. If they cannot
    be notified, ``done`` has the error, and cutting them is left to the caller.
    """

    def __init__(
        self,
        acknowledgements: Acknowledgements,
        metrics: Metrics,
        connections: Sequence[Connection],
        on_end: Callable[[Sequence[SocketOutcome]], None],
    ) -> None:
        self._acknowledgements = acknowledgements
        self._metrics = metrics
        self._on_end = on_end
        self._loop = asyncio.get_running_loop()
        self.done: asyncio.Future[None] = self._loop.create_future()
        self._open = {connection.id: connection for connection in connections}
        self._outcomes: list[SocketOutcome] = []
        self._acknowledged: dict[str, tuple[str, ...]] = {}
        self._began = self._loop.time()
        self._is_large = len(connections) > LARGE
        self._acknowledging: list[Connection] = []
        self._waiting: asyncio.Future[Any] | None = None

    def begin(self, logout: Logout, grace: float) -> None:
        """Notify all sockets, cut each once it acknowledges, and the others after the grace."""
        if not self._open:
            self.done.set_result(None)
            return
        sockets = [connection.socket for connection in self._open.values()]
        for connection in self._open.values():
            connection.on_closed = self._on_closed
        try:
            notice = as_payload(view_logout(logout))
            stop_waiting = self._acknowledgements.emit(sockets, EVENT, notice, self._on_ack)
        except Exception as error:
            self._open.clear()
            self.done.set_exception(error)
            return
        timer = self._loop.call_later(grace, self._run_out, grace, stop_waiting)

        def stop(done: asyncio.Future[None]) -> None:
            timer.cancel()
            stop_waiting()

        self.done.add_done_callback(stop)

    def _run_out(self, grace: float, stop_waiting: Callable[[], None]) -> None:
        """Cut the sockets that have not acknowledged within the grace."""
        stop_waiting()
        # Answer pending events before the cut: one may be the request for this very logout.
        answering = [task for one in self._open.values() for task in one.answering]
        if answering:
            waiting = asyncio.create_task(asyncio.wait(answering, timeout=grace))
            waiting.add_done_callback(lambda waiting: self._cut_rest())
            self._waiting = waiting
        else:
            self._cut_rest()

    def _cut_rest(self) -> None:
        for connection in list(self._open.values()):
            unread = connection.socket.has_unsent
            self._finish(connection, State.CUT if unread else State.NOTIFIED)

    def _on_ack(self, socket_id: str, answer: object) -> None:
        connection = self._open.get(socket_id)
        if connection is None or socket_id in self._acknowledged:
            return
        self._acknowledged[socket_id] = read_failures(answer)
        age = self._loop.time() - self._began
        self._metrics.acknowledged_seconds.observe(age)
        if len(self._acknowledged) == len(self._open) + len(self._outcomes):
            self._metrics.last_acknowledged_seconds.observe(age)
        if self._is_large:
            self._release_soon(connection)
        else:
            self._release(connection)

    def _release_soon(self, connection: Connection) -> None:
        """Cut a socket a moment later, with all that acknowledge meanwhile.

        A large logout is often one of several, as everyone's is in each partition. The sockets of
        the next are notified before those that have acknowledged already cost any more time.
        """
        if not self._acknowledging:
            self._loop.call_later(GATHER, self._release_gathered)
        self._acknowledging.append(connection)

    def _release_gathered(self) -> None:
        connections, self._acknowledging = self._acknowledging, []
        for connection in connections:
            self._release(connection)

    def _on_closed(self, connection: Connection) -> None:
        # It was notified, and closed without acknowledging.
        self._finish(connection, State.NOTIFIED)

    def _release(self, connection: Connection) -> None:
        """Cut a socket that has acknowledged, once all its events are answered."""
        if connection.answering:
            next(iter(connection.answering)).add_done_callback(
                lambda task: self._release(connection)
            )
        else:
            self._finish(connection, State.ACKNOWLEDGED)

    def _finish(self, connection: Connection, state: State) -> None:
        if self._open.pop(connection.id, None) is None:
            return
        connection.on_closed = None
        failed = self._acknowledged.get(connection.id)
        if failed is not None:
            state = State.ACKNOWLEDGED
        self._outcomes.append(SocketOutcome(connection.identity, state, failed or ()))
        try:
            connection.socket.disconnect()
        except Exception:
            # Go on: the others must still be cut.
            log.exception("a socket could not be cut", id=connection.id)
        self._metrics.notices.inc(state)
        if not self._open:
            self._end()

    def _end(self) -> None:
        self._metrics.last_cut_seconds.observe(self._loop.time() - self._began)
        self._on_end(self._outcomes)
        if not self.done.done():
            self.done.set_result(None)
