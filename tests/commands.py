"""Commands of the hub in processes of their own, without the second that each takes to start.

Nearly all of that second goes into imports. So one process imports everything once, and each
command is a fork of it (the fork server of `multiprocessing`): with a process id, an environment,
a folder, standard files, signals and an exit code of its own. What is read when Python or a
library starts, such as PYTHONPATH or SSL_CERT_FILE, needs a process that is executed.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import runpy
import signal
import sys
import warnings
from collections.abc import Mapping, Sequence
from functools import cache
from multiprocessing.context import ForkServerProcess
from multiprocessing.reduction import DupFd
from pathlib import Path
from subprocess import DEVNULL, PIPE
from typing import Any

ROOT = Path(__file__).parent.parent
MAX_FILES = 1024
"""More than the process that is forked has open."""

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload([__name__, "tests.loaded"])


class Command(ForkServerProcess):
    """A command of the hub, run in the project's folder; it ends with the process that tests.

    It reads and writes the files of these numbers, or nothing where there is none.
    """

    def __init__(
        self,
        args: Sequence[str],
        environ: Mapping[str, str],
        stdin: int | None = None,
        stdout: int | None = None,
        stderr: int | None = None,
    ) -> None:
        super().__init__(daemon=True)
        self._args = list(args)
        self._environ = dict(environ)
        self._files: list[Any] = [stdin, stdout, stderr]

    def start(self) -> None:
        """Start the process."""
        load_commands()
        super().start()

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal to the process, where there still is one."""
        if self.exitcode is None:
            assert self.pid is not None
            os.kill(self.pid, number)

    def __getstate__(self) -> dict[str, Any]:
        files = [None if file is None else DupFd(file) for file in self._files]
        return {**vars(self), "_files": files}

    def run(self) -> None:
        """Become the command, in the process that was started."""
        files = [os.open(os.devnull, os.O_RDWR) if f is None else f.detach() for f in self._files]
        for number, file in enumerate(files):
            os.dup2(file, number)
        os.closerange(3, MAX_FILES)
        os.chdir(ROOT)
        os.environ.clear()
        os.environ.update(self._environ)
        sys.stdin = open(0)  # noqa: SIM115 - open until the end
        sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
        warnings.simplefilter("error")
        sys.argv = ["", *self._args]
        runpy.run_module("hub", run_name="__main__", alter_sys=True)


@cache
def load_commands() -> None:
    """Start the process that commands are forked from, and wait until it has loaded the hub."""
    first = _context.Process(target=int)
    first.start()
    first.join()


class Running:
    """A command that runs beside an event loop, to be used as a process of asyncio is."""

    def __init__(
        self,
        process: Command,
        stdout: asyncio.StreamReader | None = None,
        stderr: asyncio.StreamReader | None = None,
    ) -> None:
        assert process.pid is not None
        self.pid = process.pid
        self.stdout = stdout
        self.stderr = stderr
        self.send_signal = process.send_signal
        self.terminate = process.terminate
        self.kill = process.kill
        self._process = process

    @property
    def returncode(self) -> int | None:
        """The exit code, negative if a signal ended the process; None while it runs."""
        return self._process.exitcode

    async def wait(self) -> int:
        """Wait until it ends; return its exit code."""
        loop, ended = asyncio.get_running_loop(), asyncio.Event()
        while (code := self.returncode) is None:
            loop.add_reader(self._process.sentinel, ended.set)
            try:
                await ended.wait()
            finally:
                loop.remove_reader(self._process.sentinel)
        return code

    async def communicate(self) -> tuple[bytes, bytes]:
        """Wait until it ends; return what it wrote to pipes and nobody has read yet."""
        out, err = await asyncio.gather(_read(self.stdout), _read(self.stderr))
        await self.wait()
        return out, err


async def run_command(
    args: Sequence[str],
    environ: Mapping[str, str],
    given: str = "",
    *,
    stdout: int = DEVNULL,
    stderr: int = DEVNULL,
) -> Running:
    """Start a command that reads ``given``, a short text, and writes to files, or to `PIPE`."""
    await asyncio.to_thread(load_commands)
    out, theirs_out = await _open(stdout)
    err, theirs_err = await _open(stderr)
    theirs_in, pipe = os.pipe()
    os.write(pipe, given.encode())
    os.close(pipe)
    process = Command(args, environ, theirs_in, theirs_out, theirs_err)
    process.start()
    for own, file in ((PIPE, theirs_in), (stdout, theirs_out), (stderr, theirs_err)):
        if own == PIPE and file is not None:
            os.close(file)
    return Running(process, out, err)


async def _open(file: int) -> tuple[asyncio.StreamReader | None, int | None]:
    """Return what reads the file if it is `PIPE`, and the number of what the command writes to."""
    if file != PIPE:
        return None, None if file == DEVNULL else file
    reader, (end, theirs) = asyncio.StreamReader(), os.pipe()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(end, "rb", buffering=0)
    )
    return reader, theirs


async def _read(file: asyncio.StreamReader | None) -> bytes:
    return b"" if file is None else await file.read()
