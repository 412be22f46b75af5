"""The rows of the table, the plan of a run, and the samples that it collects."""

from __future__ import annotations

import gc
from dataclasses import dataclass, field

from benchmarks.generator import Crowd
from benchmarks.measures import Cost, Meter
from benchmarks.servers import SERVER_CORE, Server, Store

WARM_SOCKETS = 400
GROWTH_WARM_SOCKETS = 2000
"""Additional sockets that connect and stay before growth is measured: they use up what the process
has allocated in advance."""
DISTURBED = 0.15
"""A scenario is repeated if other programs used at least this share of the server's core."""


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
    """What a run measures, and with how much load."""

    sockets: int
    rounds: int
    idle_seconds: float
    rate: float
    users: int
    batches: int
    """Batches of ``users`` logouts, one after another, from which p50 and p99 are taken."""
    peak_users: int
    peak_steps: tuple[int, ...]
    growth: tuple[int, ...]
    slow_rounds: int
    """The number of rounds in which long scenarios are measured."""
    kinds: tuple[str, ...]
    """The kinds of server to measure."""
    wanted: frozenset[str]

    def wants(self, *keys: str) -> bool:
        """Return whether any of these rows was requested."""
        return not self.wanted.isdisjoint(keys)

    @property
    def most_sockets(self) -> int:
        """The largest number of sockets that are open at once."""
        growth = self.wants(*(row.key for row in growth_rows(self.growth)))
        return max(
            self.sockets + WARM_SOCKETS,
            self.growth[-1] + WARM_SOCKETS + GROWTH_WARM_SOCKETS if growth else 0,
        )


@dataclass(frozen=True)
class Sample:
    """One measured value, and the cost of the interval in which it was measured."""

    row: str
    kind: str
    value: float
    cost: Cost


@dataclass
class Run:
    """What scenarios share: the plan, the Redis, and the collected samples and counts."""

    plan: Plan
    store: Store
    samples: list[Sample] = field(default_factory=list)
    counts: dict[str, dict[str, int]] = field(default_factory=dict)
    repeated: int = 0

    def record(self, row: str, kind: str, value: float, cost: Cost) -> None:
        """Add a sample, if its row was requested."""
        if row in self.plan.wanted:
            self.samples.append(Sample(row, kind, value, cost))

    def meter(self, server: Server) -> Meter:
        """Return a meter that starts now."""
        gc.collect()
        return Meter(server.pids, self.store.pid, SERVER_CORE)

    def count(self, scenario: str, crowd: Crowd, kind: str) -> None:
        """Add the counts of a scenario's clients to the run's."""
        seen = self.counts.setdefault(f"{scenario} {kind}", {})
        for name, count in crowd.counts.items():
            seen[name] = seen.get(name, 0) + count


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
        Row("memory_cold", "resident memory a connection, cold start", "KiB"),
        Row("idle", "idle CPU of 1,000 connections", "ms/s", 2),
        Row("logout", "CPU a logout, 4 devices, at the fixed rate", "µs", 0),
        Row("logout_busy", "CPU a logout, 4 devices, at the highest rate", "µs", 0),
        Row("replicas", "CPU a logout, 2 and 2 devices on 2 replicas", "µs", 0),
        Row("p50", "request to last device notified, p50", "ms", 2),
        Row("p99", "request to last device notified, p99", "ms", 2),
        Row("peak", "highest logout rate", "1/s", 0, more_is_better=True),
        Row("everyone", "CPU a socket, everyone, with acknowledgements", "µs", 0),
        Row("everyone_notified", "everyone, time until the last is notified", "ms", 0),
        Row("storm", "reconnect storm, time until all are back", "s", 2),
        *growth_rows(sizes),
    ]


GROUPS = {
    "connect": ("connect", "connect_cpu"),
    "logout": ("logout", "p50", "p99"),
    "latency": ("p50", "p99"),
    "memory": ("memory", "memory_cold"),
    "peak": ("peak", "logout_busy"),
    "everyone": ("everyone", "everyone_notified"),
}
"""Names for `--rows` that stand for several rows."""
