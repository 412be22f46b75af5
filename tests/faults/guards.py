"""Guards as witnesses: processes that follow a replica through a link, and are shown tokens."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from tests.faults.history import ISSUER, NEVER, Check, History, Token
from tests.faults.proxy import Proxy
from tests.faults.tokens import guards_issuer, sign

TOKEN = "the token of guards in the fault runs"
HERE = Path(__file__).parent
MAX_STALENESS = 3.0
"""Seconds; what guards promise is checked from so long after an answer."""
NODE = shutil.which("node")


@dataclass(frozen=True)
class Kind:
    """The language of a guard, and what it does when it is stale."""

    command: tuple[str, ...]
    on_stale: str


PYTHON = (sys.executable, str(HERE / "witness.py"))
KINDS = (
    Kind(PYTHON, "ask"),
    Kind(PYTHON, "refuse"),
    *([Kind((NODE, str(HERE / "witness.mjs")), "ask")] if NODE else []),
)


class Guard:
    """One guard: a process that follows a replica through ``link``, and can be paused."""

    def __init__(self, name: str, link: Proxy, kind: Kind, folder: Path, code: Path) -> None:
        self.name = name
        self.link = link
        self.log = folder / f"{name}.log"
        self._kind = kind
        self._skew = folder / f"{name}.skew"
        self._code = code
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._asked: dict[int, Check] = {}
        self._number = 0

    async def start(self, jwks_url: str) -> None:
        """Start the process; it is asked before it knows anything, too.

        Raises:
            RuntimeError: if it does not start; with what it said.
        """
        self._skew.write_text("0")
        environ = {name: v for name, v in os.environ.items() if not name.startswith("HUB_")}
        environ |= {
            "PYTHONPATH": f"{self._code}{os.pathsep}{HERE.parents[1]}",
            "SKEW_FILE": str(self._skew),
            "HUB": f"http://127.0.0.1:{self.link.port}",
            "GUARD_TOKEN": TOKEN,
            "ISSUER": ISSUER,
            "ISSUERS": json.dumps([guards_issuer(jwks_url)]),
            "MAX_STALENESS": str(MAX_STALENESS),
            "ON_STALE": self._kind.on_stale,
        }
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self._kind.command, env=environ, cwd=self._code, stderr=log,
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            )  # fmt: skip
        assert self._process.stdout is not None
        if not await self._process.stdout.readline():
            raise RuntimeError(f"{self.name} did not start: {self.log.read_text()}")
        self._reader = asyncio.create_task(self._read(self._process))

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        async for line in process.stdout:
            number, start, end, result = json.loads(line)
            check = self._asked.pop(number)
            check.start, check.end, check.result = start, end, result

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the process."""
        assert self._process is not None
        if self._process.returncode is None:
            self._process.send_signal(number)

    def set_clock(self, offset: int) -> None:
        """Step the guard's wall clock to so many seconds off."""
        self._skew.write_text(str(offset))
        self.send(signal.SIGUSR2)

    async def end(self) -> None:
        """End the process."""
        if self._process is None or self._reader is None:
            return
        self.send(signal.SIGKILL)
        await self._process.wait()
        self._reader.cancel()

    def show(self, history: History, token: Token, *, as_session: bool) -> None:
        """Show a token, or the session that it speaks for; the answer comes into the history."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._number += 1
        kind = "session" if as_session else "token"
        check = Check(f"guard {kind}", token, self.name, time.monotonic(), NEVER)
        history.checks.append(check)
        self._asked[self._number] = check
        given = [token.user, token.sid, token.begun] if as_session else [sign(token)]
        self._process.stdin.write(json.dumps([self._number, kind, *given]).encode() + b"\n")
