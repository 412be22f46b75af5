"""Builds the peer in Rust, if cargo is installed."""

from __future__ import annotations

import shutil
import subprocess
import tomllib

from benchmarks.servers import CARGO_TARGET, PEERS

CRATE = PEERS / "socketioxide"


def build_peer() -> str | None:
    """Compile the peer as it is locked; return why it could not be, in one line."""
    cargo = shutil.which("cargo")
    if cargo is None:
        return "cargo is not installed"
    command = [cargo, "build", "--release", "--locked", "--target-dir", str(CARGO_TARGET)]
    done = subprocess.run(command, cwd=CRATE, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return None
    errors = [line for line in done.stderr.splitlines() if line.startswith("error")]
    return f"cargo could not build it: {(errors or ['it does not say why'])[0].rstrip(':')}"


def locked_versions(names: tuple[str, ...]) -> dict[str, str]:
    """Return the versions of these crates that the peer is made of."""
    lock = tomllib.loads((CRATE / "Cargo.lock").read_text(encoding="utf-8"))
    # Where there are several of one name, the last is the newest.
    found = {package["name"]: package["version"] for package in lock["package"]}
    return {name: found[name] for name in names}
