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
from pathlib import Path
from typing import Any

import uvloop

from benchmarks.cargo import build_peer
from benchmarks.guards import run as guards
from benchmarks.machine import describe_machine, describe_versions
from benchmarks.report import FOLDER, summarize, write
from benchmarks.rows import GROUPS, Plan, Run, growth_rows, table_rows
from benchmarks.scenarios import (
    all_scenarios,
    measure_generator,
    measure_idle,
    measure_undisturbed,
    most_files,
)
from benchmarks.servers import CORES, LABELS, MEASURED, OTHER_CORES, ROOT, running_store

GUARD = "guard"
"""The name of the rows of guards, which have a table of their own."""
SHORT_RUNS = ROOT / "tmp" / "benchmarks"
"""The folder for results of partial runs; those of full runs are kept in git."""

FULL = Plan(
    sockets=8000,
    rounds=3,
    idle_seconds=75,
    rate=50,
    users=400,
    batches=10,
    peak_users=400,
    peak_steps=(16, 32, 64, 128, 256),
    growth=(1000, 4000, 16000),
    slow_rounds=2,
    kinds=MEASURED,
    wanted=frozenset(),
)
QUICK = Plan(
    sockets=1000,
    rounds=2,
    idle_seconds=50,
    rate=50,
    users=150,
    batches=4,
    peak_users=150,
    peak_steps=(16, 32, 64),
    growth=(1000, 4000),
    slow_rounds=1,
    kinds=MEASURED,
    wanted=frozenset(),
)


class Progress:
    """Prints what is being measured, and the progress of the run."""

    def __init__(self, steps: int) -> None:
        self._steps = steps
        self._step = 0
        self._began = time.monotonic()
        self.failures: list[str] = []

    async def step(self, what: str, work: Awaitable[Any]) -> None:
        """Run one step; a failure is printed and recorded, and does not end the run."""
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
        description="Compares the hub with its peers. A full run writes benchmarks/results.*; "
        "with --quick or --rows the results go to tmp/benchmarks/",
        epilog=f"Rows: {', '.join(row_names(FULL))}.",
    )
    parser.add_argument("--quick", action="store_true", help="1,000 sockets, about 7 minutes")
    parser.add_argument("--rows", metavar="A,B", help="measure these rows only")
    parser.add_argument("--sockets", type=int, metavar="N", help="how many sockets connect")
    parser.add_argument("--rounds", type=int, metavar="N", help="how many rounds to measure")
    return parser.parse_args()


def row_names(plan: Plan) -> dict[str, tuple[str, ...]]:
    """Return each name that `--rows` takes, with the rows that it stands for."""
    rows = table_rows(plan.growth)
    single = {row.key: (row.key,) for row in rows if not row.key.startswith("growth")}
    growth = tuple(row.key for row in growth_rows(plan.growth))
    return {**single, **GROUPS, "growth": growth, GUARD: (GUARD,)}


def make_plan(given: argparse.Namespace) -> Plan:
    """Return the plan; exits if the arguments are not valid."""
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
    most = plan.most_sockets
    if most > most_files():
        sys.exit(f"{most} sockets need more open files: raise `ulimit -n` beyond {most + 1000}")
    return plan


def leave_out(plan: Plan) -> tuple[Plan, dict[str, str]]:
    """Return the plan without the servers that cannot run here, and the reason for each."""
    print("building the peer in Rust", file=sys.stderr, flush=True)
    why = build_peer()
    if why is None:
        return plan, {}
    print(f"{LABELS['rust']} is left out: {why}", file=sys.stderr, flush=True)
    kinds = tuple(kind for kind in plan.kinds if kind != "rust")
    return dataclasses.replace(plan, kinds=kinds), {"rust": why}


def choose_folder(given: argparse.Namespace) -> Path:
    """Return where the results go."""
    return SHORT_RUNS if given.quick or given.rows else FOLDER


async def measure_guards(*, quick: bool) -> list[Path]:
    """Measure what guards cost; return the files that were written."""
    with running_store() as store:
        plan = guards.QUICK if quick else guards.FULL
        return await guards.measure(plan, store, guards.choose_folder(quick=quick), command())


def command() -> str:
    """Return the command line of this run."""
    return shlex.join(["python", "-m", "benchmarks", *sys.argv[1:]])


async def measure(plan: Plan) -> dict[str, Any]:
    """Measure all scenarios, with the hub and its peers in turn, and return the report."""
    scenarios = all_scenarios(plan.growth)
    with_idle = plan.wants("idle")
    turns = {True: plan.slow_rounds, False: plan.rounds}
    steps = sum(len(scenario.servers_in(plan)) * turns[scenario.is_long] for scenario in scenarios)
    progress = Progress(steps + plan.slow_rounds * with_idle)
    with running_store() as store:
        run = Run(plan, store)
        generator = await measure_generator(run)
        versions = describe_versions(store.version(), with_rust="rust" in plan.kinds)
        for number in range(plan.rounds):
            prefix = f"round {number + 1} of {plan.rounds}"
            for scenario in scenarios:
                for kind in scenario.servers_in(plan) if number < turns[scenario.is_long] else ():
                    work = measure_undisturbed(scenario, run, kind)
                    await progress.step(f"{prefix}: {scenario.name}, {LABELS[kind]}", work)
            if number < plan.slow_rounds and with_idle:
                await progress.step(f"{prefix}: idle, all side by side", measure_idle(run))
    rows = [row for row in table_rows(plan.growth) if row.key in plan.wanted]
    return {
        "date": time.strftime("%Y-%m-%d"),
        "command": command(),
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
    given = read_arguments()
    plan = make_plan(given)
    if len(CORES) < 2:
        print("One core only: server and generator will disturb each other.", file=sys.stderr)
    files, failures = [], []
    if plan.wanted != {GUARD}:
        plan, left_out = leave_out(plan)
        os.sched_setaffinity(0, OTHER_CORES)
        # Collections would pause the generator, which creates few reference cycles.
        gc.disable()
        report = {**uvloop.run(measure(plan)), "left_out": left_out}
        files = write(report, table_rows(plan.growth), choose_folder(given))
        failures = report["failures"]
    if plan.wants(GUARD):
        os.sched_setaffinity(0, OTHER_CORES)
        files += uvloop.run(measure_guards(quick=given.quick))
    for file in files:
        print(f"wrote {file.relative_to(ROOT)}")
    if failures:
        sys.exit(1)


if __name__ == "__main__":
    main()
