"""Reads the logs of all partitions: live from their channels, and reliably from their streams.

The channels are fast but may lose messages; the streams lose nothing that Redis kept. So every
stream is read on from its position every `CHECK_INTERVAL` seconds, and messages of the channels
are taken in between (`hub.store.subscription`). Entry ids show which entries arrived both ways; the
id of the previous entry, which each message contains, shows what the channel lost
(`hub.store.partition_log`).

Partitions are read independently, since each may be on its own node: one that does not answer
delays no other. While a stream is read, messages of that partition's channel are held, so that each
logout is yielded once and in order.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable

from redis.exceptions import RedisError

from hub.core.bus import BusKey, open_message
from hub.core.model import Micros
from hub.errors import Unavailable
from hub.store.base import CHECK_INTERVAL
from hub.store.cancellation import cancel
from hub.store.eviction import Evictions
from hub.store.names import PARTITIONS
from hub.store.partition_log import PartitionLog
from hub.store.subscription import Subscription
from hub.store.topology import Topology
from hub.store.values import Confirmed, Event, Gap, Interrupted

MAX_WAITING = 20_000
"""Messages that may be queued; further ones are found in the log."""

MAX_HELD = 1_000
"""Messages kept for one partition while its log is read; the oldest are dropped."""

LINGER = 0.05
"""Seconds for which partitions that were read wait for others, to be confirmed together."""

POLICY_INTERVAL = 10.0
"""Seconds between two checks whether Redis evicts keys."""


class LogReader:
    """Follows the logs of all partitions, and decides which answers over ``topology`` are trusted.

    ``lifetime`` is how long entries are kept. Messages of the channels must be signed with ``key``;
    for any other message ``on_forged`` is called.
    """

    def __init__(
        self, topology: Topology, lifetime: Micros, key: BusKey, on_forged: Callable[[], object]
    ) -> None:
        self._topology = topology
        self._key = key
        self._on_forged = on_forged
        # Events count as read, so they are kept until yielded, if need be by the next `read`.
        self._events: deque[Event] = deque()
        self._messages: deque[tuple[int, bytes]] = deque()
        self._logs = [
            PartitionLog(number, topology, lifetime, self._events.append)
            for number in range(PARTITIONS)
        ]
        self._channels = {one.names.channel.encode(): one.number for one in self._logs}
        self._held: dict[int, deque[bytes]] = {}
        """The partitions that are being read, each with the messages that arrived meanwhile."""
        self._failures: dict[int, str] = {}
        self._wanted: set[int] = set()
        self._looks: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        self._error: Exception | None = None
        self._evictions = Evictions(topology)
        self._unmarked: dict[int, str] = {}
        """The partitions that were found to have lost keys, and could not be marked yet."""
        self._subscription = Subscription(topology, self._channels, self._keep, self._want_all)

    def trusts(self, number: int, epoch: str) -> bool:
        """Return whether to trust an answer of a partition that was given in this epoch."""
        trusted = self.trusted_epoch(number)
        if trusted == "":
            return not epoch.endswith(" lost")
        if trusted != epoch:
            self._want([number])
        return trusted == epoch

    def trusted_epoch(self, number: int) -> str | None:
        """Return the epoch in which a partition is trusted; see `PartitionLog.trusted_epoch`."""
        return self._logs[number].trusted_epoch()

    def note_written(self, number: int, previous: str, entry: str) -> None:
        """Record that an entry was written after ``previous``."""
        self._logs[number].note_written(previous, entry)

    async def read(self) -> AsyncGenerator[Event]:
        """Yield logouts and problems; see `Store.follow`."""
        self._error = None
        self._failures.clear()
        await self._refuse_eviction()
        tasks = [
            asyncio.create_task(self._subscription.run()),
            asyncio.create_task(self._watch_policy()),
        ]
        try:
            # The log is read without a subscription too: it is the reliable path.
            await self._subscription.wait(CHECK_INTERVAL / 4)
            tasks.append(asyncio.create_task(self._look_regularly()))
            while True:
                self._wake.clear()
                while self._events or self._messages:
                    if self._events:
                        yield self._events.popleft()
                    else:
                        self._take(*self._messages.popleft())
                self._raise_failure()
                self._look_at_wanted()
                await self._wake.wait()
        finally:
            await cancel({*tasks, *self._looks})
            # Not in `_look`: the `finally` of a task cancelled before its first step never runs.
            self._held.clear()

    async def _look_regularly(self) -> None:
        while True:
            self._want_all()
            await asyncio.sleep(CHECK_INTERVAL)

    def _fail(self, error: Exception) -> None:
        """Have `read` end by raising an error."""
        self._error = error
        self._wake.set()

    def _raise_failure(self) -> None:
        if self._error is not None:
            raise self._error
        if len(self._failures) == PARTITIONS:
            raise Unavailable(self._failures[0])

    # ---- The channels ----

    def _keep(self, channel: bytes, data: bytes) -> None:
        # Checked before it is queued: anybody who may publish could send a flood.
        opened = open_message(self._key, channel, data)
        if opened is None:
            self._on_forged()
        elif len(self._messages) < MAX_WAITING:
            self._messages.append((self._channels[channel], opened))
            self._wake.set()

    def _take(self, number: int, data: bytes) -> None:
        if number in self._held:
            self._held[number].append(data)
        elif not self._logs[number].take(data):
            self._want([number])

    # ---- The streams ----

    def _want(self, numbers: Iterable[int]) -> None:
        """Have partitions read now, unless they are being read."""
        self._wanted.update(number for number in numbers if number not in self._held)
        self._wake.set()

    def _want_all(self) -> None:
        self._want(range(PARTITIONS))

    def _look_at_wanted(self) -> None:
        if self._wanted:
            self._held.update((number, deque(maxlen=MAX_HELD)) for number in self._wanted)
            look = asyncio.create_task(self._look(sorted(self._wanted)))
            self._wanted.clear()
            self._looks.add(look)
            look.add_done_callback(self._end_look)

    def _end_look(self, look: asyncio.Task[None]) -> None:
        self._looks.discard(look)
        error = None if look.cancelled() else look.exception()
        if isinstance(error, Exception):
            self._fail(error)

    async def _look(self, numbers: Iterable[int]) -> None:
        """Read some streams, and report the result of each without waiting for all."""
        began = asyncio.get_running_loop().time()
        reading = {asyncio.create_task(self._logs[number].read_on()): number for number in numbers}
        left = set(reading)
        try:
            while left:
                await asyncio.wait(left, return_when=asyncio.FIRST_COMPLETED)
                done, left = await asyncio.wait(left, timeout=LINGER)
                self._conclude({reading[task]: task for task in done}, began)
        finally:
            await cancel(left)

    def _conclude(self, done: dict[int, asyncio.Task[bool]], began: float) -> None:
        """Emit the results for partitions that were read: confirmed, a gap or interrupted.

        ``began`` is when reading began.
        """
        gaps: dict[str, set[int]] = {}
        failures: dict[str, set[int]] = {}
        whole: set[int] = set()
        for number, task in done.items():
            partition, error = self._logs[number], task.exception()
            self._failures.pop(number, None)
            if partition.gap:
                gaps.setdefault(partition.gap, set()).add(number)
                partition.gap = ""
            if error is not None:
                self._failures[number] = self._describe(error)
                failures.setdefault(self._failures[number], set()).add(number)
            elif task.result():
                whole.add(number)
        self._events += [Gap(reason, frozenset(numbers)) for reason, numbers in gaps.items()]
        if whole:
            self._events.append(Confirmed(frozenset(whole), began))
        self._events += [Interrupted(frozenset(found), why) for why, found in failures.items()]
        for number in done:
            for data in self._held.pop(number):
                self._take(number, data)
        self._wake.set()

    def _describe(self, error: BaseException) -> str:
        """Return why a partition cannot be read; an unexpected error ends `read`."""
        match error:
            case Unavailable():
                return error.detail
            case RedisError() | OSError():
                return f"the log cannot be followed ({type(error).__name__})"
            case Exception():
                self._fail(error)
        return "the hub failed"

    # ---- Evictions ----

    async def _watch_policy(self) -> None:
        while True:
            await asyncio.sleep(POLICY_INTERVAL)
            try:
                await self._refuse_eviction()
            except Exception as error:
                self._fail(error)
                return

    async def _refuse_eviction(self) -> None:
        """Raise if Redis may evict keys; mark partitions as lost whose keys it may have evicted.

        It is not known whose logouts these were, only which server had them.
        """
        self._unmarked |= await self._evictions.check()
        tried = dict(self._unmarked)
        marking = (self._logs[number].mark_lost(eviction) for number, eviction in tried.items())
        errors = await asyncio.gather(*marking, return_exceptions=True)
        # Those that failed are marked at the next check, and only they: a partition that has
        # recovered meanwhile would be lost a second time.
        pairs = zip(tried.items(), errors, strict=True)
        self._unmarked = {number: eviction for (number, eviction), error in pairs if error}
