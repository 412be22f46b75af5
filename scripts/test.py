"""Run all tests, Python and JavaScript, in parallel, and print a summary at the end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

WORKERS_PER_CORE, MAX_WORKERS = 4, 16
"""Processes that share the test files: most of their time is waiting. Each may run a browser."""

JS_TESTS = sorted(
    str(path) for folder in ("client_js", "guard_js") for path in Path(folder).glob("*.test.js")
)


@dataclass(frozen=True)
class Suite:
    """A test runner that reports in JUnit's form."""

    name: str
    report: Path
    command: list[str]


@dataclass
class Count:
    """The results of a suite."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0


def suites(folder: Path) -> tuple[Suite, Suite]:
    """Return the suites: Python's, which is the longer one, and JavaScript's."""
    python, javascript = folder / "python.xml", folder / "javascript.xml"
    workers = min(WORKERS_PER_CORE * (os.cpu_count() or 1), MAX_WORKERS)
    # A file is run by one process; the order in which files are begun is tests/conftest.py's.
    shared = [f"--numprocesses={workers}", "--dist=loadfile", "--no-loadscope-reorder"]
    pytest = [sys.executable, "-m", "pytest", "--quiet", *shared, f"--junitxml={python}"]
    reporters = [
        "--test-reporter=spec",
        "--test-reporter-destination=stdout",
        "--test-reporter=junit",
        f"--test-reporter-destination={javascript}",
    ]
    node = ["node", "--test", "--test-concurrency=3", *reporters, *JS_TESTS]
    return (
        Suite("Python", python, [*pytest, *sys.argv[1:]]),
        Suite("JavaScript", javascript, node),
    )


def environment() -> dict[str, str]:
    """Return the variables of both suites."""
    environ = {**os.environ, "PYTHON": sys.executable}  # runs the hub for the client's tests
    # Hubs are started a hundred times, which takes half as long from what is compiled already.
    environ.pop("PYTHONDONTWRITEBYTECODE", None)
    return environ


def compile_tests() -> None:
    """Compile a fresh checkout once, since otherwise all test processes would do it at once."""
    if not Path("tests/__pycache__").exists():
        collect = [sys.executable, "-m", "pytest", "--collect-only", "-qq"]
        subprocess.run(collect, env=environment(), stdout=subprocess.DEVNULL)


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


def run(suite: Suite, *, is_shown: bool) -> tuple[Suite, Count, float]:
    """Run a suite; return its results and the seconds that it took.

    Its output is shown as it runs (``is_shown``), or printed at its end.
    """
    began = time.monotonic()
    if is_shown:
        print(f"\n== {suite.name}", flush=True)
    done = subprocess.run(
        suite.command,
        env=environment(),
        stdout=None if is_shown else subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if not is_shown:
        print(f"\n== {suite.name}\n{done.stdout}", flush=True)
    count = read_report(suite.report)
    if done.returncode and not count.failed:
        count.failed = 1
    return suite, count, time.monotonic() - began


def main() -> None:
    """Run every suite, also after a failure, and exit with 1 when any failed."""
    # A shell that runs this in the background has it, and the hubs of the tests, ignore Ctrl+C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    total, lines = Count(), []
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor() as pool:
        shown, beside = suites(Path(folder))
        told_later = pool.submit(run, beside, is_shown=False)
        compile_tests()
        for suite, count, took in (run(shown, is_shown=True), told_later.result()):
            total.passed += count.passed
            total.failed += count.failed
            total.skipped += count.skipped
            lines.append(
                f"{suite.name:<11}{count.passed:>5} passed{count.failed:>4} failed"
                f"{count.skipped:>4} skipped  {took:.0f} s"
            )
    print("\n== Summary", *lines, sep="\n")
    print(f"{total.passed} passed, {total.failed} failed, {total.skipped} skipped")
    sys.exit(1 if total.failed else 0)


if __name__ == "__main__":
    main()
