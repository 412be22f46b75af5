"""The rows of the table, and the lives of servers in which they are measured.

A life starts fresh servers over an empty Redis, warms them up, and measures one thing after the
other. Each life belongs to one kind of server, but for `idle`, where all wait side by side.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import resource
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field

from benchmarks.generator import Crowd, Order
from benchmarks.measures import Cost, Meter, percentile, quiet, resident_bytes
from benchmarks.servers import KINDS, SERVER_CORE, Server, Store, running
from benchmarks.tokens import DEVICES

WARM_SOCKETS = 400
WARM_LOGOUTS_AT_ONCE = 16
SETTLE = 1.0
SPARE_FILES = 500
WORST_LATENCY = 0.5
DISTURBED = 0.15
"""From this share of the server's core on that others take, a life is lived again."""
MICRO = 1e6
MILLI = 1e3
KIB = 1024


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    key: str
    title: str
    unit: str
    digits: int = 1
    more_is_better: bool = False


@dataclass(frozen=True)
class Plan:
    """How much is measured."""

    sockets: int
    rounds: int
    idle_seconds: float
    rate: float
    users: int
    peak_users: int
    peak_steps: tuple[int, ...]
    growth: tuple[int, ...]
    slow_rounds: int
    """In how many of the rounds the lives `idle` and `growth` are lived."""
    wanted: frozenset[str]


@dataclass(frozen=True)
class Sample:
    """One number, and what the stretch cost in which it was measured."""

    row: str
    kind: str
    value: float
    cost: Cost


@dataclass
class Run:
    """What lives share: the plan, the Redis, and the notebook that they write to."""

    plan: Plan
    store: Store
    samples: list[Sample] = field(default_factory=list)
    counts: dict[str, dict[str, int]] = field(default_factory=dict)
    repeated: int = 0

    def wants(self, *keys: str) -> bool:
        """Tell whether any of these rows was asked for."""
        return not self.plan.wanted.isdisjoint(keys)

    def note(self, row: str, kind: str, value: float, cost: Cost) -> None:
        """Write a number down, if its row was asked for."""
        if row in self.plan.wanted:
            self.samples.append(Sample(row, kind, value, cost))

    def meter(self, server: Server) -> Meter:
        """Return a meter that starts now."""
        gc.collect()
        return Meter(server.pids, self.store.pid, SERVER_CORE)

    def count(self, life: str, crowd: Crowd, kind: str) -> None:
        """Add up what the clients of a life saw."""
        seen = self.counts.setdefault(f"{life} {kind}", {})
        for name, count in crowd.counts.items():
            seen[name] = seen.get(name, 0) + count


Life = Callable[[Run, str], Awaitable[None]]


def growth_rows(sizes: tuple[int, ...]) -> list[Row]:
    """Return the rows that say how the cost of a connection grows."""
    memory = [
        Row(f"growth_memory_{size}", f"memory a connection, at {size:,}", "KiB") for size in sizes
    ]
    cpu = [
        Row(f"growth_cpu_{size}", f"CPU a connect, on the way to {size:,}", "µs", 0)
        for size in sizes
    ]
    return [*memory, *cpu]


def table_rows(sizes: tuple[int, ...]) -> list[Row]:
    """Return all rows, in the order of the table."""
    return [
        Row("connect", "connects a second", "1/s", 0, more_is_better=True),
        Row("connect_cpu", "CPU a connect", "µs", 0),
        Row("memory", "resident memory a connection", "KiB"),
        Row("idle", "idle CPU of 1,000 connections", "ms/s", 2),
        Row("logout", "CPU a logout, 4 devices, at the fixed rate", "µs", 0),
        Row("logout_busy", "CPU a logout, 4 devices, at the highest rate", "µs", 0),
        Row("replicas", "CPU a logout, 2 and 2 devices on 2 replicas", "µs", 0),
        Row("p50", "request to last device told, p50", "ms", 2),
        Row("p99", "request to last device told, p99", "ms", 2),
        Row("peak", "highest logout rate", "1/s", 0, more_is_better=True),
        Row("everyone", "CPU a socket, everyone", "µs", 0),
        Row("everyone_told", "everyone, time until the last is told", "ms", 0),
        Row("storm", "reconnect storm, time until all are back", "s", 2),
        *growth_rows(sizes),
    ]


