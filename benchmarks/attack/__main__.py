"""The command: ``python -m benchmarks.attack``, as in ``make attack``."""

from __future__ import annotations

import argparse
import gc
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import uvloop

from benchmarks.attack.floods import FLOODS, Flood
from benchmarks.attack.report import DISTURBED, misses, read, summarize, write
from benchmarks.attack.run import Plan, attack
from benchmarks.machine import describe_machine
from benchmarks.servers import CORES, OTHER_CORES, ROOT, running_store

MAX_REPEATED = 5
FULL, QUICK = Plan(quiet=2.0, flood=5.0), Plan(quiet=1.0, flood=2.5)


def read_arguments() -> argparse.Namespace:
    """Return what the command line asks for."""
    names = [flood.name for flood in FLOODS]
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.attack",
        description="Floods a hub, and measures what its other users notice; see docs/attacks.md",
        epilog=f"Floods: {', '.join(names)}.",
    )
    parser.add_argument("--quick", action="store_true", help="shorter floods, about 2 minutes")
    parser.add_argument("--floods", metavar="A,B", help="these floods only; others are kept")
    parser.add_argument("--before", metavar="CHECKOUT", type=Path, help="measure another checkout")
    given = parser.parse_args()
    given.floods = given.floods.split(",") if given.floods else names
    unknown = set(given.floods) - set(names)
    if unknown:
        parser.error(f"no such flood: {', '.join(sorted(unknown))}")
    if given.before is not None and not (given.before / "hub" / "app.py").is_file():
        parser.error(f"{given.before} is no checkout of the hub")
    return given


async def measure(floods: Sequence[Flood], plan: Plan, root: Path) -> list[dict[str, Any]]:
    """Run each flood against a fresh hub; return the results.

    A flood during which other programs used much of the hub's core is repeated, up to a number of
    times per run, and the quieter result is kept.
    """
    rows: list[dict[str, Any]] = []
    left = MAX_REPEATED
    with running_store() as store:
        for number, flood in enumerate(floods, start=1):
            print(f"[{number}/{len(floods)}] {flood.title}", file=sys.stderr, flush=True)
            row = await attack(flood, store, plan, root)
            if row["others_on_core"] > DISTURBED and left > 0:
                left -= 1
                again = await attack(flood, store, plan, root)
                row = min(row, again, key=lambda found: float(found["others_on_core"]))
            rows.append(row)
    return rows


def _commit(root: Path) -> str:
    command = ["git", "-C", str(root), "rev-parse", "--short", "HEAD"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def _command(given: argparse.Namespace) -> str:
    # The path of the other checkout is not published.
    words = ["CHECKOUT" if word == str(given.before) else word for word in sys.argv[1:]]
    return shlex.join(["python", "-m", "benchmarks.attack", *words])


def main() -> None:
    """Measure, write the results, and exit with 1 if a bound is exceeded."""
    given = read_arguments()
    if len(CORES) < 2:
        print("One core only: the hub and the floods will disturb each other.", file=sys.stderr)
    os.sched_setaffinity(0, OTHER_CORES)
    gc.disable()
    name = "now" if given.before is None else "before"
    root = ROOT if given.before is None else given.before.resolve()
    floods = [flood for flood in FLOODS if flood.name in given.floods]
    rows = uvloop.run(measure(floods, QUICK if given.quick else FULL, root))
    report = read()
    run = summarize(rows)
    kept = report["runs"].get(name, {"floods": {}})["floods"]
    report["runs"][name] = {
        "date": time.strftime("%Y-%m-%d"),
        "command": _command(given),
        "commit": _commit(root),
        "machine": describe_machine(),
        **run,
        "floods": {**kept, **run["floods"]},
    }
    for file in write(report):
        print(f"wrote {file.relative_to(ROOT)}")
    broken = {name: found for name, row in run["floods"].items() if (found := misses(row))}
    for flood, found in broken.items():
        print(f"{flood}: {', '.join(found)}")
    if broken:
        sys.exit(1)


if __name__ == "__main__":
    main()
