"""Describes the machine, without its name or paths, and the versions that were measured."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
from importlib.metadata import version
from pathlib import Path

from benchmarks.cargo import locked_versions
from benchmarks.servers import CORES, ROOT

PYTHON_PACKAGES = ("aiohttp", "python-socketio", "python-engineio", "uvloop", "redis", "PyJWT")
NODE_PACKAGES = ("socket.io", "@socket.io/redis-adapter", "ws", "redis", "jsonwebtoken")
CRATES = ("socketioxide", "socketioxide-redis", "axum", "tokio", "redis", "jsonwebtoken")


def describe_machine() -> dict[str, str]:
    """Return the processor, the cores, the memory and the kernel."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "processor": _processor(),
        "cores": str(len(CORES)),
        "memory": f"{memory / 2**30:.0f} GiB",
        "kernel": f"{platform.system()} {platform.release()}",
    }


def describe_versions(store: str, *, with_rust: bool) -> dict[str, str]:
    """Return the versions of what was measured."""
    found = {"hub": describe_commit(), "Python": platform.python_version()}
    found |= {name: version(name) for name in PYTHON_PACKAGES}
    found |= {"Node": _output([shutil.which("node") or "node", "--version"])}
    found |= {f"{name} (npm)": _node_version(name) for name in NODE_PACKAGES}
    if with_rust:
        found |= {"Rust": _output(["rustc", "--version"]).removeprefix("rustc ")}
        found |= {f"{name} (crate)": number for name, number in locked_versions(CRATES).items()}
    return found | {"store": store}


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _node_version(name: str) -> str:
    file = ROOT / "node_modules" / name / "package.json"
    return str(json.loads(file.read_text())["version"]) if file.exists() else "not installed"


def describe_commit() -> str:
    """Return the commit of the hub, and whether it was changed since."""
    name = _output(["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"])
    changed = _output(["git", "-C", str(ROOT), "status", "--porcelain", "--", "hub"])
    return f"{name or 'unknown'}{' with changes' if changed else ''}"


def _output(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout.strip()
