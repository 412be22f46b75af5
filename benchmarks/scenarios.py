"""The scenarios in which the rows are measured.

A scenario starts a fresh server with an empty Redis, warms it up, and measures one thing after
another. All run one server at a time, except `idle`, in which the servers run side by side.
"""

from __future__ import annotations

import asyncio
import contextlib
import resource
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass

from benchmarks.generator import Crowd, TimedLogout
from benchmarks.measures import Cost, add_up, percentile, quiet, resident_bytes
from benchmarks.rows import (
    DISTURBED,
    GROWTH_WARM_SOCKETS,
    WARM_SOCKETS,
    Plan,
    Run,
    Sample,
    growth_rows,
)
from benchmarks.servers import ASKING, KINDS, MEASURED, Server, running
from benchmarks.tokens import DEVICES

WARM_LOGOUTS_AT_ONCE = 16
SETTLE = 1.0
SPARE_FILES = 500
WORST_LATENCY = 0.5
LOGOUTS_PATIENCE = 300.0
"""Seconds after which no further batch of logouts is started."""
MICRO = 1e6
MILLI = 1e3
KIB = 1024


@dataclass(frozen=True)
class Scenario:
    """A scenario: how it is measured, for which kinds of server, and the rows that it fills."""

    name: str
    measure: Callable[[Run, str], Awaitable[None]]
    kinds: tuple[str, ...]
    rows: tuple[str, ...]
    is_long: bool = False
    """Whether it is measured in `Plan.slow_rounds` rounds only."""

    def servers_in(self, plan: Plan) -> tuple[str, ...]:
        """Return the kinds of server to measure in this plan: none if no row of it is wanted."""
        return tuple(kind for kind in self.kinds if kind in plan.kinds and plan.wants(*self.rows))


def most_files() -> int:
    """Return how many sockets this process may open, less a reserve for other files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for limit in (1 << 18, hard):
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, max(limit, hard)))
            soft = limit
            break
    return soft - SPARE_FILES


@contextlib.asynccontextmanager
async def warm_server(
    run: Run, kind: str, scenario: str, replicas: int = 1
) -> AsyncIterator[Server]:
    """Run a fresh server, warmed up with connects and logouts.

    As many sockets as warmed it up stay connected, so that the sockets that are measured cannot
    reuse memory that the warm-up has freed.
    """
    async with running(kind, run.store, replicas) as server:
        first = Crowd(server.ports, f"first-{scenario}", WARM_SOCKETS)
        stay = Crowd(server.ports, f"stay-{scenario}", WARM_SOCKETS)
        try:
            await first.connect()
            if kind in KINDS:
                users = range(WARM_SOCKETS // DEVICES)
                await first.log_out_in_flight(users, WARM_LOGOUTS_AT_ONCE)
            first.drop()
            await quiet(server.pids)
            await stay.connect()
            await quiet(server.pids)
            yield server
        finally:
            first.close()
            stay.close()


@contextlib.contextmanager
def counting(run: Run, crowd: Crowd, scenario: str, kind: str) -> Iterator[Crowd]:
    """Close a crowd at the end, and add its counts to the run's."""
    try:
        yield crowd
    finally:
        run.count(scenario, crowd, kind)
        crowd.close()


async def measure_crowd(run: Run, kind: str) -> None:
    """Connects, memory, then the storm, then everyone, with the same sockets."""
    run.store.clear()
    async with warm_server(run, kind, "crowd") as server:
        crowd = Crowd(server.ports, "crowd", run.plan.sockets)
        with counting(run, crowd, "crowd", kind):
            before = resident_bytes(server.pids)
            meter = run.meter(server)
            took = await crowd.connect()
            run.record("connect", kind, crowd.size / took, meter.read())
            await quiet(server.pids)
            cost = meter.read()
            run.record("connect_cpu", kind, cost.server / crowd.size * MICRO, cost)
            await asyncio.sleep(SETTLE)
            grown = resident_bytes(server.pids) - before
            run.record("memory", kind, grown / crowd.size / KIB, cost)
            if kind not in KINDS:
                return
            if run.plan.wants("storm"):
                meter = run.meter(server)
                crowd.drop()
                took = await crowd.connect()
                run.record("storm", kind, took, meter.read())
                await quiet(server.pids)
            if run.plan.wants("everyone", "everyone_notified"):
                meter = run.meter(server)
                notified, _ = await crowd.log_out_everyone()
                await quiet(server.pids)
                cost = meter.read()
                if kind in ASKING and crowd.counts["acknowledged"] < crowd.size:
                    raise RuntimeError(f"everyone: not all acknowledged: {dict(crowd.counts)}")
                # The sockets that stayed connected after the warm-up are notified as well.
                everyone = crowd.size + WARM_SOCKETS
                run.record("everyone", kind, cost.server / everyone * MICRO, cost)
                run.record("everyone_notified", kind, notified * MILLI, cost)


