"""Runs all measurements of guards, one after another."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.guards import refusal_delay, start, web
from benchmarks.guards.issuer import GUARD_TOKEN, ISS, mint, public_pem
from benchmarks.guards.report import FOLDER, rows_of, write
from benchmarks.logs import fill
from benchmarks.machine import describe_commit, describe_machine
from benchmarks.servers import ROOT, Store, running
from benchmarks.tokens import ADMIN_TOKEN, SECRET

NODE_CHECKS = Path(__file__).with_name("checks.mjs")
NODE_MEMORY = Path(__file__).with_name("memory.mjs")


@dataclass(frozen=True)
class Plan:
    """How much is measured: logouts in force, new logouts, and seconds per round."""

    in_force: int
    logouts: int
    rate: float
    seconds: float


FULL = Plan(in_force=1_000_000, logouts=1500, rate=25.0, seconds=3.0)
QUICK = Plan(in_force=100_000, logouts=200, rate=25.0, seconds=1.0)


async def measure(plan: Plan, store: Store, folder: Path, command: str) -> list[Path]:
    """Measure, and write the results into a folder; return the files."""
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as temporary:
        issuers = Path(temporary) / "issuers.toml"
        issuers.write_text(_issuers_file(), encoding="utf-8")
        more = {
            "HUB_GUARD_TOKEN": GUARD_TOKEN,
            "HUB_ISSUERS": str(issuers),
            "HUB_JWT_SECRET": "",
            "HUB_ADMIN_TOKEN": ADMIN_TOKEN,
        }
        store.clear()
        async with running("hub", store, replicas=2, more=more) as server:
            url = f"http://127.0.0.1:{server.ports[0]}"
            _say("checks in Python, beside PyJWT")
            found["python"] = await _run(sys.executable, "-m", "benchmarks.guards.checks", url)
            _say("checks in Node, beside jose")
            found["node"] = await _run(_node(), str(NODE_CHECKS), _describe_issuer(url))
            _say("a FastAPI route with and without")
            found["web"] = await web.measure(server.ports[0], plan.seconds)
            _say(f"{plan.logouts} logouts, until guards on two replicas refuse")
            found["refused"] = await refusal_delay.measure(server, plan.logouts, plan.rate)
        _say("memory a revocation")
        found["memory"] = await _measure_memory(FULL.in_force)
        _say(f"a start with {plan.in_force:,} in force")
        found["start"] = await _measure_start(plan, store, more)
    report = {
        "date": time.strftime("%Y-%m-%d"),
        "command": command,
        "commit": describe_commit(),
        "machine": describe_machine(),
    }
    return write(report, rows_of(found), folder)


def choose_folder(*, quick: bool) -> Path:
    """Return where the results go; those of a quick run are not kept."""
    return ROOT / "tmp" / "benchmarks" if quick else FOLDER


async def _measure_memory(count: int) -> dict[str, float]:
    python = await _run(sys.executable, "-m", "benchmarks.guards.memory", str(count))
    node = await _run(_node(), "--expose-gc", str(NODE_MEMORY), str(count))
    return {
        "python": python["bytes"],
        "check": python["bytes a check"],
        "node": node["bytes"],
        "node check": node["bytes a check"],
    }


async def _measure_start(plan: Plan, store: Store, more: dict[str, str]) -> dict[str, float]:
    store.clear()
    async with running("hub", store, more=more):
        pass  # it names the epochs of the logs
    await asyncio.to_thread(fill, store, start.logouts(plan.in_force))
    async with running("hub", store, more=more) as server:
        return {"logouts": plan.in_force, **await start.measure(server, plan.seconds * 3)}


def _issuers_file() -> str:
    table = f'[[issuer]]\niss = "{ISS}"\n'
    secret = f'{table}secret = "{SECRET}"\n'
    return f"{secret}{table}public_key = '''\n{public_pem()}'''\n"


def _describe_issuer(url: str) -> str:
    return json.dumps(
        {
            "url": url,
            "guardToken": GUARD_TOKEN,
            "iss": ISS,
            "secret": SECRET,
            "publicKey": public_pem(),
            "tokens": {name: mint(name, "ada", "s1") for name in ("RS256", "HS256")},
        }
    )


async def _run(*command: str) -> dict[str, float]:
    """Run a program that prints JSON, and return that."""
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=subprocess.PIPE)
    said, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"{' '.join(command[1:3])} failed")
    printed: dict[str, float] = json.loads(said)
    return printed


def _node() -> str:
    return shutil.which("node") or "node"


def _say(what: str) -> None:
    print(f"guards: {what}", file=sys.stderr, flush=True)
