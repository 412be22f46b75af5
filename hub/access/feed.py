"""The feed for guards: the revocations in force, then each logout, with regular confirmations.

A guard that reconnects says how far it has read, and is sent what was written since. Any other is
sent everything in force; only a few guards at a time and in small chunks, since it is expensive.
"""

from __future__ import annotations

import asyncio
import random
from contextlib import ExitStack
from time import monotonic

import msgspec
import structlog

from hub.access.feed_source import FeedSource, encode_logouts, revocation_of
from hub.access.guards import Guard, Guards, Moment, Stream, sum_up
from hub.access.store_clock import StoreClock
from hub.core.event_stream import COMMENT, Piece, encode_event
from hub.core.feed import Ready, Reset
from hub.core.feed_partition import FeedPartition
from hub.core.feed_position import FeedPosition, decode_position
from hub.core.model import SECOND, Micros, Position
from hub.errors import Unavailable
from hub.metrics import Metrics
from hub.store.base import Store
from hub.store.cancellation import cancel
from hub.store.values import Event, PositionLost

log = structlog.get_logger(__name__)

CATCH_UPS_AT_ONCE = 3
"""The number of guards that are sent a snapshot or a backlog at the same time."""

LONGEST_CATCH_UP = 10.0
"""Seconds after which another guard may begin although a slow one has not finished."""

COMMENT_EVERY = 5.0
"""Seconds between two comments to a guard that has to wait."""

SETTLE_TIMEOUT = 2.0
"""Seconds that a reconnecting guard waits for a replica that is still reading the log."""

LONGEST = 3600.0
"""Seconds after which a response ends at the latest, so that clocks cannot drift apart."""

LONGEST_SILENCE = 5.0
"""Seconds without a confirmation from the store after which guards are sent to other replicas."""

CHECK_EVERY = 1.0

RETRY = Piece(b"retry: 1000\n\n")
"""After how many milliseconds a standard client reconnects."""


