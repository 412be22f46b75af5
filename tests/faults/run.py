"""One run: a cluster, a load, faults, rest; then the checker."""

from __future__ import annotations

import asyncio
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import msgspec

from tests.faults.caller import Caller
from tests.faults.checker import Checker, Limits, Measured, Violation
from tests.faults.cluster import GRACE, ROOT, Cluster, running
from tests.faults.devices import PATIENCE
from tests.faults.guards import KINDS as GUARDS
from tests.faults.guards import MAX_STALENESS
from tests.faults.history import History
from tests.faults.load import Load
from tests.faults.schedule import KINDS, NODE, Mix, Trouble, plan
from tests.faults.stalls import STALL, watch_stalls

REPLICAS = 3
DEFAULT_SECONDS = 30.0
LOGOUTS_A_ROUND = 500
MAX_ROUNDS = 20
"""A run by number of logouts has a round of all faults for each 500, and twenty at most."""
CALM = 5.0
"""Seconds without faults between two rounds, so that T can be measured without them."""
CLOSE = 1.5
"""Seconds that the hub gives a close, beside the grace."""
PROGRESS = 10.0


@dataclass(frozen=True)
class Options:
    """What a run is made of; see ``--help``. ``fence`` 0 is for a hub without one."""

    logouts: int | None = None
    seconds: float | None = None
    seed: int = 1
    faults: tuple[str, ...] = tuple(KINDS)
    rounds: int | None = None
    rate: float = 22.0
    people: int = 40
    pause: float = 2.2
    fence: float = 3.0
    long_part: float = 0.3
    rest: float | None = None
    calm: float = CALM
    code: Path = ROOT
    quiet: bool = False
    keep: Path | None = None
    told: float | None = None
    cut: float | None = None
    cut_in_trouble: float | None = None
    recovery: float = 7.0

    @property
    def on_cluster(self) -> bool:
        """Whether the replicas share a cluster: where its nodes have faults."""
        return not set(self.faults).isdisjoint(NODE)

    def limits(self) -> Limits:
        """Return what counts as in time."""
        margin = 3.0
        cut = 2 * GRACE + CLOSE + margin
        in_trouble = self.cut_in_trouble or self.fence + cut + margin
        return Limits(
            told=self.told or margin,
            told_in_trouble=self.told or in_trouble,
            cut=self.cut or cut,
            cut_in_trouble=in_trouble,
            fence=self.fence or None,
            margin=margin,
            recovery=self.recovery,
            staleness=MAX_STALENESS,
        )

    def mix(self) -> Mix:
        """Return of what rounds of faults are made."""
        longest = self.fence + self.limits().margin
        return Mix(self.faults, REPLICAS, self.pause, longest, self.long_part, len(GUARDS))

    def rounds_wanted(self) -> int:
        """Return how many rounds of faults there are at the least."""
        if self.rounds is not None:
            return self.rounds
        return max(1, min(MAX_ROUNDS, (self.logouts or 0) // LOGOUTS_A_ROUND))


@dataclass
class Outcome:
    """What came of a run. ``complaints`` are what the replicas logged as errors.

    ``stalls`` are how long the machine stood still, each time, in seconds.
    """

    options: Options
    history: History
    faults: Counter[str]
    violations: list[Violation]
    measured: dict[str, Measured]
    needless: int
    logouts: int
    late: list[float]
    stalls: list[float]
    took: float = 0.0
    complaints: list[str] = field(default_factory=list)


async def run(options: Options) -> Outcome:
    """Run, and return what came of it."""
    began = time.monotonic()
    history = History(epoch=time.time() - time.monotonic())
    timeout = aiohttp.ClientTimeout(total=PATIENCE)
    async with (
        running(
            REPLICAS, options.code, options.fence or None, on_cluster=options.on_cluster
        ) as cluster,
        aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(limit=0)) as http,
    ):
        caller = Caller(history, http)
        load = Load(cluster, history, caller, options.seed, options.people)
        trouble = Trouble(cluster, history, http)
        watch = asyncio.create_task(watch_stalls(cluster.store_ports, history))
        try:
            await _play(options, cluster, load, trouble)
        finally:
            watch.cancel()
        complaints = cluster.complaints()
        history.ended = time.monotonic()
    if options.keep is not None:
        options.keep.write_bytes(msgspec.json.encode(history))
    outcome = judge(options, history)
    outcome.took, outcome.complaints = history.ended - began, complaints
    return outcome


def judge(options: Options, history: History) -> Outcome:
    """Check a history, and return what came of it."""
    checker = Checker(history, options.limits())
    return Outcome(
        options=options,
        history=history,
        faults=Counter(fault.kind for fault in history.faults if fault.kind != STALL),
        violations=checker.check(),
        measured=checker.measured,
        needless=checker.needless,
        late=checker.late,
        stalls=[fault.end - fault.start for fault in history.faults if fault.kind == STALL],
        logouts=sum(logout.answer is not None for logout in history.logouts),
    )


async def _play(options: Options, cluster: Cluster, load: Load, trouble: Trouble) -> None:
    enough = asyncio.Event()
    work = asyncio.create_task(load.run(options.rate, enough))
    progress = asyncio.create_task(_progress(options, load, trouble))
    try:
        await asyncio.wait_for(_trouble_until_enough(options, load, trouble, work), 3600)
        enough.set()
        await work
        # What was asked for may take until here to come true; then it counts.
        limits = options.limits()
        await asyncio.sleep(limits.cut_in_trouble + 1 if options.rest is None else options.rest)
    finally:
        progress.cancel()
        await load.stop()


async def _trouble_until_enough(
    options: Options, load: Load, trouble: Trouble, work: asyncio.Task[None]
) -> None:
    seconds = options.seconds
    if seconds is None:
        seconds = DEFAULT_SECONDS if options.logouts is None and options.rounds is None else 0.0
    end = time.monotonic() + seconds
    number = 0
    while (
        number < options.rounds_wanted()
        or time.monotonic() < end
        or load.done < (options.logouts or 0)
    ):
        await asyncio.sleep(options.calm if number else CALM / 2)
        if work.done():
            await work
        if options.faults:
            await trouble.run(plan(options.seed, number, options.mix()))
        number += 1


async def _progress(options: Options, load: Load, trouble: Trouble) -> None:
    began = time.monotonic()
    while not options.quiet:
        await asyncio.sleep(PROGRESS)
        took = time.monotonic() - began
        faults = trouble.counts.total()
        sys.stderr.write(f"{took:5.0f} s  {load.done} logouts, {faults} faults\n")