GROUPS = {
    "connect": ("connect", "connect_cpu"),
    "logout": ("logout", "p50", "p99"),
    "latency": ("p50", "p99"),
    "peak": ("peak", "logout_busy"),
    "everyone": ("everyone", "everyone_told"),
}
"""Names for `--rows` that stand for several rows."""


def most_sockets() -> int:
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
            if run.wants("storm"):
                meter = run.meter(server)
                crowd.drop()
                took = await crowd.connect()
                run.note("storm", kind, took, meter.read())
                await quiet(server.pids)
            if run.wants("everyone", "everyone_told"):
                meter = run.meter(server)
                told, _ = await crowd.log_out_everyone()
                await quiet(server.pids)
                cost = meter.read()
                # The sockets that stayed since the server was warmed up are told as well.
                everyone = crowd.size + WARM_SOCKETS
                run.note("everyone", kind, cost.server / everyone * MICRO, cost)
                run.note("everyone_told", kind, told * MILLI, cost)


async def live_logouts(run: Run, kind: str) -> None:
    """Logouts at a fixed rate, then as many as go."""
    plan = run.plan
    run.store.clear()
    async with living(run, kind, "logouts") as server:
        if run.wants("logout", "p50", "p99"):
            orders, cost = await _log_out_steadily(run, kind, server, "logouts")
            run.note("logout", kind, cost.server / len(orders) * MICRO, cost)
            latencies = [order.latency for order in orders]
            run.note("p50", kind, percentile(latencies, 0.5) * MILLI, cost)
            run.note("p99", kind, percentile(latencies, 0.99) * MILLI, cost)
        if run.wants("peak", "logout_busy"):
            rate, cost = await _climb(run, kind, server, plan)
            run.note("peak", kind, rate, cost)
            run.note("logout_busy", kind, cost.server / plan.peak_users * MICRO, cost)


async def live_replicas(run: Run, kind: str) -> None:
    """Logouts at a fixed rate, of users with two devices on each of two replicas."""
    run.store.clear()
    async with living(run, kind, "replicas", replicas=2) as server:
        orders, cost = await _log_out_steadily(run, kind, server, "replicas")
        run.note("replicas", kind, cost.server / len(orders) * MICRO, cost)


async def _log_out_steadily(
    run: Run, kind: str, server: Server, life: str
) -> tuple[list[Order], Cost]:
    crowd = Crowd(server.ports, life, run.plan.users * DEVICES)
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


async def live_idle(run: Run, kinds: tuple[str, ...]) -> None:
    """All servers, each with its sockets, left alone side by side for whole ping intervals."""
    sockets = min(run.plan.sockets, most_sockets() // len(kinds) - 2 * WARM_SOCKETS)
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
        crowd = Crowd(server.ports, "growth", sizes[-1])
        with crowding(run, crowd, "growth", kind):
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


async def undisturbed(life: Life, run: Run, kind: str) -> None:
    """Live a life, and once more if others disturbed it; the quieter one counts."""
    before = len(run.samples)
    await life(run, kind)
    first = run.samples[before:]
    if _disturbance(first) <= DISTURBED:
        return
    del run.samples[before:]
    run.repeated += 1
    await life(run, kind)
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


LIVES: tuple[tuple[str, Life, tuple[str, ...], tuple[str, ...]], ...] = (
    (
        "crowd",
        live_crowd,
        (*KINDS, "floor"),
        ("connect", "connect_cpu", "memory", "storm", "everyone", "everyone_told"),
    ),
    ("logouts", live_logouts, KINDS, ("logout", "p50", "p99", "peak", "logout_busy")),
    ("replicas", live_replicas, KINDS, ("replicas",)),
)
"""Name, life, kinds of server that live it, rows that come of it."""

IDLE_KINDS = (*KINDS, "floor")
