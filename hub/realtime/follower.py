"""Follows the logouts that any replica writes, and stands aside when it cannot.

What is heard goes to delivery. Whatever the log could not tell for sure (a gap, a logout that
nobody can read, an error of our own) is made up for by a sweep: every socket of this replica is
checked against the store. A slow sweep runs always, so that even a bug heals; it should never find
anything, and a counter says when it did.

While the store confirms, again and again, that all has been heard, the replica serves. When it has
not done so for ``fence`` seconds the replica is fenced: its sockets are closed as by a network
that fails, so that clients connect elsewhere, and it takes none until it has caught up.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Iterable
from typing import Any

import structlog

from hub.access.audit import Audit
from hub.access.authority import Authority
from hub.access.logouts import Logouts
from hub.access.repeated_warnings import RepeatedWarnings
from hub.core.model import Logout
from hub.errors import HubError, Unavailable
from hub.metrics import Metrics
from hub.realtime.connections import Connection, Connections
from hub.realtime.delivery import Delivery
from hub.store.base import Confirmed, Event, Gap, Heard, Loss, Store, Unreadable

log = structlog.get_logger(__name__)

BATCH = 500
SLOW_BATCH = 20
SLOW_ROUND = 300.0
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 1.0
WATCH_EVERY = 0.25
UNREADY_AFTER = 3.0
IN_FLIGHT = 2.0


class Follower:
    """Keeps reading the store's log for as long as `run` runs.

    ``cut_off`` says that a store which lost what it knew is mended by ending all its sessions;
    else nothing is believed of it until an administrator does so.
    """

    def __init__(
        self,
        store: Store,
        authority: Authority,
        logouts: Logouts,
        connections: Connections,
        delivery: Delivery,
        metrics: Metrics,
        *,
        fence: float,
        cut_off: bool,
        audit: Audit | None = None,
    ) -> None:
        self._store = store
        self._authority = authority
        self._logouts = logouts
        self._connections = connections
        self._delivery = delivery
        self._metrics = metrics
        self._fence = fence
        self._cut_off = cut_off
        self._audit = audit
        self._confirmed_at: float | None = None
        self._following = asyncio.Event()
        self._fenced = True
        self._lost = False
        self._sweep: asyncio.Task[None] | None = None
        self._must_sweep = False
        self._interruptions = 0
        self._warnings = RepeatedWarnings()

    @property
    def is_following(self) -> bool:
        """Whether a logout that is written now will be heard, as far as was confirmed lately."""
        return self._following.is_set() and self._age() < UNREADY_AFTER

    @property
    def is_fenced(self) -> bool:
        """Whether this replica must take no sockets."""
        return self._fenced

    async def run(self) -> None:
        """Follow, and begin again after each interruption; ends by being cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._follow())
            tasks.create_task(self._watch())
            tasks.create_task(self._sweep_slowly())

    async def wait_until_following(self) -> None:
        """Return once logouts are heard."""
        await self._following.wait()

    async def _follow(self) -> None:
        pause = FIRST_PAUSE
        while True:
            try:
                async with contextlib.aclosing(self._store.follow()) as events:
                    async for event in events:
                        await self._take(event)
                        if self._following.is_set():
                            pause = FIRST_PAUSE
            except Unavailable as error:
                if self._warnings.is_due(error.detail):
                    log.warning("logouts are not heard", error=error.detail)
            except Exception:
                # What was being handled may not have been, so everything is looked at.
                log.exception("logouts are not heard")
                self._must_sweep = True
            self._interruptions += 1
            self._stop_following()
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - a jitter
            pause = min(2 * pause, LONGEST_PAUSE)

    async def _take(self, event: Event) -> None:
        match event:
            case Heard():
                self._metrics.heard.inc()
                self._metrics.replayed.inc(0 if event.is_live else 1)
                self._delivery.deliver(event)
                if event.is_live and self._connections.has_survivors(event):
                    # Newer logins, or the store's clock was set back: it knows which.
                    self._must_sweep = True
            case Gap():
                self._must_sweep = True
            case Loss():
                await self._mend(event)
            case Confirmed():
                self._confirm()

    def _confirm(self) -> None:
        is_sweeping = self._sweep is not None and not self._sweep.done()
        if self._must_sweep or is_sweeping:
            # Nothing counts as heard until all that may have been missed is looked for.
            if not is_sweeping:
                self._sweep = asyncio.create_task(self._sweep_all())
            return
        self._note_confirmed()

    def _note_confirmed(self) -> None:
        if self._confirmed_at is not None and not self._following.is_set():
            log.info("logouts are heard again")
            self._warnings.forget()
        self._lost = self._fenced = False
        self._confirmed_at = asyncio.get_running_loop().time()
        self._following.set()
        self._metrics.following.set(1)

    def _stop_following(self) -> None:
        self._following.clear()
        self._metrics.following.set(0)

    async def _mend(self, loss: Loss) -> None:
        # Should this fail, what was read along with it is not handed on.
        self._must_sweep = True
        self._interruptions += 1
        self._stop_following()
        if not self._lost:
            log.error("the store lost what it knew: nothing it says is believed", part=loss.part)
            self._lost = True
            self._metrics.losses.inc()
            self._note("loss", part=loss.part)
        if self._cut_off:
            await self._logouts.mend(loss)

    def _note(self, event: str, **facts: Any) -> None:
        if self._audit is not None:
            self._audit.note(event, **facts)

    def _age(self) -> float:
        """Return the seconds since it was last confirmed that all was heard."""
        if self._confirmed_at is None:
            return float("inf")
        return asyncio.get_running_loop().time() - self._confirmed_at

    async def _watch(self) -> None:
        began = asyncio.get_running_loop().time()
        while True:
            now = asyncio.get_running_loop().time()
            age = now - (began if self._confirmed_at is None else self._confirmed_at)
            self._metrics.position_age.set(age)
            if not self._fenced and age > self._fence:
                log.error("fenced: not confirmed to hear logouts", seconds=round(age, 1))
                self._fenced = True
                self._stop_following()
                self._metrics.fences.inc()
                self._note("fence", seconds=round(age, 1))
                for connection in self._connections:
                    connection.socket.give_way()
            await asyncio.sleep(WATCH_EVERY)

    # ---- Sweeps ----

    async def _sweep_all(self) -> None:
        self._must_sweep, interruptions = False, self._interruptions
        try:
            connections = list(self._connections)
            for start in range(0, len(connections), BATCH):
                await self._check_some(connections[start : start + BATCH], "gap")
        except HubError:
            self._must_sweep = True
        except Exception:
            log.exception("a sweep failed")
            self._must_sweep = True
        else:
            if interruptions == self._interruptions and not self._must_sweep:
                self._note_confirmed()

    async def _sweep_slowly(self) -> None:
        while True:
            connections = list(self._connections)
            pause = SLOW_ROUND / max(1, len(connections) / SLOW_BATCH)
            for start in range(0, len(connections), SLOW_BATCH):
                await asyncio.sleep(pause)
                try:
                    await self._check_some(connections[start : start + SLOW_BATCH], "slow")
                except HubError:
                    continue
                except Exception:
                    log.exception("a slow sweep failed")
            if not connections:
                await asyncio.sleep(SLOW_ROUND / 10)

    async def _check_some(self, connections: Iterable[Connection], cause: str) -> None:
        """Check some sockets, and end those that a logout had ended, each logout's together."""
        doubtful = [connection for connection in connections if not _is_over(connection)]
        logouts = await asyncio.gather(*(self._doubt(connection) for connection in doubtful))
        if cause == "slow" and any(logouts):
            # Most likely it is being heard at this very moment.
            await asyncio.sleep(IN_FLIGHT)
        found: dict[Logout, list[Connection]] = {}
        for connection, logout in zip(doubtful, logouts, strict=True):
            if logout is not None and not (connection.gone or connection.is_ended(logout.at)):
                found.setdefault(logout, []).append(connection)
        for logout, ended in found.items():
            log.warning("a sweep found sockets that a logout had ended", cause=cause, id=logout.id)
            self._metrics.swept.labels(cause).inc(len(ended))
            self._delivery.end(ended, logout)

    async def _doubt(self, connection: Connection) -> Logout | None:
        """Return the logout that ended the session of a socket, as the store knows it."""
        try:
            refusal = await self._authority.doubt(connection.identity)
        except Unreadable as error:
            # One record that nobody can read must not keep the replica from following the rest.
            log.error("a session cannot be judged", error=error.detail)
            return None
        return None if refusal is None else refusal.logout


def _is_over(connection: Connection) -> bool:
    return connection.gone or (connection.accepted and connection.ended is not None)
