"""What the feed says comes from here: what is in force, and each logout as it is heard.

The replica's one reader of the log passes each event on (`FeedSource.take`). What was written
before the feed began to listen, and what a break may have hidden, is read from the log. Revocations
add up, so it makes no difference that some are heard twice.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from functools import partial
from time import thread_time
from typing import Protocol

import msgspec
import structlog

from hub.core.event_stream import encode_event
from hub.core.feed import Revocation, describe
from hub.core.feed_partition import FeedPartition
from hub.core.feed_position import FeedPosition, digest_epochs, encode_position
from hub.core.ledger import Ledger
from hub.core.model import Micros
from hub.core.position import BEGINNING
from hub.errors import Unavailable
from hub.store.base import Store
from hub.store.cancellation import cancel
from hub.store.values import Confirmed, DataLoss, Event, Gap, LogoutEvent, PositionLost

log = structlog.get_logger(__name__)

ASK_AT_ONCE = 4
"""Pages of logs that are read at the same time: a node that does not answer delays few others."""

APPLY_AT_ONCE = 50
"""Logouts that are added to the ledger without a pause in between."""

PAUSES = 2
"""The pause is this many times as long as that took."""

RETRY = 1.0
"""Seconds until a log that could not be read is read again."""

DOUBT = 10.0
"""Seconds in which it is checked once at most whether positions are still those of the log."""


class Audience(Protocol):
    """Those who are told what is new."""

    def __len__(self) -> int:
        """Return how many they are."""
        ...

    def publish(self, events: bytes) -> None:
        """Send events to all of them."""
        ...


class FeedSource:
    """The ledger, and the position in each partition; what is new is published to an audience.

    ``lifetime`` is for how long a logout is remembered. Nothing is kept, or read, before `start`.
    """

    def __init__(self, store: Store, lifetime: Micros, audience: Audience) -> None:
        self.ledger = Ledger(lifetime, secrets.token_bytes(32))
        self.partitions = [FeedPartition(number) for number in range(store.partition_count)]
        self.is_started = False
        self._store = store
        self._audience = audience
        self._asking = asyncio.Semaphore(ASK_AT_ONCE)
        self._turn = asyncio.Lock()
        self._readers: dict[int, asyncio.Task[None]] = {}
        self._settled = asyncio.Event()
        self._doubted = float("-inf")
        self._digest: tuple[tuple[str, ...], bytes] = ((), b"")

    # ---- Where it is ----

    @property
    def position(self) -> FeedPosition:
        """Up to where everything was heard, and what of it is news was published."""
        known = [partition.position for partition in self.partitions]
        epochs = tuple("" if one is None else one.epoch for one in known)
        if epochs != self._digest[0]:
            self._digest = (epochs, digest_epochs(epochs))
        entries = tuple(BEGINNING if one is None else one.entry for one in known)
        return FeedPosition(self._digest[1], entries)

    @property
    def is_settled(self) -> bool:
        """Whether each log was read, or cannot be read."""
        return all(partition.is_settled for partition in self.partitions)

    async def wait_until_settled(self, seconds: float) -> bool:
        """Wait until `is_settled`, or so long; return which it is."""
        if not self.is_settled:
            self._settled.clear()
            try:
                async with asyncio.timeout(seconds):
                    await self._settled.wait()
            except TimeoutError:
                return False
        return True

    # ---- What is heard live ----

    def take(self, event: Event) -> None:
        """Take an event of the store."""
        match event:
            case LogoutEvent() if self.is_started:
                self._hear(event)
            case Confirmed(numbers, as_of):
                for number in numbers:
                    self.partitions[number].confirm(as_of)
            case Gap(_, numbers):
                for number in numbers:
                    self.partitions[number].break_off()
            case DataLoss(number):
                self.partitions[number].lose()
                self._note_settled()
        self._read_what_is_missing()

    def _hear(self, event: LogoutEvent) -> None:
        revocation = revocation_of(event)
        self.ledger.apply(revocation)
        self.partitions[event.partition or 0].hear(event.entry)
        self._publish([revocation])

    def doubt(self) -> None:
        """Check whether the positions are those of the log: somebody came with others.

        A recovery begins a new epoch, of which a replica that has heard everything notices nothing.
        """
        now = asyncio.get_running_loop().time()
        if now - self._doubted >= DOUBT:
            self._doubted = now
            self.break_off()

    def break_off(self) -> None:
        """Read on in every log: something may have been missed."""
        for partition in self.partitions:
            partition.break_off()
        self._read_what_is_missing()

    # ---- What is read from the log ----

    def start(self) -> None:
        """Begin to keep what is in force."""
        self.is_started = True
        self._read_what_is_missing()

    async def aclose(self) -> None:
        """Stop reading."""
        self.is_started = False
        await cancel(self._readers.values())

    def _read_what_is_missing(self) -> None:
        if not self.is_started:
            return
        for one in self.partitions:
            if not one.is_whole and not one.is_lost and one.number not in self._readers:
                task = asyncio.create_task(self._read(one))
                self._readers[one.number] = task
                task.add_done_callback(partial(self._end, one.number))

    def _end(self, number: int, task: asyncio.Task[None]) -> None:
        del self._readers[number]
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("the feed cannot read the log", partition=number, exc_info=error)
            asyncio.get_running_loop().call_later(RETRY, self._read_what_is_missing)
        else:
            self._read_what_is_missing()

    async def _read(self, partition: FeedPartition) -> None:
        """Read the log of a partition until nothing is missing, or it is lost."""
        while not partition.is_whole and not partition.is_lost:
            breaks = partition.breaks
            try:
                await self._read_to_end(partition)
            except PositionLost:
                if partition.breaks == breaks:
                    partition.position = None
            except Unavailable as error:
                if not partition.has_failed:
                    log.warning("the feed is late", partition=partition.number, why=error.detail)
                partition.has_failed = True
                self._note_settled()
                await asyncio.sleep(RETRY)
        self._note_settled()

    async def _read_to_end(self, partition: FeedPartition) -> None:
        """Read all pages; a break meanwhile ends it early."""
        breaks, is_end = partition.breaks, False
        while not is_end:
            async with self._asking:
                page = await self._store.history(partition.number, partition.position)
            async with self._turn:
                news = await self._apply(page.events)
                if partition.breaks == breaks:
                    partition.position, is_end = page.position, page.is_end
                    if is_end:
                        partition.settle()
                self._publish(news)
            if partition.breaks != breaks:
                return

    async def _apply(self, events: Sequence[LogoutEvent]) -> list[Revocation]:
        """Add the logouts to the ledger, with pauses for others; return those that are news."""
        news: list[Revocation] = []
        for start in range(0, len(events), APPLY_AT_ONCE):
            began = thread_time()
            some = map(revocation_of, events[start : start + APPLY_AT_ONCE])
            news += [one for one in some if self.ledger.apply(one)]
            await asyncio.sleep(PAUSES * (thread_time() - began))
        return news

    def _publish(self, news: Sequence[Revocation]) -> None:
        if news and len(self._audience):
            self._audience.publish(encode_logouts(news, self.position))

    def _note_settled(self) -> None:
        if self.is_settled:
            self._settled.set()


def revocation_of(event: LogoutEvent) -> Revocation:
    """Return an event of the store as guards see it."""
    return describe(
        event.logout, partition=event.partition, sessions=event.sessions, issuer=event.issuer
    )


def encode_logouts(revocations: Sequence[Revocation], position: FeedPosition) -> bytes:
    """Return events ``logout``; the id of the last is the position after all of them."""
    ids = [""] * (len(revocations) - 1) + [encode_position(position)]
    return b"".join(
        encode_event("logout", msgspec.json.encode(one), id_)
        for one, id_ in zip(revocations, ids, strict=True)
    )
