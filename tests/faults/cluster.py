"""The system under test: replicas as processes, and one Redis, each behind a link of its own.

Or a cluster of three nodes, which replicas reach directly: a node says by itself where it is.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.faults.guards import KINDS, TOKEN, Guard
from tests.faults.proxy import Proxy
from tests.faults.tokens import issuers_file, key_set
from tests.patience import PATIENCE
from tests.ports import free_port
from tests.redis_server import Clustered, RedisServer

ROOT = Path(__file__).parents[2]
LAUNCHER = Path(__file__).with_name("skewed.py")
ADMIN = "an admin token of the fault runs"
GRACE = 1.0


class Replica:
    """One replica: a process that may be killed and stopped, and reaches Redis at an address.

    Where that is one Redis, the address is that of ``link``.
    """

    def __init__(
        self,
        name: str,
        address: str,
        link: Proxy | None,
        folder: Path,
        code: Path,
        fence: float | None,
        issuers: Path,
    ):
        self.name = name
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._address = address
        self.link = link
        self.log = folder / f"{name}.log"
        self._skew = folder / f"{name}.skew"
        self._code = code
        self._fence = fence
        self._issuers = issuers
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start the process; whether it is ready is for others to ask."""
        self._skew.write_text("0")
        environ = {name: v for name, v in os.environ.items() if not name.startswith("HUB_")}
        environ |= {
            "PYTHONPATH": str(self._code),
            "SKEW_FILE": str(self._skew),
            "HUB_REDIS_URL": self._address,
            "HUB_ISSUERS": str(self._issuers),
            "HUB_ADMIN_TOKEN": ADMIN,
            "HUB_GUARD_TOKEN": TOKEN,
            "HUB_PORT": str(self.port),
            "HUB_REPLICA": self.name,
            "HUB_NOTICE_GRACE": str(GRACE),
            "HUB_LOG_FORMAT": "json",
        }
        if self._fence is not None:
            environ["HUB_FENCE_SECONDS"] = str(self._fence)
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, LAUNCHER, "serve", env=environ, cwd=self._code, stderr=log
            )

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the process, where there still is one."""
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(number)

    def set_clock(self, offset: int) -> None:
        """Step the replica's clock to so many seconds off."""
        self._skew.write_text(str(offset))
        self.send(signal.SIGUSR2)

    async def end(self, number: signal.Signals = signal.SIGKILL) -> bool:
        """End the process; return whether it ended by itself in time."""
        if self._process is None:
            return True
        self.send(number)
        try:
            async with asyncio.timeout(PATIENCE):
                await self._process.wait()
        except TimeoutError:
            self.send(signal.SIGKILL)
            await self._process.wait()
            return False
        return True

    async def ready(self, http: aiohttp.ClientSession, patience: float = PATIENCE) -> bool:
        """Wait until the replica says that it is ready; return whether it did."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience):
                while self._process is not None and self._process.returncode is None:
                    with contextlib.suppress(aiohttp.ClientError, OSError):
                        async with http.get(f"{self.url}/readyz") as answer:
                            if answer.status == 200:
                                return True
                    await asyncio.sleep(0.1)
        return False


class Cluster:
    """A Redis, or a cluster of nodes, the replicas of the hub, and guards."""

    def __init__(
        self, redis: RedisServer | Clustered, replicas: list[Replica], guards: list[Guard]
    ) -> None:
        self._redis = redis
        self.replicas = replicas
        self.guards = guards

    @property
    def redis(self) -> RedisServer:
        """The one Redis."""
        assert isinstance(self._redis, RedisServer)
        return self._redis

    @property
    def nodes(self) -> Clustered:
        """The nodes, where it is a cluster."""
        assert isinstance(self._redis, Clustered)
        return self._redis

    @property
    def store_ports(self) -> list[int]:
        """The ports of all that stores."""
        redis = self._redis
        return [node.port for node in ([redis] if isinstance(redis, RedisServer) else redis.nodes)]

    def named(self, name: str) -> Replica:
        """Return a replica by its name."""
        return next(replica for replica in self.replicas if replica.name == name)

    def complaints(self) -> list[str]:
        """Return what the replicas logged as errors of their own making, without repetitions."""
        found: Counter[str] = Counter()
        for replica in self.replicas:
            for line in replica.log.read_text(errors="replace").splitlines():
                try:
                    said = json.loads(line)
                except ValueError:
                    found[f"not JSON: {line[:200]}"] += 1
                    continue
                if said.get("level") in ("error", "critical"):
                    found[_complaint(said)] += 1
        return [f"{line} ({count} times)" for line, count in found.most_common()]


def _complaint(said: dict[str, Any]) -> str:
    text = f"{said['event'].splitlines()[0]} {said.get('error', '')}".strip()
    for cause in said.get("exception") or ():
        places = [f"{Path(f['filename']).name}:{f['lineno']}" for f in cause.get("frames") or ()]
        text += f" [{cause['exc_type']}, {' '.join(places[-4:])}]"
    return text


@contextlib.asynccontextmanager
async def _serve_keys() -> AsyncIterator[str]:
    """Publish the issuer's keys for the length of the context; return where."""

    async def get_keys(request: web.Request) -> web.Response:
        return web.json_response(key_set())

    app = web.Application()
    app.router.add_get("/jwks", get_keys)
    async with TestServer(app) as server:
        yield str(server.make_url("/jwks"))


@contextlib.asynccontextmanager
async def running(
    count: int, code: Path = ROOT, fence: float | None = None, *, on_cluster: bool = False
) -> AsyncIterator[Cluster]:
    """Run a Redis, so many replicas of the hub in ``code``, and guards, for as long as the context.

    With ``on_cluster`` three nodes of a cluster in the place of the one Redis.

    Raises:
        RuntimeError: when a replica does not start; with what it logged.
    """
    folder = Path(tempfile.mkdtemp(prefix="faults-"))
    async with contextlib.AsyncExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        redis = Clustered(folder) if on_cluster else RedisServer(folder)
        await asyncio.to_thread(redis.start)
        stack.callback(redis.kill)
        http = await stack.enter_async_context(
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2))
        )
        issuers = folder / "issuers.toml"
        jwks_url = await stack.enter_async_context(_serve_keys())
        issuers.write_text(issuers_file(jwks_url))
        replicas = []
        for number in range(count):
            link, address = None, redis.url
            if isinstance(redis, RedisServer):
                link = await stack.enter_async_context(Proxy(redis.port))
                address = f"redis://127.0.0.1:{link.port}/0"
            replica = Replica(f"r{number}", address, link, folder, code, fence, issuers)
            stack.push_async_callback(replica.end)
            await replica.start()
            replicas.append(replica)
        for replica in replicas:
            if not await replica.ready(http):
                raise RuntimeError(f"{replica.name} did not start: {replica.log.read_text()}")
        guards = []
        for number, kind in enumerate(KINDS):
            link = await stack.enter_async_context(Proxy(replicas[number % count].port))
            guard = Guard(f"g{number}", link, kind, folder, code)
            stack.push_async_callback(guard.end)
            await guard.start(jwks_url)
            guards.append(guard)
        yield Cluster(redis, replicas, guards)
