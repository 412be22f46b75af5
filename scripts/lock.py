"""Write requirements/*.txt: every package that is installed, its version and its hashes, by uv.

``python scripts/lock.py`` takes what pyproject.toml asks for and keeps the versions that are locked
and still fit; ``--upgrade`` takes the newest. One lock is for Python 3.11 and newer, on any system.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "requirements"

# A later lock agrees with the earlier ones that it names.
LOCKS: dict[str, tuple[list[str], list[str]]] = {
    "build": (["--group", "build"], []),
    "hub": (["pyproject.toml"], ["build"]),
    "dev": (["--group", "dev"], ["build", "hub"]),
    "bench": (["--group", "bench"], ["build", "hub", "dev"]),
}
# No addresses of registries: pip uses its own configuration.
OPTIONS = [
    "--universal",
    "--python-version=3.11",
    "--generate-hashes",
    "--no-emit-index-url",
    "--no-emit-find-links",
    "--no-header",
    "--no-annotate",
    "--quiet",
]


def main(arguments: list[str]) -> None:
    """Write all locks; ``arguments`` go to uv."""
    FOLDER.mkdir(exist_ok=True)
    for name, (source, agree) in LOCKS.items():
        constraints = [part for lock in agree for part in ("-c", f"requirements/{lock}.txt")]
        output = ["-o", f"requirements/{name}.txt"]
        command = [sys.executable, "-m", "uv", "pip", "compile", *OPTIONS, *arguments]
        subprocess.run([*command, *source, *constraints, *output], cwd=ROOT, check=True)


if __name__ == "__main__":
    main(sys.argv[1:])
