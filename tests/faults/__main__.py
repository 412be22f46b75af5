"""Run the hub under faults, and check what happened: ``python -m tests.faults --help``."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

import msgspec

from tests.faults.cluster import ROOT
from tests.faults.history import History
from tests.faults.report import report
from tests.faults.run import Options, judge, run
from tests.faults.schedule import CLUSTER_KINDS, KINDS, NODE

FAULTS = "all (on one Redis), cluster (all on a cluster), or a list: a,b"


def _faults(text: str) -> tuple[str, ...]:
    named = {"all": KINDS, "cluster": CLUSTER_KINDS}
    kinds = tuple(named.get(text) or filter(None, text.split(",")))
    if unknown := set(kinds) - {*KINDS, *CLUSTER_KINDS}:
        raise argparse.ArgumentTypeError(f"no such fault: {', '.join(sorted(unknown))}")
    if not set(kinds).isdisjoint(NODE) and not set(kinds) <= set(CLUSTER_KINDS):
        raise argparse.ArgumentTypeError("faults of a node are for a cluster, of links for none")
    return kinds


def _parse() -> argparse.Namespace:
    every = {**KINDS, **CLUSTER_KINDS}
    faults = "\n".join(f"  {kind:<14}{text}" for kind, text in every.items())
    parser = argparse.ArgumentParser(
        prog="python -m tests.faults",
        description=__doc__,
        epilog=f"faults:\n{faults}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    given = Options()
    parser.add_argument("--logouts", type=int, default=None, help="stop after so many")
    parser.add_argument("--seconds", type=float, default=None, help="or after so long (30)")
    parser.add_argument("--seed", type=int, default=given.seed, help="the schedule's (%(default)s)")
    parser.add_argument("--faults", type=_faults, default=tuple(KINDS), help=FAULTS)
    parser.add_argument("--rounds", type=int, default=None, help="each fault at least so often")
    parser.add_argument("--rate", type=float, default=given.rate, help="logouts/s (%(default)s)")
    parser.add_argument("--people", type=int, default=given.people, help="(%(default)s)")
    parser.add_argument("--pause", type=float, default=given.pause, help="between faults, seconds")
    parser.add_argument("--fence", type=float, default=given.fence, help="HUB_FENCE_SECONDS")
    parser.add_argument(
        "--long-part",
        type=float,
        default=given.long_part,
        help="part of the faults that outlast the fence (%(default)s)",
    )
    parser.add_argument("--code", type=Path, default=ROOT, help="the folder that holds hub/")
    parser.add_argument("--keep", type=Path, help="write the history there, as JSON")
    parser.add_argument("--quiet", action="store_true", help="no progress lines")
    parser.add_argument("--check", type=Path, help="check a kept history again, and run nothing")
    return parser.parse_args()


def main() -> None:
    """Run, print what came of it, and exit with 1 when a promise was broken."""
    given = vars(_parse())
    kept = given.pop("check")
    options = Options(**given)
    if kept is None:
        outcome = asyncio.run(run(options))
    else:
        outcome = judge(options, msgspec.json.decode(kept.read_bytes(), type=History))
    sys.stdout.write(report(outcome) + "\n")
    sys.exit(1 if outcome.violations else 0)


if __name__ == "__main__":
    main()
