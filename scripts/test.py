"""Run all tests, Python and JavaScript, and sum them up at the end."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

OUTSIDE = "tests/e2e"
"""Tests of what people see, in browsers and stock clients."""

ENOUGH_CORES = 2
"""With fewer, the lanes would disturb each other; most of their time is waiting."""

JS_TESTS = sorted(str(path) for path in Path("client_js").glob("*.test.js"))


@dataclass(frozen=True)
class Suite:
    """A test runner that reports in JUnit's form."""

    name: str
    report: Path
    command: list[str]


@dataclass
class Count:
    """What came of a suite."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0


def suites(folder: Path) -> tuple[tuple[Suite, ...], ...]:
    """Return the suites in two lanes that take about as long."""
    reporters = [
        "--test-reporter=spec",
        "--test-reporter-destination=stdout",
        "--test-reporter=junit",
        f"--test-reporter-destination={folder / 'javascript.xml'}",
    ]
    node = ["node", "--test", "--test-concurrency=3", *reporters, *JS_TESTS]
    pytest = [sys.executable, "-m", "pytest", "--quiet", *sys.argv[1:]]
    rest, outside = folder / "rest.xml", folder / "outside.xml"
    return (
        (
            Suite("the hub", rest, [*pytest, f"--junitxml={rest}", f"--ignore={OUTSIDE}"]),
            Suite("JavaScript", folder / "javascript.xml", node),
        ),
        (Suite("from outside", outside, [*pytest, f"--junitxml={outside}", OUTSIDE]),),
    )


def read_report(report: Path) -> Count:
    """Count the test cases in a report; a report that is missing or empty is a failure."""
    try:
        cases = list(ElementTree.parse(report).iter("testcase"))  # noqa: S314 - our own file
    except (OSError, ElementTree.ParseError):
        cases = []
    count = Count(failed=0 if cases else 1)
    for case in cases:
        if case.find("failure") is not None or case.find("error") is not None:
            count.failed += 1
        elif case.find("skipped") is not None:
            count.skipped += 1
        else:
            count.passed += 1
    return count


def run(lane: tuple[Suite, ...], output: int | None) -> list[tuple[Suite, Count, float]]:
    """Run suites one after the other, and return what came of each and how long it took.

    They write to ``output``, a descriptor, or what they have to say is printed when they end.
    """
    environ = {**os.environ, "PYTHON": sys.executable}  # runs the hub for the client's tests
    ends = []
    for suite in lane:
        began = time.monotonic()
        if output is not None:
            print(f"\n== {suite.name}", flush=True)
        done = subprocess.run(
            suite.command,
            env=environ,
            stdout=subprocess.PIPE if output is None else output,
            stderr=subprocess.STDOUT,
            text=True,
        )
        if output is None:
            print(f"\n== {suite.name}\n{done.stdout}", flush=True)
        count = read_report(suite.report)
        if done.returncode and not count.failed:
            count.failed = 1
        ends.append((suite, count, time.monotonic() - began))
    return ends


def main() -> None:
    """Run every suite, also after a failure, and exit with 1 when any failed."""
    total, lines = Count(), []
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor() as pool:
        beside, shown = suites(Path(folder))
        if (os.cpu_count() or 1) < ENOUGH_CORES:
            ends = run(beside + shown, sys.stdout.fileno())
        else:
            told_later = pool.submit(run, beside, None)
            ends = run(shown, sys.stdout.fileno()) + told_later.result()
        for suite, count, took in ends:
            total.passed += count.passed
            total.failed += count.failed
            total.skipped += count.skipped
            lines.append(
                f"{suite.name:<13}{count.passed:>5} passed{count.failed:>4} failed"
                f"{count.skipped:>4} skipped  {took:.0f} s"
            )
    print("\n== Summary", *lines, sep="\n")
    print(f"{total.passed} passed, {total.failed} failed, {total.skipped} skipped")
    sys.exit(1 if total.failed else 0)


if __name__ == "__main__":
    main()
