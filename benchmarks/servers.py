"""Starts and stops the servers, each on the server's core, and the Redis that they share."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from benchmarks.tokens import ADMIN_TOKEN, SECRET
from tests.ports import free_port
from tests.redis_server import RedisServer

ROOT = Path(__file__).parents[1]
PEERS = Path(__file__).parent / "peers"
CARGO_TARGET = ROOT / "tmp" / "cargo"
"""Cargo's target folder for the peer in Rust; git ignores it."""
START_PATIENCE = 20.0
CORES = sorted(os.sched_getaffinity(0))
SERVER_CORE = CORES[0]
OTHER_CORES = set(CORES[1:]) or {SERVER_CORE}

LABELS = {
    "hub": "hub",
    "node": "Node socket.io",
    "rust": "Rust socketioxide",
    "stock": "python-socketio",
    "echo": "bare aiohttp",
    "trivial": "trivial server",
}
KINDS = ("hub", "node", "rust", "stock")
"""The servers that end sessions."""
MEASURED = (*KINDS, "echo")
ASKING = ("hub", "rust")
"""The servers that wait for acknowledgements before they disconnect."""


@dataclass(frozen=True)
class Server:
    """A running server: its kind, and a process and a port for each replica."""

    kind: str
    pids: tuple[int, ...]
    ports: list[int]


@dataclass(frozen=True)
class Store:
    """The running Redis."""

    url: str
    pid: int
    redis: RedisServer

    def clear(self) -> None:
        """Delete everything, so that every server starts with the same state."""
        with self.redis.client() as client:
            client.flushall()

    def version(self) -> str:
        """Return the name and the version of the server."""
        with self.redis.client() as client:
            info = client.info("server")
        name = "Valkey" if "valkey_version" in info else "Redis"
        return f"{name} {info.get('valkey_version', info['redis_version'])}"


def _command(kind: str) -> list[str]:
    if kind == "hub":
        return [sys.executable, "-m", "hub", "serve"]
    if kind == "node":
        return [shutil.which("node") or "node", str(PEERS / "node.mjs")]
    if kind == "rust":
        return [str(CARGO_TARGET / "release" / "socketioxide-peer")]
    return [sys.executable, "-m", f"benchmarks.peers.{kind}"]


def _environment(kind: str, port: int, redis_url: str) -> dict[str, str]:
    given = {"PORT": str(port)}
    if kind == "hub":
        given |= {
            "HUB_REDIS_URL": redis_url,
            "HUB_JWT_SECRET": SECRET,
            "HUB_ADMIN_TOKEN": ADMIN_TOKEN,
        }
    else:
        given |= {"REDIS_URL": redis_url, "JWT_SECRET": SECRET, "ADMIN_TOKEN": ADMIN_TOKEN}
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HUB_")}
    return {**kept, "NODE_ENV": "production", "PYTHONUNBUFFERED": "1", **given}


@contextlib.contextmanager
def on_cores(cores: set[int]) -> Iterator[None]:
    """Restrict processes that are started in the context to these cores."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextlib.contextmanager
def running_store() -> Iterator[Store]:
    """Run a Redis beside the generator for the length of the context."""
    with tempfile.TemporaryDirectory() as folder:
        redis = RedisServer(Path(folder))
        with on_cores(OTHER_CORES):
            redis.start()
        try:
            with redis.client() as client:
                pid = client.info("server")["process_id"]
            yield Store(redis.url, pid, redis)
        finally:
            redis.kill()


def _start(
    kind: str, port: int, store: Store, said: IO[bytes], root: Path, more: dict[str, str]
) -> subprocess.Popen[bytes]:
    with on_cores({SERVER_CORE}):
        return subprocess.Popen(
            _command(kind),
            cwd=root,
            env=_environment(kind, port, store.url) | more,
            stdout=said,
            stderr=subprocess.STDOUT,
        )


@contextlib.asynccontextmanager
async def running(
    kind: str,
    store: Store,
    replicas: int = 1,
    *,
    root: Path = ROOT,
    more: dict[str, str] | None = None,
) -> AsyncIterator[Server]:
    """Run a server on the server's core for the length of the context.

    ``root`` is the checkout whose code runs, ``more`` is added to its environment.

    Raises:
        RuntimeError: when it does not start, with what it said.
    """
    processes: list[subprocess.Popen[bytes]] = []
    ports = []
    with tempfile.TemporaryFile() as said:
        try:
            for _ in range(replicas):
                port = free_port()
                processes.append(_start(kind, port, store, said, root, more or {}))
                ports.append(port)
            for process, port in zip(processes, ports, strict=True):
                if not await _wait_until_ready(process, port):
                    said.seek(0)
                    tail = said.read().decode(errors="replace")[-2000:]
                    raise RuntimeError(f"{kind} did not start: {tail}")
            yield Server(kind, tuple(process.pid for process in processes), ports)
        finally:
            for process in processes:
                process.kill()
                process.wait()


async def _wait_until_ready(process: subprocess.Popen[bytes], port: int) -> bool:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + START_PATIENCE
    while loop.time() < deadline and process.poll() is None:
        if await asyncio.to_thread(_is_ready, port):
            return True
        await asyncio.sleep(0.1)
    return False


def _is_ready(port: int) -> bool:
    try:
        address = f"http://127.0.0.1:{port}/readyz"
        with urllib.request.urlopen(address, timeout=2) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False