class Feed:
    """The feed of one replica.

    ``lifetime`` is how long a logout is remembered, ``most`` how many guards are admitted. With
    ``is_wanted``, the log is read when the replica starts, not when the first guard connects.
    """

    def __init__(
        self, store: Store, metrics: Metrics, lifetime: Micros, most: int, *, is_wanted: bool
    ) -> None:
        self._store = store
        self._metrics = metrics
        self._lifetime = lifetime
        self._most = most
        self._is_wanted = is_wanted
        self._clock = StoreClock(store)
        self._guards = Guards(self._measure)
        self._source = FeedSource(store, lifetime, self._guards)
        self._streams: set[Stream] = set()
        self._catch_ups = asyncio.Semaphore(CATCH_UPS_AT_ONCE)
        self._is_closed = False

    def take(self, event: Event) -> None:
        """Handle an event of the store; call it with every event, in order.

        It never raises: a failure here must not affect anything else.
        """
        try:
            self._source.take(event)
        except Exception:
            log.exception("the feed has missed an event")
            self._source.break_off()
            self._end_streams()  # the ledger may have the event, although these guards lack it

    async def run(self) -> None:
        """Serve guards until cancelled."""
        if self._is_wanted:
            self._source.start()
        tasks = [
            asyncio.create_task(self._guards.run()),
            asyncio.create_task(self._clock.run()),
            asyncio.create_task(self._watch()),
        ]
        try:
            await asyncio.gather(*tasks)
        finally:
            await cancel(tasks)
            await self._source.aclose()

    def close(self) -> None:
        """End every response, and admit no more guards: they go to another replica."""
        self._is_closed = True
        self._end_streams()

    def _end_streams(self) -> None:
        for stream in self._streams:
            stream.ended.set()

    async def check_room(self, last_id: str) -> None:
        """Check that a guard can be admitted that resumes after the event with ``last_id``.

        Raises:
            Unavailable: if the replica is shutting down, has too many guards, cannot ask the store
                or follow its logouts; or, for a guard that can resume at another replica, is still
                reading the log.
        """
        if self._is_closed:
            raise Unavailable("this replica is shutting down", retry_after=1)
        if not self._clock.is_known:
            await self._clock.measure()
        self._source.start()
        if last_id and not await self._source.wait_until_settled(SETTLE_TIMEOUT):
            raise Unavailable("this replica is still reading the log", retry_after=1)
        if self._is_silent():
            raise Unavailable("this replica does not receive logouts", retry_after=1)
        if len(self._streams) >= self._most:
            raise Unavailable("this replica has too many guards already", retry_after=5)

    async def serve(self, stream: Stream, since: float, last_id: str) -> None:
        """Send the feed to a guard, after the event with ``last_id``, until its stream ends.

        ``since`` is the time of the loop when its request was received.
        """
        guard = Guard(stream, since)
        self._streams.add(stream)
        self._metrics.guards.set(len(self._streams))
        longest = LONGEST * random.uniform(0.75, 1)  # noqa: S311 - a jitter
        alarm = asyncio.get_running_loop().call_later(longest, stream.ended.set)
        try:
            if self._is_closed or len(self._streams) > self._most:
                return  # several may have found room for one
            stream.send(RETRY)
            await self._open_until_ended(guard, last_id)
        finally:
            alarm.cancel()
            self._guards.discard(guard)
            self._streams.discard(stream)
            self._metrics.guards.set(len(self._streams))
            if stream.is_too_slow:
                self._metrics.guards_cut.inc()

    # ---- What a guard is sent first ----

    async def _open_until_ended(self, guard: Guard, last_id: str) -> None:
        """Bring a guard up to date, and wait for its stream's end, which also ends the former."""
        opening = asyncio.create_task(self._open(guard, last_id))
        ended = asyncio.create_task(guard.stream.ended.wait())
        try:
            await asyncio.wait({opening, ended}, return_when=asyncio.FIRST_COMPLETED)
            if opening.done():
                opening.result()
                await ended
        finally:
            await cancel({opening, ended})

    async def _open(self, guard: Guard, last_id: str) -> None:
        """Bring a guard up to date, and add it to those that are sent each logout."""
        stream = guard.stream
        while not await self._source.wait_until_settled(COMMENT_EVERY):
            stream.send(Piece(COMMENT))
        while not await self._acquire_catch_up():
            stream.send(Piece(COMMENT))
        catch_up = ExitStack()
        catch_up.callback(self._catch_ups.release)
        alarm = asyncio.get_running_loop().call_later(LONGEST_CATCH_UP, catch_up.close)
        try:
            if stream.ended.is_set():
                return
            self._guards.add(guard)
            if last_id:
                reason = await self._resume(guard, last_id)
                if not reason:
                    await self._guards.go_live(guard)
                    self._guards.confirm(guard, self._guards.moment)
                    return
                data = msgspec.json.encode(Reset(reason))
                stream.send(Piece(encode_event("reset", data)))
            await self._send_snapshot(guard)
        finally:
            alarm.cancel()
            catch_up.close()

    async def _acquire_catch_up(self) -> bool:
        """Wait `COMMENT_EVERY` seconds for one of `CATCH_UPS_AT_ONCE`; return whether it came."""
        try:
            async with asyncio.timeout(COMMENT_EVERY):
                await self._catch_ups.acquire()
        except TimeoutError:
            return False
        return True

    async def _send_snapshot(self, guard: Guard) -> None:
        began = monotonic()
        stream = guard.stream
        for chunk in self._source.ledger.snapshots():
            if stream.ended.is_set():
                return
            stream.send(Piece(encode_event("snapshot", chunk)))
            await stream.drain()
            await asyncio.sleep(0)
        await self._guards.go_live(guard)
        moment = self._guards.moment
        confirmed = moment.confirm(guard.since)
        ready = Ready(
            at=confirmed.at,
            elapsed=confirmed.elapsed,
            partitions=len(self._source.partitions),
            lifetime=self._lifetime // SECOND,
            late=confirmed.late,
        )
        data = msgspec.json.encode(ready)
        stream.send(Piece(encode_event("ready", data, moment.id)))
        self._metrics.guard_snapshot_seconds.observe(monotonic() - began)

    # ---- Resuming after a position ----

    async def _resume(self, guard: Guard, last_id: str) -> str:
        """Send a guard what was written since; return "", or why that is impossible."""
        partitions = self._source.partitions
        given = decode_position(last_id, len(partitions))
        if given is None:
            return "the position is not one of this feed"
        if given.epochs != self._source.position.epochs:
            self._source.recheck()
            return "the position is of another log"
        try:
            for partition in partitions:
                if partition.position is None:
                    return f"the log of partition {partition.number} is lost"
                given = await self._read_on(guard, given, partition)
        except PositionLost:
            self._source.recheck()
            return "the log does not reach back to this position"
        except Unavailable:
            return "the log cannot be read at the moment"
        return ""

    async def _read_on(
        self, guard: Guard, given: FeedPosition, partition: FeedPartition
    ) -> FeedPosition:
        """Send what was written in a partition, and return the position after it.

        While the partition may have a gap, logouts that arrive do not move its position, and the
        other guards may have been sent them already. So the log is then read to its end.
        """
        assert partition.position is not None
        number, epoch, is_end = partition.number, partition.position.epoch, False
        while not (is_end or partition.covers(given.entries[number])):
            page = await self._store.history(number, Position(epoch, given.entries[number]))
            entries = list(given.entries)
            entries[number] = page.position.entry
            given = msgspec.structs.replace(given, entries=tuple(entries))
            if page.events:
                events = encode_logouts(list(map(revocation_of, page.events)), given)
                guard.stream.send(Piece(events))
                await guard.stream.drain()
            is_end = page.is_end or guard.stream.ended.is_set()
        return given

    # ---- Confirmations and expiry ----

    def _measure(self) -> Moment:
        never = asyncio.get_running_loop().time() - self._lifetime / SECOND
        sure = [never if one.sure is None else one.sure for one in self._source.partitions]
        return sum_up(self._source.position, sure, self._clock.at)

    async def _watch(self) -> None:
        """Drop expired entries, and send guards elsewhere while no logouts are received here."""
        was_silent = False
        while True:
            await asyncio.sleep(CHECK_EVERY)
            now = asyncio.get_running_loop().time()
            if self._source.is_started and self._clock.is_known:
                self._source.ledger.forget(round(self._clock.at(now) * SECOND))
            # Checked twice: after a pause of this process, the events of that time are unread.
            is_silent = self._is_silent()
            if self._streams and is_silent and was_silent:
                log.warning("guards are sent to other replicas: this one receives no logouts")
                self._end_streams()
            was_silent = is_silent

    def _is_silent(self) -> bool:
        return self._source.is_silent(asyncio.get_running_loop().time() - LONGEST_SILENCE)
