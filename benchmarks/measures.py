"""Measures the CPU time and memory of processes, as the operating system reports them."""

from __future__ import annotations

import asyncio
import os
import statistics
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")
QUIET_SHARE = 0.03
QUIET_STEP = 0.25
QUIET_PATIENCE = 6.0


def cpu_seconds(pids: Iterable[int]) -> float:
    """Return the CPU time that processes took so far, in user and system mode."""
    return sum(_cpu_ticks(pid) for pid in pids) / TICK


def _cpu_ticks(pid: int) -> int:
    # The name, in parentheses, may hold anything; utime and stime are fields 14 and 15.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def resident_bytes(pids: Iterable[int]) -> int:
    """Return the memory of processes that is in RAM."""
    return sum(_resident(pid) for pid in pids)


def _resident(pid: int) -> int:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Rss:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("the kernel does not say what is resident")


def busy_seconds(core: int) -> float:
    """Return how long a core has been busy so far, with any process."""
    for line in Path("/proc/stat").read_text().splitlines():
        name, *fields = line.split()
        if name == f"cpu{core}":
            user, nice, system, _idle, _wait, irq, softirq, steal = map(int, fields[:8])
            return (user + nice + system + irq + softirq + steal) / TICK
    raise RuntimeError(f"there is no core {core}")


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that at least ``share`` of all do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -(-int(share * 1000) * len(ordered) // 1000) - 1)]


def median(values: Sequence[float]) -> float:
    """Return the median."""
    return statistics.median(values)


@dataclass(frozen=True)
class Cost:
    """The cost of an interval: seconds, and shares of a core."""

    wall: float
    server: float
    redis: float
    generator_share: float
    redis_share: float
    others_share: float
    """The share of the server's core that other programs used."""


def add_up(costs: Sequence[Cost]) -> Cost:
    """Return the total cost of several intervals."""
    wall = sum(cost.wall for cost in costs)
    return Cost(
        wall=wall,
        server=sum(cost.server for cost in costs),
        redis=sum(cost.redis for cost in costs),
        generator_share=sum(cost.generator_share * cost.wall for cost in costs) / wall,
        redis_share=sum(cost.redis_share * cost.wall for cost in costs) / wall,
        others_share=sum(cost.others_share * cost.wall for cost in costs) / wall,
    )


class Meter:
    """Measures the cost of an interval that begins when the meter is created."""

    def __init__(self, server: Sequence[int], redis: int, core: int) -> None:
        self._server = tuple(server)
        self._redis = redis
        self._core = core
        self._began = self._now()

    def _now(self) -> tuple[float, float, float, float, float]:
        return (
            time.perf_counter(),
            cpu_seconds(self._server),
            cpu_seconds([self._redis]),
            time.process_time(),
            busy_seconds(self._core),
        )

    def read(self) -> Cost:
        """Return the cost up to now."""
        now = self._now()
        wall, server, redis, own, busy = (
            after - before for after, before in zip(now, self._began, strict=True)
        )
        return Cost(
            wall=wall,
            server=server,
            redis=redis,
            generator_share=own / wall,
            redis_share=redis / wall,
            others_share=max(0.0, busy - server) / wall,
        )


async def quiet(pids: Sequence[int]) -> None:
    """Wait until processes are idle, so that deferred work is included in the measurement."""
    before = cpu_seconds(pids)
    for _ in range(int(QUIET_PATIENCE / QUIET_STEP)):
        await asyncio.sleep(QUIET_STEP)
        now = cpu_seconds(pids)
        if now - before <= QUIET_SHARE * QUIET_STEP + 1 / TICK:
            return
        before = now