async def measure_cold(run: Run, kind: str) -> None:
    """Connects to a server that has just started, for its memory."""
    run.store.clear()
    async with running(kind, run.store) as server:
        crowd = Crowd(server.ports, "cold", run.plan.sockets)
        with counting(run, crowd, "cold", kind):
            before = resident_bytes(server.pids)
            meter = run.meter(server)
            await crowd.connect()
            await quiet(server.pids)
            await asyncio.sleep(SETTLE)
            grown = resident_bytes(server.pids) - before
            run.record("memory_cold", kind, grown / crowd.size / KIB, meter.read())


async def measure_logouts(run: Run, kind: str) -> None:
    """Logouts at a fixed rate."""
    run.store.clear()
    async with warm_server(run, kind, "logouts") as server:
        logouts: list[TimedLogout] = []
        costs: list[Cost] = []
        began = time.monotonic()
        # In batches, so that the number of connected sockets does not grow with that of logouts.
        while len(costs) < run.plan.batches and time.monotonic() - began < LOGOUTS_PATIENCE:
            name = f"logouts-{len(costs)}"
            batch, cost = await _log_out_steadily(run, kind, server, "logouts", name)
            logouts += batch
            costs.append(cost)
        cost = add_up(costs)
        run.record("logout", kind, cost.server / len(logouts) * MICRO, cost)
        latencies = [logout.latency for logout in logouts]
        run.record("p50", kind, percentile(latencies, 0.5) * MILLI, cost)
        run.record("p99", kind, percentile(latencies, 0.99) * MILLI, cost)


async def measure_peak(run: Run, kind: str) -> None:
    """The highest logout rate."""
    run.store.clear()
    async with warm_server(run, kind, "peak") as server:
        rate, cost = await _find_peak(run, kind, server, run.plan)
        run.record("peak", kind, rate, cost)
        run.record("logout_busy", kind, cost.server / run.plan.peak_users * MICRO, cost)


async def measure_replicas(run: Run, kind: str) -> None:
    """Logouts at a fixed rate, of users with two devices on each of two replicas."""
    run.store.clear()
    async with warm_server(run, kind, "replicas", replicas=2) as server:
        logouts, cost = await _log_out_steadily(run, kind, server, "replicas", "replicas")
        run.record("replicas", kind, cost.server / len(logouts) * MICRO, cost)


async def _log_out_steadily(
    run: Run, kind: str, server: Server, scenario: str, name: str
) -> tuple[list[TimedLogout], Cost]:
    crowd = Crowd(server.ports, name, run.plan.users * DEVICES)
    with counting(run, crowd, scenario, kind):
        await crowd.connect()
        await quiet(server.pids)
        meter = run.meter(server)
        logouts = await crowd.log_out_at_rate(range(run.plan.users), run.plan.rate)
        await quiet(server.pids)
        cost = meter.read()
    good = [logout for logout in logouts if logout.has_succeeded]
    if not good:
        raise RuntimeError(f"{kind}: no logout worked: {dict(crowd.counts)}")
    return good, cost


async def _find_peak(run: Run, kind: str, server: Server, plan: Plan) -> tuple[float, Cost]:
    """Return the highest logout rate, increasing the number in flight step by step.

    A logout is in flight until it is answered and its devices are notified and closed. The search
    ends at the first step, not counted, in which a logout fails or the p99 exceeds half a second.
    """
    best: tuple[float, Cost] | None = None
    for step in plan.peak_steps:
        crowd = Crowd(server.ports, f"peak-{step}", plan.peak_users * DEVICES)
        with counting(run, crowd, "peak", kind):
            await crowd.connect()
            await quiet(server.pids)
            meter = run.meter(server)
            took, logouts = await crowd.log_out_in_flight(range(plan.peak_users), step)
            await quiet(server.pids)
            cost = meter.read()
        good = [logout.latency for logout in logouts if logout.has_succeeded]
        if len(good) < len(logouts) or percentile(good, 0.99) > WORST_LATENCY:
            break
        rate = len(logouts) / took
        if best is None or rate > best[0]:
            best = rate, cost
    if best is None:
        raise RuntimeError(f"{kind}: logouts failed or were too slow in the first step")
    return best


