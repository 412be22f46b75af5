"""Check the locked packages for known vulnerabilities; skipped if a service cannot be reached.

Exits with 1 only if an installed package has a known vulnerability. A service that does not report
an old package with a known vulnerability counts as unreachable, whatever it answers.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
LOCKS = ("hub", "build", "dev", "bench")
CANARY = "urllib3==1.24"
OLD_CLIENTS = "node_modules/socket.io-client-"
"""Packages that are old on purpose: stock clients, which ``tests/stock`` runs against the hub."""

PROBE_SECONDS = 6.0
AUDIT_SECONDS = 120.0


def ask(command: list[str], seconds: float) -> Any:
    """Return the JSON that a command prints, or None when it prints none in time."""
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=seconds, check=False)
        return json.loads(done.stdout)
    except (subprocess.TimeoutExpired, OSError, ValueError):
        return None


def audit_python(requirements: list[Path], seconds: float) -> dict[str, list[str]] | None:
    """Return the advisories by package, or None when nobody could be asked."""
    files = [part for file in requirements for part in ("-r", str(file))]
    options = ["--no-deps", "--disable-pip", "--format=json", "--progress-spinner=off"]
    command = [sys.executable, "-m", "pip_audit", *options, "--timeout=5", *files]
    report = ask(command, seconds)
    if not isinstance(report, dict):
        return None
    return {
        f"{found['name']} {found['version']}": [entry["id"] for entry in found["vulns"]]
        for found in report.get("dependencies", [])
        if found.get("vulns")
    }


def audit_node(seconds: float) -> dict[str, list[str]] | None:
    """Return the advisories by package, or None when nobody could be asked."""
    limits = ["--fetch-retries=0", "--fetch-timeout=5000"]
    report = ask(["npm", "audit", "--json", *limits], seconds)
    if not isinstance(report, dict) or "vulnerabilities" not in report:
        return None
    return {
        name: [found["severity"]]
        for name, found in report["vulnerabilities"].items()
        if not all(node.startswith(OLD_CLIENTS) for node in found.get("nodes") or ("",))
    }


def main() -> None:
    """Print what was found, a line a package."""
    with tempfile.TemporaryDirectory() as folder:
        canary = Path(folder) / "canary.txt"
        canary.write_text(CANARY + "\n", encoding="utf-8")
        python = audit_python([canary], PROBE_SECONDS)
    if python:
        locks = [ROOT / "requirements" / f"{name}.txt" for name in LOCKS]
        python = audit_python(locks, AUDIT_SECONDS)
    else:
        python = None
    reports = {"Python": python, "Node": audit_node(PROBE_SECONDS)}
    for language, found in reports.items():
        if found is None:
            print(f"{language}: advisories cannot be reached from here, so nothing was audited")
        elif not found:
            print(f"{language}: no known vulnerability")
        for package, advisories in (found or {}).items():
            print(f"{language}: {package}: {', '.join(advisories)}", file=sys.stderr)
    sys.exit(any(reports.values()))


if __name__ == "__main__":
    main()
