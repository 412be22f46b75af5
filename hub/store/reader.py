"""Reads the log of all partitions: live from their channels, and surely from their streams.

The channels are fast and may lose what is published; the streams lose nothing that Redis kept. So
the reader subscribes, then reads every stream from where it was, then takes what the channels
bring, and looks at the streams again every `CHECK_INTERVAL` seconds: also while it cannot
subscribe. What comes both ways is told apart by the entry's id, and what the channel left out by
the id that should have gone before. What the reader concludes from an entry that should be there
is said in `hub.core.position`.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import AsyncGenerator, Callable, Iterable
from typing import Any

import msgspec
import structlog
from redis.exceptions import RedisError

from hub.core.bus import BusKey, open_message
from hub.core.model import Logout, Micros, Position, UserKey
from hub.core.position import BEGINNING, Log, Verdict, order, weigh
from hub.core.wire import Malformed, decode_logout
from hub.errors import Unavailable
from hub.store.base import CHECK_INTERVAL, TIME_LIMIT, Confirmed, Event, Gap, Heard, Loss
from hub.store.connection import RedisConnection, pack
from hub.store.names import PARTITIONS, Names, partition_of
from hub.store.script import Script
from hub.store.topology import Topology

log = structlog.get_logger(__name__)

READ = Script("clock", "read")
LOSE = Script("mark_lost")
PAGE = 500
TRIES = 3
MOST_WRITTEN = 1_000
MOST_WAITING = 20_000
"""Messages that may wait while a replay is under way; with more, the reader begins again."""

POLICY_INTERVAL = 10.0
"""Seconds between two looks at whether Redis has begun to forget what it has no memory for."""

SAFE_POLICIES = ("noeviction", "unknown")

LOOK = object()


class _Part(msgspec.Struct):
    """How far one partition was read, and what is known to have been written.

    ``written`` holds the entries that are not known to stand in the log still: each that was heard
    or written, until another is known to stand right after it, or a look at the log has found it.
    """

    names: Names
    position: Position | None = None
    written: dict[str, None] = {}
    checked: object = None
    is_lost: bool = False

    def advance(self, entry: str) -> None:
        """Note that the log was read up to and with this entry."""
        assert self.position is not None
        self.note(self.position.entry, entry)
        self.position = Position(self.position.epoch, entry)

    def note(self, previous: str, entry: str) -> None:
        """Note that this entry was written, and which one was the last before it."""
        self.written.pop(previous, None)
        self.written[entry] = None
        if len(self.written) > MOST_WRITTEN:
            del self.written[next(iter(self.written))]

    def settle(self, sought: Iterable[str], last: str) -> None:
        """Forget the entries that a look has sought; the log's last one stands for them now."""
        for entry in sought:
            self.written.pop(entry, None)
        if last != BEGINNING:
            self.written[last] = None


