"""A long run of all fuzzers: ``python -m tests.fuzz --seconds 600``, as in ``make fuzz``.

Rounds of more examples follow each other, each from another seed, until the time is over. A round
that fails ends the run; pytest says with which example, and how to try it again.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent


def main() -> None:
    """Run rounds until the time is over; exit with 1 when one failed."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz", epilog="Anything else is for pytest, such as -k tokens."
    )
    parser.add_argument("--seconds", type=float, default=120, help="how long (120)")
    parser.add_argument("--examples", type=int, default=300, help="of each fuzzer, a round (300)")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="of the first round")
    given, rest = parser.parse_known_args()
    end = time.monotonic() + given.seconds
    number = 0
    while number == 0 or time.monotonic() < end:
        seed = given.seed + number
        number += 1
        print(f"round {number}: --seed {seed} --examples {given.examples}", flush=True)
        command = [sys.executable, "-m", "pytest", str(HERE), "-q", "-x", "--timeout=0"]
        done = subprocess.run(
            [*command, f"--hypothesis-seed={seed}", *rest],
            env={**os.environ, "FUZZ_EXAMPLES": str(given.examples)},
        )
        if done.returncode:
            sys.exit(1)
    print(f"{number} rounds, nothing found")


if __name__ == "__main__":
    main()
