"""Notifies sockets of a logout, waits for acknowledgements, cuts the sockets, and reports that."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import Sequence
from typing import TypeVar

import structlog

from hub.access.views import as_payload, view_logout
from hub.core.model import Logout, Reason, State
from hub.core.receipt import read_failures
from hub.metrics import Metrics
from hub.realtime.acknowledgements import Acknowledgements
from hub.realtime.connections import Connection, Connections
from hub.realtime.progress import Progress, SocketOutcome
from hub.realtime.reports import Reports
from hub.store.values import LogoutEvent, Report

log = structlog.get_logger(__name__)

EVENT = "logoutNotification"
PACE = 0.25
"""Seconds between two batches of a logout that is spread (``spread_seconds``)."""

REPORT_EVERY = 1.0
"""Seconds between two reports on a logout that is spread."""

LARGE = 32
"""Sockets from which on a logout is large: then they are cut together, not one by one."""

GATHER = 0.05
"""Seconds for which the sockets of a large logout that have acknowledged wait for others."""

EXPIRED = Reason.EXPIRED

Item = TypeVar("Item")


def spread_evenly(items: Sequence[Item], steps: int) -> dict[int, list[Item]]:
    """Distribute items evenly over steps, in random order; returns the non-empty steps.

    A logout of everyone is spread separately for each partition on each replica, and most of these
    lists are short. The steps are therefore random within the whole range, so that all lists
    together are even too.
    """
    batches: dict[int, list[Item]] = {}
    for place, item in enumerate(random.sample(items, len(items))):
        at = (place + random.random()) / len(items)  # noqa: S311 - a pace
        batches.setdefault(min(steps - 1, int(at * steps)), []).append(item)
    return batches


class Delivery:
    """Ends the sockets of this replica that a logout concerns.

    `hub.realtime.follower` calls `deliver` for each logout that it receives. Sweeps call `end` for
    logouts that were missed, and `hub.realtime.handlers` calls it when a token expires.

    ``lease`` is the name of this replica's lease; ``grace`` is the notice grace in seconds.
    """

    def __init__(
        self,
        connections: Connections,
        acknowledgements: Acknowledgements,
        reports: Reports,
        lease: str,
        grace: float,
        metrics: Metrics,
    ) -> None:
        self._connections = connections
        self._acknowledgements = acknowledgements
        self._reports = reports
        self._lease = lease
        self._grace = grace
        self._metrics = metrics
        self._rounds: set[asyncio.Task[None]] = set()
        self._stops = asyncio.Event()

    def deliver(self, event: LogoutEvent, found: Sequence[Connection] = ()) -> int:
        """Begin to end the sockets in scope and those ``found``, and return how many there are.

        They count as ended at once: their further requests are refused, and so is a socket that is
        connecting.
        """
        at = event.logout.at
        ended = self._connections.ended_by(event)
        ended += [one for one in found if not (one.is_closed or one.is_ended(at))]
        if ended:
            self._begin(ended, event.logout, event)
        elif self._lease in event.leases:
            # A socket here was registered, but has closed since.
            self._reports.add(Report(self._lease, event))
        return len(ended)

    def end(self, connections: Sequence[Connection], logout: Logout) -> None:
        """Begin to notify and cut some sockets because of ``logout``.

        They must not have been ended by this or a later logout (`Connection.is_ended`).
        """
        event = LogoutEvent(logout, lambda user: user == logout.user)
        # If the logout of a user was missed, its receipt may still be open. Expiry has no receipt.
        is_written = logout.user is not None and logout.reason is not EXPIRED
        self._begin(connections, logout, event if is_written else None)

    def _begin(
        self, connections: Sequence[Connection], logout: Logout, event: LogoutEvent | None
    ) -> None:
        for connection in connections:
            connection.ended = logout
        notified = [connection for connection in connections if connection.accepted]
        task = asyncio.create_task(self._run(notified, logout, event))
        self._rounds.add(task)
        task.add_done_callback(self._rounds.discard)

    async def _run(
        self, notified: list[Connection], logout: Logout, event: LogoutEvent | None
    ) -> None:
        # Without a receipt (``event`` None) progress is counted too, but not reported.
        progress = Progress(self._lease, event or LogoutEvent(logout, lambda user: True), notified)
        is_everyones = event is not None and logout.user is None
        opening = asyncio.create_task(self._open(progress)) if is_everyones else None
        try:
            if logout.spread and notified:
                await self._pace(notified, logout, event, progress, opening)
            # One that has closed since would not say so again, and be waited for.
            elif batch := [connection for connection in notified if not connection.is_closed]:
                work = _Round(self._acknowledgements, self._metrics, batch)
                progress.add(await work.run(logout, self._grace))
        except Exception:
            # Sockets that could not be notified must still be cut.
            log.exception("sockets could not be notified of a logout", id=logout.id)
            progress.rest = State.CUT
            for connection in notified:
                connection.socket.disconnect()
        if opening is not None:
            await opening
        if event is not None:
            self._reports.add(progress.report(done=True))

    async def _open(self, progress: Progress) -> None:
        self._reports.add(await progress.open())

    async def _pace(
        self,
        notified: list[Connection],
        logout: Logout,
        event: LogoutEvent | None,
        progress: Progress,
        opening: asyncio.Task[None] | None,
    ) -> None:
        """Notify over the logout's spread: everyone in batches, a single user at a random time."""
        loop = asyncio.get_running_loop()
        began, rounds = loop.time(), set[asyncio.Task[list[SocketOutcome]]]()
        steps = max(1, round(logout.spread / PACE)) if logout.user is None else 1
        if logout.user is not None:
            await self._pause(random.uniform(0, logout.spread))  # noqa: S311 - a pace
        batches = spread_evenly(notified, steps)
        reported = began
        for step in range(steps):
            if self._stops.is_set():
                # The remaining clients connect elsewhere, and are refused there.
                break
            batch = [connection for connection in batches.get(step, ()) if not connection.is_closed]
            if batch:
                work = _Round(self._acknowledgements, self._metrics, batch)
                rounds.add(asyncio.create_task(work.run(logout, self._grace)))
            await self._pause(began + (step + 1) * PACE - loop.time())
            for task in [task for task in rounds if task.done()]:
                rounds.discard(task)
                progress.add(task.result())
            is_due = loop.time() - reported > REPORT_EVERY
            is_open = opening is None or opening.done()
            if event is not None and is_open and is_due:
                reported = loop.time()
                self._reports.add(progress.report(done=False))
        for task in rounds:
            progress.add(await task)

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, seconds)):
                await self._stops.wait()

    async def close(self) -> None:
        """Wait until every notified socket is cut and reported; takes no longer than the grace.

        Logouts that are being spread notify no further sockets.
        """
        self._stops.set()
        await asyncio.gather(*self._rounds, return_exceptions=True)
        with contextlib.suppress(Exception):
            await self._reports.flush()


