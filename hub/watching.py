"""The command ``watch``: follows logouts and signals in the store, and prints them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Coroutine, Iterable
from datetime import UTC, datetime
from typing import Any

import click

from hub.access.logouts import Logouts
from hub.access.views import as_payload, view_logout, view_origin
from hub.console import (
    BadSetting,
    Failed,
    as_json,
    print_json,
    run,
    say,
    summarize,
)
from hub.core.model import Logout, Micros, seconds, split_user_key
from hub.core.receipt import count_states
from hub.core.signal import SignalRecord
from hub.environment import load_settings
from hub.errors import NotFound, Unavailable
from hub.issuers_file import load_entries
from hub.log import configure_logs
from hub.metrics import Metrics
from hub.settings import Settings
from hub.storage import create_store
from hub.store.base import Store
from hub.store.cancellation import cancel
from hub.store.values import Confirmed, DataLoss, Event, Gap, Interrupted, LogoutEvent

WATCH_PATIENCE = 90.0
WATCHED = 1000
SIGNALS_EVERY = 1.0
"""Seconds between two reads of signals."""

FAILURES = 3
"""Failed reads in a row before a warning: if the whole store is down, the command ends earlier."""


@click.command()
@as_json
def watch(as_json: bool) -> None:
    """Follow logouts and signals as they happen. Needs HUB_REDIS_URL. Stop with Ctrl+C."""
    settings = load_settings()
    # An outage is told by the command itself, in a line of its own.
    configure_logs(settings.log_format, logging.ERROR)
    if settings.redis_url is None:
        raise BadSetting("HUB_REDIS_URL is not set: the embedded store cannot be watched")
    with contextlib.suppress(KeyboardInterrupt):
        try:
            run(_watch(settings, as_json=as_json))
        except Unavailable as error:
            raise Failed(error.detail) from None


async def _watch(settings: Settings, *, as_json: bool) -> None:
    entries = load_entries(settings) if settings.has_key else ()
    async with create_store(settings, Metrics(), entries) as store:
        await Watch(store, as_json=as_json).run()


class Watch:
    """Follows a store and prints what happens; whatever fails ends all of it."""

    def __init__(self, store: Store, *, as_json: bool) -> None:
        self._store = store
        self._as_json = as_json
        self._logouts = Logouts(store, Metrics())
        self._signals = SignalFollower(store, as_json=as_json)
        self._seen: deque[str] = deque(maxlen=WATCHED)
        self._lost: set[int] = set()
        self._interrupted: set[int] = set()
        self._is_watching = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def run(self) -> None:
        """Print until cancelled.

        Raises:
            Unavailable: when the store cannot be followed.
            OSError: when nobody reads what is printed.
        """
        try:
            await self._signals.look()
            self._start(self._signals.run())
            self._start(self._follow())
            await self._failed
        finally:
            await cancel(self._tasks)

    def _start(self, part: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(part)
        self._tasks.add(task)
        task.add_done_callback(self._end)

    def _end(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None and not self._failed.done():
            self._failed.set_exception(error)

    async def _follow(self) -> None:
        async with contextlib.aclosing(self._store.follow()) as events:
            async for event in events:
                self._take(event)

    def _take(self, event: Event) -> None:
        """Print what an event says, unless it was printed already."""
        match event:
            case Gap() if not self._is_watching:
                self._is_watching = True
                say("watching logouts", err=True)
            case Confirmed(partitions):
                self._lost -= partitions
                if again := self._interrupted & partitions:
                    self._interrupted -= again
                    say(f"watching partitions {_list(again)} again", err=True)
            case Interrupted(partitions, reason) if (
                not self._interrupted.issuperset(partitions)
                and len(partitions) < self._store.partition_count
            ):
                self._interrupted |= partitions
                text = f"partitions {_list(partitions)} cannot be watched: {reason}"
                say(text, fg="yellow", err=True)
            case DataLoss(part) if part not in self._lost:
                if not self._lost:
                    say("the store lost data", fg="red", err=True)
                self._lost.add(part)
            case LogoutEvent(logout, issuer=None) if logout.id not in self._seen:
                # A logout of several users, or of everyone, is in the log of each partition.
                self._seen.append(logout.id)
                self._start(_show(self._logouts, logout, as_json=self._as_json))


class SignalFollower:
    """Prints the results of signals, from the first `look` on."""

    def __init__(self, store: Store, *, as_json: bool) -> None:
        self._store = store
        self._as_json = as_json
        self._place: str | None = None
        self._failures = 0

    async def run(self) -> None:
        """Read repeatedly, until cancelled."""
        while True:
            await asyncio.sleep(SIGNALS_EVERY)
            await self.look()

    async def look(self) -> None:
        """Print the records since the last call; the first call only finds where to begin."""
        try:
            self._place, records = await self._store.signals(self._place)
        except Unavailable as error:
            self._failures += 1
            if self._failures == FAILURES:
                say(f"signals cannot be watched: {error.detail}", fg="yellow", err=True)
            return
        if self._failures >= FAILURES:
            say("watching signals again", err=True)
        self._failures = 0
        for record in records:
            _print(_as_object(record), _as_line(record), as_json=self._as_json)


def _print(value: dict[str, Any], line: str, *, as_json: bool) -> None:
    if as_json:
        print_json(value)
    else:
        say(line)


def _as_object(record: SignalRecord) -> dict[str, Any]:
    if record.verdict is None:
        became = {"signal": "refused", "error": record.error, "times": record.times}
    else:
        became = {
            "signal": record.verdict.value,
            "by": record.by,
            "event": record.event,
            "signal_id": record.id,
            "logout": record.logout,
        }
    return {**became, "channel": record.channel.value, "at": seconds(record.at)}


def _as_line(record: SignalRecord) -> str:
    start = f"{_clock(record.at)}  signal by {record.channel}"
    if record.verdict is None:
        times = f" {record.times} times" if record.times > 1 else ""
        return f"{start}  refused{times}: {record.error}"
    parts = (start, record.event, f"from {record.by}", record.verdict, record.logout)
    return "  ".join(part for part in parts if part)


def _clock(at: Micros) -> str:
    return datetime.fromtimestamp(at / 1e6, UTC).strftime("%H:%M:%S.%f")[:-3] + "Z"


def _list(partitions: Iterable[int]) -> str:
    return ", ".join(map(str, sorted(partitions)))


async def _show(logouts: Logouts, logout: Logout, *, as_json: bool) -> None:
    iss, sub = split_user_key(logout.user) if logout.user is not None else ("", None)
    payload = {"user": sub, "iss": iss, **as_payload(view_logout(logout))}
    who = "everyone" if sub is None else sub
    sid = f" {logout.sid}" if logout.sid else ""
    line = f"{_clock(logout.at)}  {who}  {logout.scope}{sid}  {logout.reason}  {logout.id}"
    if (origin := logout.origin) is not None:
        payload["origin"] = as_payload(view_origin(origin))
        line += f"  ({origin.event} by {origin.by})"
    _print(payload, line, as_json=as_json)
    patience = logout.spread + WATCH_PATIENCE
    with contextlib.suppress(NotFound, Unavailable):
        receipt = await logouts.read(logout.id, None, patience)
        counts = {state.value: count for state, count in count_states(receipt).items()}
        if as_json:
            known = {"receipt": logout.id, "states": counts, "complete": receipt.complete}
            print_json(known)
        else:
            summary = summarize(counts) or "no sessions"
            end = "" if receipt.complete else " (not complete)"
            whose = f"{receipt.users} users" if receipt.users > 1 else who
            say(f"{'':15}{whose}: {summary}{end}  {logout.id}")
