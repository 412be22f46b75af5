"""Run all tests, Python and JavaScript, and sum them up at the end."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

OUTSIDE = "tests/e2e"
"""Tests of what people see, in browsers and stock clients."""

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


def suites(folder: Path) -> tuple[Suite, ...]:
    """Return the suites, each with the file to which it reports.

    One after the other: servers that stop and start on their ports would meet those of another run.
    """
    hub, outside, javascript = (folder / f"{name}.xml" for name in ("hub", "outside", "javascript"))
    reporters = [
        "--test-reporter=spec",
        "--test-reporter-destination=stdout",
        "--test-reporter=junit",
        f"--test-reporter-destination={javascript}",
    ]
    node = ["node", "--test", "--test-concurrency=5", *reporters, *JS_TESTS]
    pytest = [sys.executable, "-m", "pytest", "--quiet", *sys.argv[1:]]
    return (
        Suite("the hub", hub, [*pytest, f"--junitxml={hub}", f"--ignore={OUTSIDE}"]),
        Suite("JavaScript", javascript, node),
        Suite("from outside", outside, [*pytest, f"--junitxml={outside}", OUTSIDE]),
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


def main() -> None:
    """Run every suite, also after a failure, and exit with 1 when any failed."""
    total, lines = Count(), []
    environ = {**os.environ, "PYTHON": sys.executable}  # runs the hub for the client's tests
    with tempfile.TemporaryDirectory() as folder:
        for suite in suites(Path(folder)):
            print(f"\n== {suite.name}", flush=True)
            began = time.monotonic()
            code = subprocess.run(suite.command, env=environ).returncode
            count = read_report(suite.report)
            if code and not count.failed:
                count.failed = 1
            total.passed += count.passed
            total.failed += count.failed
            total.skipped += count.skipped
            took = time.monotonic() - began
            lines.append(
                f"{suite.name:<13}{count.passed:>5} passed{count.failed:>4} failed"
                f"{count.skipped:>4} skipped  {took:.0f} s"
            )
    print("\n== Summary", *lines, sep="\n")
    print(f"{total.passed} passed, {total.failed} failed, {total.skipped} skipped")
    sys.exit(1 if total.failed else 0)


if __name__ == "__main__":
    main()
