"""Stock clients in their own runtimes, one process each, that say in lines what happens to them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
MAVEN_SECONDS = 60.0
MAVEN_PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:build-classpath"


@dataclass
class Client:
    """One client, and what it was told: pairs of what and value."""

    name: str
    module: str
    token: str
    transports: list[str] | None = None
    parser: str | None = None
    diary: list[tuple[str, Any]] = field(default_factory=list)

    def all(self, what: str) -> list[Any]:
        """Return the values of all entries of a kind."""
        return [value for kind, value in self.diary if kind == what]

    def given(self) -> dict[str, Any]:
        """Return what its process is told of it."""
        given = {"name": self.name, "module": self.module, "token": self.token}
        optional = {"transports": self.transports, "parser": self.parser}
        return given | {key: value for key, value in optional.items() if value is not None}


class Runtime:
    """A process of clients."""

    def __init__(self, process: asyncio.subprocess.Process, clients: Sequence[Client]) -> None:
        self._process = process
        self.clients = list(clients)
        self._named = {client.name: client for client in clients}

    async def read(self) -> None:
        """Write into the clients' diaries what the process says, until it ends."""
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            with contextlib.suppress(ValueError):
                said = json.loads(line)
                entry = (said["what"], said.get("value"))
                self._named[said["client"]].diary.append(entry)

    def signal(self, number: signal.Signals) -> None:
        """Send the process a signal."""
        self._process.send_signal(number)

    def write(self, line: str) -> None:
        """Give the process a line."""
        assert self._process.stdin is not None
        self._process.stdin.write(line.encode() + b"\n")


@contextlib.asynccontextmanager
async def started(
    command: Sequence[str], url: str, clients: Sequence[Client]
) -> AsyncIterator[Runtime]:
    """Run a process of clients for the length of the context."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        limit=2**20,
    )
    runtime = Runtime(process, clients)
    reading = asyncio.create_task(runtime.read())
    runtime.write(json.dumps({"url": url, "clients": [client.given() for client in clients]}))
    try:
        yield runtime
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        await reading


def node_command() -> list[str]:
    """Return how clients in Node are run."""
    return ["node", str(HERE / "clients.mjs")]


def python_command() -> list[str]:
    """Return how clients in Python are run."""
    return [sys.executable, str(HERE / "clients.py")]


async def built_java(folder: Path) -> list[str] | None:
    """Build the Java clients into ``folder`` and return their command; None: it cannot be built.

    A class path that was found once is kept, so that Maven is asked once on a machine.
    """
    if any(shutil.which(tool) is None for tool in ("java", "javac", "mvn")):
        return None
    kept = Path(tempfile.gettempdir()) / f"logout-hub-java-{os.getuid()}.classpath"
    if not _is_whole(kept):
        maven = ["mvn", "-q", "-B", "-f", str(HERE / "java/pom.xml"), MAVEN_PLUGIN]
        await _run(*maven, f"-Dmdep.outputFile={kept}")
    if not _is_whole(kept):
        return None
    path = kept.read_text().strip()
    await _run("javac", "-cp", path, "-d", str(folder), str(HERE / "java/Clients.java"))
    flags = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]
    return ["java", *flags, "-cp", f"{folder}{os.pathsep}{path}", "Clients"]


def _is_whole(kept: Path) -> bool:
    if not kept.is_file():
        return False
    return all(Path(jar).is_file() for jar in kept.read_text().strip().split(os.pathsep))


async def _run(*command: str) -> None:
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(MAVEN_SECONDS):
            await process.wait()
    if process.returncode is None:
        process.kill()
        await process.wait()
