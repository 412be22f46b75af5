"""Ends the sockets that a logout concerns, at once or over its spread, and reports that."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Sequence
from functools import partial
from typing import TypeVar

import structlog

from hub.core.model import Logout, Reason, State
from hub.metrics import Metrics
from hub.realtime.acknowledgements import Acknowledgements
from hub.realtime.connections import Connection, Connections
from hub.realtime.progress import Progress
from hub.realtime.reports import Reports
from hub.realtime.rounds import Round
from hub.store.values import LogoutEvent, Report

log = structlog.get_logger(__name__)

PACE = 0.25
"""Seconds between two batches of a logout that is spread (``spread_seconds``)."""

REPORT_EVERY = 1.0
"""Seconds between two reports on a logout that is spread."""

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
        self._rounds: set[asyncio.Future[None]] = set()
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
        # Without a receipt (``event`` None) progress is counted too, but not reported.
        progress = Progress(self._lease, event or LogoutEvent(logout, lambda user: True), notified)
        work: asyncio.Future[None]
        if logout.spread or logout.user is None:
            work = asyncio.create_task(self._run(notified, logout, event, progress))
        else:
            # At once and without a task: this is what the person waits for.
            work = self._notify(notified, logout, progress)
        self._rounds.add(work)
        work.add_done_callback(partial(self._conclude, notified, logout, event, progress))

    def _conclude(
        self,
        notified: Sequence[Connection],
        logout: Logout,
        event: LogoutEvent | None,
        progress: Progress,
        work: asyncio.Future[None],
    ) -> None:
        self._rounds.discard(work)
        if work.cancelled():
            return
        error = work.exception()
        if error is not None:
            # Sockets that could not be notified must still be cut.
            log.error("sockets could not be notified of a logout", id=logout.id, exc_info=error)
            progress.unnotified_state = State.CUT
            for connection in notified:
                connection.socket.disconnect()
        if event is not None:
            self._reports.add(progress.report(done=True))

    def _notify(
        self, connections: Sequence[Connection], logout: Logout, progress: Progress
    ) -> asyncio.Future[None]:
        """Notify sockets, and return a future that is done when all are cut."""
        # A closed socket never calls `on_closed`: the round would wait for it until the grace ends.
        notified = [connection for connection in connections if not connection.is_closed]
        work = Round(self._acknowledgements, self._metrics, notified, progress.add)
        work.begin(logout, self._grace)
        return work.done

    async def _run(
        self,
        notified: Sequence[Connection],
        logout: Logout,
        event: LogoutEvent | None,
        progress: Progress,
    ) -> None:
        is_everyones = event is not None and logout.user is None
        listing = asyncio.create_task(self._list_sessions(progress)) if is_everyones else None
        try:
            if logout.spread and notified:
                await self._pace(notified, logout, event, progress, listing)
            else:
                await self._notify(notified, logout, progress)
        finally:
            if listing is not None:
                await listing

    async def _list_sessions(self, progress: Progress) -> None:
        self._reports.add(await progress.list_sessions())

    async def _pace(
        self,
        notified: Sequence[Connection],
        logout: Logout,
        event: LogoutEvent | None,
        progress: Progress,
        listing: asyncio.Task[None] | None,
    ) -> None:
        """Notify over the logout's spread: everyone in batches, a single user at a random time."""
        loop = asyncio.get_running_loop()
        began, rounds = loop.time(), list[asyncio.Future[None]]()
        steps = max(1, round(logout.spread / PACE)) if logout.user is None else 1
        if logout.user is not None:
            await self._pause(random.uniform(0, logout.spread))  # noqa: S311 - a pace
        batches = spread_evenly(notified, steps)
        reported = began
        for step in range(steps):
            if self._stops.is_set():
                # The remaining clients connect elsewhere, and are refused there.
                break
            if step in batches:
                rounds.append(self._notify(batches[step], logout, progress))
            await self._pause(began + (step + 1) * PACE - loop.time())
            is_due = loop.time() - reported > REPORT_EVERY
            is_listed = listing is None or listing.done()
            if event is not None and is_listed and is_due:
                reported = loop.time()
                self._reports.add(progress.report(done=False))
        for work in rounds:
            await work

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