class LogReader:
    """Where this process is in the log; ``route`` is the one whose answers are to be believed.

    What is on the channels is acted on only when ``key`` signed it; else ``on_forged`` is called.
    """

    def __init__(
        self, route: Topology, lifetime: Micros, key: BusKey, on_forged: Callable[[], object]
    ) -> None:
        self._key = key
        self._on_forged = on_forged
        self._topology = route
        self._lifetime_ms = lifetime // 1000
        self._parts = [_Part(Names(None, number)) for number in range(PARTITIONS)]
        self._channels = {part.names.channel.encode(): part for part in self._parts}
        self._probe = f"hub:probe:{secrets.token_hex(8)}".encode()
        self._pushed: asyncio.Queue[Any] | None = None
        self._evicted: dict[str, int] = {}
        """How many keys each server had evicted, by its run's id, when it was last asked."""

    def believes(self, number: int, epoch: str) -> bool:
        """Tell whether an answer of this partition, which names its epoch, may be given out.

        Nothing is believed over a connection before the log was looked at over it: the Redis
        behind it may have lost what the one before it had acknowledged. Who never read the log
        cannot know, and believes.
        """
        trusted = self.trusted_epoch(number)
        if trusted == "":
            return not epoch.endswith(" lost")
        if trusted == epoch:
            return True
        if self._pushed is not None and self._pushed.empty():
            self._pushed.put_nowait(LOOK)
        return False

    def trusted_epoch(self, number: int) -> str | None:
        """Return the epoch in which a partition is believed: "" is any, None is none."""
        part = self._parts[number]
        if part.position is None:
            return None if part.is_lost else ""
        is_sure = part.checked is not None and part.checked is self._topology.generation(number)
        return part.position.epoch if is_sure and not self._is_lost else None

    @property
    def _is_lost(self) -> bool:
        return any(part.is_lost for part in self._parts)

    def witness(self, number: int, previous: str, entry: str) -> None:
        """Remember that an entry was written, after which other one, unless it was read since."""
        part = self._parts[number]
        if part.position is None or order(entry) > order(part.position.entry):
            part.note(previous, entry)

    async def read(self) -> AsyncGenerator[Event]:
        """Yield what is written; see `Store.follow`."""
        pushed: asyncio.Queue[Any] = asyncio.Queue()
        self._pushed = pushed
        connection = RedisConnection(self._keep, lambda connection: pushed.put_nowait(None))
        clock = asyncio.get_running_loop().time
        subscribing: asyncio.Task[None] | None = None
        try:
            await self._refuse_eviction()
            subscribing = asyncio.create_task(self._subscribe(connection))
            await asyncio.wait([subscribing], timeout=CHECK_INTERVAL / 4)
            # A channel that cannot be had does not keep from looking: the log is the sure path.
            while not subscribing.done():
                async for event in self._look():
                    yield event
                await asyncio.wait([subscribing], timeout=CHECK_INTERVAL)
            subscribing.result()
            heard_at = clock()
            policy_at = clock() + POLICY_INTERVAL
            while True:
                if clock() >= policy_at:
                    await self._refuse_eviction()
                    policy_at = clock() + POLICY_INTERVAL
                async for event in self._look():
                    yield event
                next_look = clock() + CHECK_INTERVAL
                await self._topology.command("PUBLISH", self._probe, "")
                while (message := await self._next(next_look)) is not LOOK:
                    _, channel, data = _pushed(message)
                    if channel == self._probe:
                        heard_at = clock()
                        continue
                    heard = self._take(self._channels[channel], data)
                    if heard is LOOK:
                        break
                    if isinstance(heard, Heard):
                        yield heard
                if clock() - heard_at > 3 * CHECK_INTERVAL:
                    raise ConnectionError("the channels are silent")
        except (RedisError, OSError, TimeoutError) as error:
            raise Unavailable(f"the log cannot be followed ({type(error).__name__})") from error
        finally:
            if subscribing is not None and not subscribing.cancel() and not subscribing.cancelled():
                subscribing.exception()  # which was raised already, or does not matter any more
            self._pushed = None
            connection.abort()

    async def _look(self) -> AsyncGenerator[Event]:
        """Read every stream on, and say when that confirms that all was heard."""
        is_whole = True
        async for event in self._check():
            is_whole = is_whole and not isinstance(event, Loss)
            yield event
        if is_whole:
            yield Confirmed()

    def _keep(self, message: Any) -> None:
        if isinstance(message, list) and len(message) == 3 and message[0] == b"message":
            _, channel, data = message
            if channel in self._channels:
                # Before it is kept: anybody who may publish can send much.
                opened = open_message(self._key, channel, data)
                if opened is None:
                    self._on_forged()
                    return
                message = [b"message", channel, opened]
        # A replay that takes so long that this fills up begins anew, and loses nothing.
        if self._pushed is not None:
            too_many = self._pushed.qsize() >= MOST_WAITING
            self._pushed.put_nowait(None if too_many else message)

    async def _refuse_eviction(self) -> None:
        """A store that forgets logouts when its memory is full is no store to follow.

        One that has begun to, since it was first asked, has lost some: that is told as a loss.
        """
        info = await self._topology.command("INFO")
        policy = read_policy(info)
        if policy not in SAFE_POLICIES:
            raise Unavailable(f"maxmemory-policy {policy} may forget logouts: set noeviction")
        server, evicted = _read_info(info, b"run_id"), int(_read_info(info, b"evicted_keys") or 0)
        before = self._evicted.setdefault(server, evicted)
        if evicted > before:
            log.error("Redis evicted keys, which may have been logouts", keys=evicted - before)
            for part in self._parts:
                if part.position is not None:
                    await self._lose(part, part.position.epoch)
            self._evicted[server] = evicted

    async def _subscribe(self, connection: RedisConnection) -> None:
        assert self._pushed is not None
        async with asyncio.timeout(2 * TIME_LIMIT):
            await connection.open(await self._topology.pool())
            connection.write(pack(b"SUBSCRIBE", self._probe, *self._channels))
            for _ in range(len(self._channels) + 1):
                # What is published already is in the streams, which are read next.
                while not _is_confirmation(await self._pushed.get()):
                    pass

    async def _next(self, deadline: float) -> Any:
        """Return the next message, or `LOOK` when it is time to look at the streams."""
        assert self._pushed is not None
        if not self._pushed.empty():
            return self._pushed.get_nowait()
        try:
            async with asyncio.timeout_at(deadline):
                return await self._pushed.get()
        except TimeoutError:
            return LOOK

    def _take(self, part: _Part, data: bytes) -> Heard | object:
        """Return the logout of a message, `LOOK` when one is missing, None when it is old."""
        try:
            previous, entry, epoch, leases, record = data.split(b" ", 4)
            entry_id, known = entry.decode(), part.position
            if known is None or order(entry_id) <= order(known.entry):
                return None
            if epoch.decode() != known.epoch.partition(" ")[0]:
                # Said again after a loss of data; what is genuine is found in the log.
                return None
            if known.entry != previous.decode():
                return LOOK
            logout = decode_logout(record)
        except (Malformed, ValueError) as error:
            log.warning("an unreadable message on the channel", error=str(error))
            return LOOK
        part.advance(entry_id)
        return _heard(logout, leases, part.names.part)

    async def _check(self) -> AsyncGenerator[Event]:
        """Read every stream on, and note over which connections that was done."""
        for _ in range(TRIES):
            before = [self._topology.generation(part.names.part) for part in self._parts]
            events: list[Event] = []
            ends = await asyncio.gather(
                *(self._read_on(part, events) for part in self._parts), return_exceptions=True
            )
            # What was read counts as read, also when another partition could not be asked.
            gaps = [event for event in events if isinstance(event, Gap)][:1]
            for event in gaps + [event for event in events if not isinstance(event, Gap)]:
                yield event
            for end in ends:
                if end is not None:
                    raise end
            for part, generation in zip(self._parts, before, strict=True):
                part.checked = generation
            if all(p.checked is self._topology.generation(p.names.part) for p in self._parts):
                return
        raise ConnectionError("the connection to the store is lost again and again")

    async def _read_on(self, part: _Part, events: list[Event]) -> None:
        entries: list[Any] = [None] * PAGE
        while len(entries) == PAGE:
            sought = list(part.written)
            seen, last, entries = await self._ask(part, sought)
            epoch = seen.epoch or ""
            match weigh(part.position, seen):
                case Verdict.MEND:
                    part.is_lost = True
                    events.append(await self._lose(part, epoch))
                    return
                case Verdict.SWEEP:
                    part.position = Position(epoch, last)
                    events.append(Gap("the log begins here"))
                    entries = []
                case Verdict.READ_ON:
                    assert part.position is not None
                    part.position = Position(epoch, part.position.entry)
            part.is_lost = False
            part.settle(sought, last)
            for entry, fields in entries:
                part.advance(entry.decode())
                events.append(_replayed(fields, part.names.part))

    async def _ask(self, part: _Part, sought: list[str]) -> tuple[Log, str, list[Any]]:
        known = part.position
        epoch, last, there, past, entries = await self._topology.call(
            part.names.part,
            READ,
            [part.names.log, part.names.epoch],
            {
                "known": known.epoch if known else "",
                "position": known.entry if known else BEGINNING,
                "fresh": secrets.token_hex(8),
                "most": PAGE,
                "lifetime_ms": self._lifetime_ms,
                "sought": sought,
            },
        )
        text = epoch.decode()
        seen = Log(
            epoch=text or None,
            is_lost=text.endswith(" lost"),
            is_mended=text.endswith(" mended"),
            has_entry=bool(there),
            is_past=bool(past),
        )
        return seen, last.decode(), entries

    async def _lose(self, part: _Part, epoch: str) -> Loss:
        names = part.names
        stands = await self._topology.call(
            names.part, LOSE, [names.epoch], {"known": epoch, "fresh": secrets.token_hex(8)}
        )
        return Loss(names.part, stands.decode())


