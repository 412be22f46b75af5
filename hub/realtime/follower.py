"""Follows the logouts that all replicas write, and fences partitions where it cannot.

Received logouts are passed to delivery. The state of each partition is kept by the state machine in
`hub.core.partition`: this module passes it events and carries out its effects. While the store
keeps confirming that all logouts of a partition were received, the replica serves its users. If it
has not done so for ``fence`` seconds, the partition is fenced: the sockets of its users are closed
as a network failure would close them, so that clients connect elsewhere, and none are accepted
until the replica has caught up. Users of other partitions are not affected.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable, Coroutine, Iterable
from functools import partial
from typing import Any

import structlog

from hub.access.audit import Audit
from hub.access.logouts import Logouts
from hub.access.repeated_warnings import RepeatedWarnings
from hub.core.model import UserKey
from hub.core.partition import CONDITIONS, Effect, Event, Partition, State, is_enough
from hub.errors import Unavailable
from hub.metrics import Metrics
from hub.realtime.connections import Connection, Connections
from hub.realtime.delivery import Delivery
from hub.realtime.sweeps import Sweeper
from hub.store import values
from hub.store.base import Store
from hub.store.values import Confirmed, DataLoss, Gap, Interrupted, LogoutEvent

log = structlog.get_logger(__name__)

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 1.0
WATCH_EVERY = 0.25


class Follower:
    """Reads the store's log for as long as `run` runs, and calls ``pass_on`` with every event.

    With ``cut_off``, it recovers from a data loss by ending all sessions that may be affected;
    otherwise the store is not trusted until an administrator does so.
    """

    def __init__(
        self,
        store: Store,
        logouts: Logouts,
        connections: Connections,
        delivery: Delivery,
        sweeper: Sweeper,
        metrics: Metrics,
        *,
        fence: float,
        cut_off: bool,
        audit: Audit | None = None,
        pass_on: Callable[[values.Event], None] = lambda event: None,
    ) -> None:
        self._store = store
        self._logouts = logouts
        self._connections = connections
        self._delivery = delivery
        self._sweeper = sweeper
        self._metrics = metrics
        self._fence = fence
        self._cut_off = cut_off
        self._audit = audit
        self._pass_on = pass_on
        self._partitions = [Partition() for _ in range(store.partition_count)]
        self._fenced = store.partition_count
        """How many partitions are fenced; counted here, since every connect asks."""
        self._all = range(store.partition_count)
        self._reasons: dict[int, str] = {}
        """Why logouts of partitions are not received, where that is known."""
        self._losses: dict[int, DataLoss] = {}
        self._newly_lost: set[int] = set()
        self._recovering: set[int] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._served = asyncio.Event()
        self._began = 0.0
        self._warnings = RepeatedWarnings()
        self._describe(metrics)

    # ---- What is served ----

    def serves(self, user: UserKey) -> bool:
        """Return whether this replica may hold sockets of a user."""
        return not self._partitions[self._store.partition_of(user)].is_fenced

    @property
    def takes_sockets(self) -> bool:
        """Whether this replica accepts new transports: it serves at least half the partitions."""
        return is_enough(len(self._partitions) - self._fenced, len(self._partitions))

    def unconfirmed(self) -> dict[int, str]:
        """Return the partitions whose logouts may not be received, each with the reason."""
        now = asyncio.get_running_loop().time()
        return {
            number: self._explain(number, partition)
            for number, partition in enumerate(self._partitions)
            if not partition.is_receiving(now)
        }

    def _explain(self, number: int, partition: Partition) -> str:
        reason = self._reasons.get(number, "")
        return f"{partition.condition}: {reason}" if reason else partition.condition

    async def wait_until_served(self) -> None:
        """Wait until the users of every partition are served."""
        await self._served.wait()

    async def run(self) -> None:
        """Follow the log, again after each interruption; runs until cancelled."""
        self._began = asyncio.get_running_loop().time()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._follow())
            tasks.create_task(self._watch())
            tasks.create_task(self._sweeper.sweep_slowly())

    # ---- Events of the store ----

    async def _follow(self) -> None:
        pause = FIRST_PAUSE
        while True:
            try:
                async with contextlib.aclosing(self._store.follow()) as events:
                    async for event in events:
                        self._take(event)
                        if isinstance(event, Confirmed):
                            pause = FIRST_PAUSE
            except Unavailable as error:
                self._interrupt(self._all, error.detail)
            except Exception:
                # An event may not have been handled, so check everything.
                log.exception("logouts are not received")
                self._advance(self._all, Event.INTERRUPTED)
                self._advance(self._all, Event.GAP)
                self._pass_on(Gap("an event was not handled", frozenset(self._all)))
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - a jitter
            pause = min(2 * pause, LONGEST_PAUSE)

    def _take(self, event: values.Event) -> None:
        self._pass_on(event)
        match event:
            case LogoutEvent(issuer=str()):
                pass  # Its registered sessions are ended by logouts of their users.
            case LogoutEvent():
                self._metrics.received.inc()
                if not event.is_live:
                    self._metrics.replayed.inc()
                self._deliver(event)
                if event.is_live and self._connections.has_survivors(event):
                    # Newer logins, or the store's clock was set back: a sweep asks the store.
                    self._advance([event.partition or 0], Event.GAP)
            case Gap(_, partitions):
                self._advance(partitions, Event.GAP)
            case Confirmed(partitions):
                self._advance(partitions, Event.CONFIRMED)
            case Interrupted(partitions, reason):
                self._interrupt(partitions, reason)
            case DataLoss():
                self._losses[event.partition] = event
                self._advance([event.partition], Event.LOSS)

    def _deliver(self, event: LogoutEvent) -> None:
        unsure = self._connections.maybe_ended_by(event)
        if unsure:
            self._spawn(self._deliver_checked(event, unsure))
        else:
            self._delivery.deliver(event)

    async def _deliver_checked(self, event: LogoutEvent, unsure: list[Connection]) -> None:
        """Deliver an event once the store has said which of these sockets it ends.

        Sockets that the store cannot check are closed as a network failure would close them: their
        clients reconnect and are judged again, and the receipt may call their sessions offline. A
        socket that turns out to be ended by another logout is notified of that one.
        """
        found, failed = await self._sweeper.find_ended(unsure)
        for connection in failed:
            connection.socket.close_transport()
        mine = []
        for connection, logout in found:
            if logout.id == event.logout.id:
                mine.append(connection)
            elif not (connection.is_closed or connection.is_ended(logout.at)):
                self._delivery.end([connection], logout)
        self._delivery.deliver(event, mine)

    def _interrupt(self, partitions: Iterable[int], reason: str) -> None:
        numbers = sorted(partitions)
        self._reasons.update(dict.fromkeys(numbers, reason))
        if self._warnings.is_due(f"{reason} {numbers}"):
            log.warning("logouts are not received", error=reason, partitions=self._name(numbers))
        self._advance(numbers, Event.INTERRUPTED)

    # ---- The partitions ----

    def _advance(self, partitions: Iterable[int], event: Event) -> None:
        """Pass an event to some partitions, and carry out the effects."""
        now = asyncio.get_running_loop().time()
        effects: dict[Effect, list[int]] = {}
        again = []
        for number in partitions:
            before = self._partitions[number]
            after, effect = before.advance(event, now, self._fence)
            self._partitions[number] = after
            self._fenced += after.is_fenced - before.is_fenced
            if effect is not None:
                effects.setdefault(effect, []).append(number)
            if after.state is State.LOST and before.state is not State.LOST:
                self._newly_lost.add(number)
            if after.condition == State.CONFIRMED and self._reasons.pop(number, ""):
                again.append(number)
        if again:
            log.info("logouts are received again", partitions=self._name(again))
            self._warnings.forget()
        for effect, numbers in effects.items():
            match effect:
                case Effect.SWEEP:
                    self._sweep(numbers)
                case Effect.RECOVER:
                    self._recover(numbers)
                case Effect.CLOSE:
                    self._close(numbers, now)
        if not self._fenced:
            self._served.set()

    def _close(self, numbers: list[int], now: float) -> None:
        self._reasons.update({n: self._reasons.get(n, "no confirmation") for n in numbers})
        age = round(max(self._partitions[number].age(now) for number in numbers), 1)
        log.error(
            "fenced: logouts may not be received", seconds=age, partitions=self._name(numbers)
        )
        self._metrics.fences.inc()
        self._note("fence", seconds=age, partitions=numbers)
        for connection in self._sweeper.sockets(numbers):
            connection.socket.close_transport()

    def _sweep(self, numbers: list[int]) -> None:
        connections = self._sweeper.sockets(numbers)
        if not connections:
            self._advance(numbers, Event.SWEPT)
            return
        sweeps = {number: self._partitions[number].sweep for number in numbers}
        self._spawn(self._sweep_through(connections, sweeps))

    async def _sweep_through(self, connections: list[Connection], sweeps: dict[int, int]) -> None:
        def counts(number: int) -> bool:
            partition = self._partitions[number]
            return partition.state is State.SWEEPING and partition.sweep == sweeps[number]

        try:
            failed = await self._sweeper.sweep(connections, counts)
        except Exception:
            log.exception("a sweep failed")
            failed = {*sweeps}
        left = {number for number in sweeps if counts(number)}
        self._advance(left & failed, Event.SWEEP_FAILED)
        self._advance(left - failed, Event.SWEPT)

    def _recover(self, numbers: list[int]) -> None:
        self._reasons.update(dict.fromkeys(numbers, "the store lost data"))
        for number in numbers:
            if self._cut_off and number not in self._recovering:
                self._recovering.add(number)
                self._spawn(self._recover_from(self._losses[number]))

    async def _recover_from(self, loss: DataLoss) -> None:
        try:
            await self._logouts.recover(loss)
        except Unavailable as error:
            # The store will report the loss again.
            log.warning("a recovery failed", partition=loss.partition, error=error.detail)
        except Exception:
            log.exception("a recovery failed")
        finally:
            self._recovering.discard(loss.partition)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # ---- Time and reporting ----

    async def _watch(self) -> None:
        while True:
            self._advance(self._all, Event.TIME_PASSED)
            self._report_losses()
            await asyncio.sleep(WATCH_EVERY)

    def _report_losses(self) -> None:
        # All that were found together are reported together.
        lost = sorted(self._newly_lost)
        self._newly_lost.clear()
        if lost:
            log.error(
                "the store lost data: its answers are not trusted",
                partitions=self._name(lost),
            )
            self._metrics.losses.inc()
            self._note("loss", partitions=lost)

    def _name(self, numbers: list[int]) -> str | list[int]:
        return numbers if len(numbers) < len(self._partitions) else "all"

    def _describe(self, metrics: Metrics) -> None:
        """Have gauges computed when they are read, since they change with time."""
        metrics.position_age.set_function(self._age)
        metrics.following.set_function(
            lambda: is_enough(
                len(self._partitions) - len(self.unconfirmed()), len(self._partitions)
            )
        )
        for condition in CONDITIONS:
            metrics.partitions.labels(condition).set_function(partial(self._count, condition))

    def _age(self) -> float:
        now = asyncio.get_running_loop().time()
        return min(max(partition.age(now) for partition in self._partitions), now - self._began)

    def _count(self, condition: str) -> int:
        return sum(partition.condition == condition for partition in self._partitions)

    def _note(self, event: str, **facts: Any) -> None:
        if self._audit is not None:
            self._audit.note(event, **facts)
