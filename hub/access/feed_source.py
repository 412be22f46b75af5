"""The source of the feed: the revocations in force, and each logout as it arrives.

The replica's reader of the log passes on each event (`FeedSource.take`). What was written before
the feed started, or may have been missed in a break, is read from the log. Revocations are only
ever added, so it does not matter that some arrive twice.
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
"""Pages of logs that are read at the same time; a node that does not answer delays few others."""

APPLY_AT_ONCE = 50
"""The number of logouts that are added to the ledger without a pause."""

PAUSES = 2
"""The pause lasts this many times as long as adding them took."""

RETRY = 1.0
"""Seconds until a log that could not be read is read again."""

RECHECK_EVERY = 10.0
"""The minimum seconds between two checks that positions are still valid in the log."""


class Audience(Protocol):
    """The guards that are sent each logout."""

    def __len__(self) -> int:
        """Return the number of guards."""
        ...

    def publish(self, events: bytes) -> None:
        """Send events to all of them."""
        ...


class FeedSource:
    """The ledger, and the position in each partition; new revocations are published to an audience.

    ``lifetime`` is how long a logout is remembered. Nothing is read or stored before `start`.
    """

    def __init__(self, store: Store, lifetime: Micros, audience: Audience) -> None:
        self.ledger = Ledger(lifetime, secrets.token_bytes(32))
        self.partitions = [FeedPartition(number) for number in range(store.partition_count)]
        self.is_started = False
        self._store = store
        self._audience = audience
        self._asking = asyncio.Semaphore(ASK_AT_ONCE)
        self._applying = asyncio.Lock()
        self._readers: dict[int, asyncio.Task[None]] = {}
        self._settled = asyncio.Event()
        self._rechecked_at = float("-inf")
        self._digest: tuple[tuple[str, ...], bytes] = ((), b"")

    # ---- Position ----

    @property
    def position(self) -> FeedPosition:
        """The position up to which everything is in the ledger and, if new, was published."""
        known = [partition.position for partition in self.partitions]
        epochs = tuple("" if one is None else one.epoch for one in known)
        if epochs != self._digest[0]:
            self._digest = (epochs, digest_epochs(epochs))
        entries = tuple(BEGINNING if one is None else one.entry for one in known)
        return FeedPosition(self._digest[1], entries)

    @property
    def is_settled(self) -> bool:
        """Whether each partition's log has been read, or cannot be read."""
        return all(partition.is_settled for partition in self.partitions)

    def is_silent(self, since: float) -> bool:
        """Return whether nothing that was written since that time of the loop is known."""
        return all(partition.is_silent(since) for partition in self.partitions)

    async def wait_until_settled(self, seconds: float) -> bool:
        """Wait for `is_settled`, for some seconds at most; return whether it is."""
        if not self.is_settled:
            self._settled.clear()
            try:
                async with asyncio.timeout(seconds):
                    await self._settled.wait()
            except TimeoutError:
                return False
        return True

    # ---- Events as they arrive ----

    def take(self, event: Event) -> None:
        """Handle an event of the store."""
        match event:
            case LogoutEvent() if self.is_started:
                self._add_live(event)
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

    def _add_live(self, event: LogoutEvent) -> None:
        revocation = revocation_of(event)
        self.ledger.apply(revocation)
        self.partitions[event.partition or 0].note_live(event.entry)
        self._publish([revocation])

    def recheck(self) -> None:
        """Check whether the positions are still valid, since a guard has one of another epoch.

        A recovery begins a new epoch, which a replica that has missed nothing does not notice.
        """
        now = asyncio.get_running_loop().time()
        if now - self._rechecked_at >= RECHECK_EVERY:
            self._rechecked_at = now
            self.break_off()

    def break_off(self) -> None:
        """Read every log again from its position, since something may have been missed."""
        for partition in self.partitions:
            partition.break_off()
        self._read_what_is_missing()

    # ---- What is read from the log ----

    def start(self) -> None:
        """Start collecting the revocations in force."""
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
        """Read all pages, unless a break occurs in the meantime."""
        breaks, is_end = partition.breaks, False
        while not is_end:
            async with self._asking:
                page = await self._store.history(partition.number, partition.position)
            async with self._applying:
                news = await self._apply(page.events)
                if partition.breaks == breaks:
                    partition.position, is_end = page.position, page.is_end
                    if is_end:
                        partition.settle()
                self._publish(news)
            if partition.breaks != breaks:
                return

    async def _apply(self, events: Sequence[LogoutEvent]) -> list[Revocation]:
        """Add logouts to the ledger, pausing for other tasks; return those that are new."""
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
    """Return ``logout`` events; the id of the last one is the position after all of them."""
    ids = [""] * (len(revocations) - 1) + [encode_position(position)]
    return b"".join(
        encode_event("logout", msgspec.json.encode(one), id_)
        for one, id_ in zip(revocations, ids, strict=True)
    )