def read_policy(info: bytes) -> str:
    """Return the maxmemory-policy that ``INFO`` tells, ``unknown`` when it does not."""
    return _read_info(info, b"maxmemory_policy") or "unknown"


def _read_info(info: bytes, field: bytes) -> str:
    found = re.search(rb"^" + field + rb":(\S+)", info, re.MULTILINE)
    return found[1].decode() if found else ""


def _pushed(message: Any) -> tuple[bytes, bytes, Any]:
    """Return the kind, the channel and the data of what Redis pushed."""
    if not isinstance(message, list) or len(message) != 3:
        raise ConnectionError("the subscription ended")
    kind, channel, data = message
    return kind, channel, data


def _is_confirmation(message: Any) -> bool:
    # Who wants the streams looked at gets that in any case: they are read next.
    return message is not LOOK and _pushed(message)[0] == b"subscribe"


def _replayed(fields: list[bytes], part: int) -> Event:
    row = dict(zip(fields[0::2], fields[1::2], strict=True))
    try:
        leases = row.get(b"leases", b"-")
        return _heard(decode_logout(row[b"logout"]), leases, part, is_live=False)
    except (Malformed, KeyError) as error:
        log.error("an unreadable logout in the log", error=str(error))
        return Gap("an unreadable logout")


def _heard(logout: Logout, leases: bytes, part: int, *, is_live: bool = True) -> Heard:
    owing = frozenset() if leases == b"-" else frozenset(leases.decode().split(","))
    return Heard(logout, _concerned(logout, part), owing, part, is_live)


def _concerned(logout: Logout, part: int) -> Callable[[UserKey], bool]:
    if logout.user is None:
        return lambda user: partition_of(user) == part
    return lambda user: user == logout.user