class _Round:
    """Sockets that are notified together, from the notification to the last cut."""

    def __init__(
        self,
        acknowledgements: Acknowledgements,
        metrics: Metrics,
        connections: Sequence[Connection],
    ) -> None:
        self._acknowledgements = acknowledgements
        self._metrics = metrics
        self._open = {connection.id: connection for connection in connections}
        self._done = asyncio.Event()
        self._outcomes: list[SocketOutcome] = []
        self._acknowledged: dict[str, tuple[str, ...]] = {}
        self._began = asyncio.get_running_loop().time()
        self._is_large = len(connections) > LARGE
        self._acknowledging: list[Connection] = []

    async def run(self, logout: Logout, grace: float) -> list[SocketOutcome]:
        """Notify all sockets, cut each once it acknowledges, and the others after the grace.

        Returns the outcome of each.
        """
        notice = as_payload(view_logout(logout))
        for connection in self._open.values():
            connection.on_closed = self._on_closed
        sockets = [connection.socket for connection in self._open.values()]
        stop_waiting = self._acknowledgements.emit(sockets, EVENT, notice, self._on_ack)
        timer = asyncio.get_running_loop().call_later(grace, self._done.set)
        try:
            await self._done.wait()
        finally:
            timer.cancel()
            stop_waiting()
        late = list(self._open.values())
        # Answer pending events before the cut: one may be the request for this very logout.
        answering = [task for connection in late for task in connection.answering]
        if answering:
            await asyncio.wait(answering, timeout=grace)
        for connection in late:
            unread = connection.socket.has_unsent
            self._finish(connection, State.CUT if unread else State.NOTIFIED)
        for state, count in Counter([outcome.state for outcome in self._outcomes]).items():
            self._metrics.notices.inc(state.value, by=count)
        self._metrics.last_cut_seconds.observe(self._age())
        return self._outcomes

    def _on_ack(self, socket_id: str, answer: object) -> None:
        connection = self._open.get(socket_id)
        if connection is None or socket_id in self._acknowledged:
            return
        self._acknowledged[socket_id] = read_failures(answer)
        age = self._age()
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
            asyncio.get_running_loop().call_later(GATHER, self._release_gathered)
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
        connection.socket.disconnect()
        if not self._open:
            self._done.set()

    def _age(self) -> float:
        return asyncio.get_running_loop().time() - self._began