async def measure_idle(run: Run) -> None:
    """Idle CPU: all servers side by side, each with its sockets, for whole ping intervals."""
    kinds = tuple(kind for kind in MEASURED if kind in run.plan.kinds)
    sockets = min(run.plan.sockets, most_files() // len(kinds) - 2 * WARM_SOCKETS)
    run.store.clear()
    async with contextlib.AsyncExitStack() as stack:
        servers = {}
        for kind in kinds:
            server = await stack.enter_async_context(warm_server(run, kind, "idle"))
            crowd = Crowd(server.ports, "idle", sockets)
            stack.enter_context(counting(run, crowd, "idle", kind))
            await crowd.connect()
            await quiet(server.pids)
            servers[kind] = server
        begun = {kind: run.meter(server) for kind, server in servers.items()}
        await asyncio.sleep(run.plan.idle_seconds)
        waiting = sockets + WARM_SOCKETS
        for kind, meter in begun.items():
            cost = meter.read()
            run.record("idle", kind, cost.server / cost.wall * MILLI / waiting * 1000, cost)


async def measure_growth(run: Run, kind: str) -> None:
    """Memory and CPU per connection as the number of connections grows."""
    sizes = run.plan.growth
    run.store.clear()
    async with warm_server(run, kind, "growth") as server:
        before_first = Crowd(server.ports, "warm-growth", GROWTH_WARM_SOCKETS)
        crowd = Crowd(server.ports, "growth", sizes[-1])
        with contextlib.closing(before_first), counting(run, crowd, "growth", kind):
            await before_first.connect()
            await quiet(server.pids)
            await asyncio.sleep(SETTLE)
            before, reached = resident_bytes(server.pids), 0
            for size in sizes:
                meter = run.meter(server)
                await crowd.connect(reached, size - reached)
                await quiet(server.pids)
                cost = meter.read()
                await asyncio.sleep(SETTLE)
                grown = resident_bytes(server.pids) - before
                run.record(f"growth_memory_{size}", kind, grown / size / KIB, cost)
                each = cost.server / (size - reached)
                run.record(f"growth_cpu_{size}", kind, each * MICRO, cost)
                reached = size


async def measure_undisturbed(scenario: Scenario, run: Run, kind: str) -> None:
    """Measure a scenario; if other programs disturbed it, repeat it and keep the quieter run."""
    before = len(run.samples)
    await scenario.measure(run, kind)
    first = run.samples[before:]
    if _disturbance(first) <= DISTURBED:
        return
    del run.samples[before:]
    run.repeated += 1
    await scenario.measure(run, kind)
    if _disturbance(run.samples[before:]) > _disturbance(first):
        run.samples[before:] = first


def _disturbance(samples: list[Sample]) -> float:
    return max((sample.cost.others_share for sample in samples), default=0.0)


async def measure_generator(run: Run) -> dict[str, float]:
    """Return the generator's own rates, measured with a server that does next to nothing."""
    async with running("trivial", run.store) as server:
        crowd = Crowd(server.ports, "trivial", run.plan.sockets)
        try:
            meter = run.meter(server)
            took = await crowd.connect()
            cost = meter.read()
            notified, _ = await crowd.log_out_everyone()
        finally:
            crowd.close()
    return {
        "connects_per_second": crowd.size / took,
        "notified_per_second": crowd.size / notified,
        "generator_share": cost.generator_share,
        "server_share": cost.server / cost.wall,
    }


def all_scenarios(sizes: tuple[int, ...]) -> list[Scenario]:
    """Return all scenarios except `idle`, in the order in which they are measured."""
    crowd = ("connect", "connect_cpu", "memory", "storm", "everyone", "everyone_notified")
    growth = tuple(row.key for row in growth_rows(sizes))
    return [
        Scenario("crowd", measure_crowd, MEASURED, crowd),
        Scenario("peak", measure_peak, KINDS, ("peak", "logout_busy")),
        Scenario("replicas", measure_replicas, KINDS, ("replicas",)),
        Scenario("cold", measure_cold, MEASURED, ("memory_cold",), is_long=True),
        Scenario("logouts", measure_logouts, KINDS, ("logout", "p50", "p99"), is_long=True),
        Scenario("growth", measure_growth, KINDS, growth, is_long=True),
    ]
