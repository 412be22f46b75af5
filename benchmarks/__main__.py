"""The command: ``python -m benchmarks``."""

from __future__ import annotations

import argparse
import dataclasses
import gc
import os
import shlex
import sys
import time
from collections.abc import Awaitable
from typing import Any

import uvloop

from benchmarks.machine import describe_machine, describe_versions
from benchmarks.report import summarize, write
from benchmarks.rows import (
    GROUPS,
    IDLE_KINDS,
    LIVES,
    Plan,
    Run,
    growth_rows,
    live_growth,
    live_idle,
    measure_generator,
    most_sockets,
    table_rows,
    undisturbed,
)
from benchmarks.servers import CORES, KINDS, LABELS, OTHER_CORES, ROOT, running_store

FULL = Plan(
    sockets=8000,
    rounds=3,
    idle_seconds=75,
    rate=50,
    users=400,
    peak_users=400,
    peak_steps=(16, 32, 64, 128, 256),
    growth=(1000, 4000, 16000),
    slow_rounds=2,
    wanted=frozenset(),
)
QUICK = Plan(
    sockets=1000,
    rounds=2,
    idle_seconds=50,
    rate=50,
    users=150,
    peak_users=150,
    peak_steps=(16, 32, 64),
    growth=(1000, 4000),
    slow_rounds=1,
    wanted=frozenset(),
)


class Progress:
    """Says what is being measured, and how far the run is."""

    def __init__(self, steps: int) -> None:
        self._steps = steps
        self._step = 0
        self._began = time.monotonic()
        self.failures: list[str] = []

    async def step(self, what: str, work: Awaitable[Any]) -> None:
        """Do one step; when it fails, say so and go on with the next."""
        self._step += 1
        passed = round(time.monotonic() - self._began)
        print(f"[{self._step}/{self._steps}, {passed} s] {what}", file=sys.stderr, flush=True)
        try:
            await work
        except (RuntimeError, OSError, TimeoutError) as error:
            self.failures.append(f"{what}: {error}")
            print(f"  failed: {error}", file=sys.stderr, flush=True)


def read_arguments() -> argparse.Namespace:
    """Return what the command line asks for."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measures the hub beside its peers and writes benchmarks/results.*",
        epilog=f"Rows: {', '.join(row_names(FULL))}.",
    )
    parser.add_argument("--quick", action="store_true", help="1,000 sockets, about 4 minutes")
    parser.add_argument("--rows", metavar="A,B", help="measure these rows only")
    parser.add_argument("--sockets", type=int, metavar="N", help="how many sockets connect")
    parser.add_argument("--rounds", type=int, metavar="N", help="how often all take their turns")
    return parser.parse_args()


def row_names(plan: Plan) -> dict[str, tuple[str, ...]]:
    """Return each name that `--rows` takes, with the rows that it stands for."""
    rows = table_rows(plan.growth)
    single = {row.key: (row.key,) for row in rows if not row.key.startswith("growth")}
    growth = tuple(row.key for row in growth_rows(plan.growth))
    return {**single, **GROUPS, "growth": growth}


def make_plan(given: argparse.Namespace) -> Plan:
    """Return the plan; end the program when it asks for what cannot be."""
    plan = QUICK if given.quick else FULL
    if given.sockets is not None:
        if given.sockets < 1:
            sys.exit("--sockets must be at least 1")
        plan = dataclasses.replace(plan, sockets=given.sockets)
    if given.rounds is not None:
        if given.rounds < 1:
            sys.exit("--rounds must be at least 1")
        slow = min(plan.slow_rounds, given.rounds)
        plan = dataclasses.replace(plan, rounds=given.rounds, slow_rounds=slow)
    names = row_names(plan)
    asked = given.rows.split(",") if given.rows else list(names)
    unknown = [name for name in asked if name not in names]
    if unknown:
        sys.exit(f"no such row: {', '.join(unknown)}; there are {', '.join(names)}")
    wanted = frozenset(key for name in asked for key in names[name])
    plan = dataclasses.replace(plan, wanted=wanted)
    most = max(plan.sockets, plan.growth[-1] if plan.wanted & {*names["growth"]} else 0)
    if most > most_sockets():
        sys.exit(f"{most} sockets need more open files: raise `ulimit -n` beyond {most + 1000}")
    return plan


async def measure(plan: Plan) -> dict[str, Any]:
    """Live all lives, hub and peers in turn, and return the report."""
    lives = [life for life in LIVES if not plan.wanted.isdisjoint(life[3])]
    growth = {row.key for row in growth_rows(plan.growth)} & plan.wanted
    steps = plan.rounds * sum(len(kinds) for _, _, kinds, _ in lives)
    steps += plan.slow_rounds * (("idle" in plan.wanted) + (len(KINDS) if growth else 0))
    progress = Progress(steps)
    with running_store() as store:
        run = Run(plan, store)
        generator = await measure_generator(run)
        versions = describe_versions(store.version())
        for number in range(plan.rounds):
            prefix = f"round {number + 1} of {plan.rounds}"
            for name, life, kinds, _ in lives:
                for kind in kinds:
                    work = undisturbed(life, run, kind)
                    await progress.step(f"{prefix}: {name}, {LABELS[kind]}", work)
            if number < plan.slow_rounds and growth:
                for kind in KINDS:
                    await progress.step(f"{prefix}: growth, {LABELS[kind]}", live_growth(run, kind))
            if number < plan.slow_rounds and "idle" in plan.wanted:
                await progress.step(f"{prefix}: idle, all side by side", live_idle(run, IDLE_KINDS))
    rows = [row for row in table_rows(plan.growth) if row.key in plan.wanted]
    return {
        "date": time.strftime("%Y-%m-%d"),
        "command": shlex.join(["python", "-m", "benchmarks", *sys.argv[1:]]),
        "machine": describe_machine(),
        "versions": versions,
        "plan": {**dataclasses.asdict(plan), "wanted": sorted(plan.wanted)},
        "generator": {name: round(value, 3) for name, value in generator.items()},
        "rows": [summarize(row, run.samples) for row in rows],
        "clients": run.counts,
        "repeated": run.repeated,
        "failures": progress.failures,
    }


def main() -> None:
    """Measure and write the results."""
    plan = make_plan(read_arguments())
    if len(CORES) < 2:
        print("One core only: server and generator will disturb each other.", file=sys.stderr)
    os.sched_setaffinity(0, OTHER_CORES)
    # Nothing here makes cycles worth a pause of the generator.
    gc.disable()
    report = uvloop.run(measure(plan))
    files = write(report, table_rows(plan.growth))
    for file in files:
        print(f"wrote {file.relative_to(ROOT)}")
    if report["failures"]:
        sys.exit(1)


if __name__ == "__main__":
    main()
