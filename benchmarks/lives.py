"""The lives of servers in which the rows are measured.

A life starts fresh servers over an empty Redis, warms them up, and measures one thing after the
other. Each life belongs to one kind of server, but for `idle`, where all wait side by side.
"""

from __future__ import annotations

import asyncio
import contextlib
import resource
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass

from benchmarks.generator import Crowd, Order
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
"""After so many seconds no further batch of logouts begins."""
MICRO = 1e6
MILLI = 1e3
KIB = 1024


@dataclass(frozen=True)
class Life:
    """One of the lives: how it is lived, by which servers, and the rows that come of it."""

    name: str
    live: Callable[[Run, str], Awaitable[None]]
    kinds: tuple[str, ...]
    rows: tuple[str, ...]
    is_long: bool = False
    """Whether it is lived in few of the rounds."""

    def who(self, plan: Plan) -> tuple[str, ...]:
        """Return the servers that live it in this plan: none when none of its rows is wanted."""
        return tuple(kind for kind in self.kinds if kind in plan.kinds and plan.wants(*self.rows))


def most_files() -> int:
    """Return how many files this process may open, some spared."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for limit in (1 << 18, hard):
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, max(limit, hard)))
            soft = limit
            break
    return soft - SPARE_FILES


@contextlib.asynccontextmanager
async def living(run: Run, kind: str, life: str, replicas: int = 1) -> AsyncIterator[Server]:
    """Run a fresh server that is warm: compilers and caches have seen connects and logouts.

    As many sockets as warmed it up stay connected, so that none of the memory that they took is
    there to be used again by the sockets that are measured.
    """
    async with running(kind, run.store, replicas) as server:
        first = Crowd(server.ports, f"first-{life}", WARM_SOCKETS)
        stay = Crowd(server.ports, f"stay-{life}", WARM_SOCKETS)
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
def crowding(run: Run, crowd: Crowd, life: str, kind: str) -> Iterator[Crowd]:
    """Close a crowd at the end, and keep its counts."""
    try:
        yield crowd
    finally:
        run.count(life, crowd, kind)
        crowd.close()


async def live_crowd(run: Run, kind: str) -> None:
    """Connects, memory, then the storm, then everyone, with the same sockets."""
    run.store.clear()
    async with living(run, kind, "crowd") as server:
        crowd = Crowd(server.ports, "crowd", run.plan.sockets)
        with crowding(run, crowd, "crowd", kind):
            before = resident_bytes(server.pids)
            meter = run.meter(server)
            took = await crowd.connect()
            run.note("connect", kind, crowd.size / took, meter.read())
            await quiet(server.pids)
            cost = meter.read()
            run.note("connect_cpu", kind, cost.server / crowd.size * MICRO, cost)
            await asyncio.sleep(SETTLE)
            grown = resident_bytes(server.pids) - before
            run.note("memory", kind, grown / crowd.size / KIB, cost)
            if kind not in KINDS:
                return
            if run.plan.wants("storm"):
                meter = run.meter(server)
                crowd.drop()
                took = await crowd.connect()
                run.note("storm", kind, took, meter.read())
                await quiet(server.pids)
            if run.plan.wants("everyone", "everyone_told"):
                meter = run.meter(server)
                told, _ = await crowd.log_out_everyone()
                await quiet(server.pids)
                cost = meter.read()
                if kind in ASKING and crowd.counts["acknowledged"] < crowd.size:
                    raise RuntimeError(f"everyone: not all acknowledged: {dict(crowd.counts)}")
                # The sockets that stayed since the server was warmed up are told as well.
                everyone = crowd.size + WARM_SOCKETS
                run.note("everyone", kind, cost.server / everyone * MICRO, cost)
                run.note("everyone_told", kind, told * MILLI, cost)


async def live_cold(run: Run, kind: str) -> None:
    """Connects to a server that has just started, for its memory."""
    run.store.clear()
    async with running(kind, run.store) as server:
        crowd = Crowd(server.ports, "cold", run.plan.sockets)
        with crowding(run, crowd, "cold", kind):
            before = resident_bytes(server.pids)
            meter = run.meter(server)
            await crowd.connect()
            await quiet(server.pids)
            await asyncio.sleep(SETTLE)
            grown = resident_bytes(server.pids) - before
            run.note("memory_cold", kind, grown / crowd.size / KIB, meter.read())


async def live_logouts(run: Run, kind: str) -> None:
    """Logouts at a fixed rate."""
    run.store.clear()
    async with living(run, kind, "logouts") as server:
        orders: list[Order] = []
        costs: list[Cost] = []
        began = time.monotonic()
        # In batches, so that as many sockets are connected as with few logouts.
        while len(costs) < run.plan.batches and time.monotonic() - began < LOGOUTS_PATIENCE:
            name = f"logouts-{len(costs)}"
            batch, cost = await _log_out_steadily(run, kind, server, "logouts", name)
            orders += batch
            costs.append(cost)
        cost = add_up(costs)
        run.note("logout", kind, cost.server / len(orders) * MICRO, cost)
        latencies = [order.latency for order in orders]
        run.note("p50", kind, percentile(latencies, 0.5) * MILLI, cost)
        run.note("p99", kind, percentile(latencies, 0.99) * MILLI, cost)


async def live_peak(run: Run, kind: str) -> None:
    """As many logouts as go."""
    run.store.clear()
    async with living(run, kind, "peak") as server:
        rate, cost = await _climb(run, kind, server, run.plan)
        run.note("peak", kind, rate, cost)
        run.note("logout_busy", kind, cost.server / run.plan.peak_users * MICRO, cost)


async def live_replicas(run: Run, kind: str) -> None:
    """Logouts at a fixed rate, of users with two devices on each of two replicas."""
    run.store.clear()
    async with living(run, kind, "replicas", replicas=2) as server:
        orders, cost = await _log_out_steadily(run, kind, server, "replicas", "replicas")
        run.note("replicas", kind, cost.server / len(orders) * MICRO, cost)


async def _log_out_steadily(
    run: Run, kind: str, server: Server, life: str, name: str
) -> tuple[list[Order], Cost]:
    crowd = Crowd(server.ports, name, run.plan.users * DEVICES)
    with crowding(run, crowd, life, kind):
        await crowd.connect()
        await quiet(server.pids)
        meter = run.meter(server)
        orders = await crowd.log_out_at_rate(range(run.plan.users), run.plan.rate)
        await quiet(server.pids)
        cost = meter.read()
    good = [order for order in orders if order.is_good]
    if not good:
        raise RuntimeError(f"{kind}: no logout worked: {dict(crowd.counts)}")
    return good, cost


async def _climb(run: Run, kind: str, server: Server, plan: Plan) -> tuple[float, Cost]:
    """Return the highest rate while all goes well, with ever more logouts in flight.

    A logout is in flight until it is answered and its devices are told and closed. A step counts
    when its p99 is below half a second and nothing failed; the climb ends at one that does not.
    """
    best: tuple[float, Cost] | None = None
    for step in plan.peak_steps:
        crowd = Crowd(server.ports, f"peak-{step}", plan.peak_users * DEVICES)
        with crowding(run, crowd, "peak", kind):
            await crowd.connect()
            await quiet(server.pids)
            meter = run.meter(server)
            took, orders = await crowd.log_out_in_flight(range(plan.peak_users), step)
            await quiet(server.pids)
            cost = meter.read()
        good = [order.latency for order in orders if order.is_good]
        if len(good) < len(orders) or percentile(good, 0.99) > WORST_LATENCY:
            break
        rate = len(orders) / took
        if best is None or rate > best[0]:
            best = rate, cost
    if best is None:
        raise RuntimeError(f"{kind}: no step of the climb went well")
    return best


async def live_idle(run: Run) -> None:
    """All servers, each with its sockets, left alone side by side for whole ping intervals."""
    kinds = tuple(kind for kind in MEASURED if kind in run.plan.kinds)
    sockets = min(run.plan.sockets, most_files() // len(kinds) - 2 * WARM_SOCKETS)
    run.store.clear()
    async with contextlib.AsyncExitStack() as stack:
        servers = {}
        for kind in kinds:
            server = await stack.enter_async_context(living(run, kind, "idle"))
            crowd = Crowd(server.ports, "idle", sockets)
            stack.enter_context(crowding(run, crowd, "idle", kind))
            await crowd.connect()
            await quiet(server.pids)
            servers[kind] = server
        begun = {kind: run.meter(server) for kind, server in servers.items()}
        await asyncio.sleep(run.plan.idle_seconds)
        waiting = sockets + WARM_SOCKETS
        for kind, meter in begun.items():
            cost = meter.read()
            run.note("idle", kind, cost.server / cost.wall * MILLI / waiting * 1000, cost)


async def live_growth(run: Run, kind: str) -> None:
    """More and more connections to one server."""
    sizes = run.plan.growth
    run.store.clear()
    async with living(run, kind, "growth") as server:
        before_first = Crowd(server.ports, "warm-growth", GROWTH_WARM_SOCKETS)
        crowd = Crowd(server.ports, "growth", sizes[-1])
        with contextlib.closing(before_first), crowding(run, crowd, "growth", kind):
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
                run.note(f"growth_memory_{size}", kind, grown / size / KIB, cost)
                each = cost.server / (size - reached)
                run.note(f"growth_cpu_{size}", kind, each * MICRO, cost)
                reached = size


async def live_undisturbed(life: Life, run: Run, kind: str) -> None:
    """Live a life, and once more if others disturbed it; the quieter one counts."""
    before = len(run.samples)
    await life.live(run, kind)
    first = run.samples[before:]
    if _disturbance(first) <= DISTURBED:
        return
    del run.samples[before:]
    run.repeated += 1
    await life.live(run, kind)
    if _disturbance(run.samples[before:]) > _disturbance(first):
        run.samples[before:] = first


def _disturbance(samples: list[Sample]) -> float:
    return max((sample.cost.others_share for sample in samples), default=0.0)


async def measure_generator(run: Run) -> dict[str, float]:
    """Return how fast the generator is against a server that does next to nothing."""
    async with running("trivial", run.store) as server:
        crowd = Crowd(server.ports, "trivial", run.plan.sockets)
        try:
            meter = run.meter(server)
            took = await crowd.connect()
            cost = meter.read()
            told, _ = await crowd.log_out_everyone()
        finally:
            crowd.close()
    return {
        "connects_per_second": crowd.size / took,
        "told_per_second": crowd.size / told,
        "generator_share": cost.generator_share,
        "server_share": cost.server / cost.wall,
    }


def all_lives(sizes: tuple[int, ...]) -> list[Life]:
    """Return all lives but `idle`, in the order in which they are lived."""
    crowd = ("connect", "connect_cpu", "memory", "storm", "everyone", "everyone_told")
    growth = tuple(row.key for row in growth_rows(sizes))
    return [
        Life("crowd", live_crowd, MEASURED, crowd),
        Life("peak", live_peak, KINDS, ("peak", "logout_busy")),
        Life("replicas", live_replicas, KINDS, ("replicas",)),
        Life("cold", live_cold, MEASURED, ("memory_cold",), is_long=True),
        Life("logouts", live_logouts, KINDS, ("logout", "p50", "p99"), is_long=True),
        Life("growth", live_growth, KINDS, growth, is_long=True),
    ]
