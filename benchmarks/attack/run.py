"""Measures one flood against one hub: before, during and after it."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.attack.floods import Flood
from benchmarks.attack.issuer import serving_keys
from benchmarks.attack.neighbours import Impact, Neighbours
from benchmarks.attack.target import ADDRESS
from benchmarks.calls import Calls
from benchmarks.measures import Meter, percentile, quiet, resident_bytes
from benchmarks.servers import OTHER_CORES, ROOT, SERVER_CORE, Server, Store, on_cores, running

SETTINGS = {
    "HUB_COOKIE_NAME": "hub_token",
    "HUB_ALLOWED_ORIGINS": "https://app.example",
    # The attacker's address counts as a proxy, so that its X-Forwarded-For is read.
    "HUB_TRUSTED_PROXIES": f"{ADDRESS},10.0.0.0/8",
}
NICE = ["nice", "-n", "10"]
READY_PATIENCE = 30.0
MIB = 2**20


@dataclass(frozen=True)
class Plan:
    """How long each phase lasts, in seconds."""

    quiet: float
    flood: float


class Attacker:
    """The flooding process, on the generator's core with a lower priority."""

    def __init__(self, flood: Flood, server: Server, store: Store, seconds: float) -> None:
        arguments = [flood.name, str(server.ports[0]), str(store.redis.port), str(seconds)]
        with on_cores(OTHER_CORES):
            self._process = subprocess.Popen(
                [*NICE, sys.executable, "-m", "benchmarks.attack.flood", *arguments],
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )

    async def prepare(self) -> None:
        """Wait until the attacker is ready.

        Raises:
            RuntimeError: when it is not in time.
        """
        assert self._process.stdout is not None
        async with asyncio.timeout(READY_PATIENCE):
            if await asyncio.to_thread(self._process.stdout.readline) != "ready\n":
                raise RuntimeError("the attacker did not start")

    def begin(self) -> None:
        """Let it flood."""
        assert self._process.stdin is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()

    async def end(self) -> dict[str, int]:
        """Return what the attacker counted.

        Raises:
            RuntimeError: when it did not come to its end.
        """
        assert self._process.stdout is not None
        text = await asyncio.to_thread(self._process.stdout.readline)
        if not text:
            raise RuntimeError("the attacker failed")
        counted: dict[str, int] = json.loads(text)
        return counted

    def kill(self) -> None:
        """End it."""
        self._process.kill()
        self._process.communicate()


async def attack(flood: Flood, store: Store, plan: Plan, root: Path) -> dict[str, Any]:
    """Flood a fresh hub, and return the impact on other users and the cost."""
    store.clear()
    async with AsyncExitStack() as stack:
        more = await stack.enter_async_context(serving_keys()) if flood.has_issuer else {}
        hub = running("hub", store, root=root, more=SETTINGS | more)
        server = await stack.enter_async_context(hub)
        neighbours = Neighbours(server.ports[0], plan.quiet + plan.flood)
        attacker = Attacker(flood, server, store, plan.flood + 0.5)
        try:
            await neighbours.connect()
            await attacker.prepare()
            await quiet(server.pids)
            before = resident_bytes(server.pids)
            calm = await neighbours.live(plan.quiet)
            meter = Meter(server.pids, store.pid, SERVER_CORE)
            attacker.begin()
            await asyncio.sleep(0.3)
            loud, cost = await asyncio.gather(neighbours.live(plan.flood), _read(meter, plan))
            counts = await attacker.end()
            await quiet(server.pids)
            after = resident_bytes(server.pids)
            status = await _is_well(server.ports[0])
        finally:
            attacker.kill()
            neighbours.close()
    seconds = plan.flood + 0.5
    return {
        "name": flood.name,
        "quiet_ms": [round(1000 * took, 2) for took in calm.took],
        "quiet_notified_ms": _slowest_notified(calm),
        "flood_p50_ms": round(1000 * percentile(loud.took, 0.5), 1),
        "flood_p99_ms": round(1000 * percentile(loud.took, 0.99), 1),
        "failed": loud.failed,
        "calls": len(loud.took),
        "statuses": {str(status): count for status, count in sorted(loud.statuses.items())},
        "notified_ms": _slowest_notified(loud),
        "not_notified": loud.not_notified,
        "logouts": len(loud.logouts),
        "closed_without_cause": neighbours.closed_without_cause,
        "well_afterwards": status == 204,
        "rate": round(_reached(flood, counts) / seconds, 1),
        "counts": counts,
        "server_core": round(cost["server"], 2),
        "others_on_core": round(cost["others"], 2),
        "redis_core": round(cost["redis"], 2),
        "memory_before_mib": round(before / MIB),
        "memory_after_mib": round(after / MIB),
    }


async def _read(meter: Meter, plan: Plan) -> dict[str, float]:
    await asyncio.sleep(plan.flood)
    cost = meter.read()
    share = cost.server / cost.wall
    return {"server": share, "redis": cost.redis_share, "others": cost.others_share}


def _slowest_notified(impact: Impact) -> float | None:
    """Return milliseconds until the slowest logout had notified all devices; None without any."""
    return round(1000 * max(impact.notified), 1) if impact.notified else None


def _reached(flood: Flood, counts: dict[str, int]) -> float:
    if flood.unit == "MB":
        return counts.get("bytes", 0) / 1e6
    return counts.get(flood.unit, 0)


async def _is_well(port: int) -> int:
    """Return the status of a call of a new user after the flood."""
    neighbours = Neighbours(port, 0)
    calls = Calls(port)
    try:
        return (await calls.call(neighbours.request(0), READY_PATIENCE))[0]
    finally:
        calls.close()
        neighbours.close()
