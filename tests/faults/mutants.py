"""The checker is checked: it must catch a hub that is broken on purpose, each in its own way.

A mutant is a copy of ``hub/`` with a few lines changed. It runs under a schedule that makes its
harm likely, and the checker must find a violation of the promise that it breaks. The unchanged hub
must pass the same schedule. Where another layer heals the harm, the mutant takes that layer out of
the way as well (``beside``), and the hub with only that change must pass.

Guards that misread what they hear are shown by tests of their own, without any run.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from tests.faults.cluster import ROOT
from tests.faults.mutations import MISREADERS, MUTANTS, Edit, Misreader, Mutant
from tests.faults.run import Options, Outcome, run

TESTS_FAILED = 1
"""What pytest ends with then, and with nothing else."""
TRIES = 3
"""A schedule makes a harm likely, not certain; so often it is tried, with another seed each."""


def mutate(folder: Path, edits: Iterable[Edit]) -> None:
    """Copy ``hub/`` and what it reads to a folder, with these edits; raises as `apply`."""
    ignored = shutil.ignore_patterns("__pycache__", "node_modules")
    for name in ("hub", "client_js"):
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    apply(folder, edits)


def apply(folder: Path, edits: Iterable[Edit]) -> None:
    """Edit the copies of files in a folder.

    Raises:
        ValueError: when an edit's old text does not stand in its file exactly once.
    """
    for edit in edits:
        file = folder / "hub" / edit.file
        text = file.read_text(encoding="utf-8")
        if text.count(edit.old) != 1:
            raise ValueError(f"{edit.file} has not this text exactly once:\n{edit.old}")
        file.write_text(text.replace(edit.old, edit.new), encoding="utf-8")


async def play(options: Options, edits: Iterable[Edit]) -> Outcome:
    """Run a hub with these edits."""
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        mutate(Path(folder), edits)
        return await run(replace(options, code=Path(folder)))


def tell(outcome: Outcome) -> str:
    """Return what was found in one line."""
    kinds = Counter(f"{violation.promise} {violation.text}" for violation in outcome.violations)
    found = ", ".join(f"{count} x {kind}" for kind, count in kinds.most_common(3)) or "nothing"
    return f"{outcome.took:.0f} s, {outcome.logouts} logouts: {found}"


def main() -> None:
    """Run the mutants, each beside the hub that must pass; exit with 1 when one is not caught."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.mutants", description=__doc__)
    names = [*(mutant.name for mutant in MUTANTS), *(reader.name for reader in MISREADERS)]
    parser.add_argument("names", nargs="*", help=f"only these: {', '.join(names)}")
    parser.add_argument("--only-mutants", action="store_true", help="without the unchanged hub")
    given = parser.parse_args()
    chosen = [mutant for mutant in MUTANTS if not given.names or mutant.name in given.names]
    readers = [one for one in MISREADERS if not given.names or one.name in given.names]
    wrong = sum(not _is_shown(one) for one in readers)
    wrong += asyncio.run(_judge(chosen, controls=not given.only_mutants))
    _say_line(f"{len(chosen) + len(readers)} mutants, {wrong} wrong")
    sys.exit(1 if wrong else 0)


def _is_shown(reader: Misreader) -> bool:
    """Tell whether its tests show that a guard misreads."""
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        mutate(Path(folder), reader.edits)
        shutil.copytree(ROOT / "tests", Path(folder) / "tests")
        shutil.copy(ROOT / "pyproject.toml", folder)
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-x", reader.shown_by],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": folder},
            capture_output=True,
            text=True,
            check=False,
        )
    shown = done.returncode == TESTS_FAILED
    said = done.stdout.strip().splitlines()[-1] if done.stdout.strip() else done.stderr[-200:]
    _say_line(f"{'caught' if shown else 'NOT CAUGHT':<11}{reader.name:<24}{said}")
    return shown


async def _judge(mutants: list[Mutant], *, controls: bool) -> int:
    wrong = 0
    passed: set[tuple[Options, tuple[Edit, ...]]] = set()
    for mutant in mutants:
        if controls and (mutant.options, mutant.beside) not in passed:
            outcome = await play(mutant.options, mutant.beside)
            what = "the hub" + (" with other means" if mutant.beside else "")
            _say("passes" if not outcome.violations else "FAILS", what, outcome)
            wrong += bool(outcome.violations)
            passed.add((mutant.options, mutant.beside))
        wrong += not await _is_caught(mutant)
    return wrong


async def _is_caught(mutant: Mutant) -> bool:
    for turn in range(TRIES):
        options = replace(mutant.options, seed=mutant.options.seed + turn)
        outcome = await play(options, (*mutant.beside, *mutant.edits))
        if any(violation.promise in mutant.breaks for violation in outcome.violations):
            _say("caught", mutant.name, outcome)
            return True
        _say("NOT CAUGHT", mutant.name, outcome)
    return False


def _say(verdict: str, what: str, outcome: Outcome) -> None:
    _say_line(f"{verdict:<11}{what:<24}{tell(outcome)}")


def _say_line(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
