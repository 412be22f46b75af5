"""Measures what guards cost a replica: ``python -m benchmarks.feed``.

1. A thousand guards read the feed while people log out, and then no guard does: the replica's CPU
   and response times in both cases, and how late the guards receive the logouts.
2. A million logouts are in force when a replica starts: how long until it can serve guards, how
   long a guard takes to start, the memory used, and the response times of other calls meanwhile.

It starts Redis and the hub itself, on separate cores if there are two.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import multiprocessing
import os
import re
import secrets
import time
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import aiohttp
import uvloop

from benchmarks.logs import fill
from benchmarks.measures import cpu_seconds, percentile, resident_bytes
from benchmarks.servers import OTHER_CORES, Server, Store, on_cores, running, running_store
from benchmarks.tokens import ADMIN_TOKEN, SECRET
from hub.access.minting import mint_token
from hub.core.model import Logout, Reason, Scope, user_key
from hub.metrics import FRESH

GUARD = secrets.token_urlsafe(24)
MORE = {"HUB_GUARD_TOKEN": GUARD, "HUB_LIMIT_ADMIN": "off", "HUB_LIMIT_CALLS": "off"}
SAMPLE = 10
"""The number of guards that parse what they read."""


class Listener:
    """A guard that reads as fast as it can; ``received`` is when each logout arrived, by its id."""

    def __init__(self, port: int, *, packed: bool = False, guard: str = GUARD) -> None:
        self._port = port
        self._guard = guard
        self._packed = packed
        self.received: dict[bytes, float] = {}
        self.read = 0
        self.ready = asyncio.Event()

    async def run(self) -> None:
        """Read until cancelled."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port, limit=2**22)
        gzip = "Accept-Encoding: gzip\r\n" if self._packed else ""
        head = f"GET /revocations HTTP/1.1\r\nHost: hub\r\nAuthorization: Bearer {self._guard}\r\n"
        writer.write(f"{head}{gzip}\r\n".encode())
        last = b""
        try:
            while data := await reader.read(2**18):
                self.read += len(data)
                now = time.monotonic()
                # A gzip stream stores small events as they are, as `ready` is.
                if b"event: ready" in last + data:
                    self.ready.set()
                if self.ready.is_set():
                    for part in (last + data).split(b'"id":"')[1:]:
                        self.received.setdefault(part[:24], now)
                last = data[-64:]
        finally:
            writer.transport.abort()


def crowd(port: int, guard: str, count: int) -> None:
    """Read the feed as many guards that ignore the content, in a separate process."""

    async def one() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        head = f"GET /revocations HTTP/1.1\r\nHost: hub\r\nAuthorization: Bearer {guard}\r\n\r\n"
        writer.write(head.encode())
        while await reader.read(2**16):
            pass

    async def all_of_them() -> None:
        await asyncio.gather(*(one() for _ in range(count)))

    os.nice(19)  # Redis is on this core too, which it would not be in production
    uvloop.run(all_of_them())


@contextlib.contextmanager
def crowded(port: int, count: int) -> Iterator[None]:
    """Keep a crowd of guards for the length of the context."""
    process = multiprocessing.get_context("spawn").Process(target=crowd, args=(port, GUARD, count))
    process.start()
    try:
        yield
    finally:
        process.kill()
        process.join()


def served(port: int, method: str = "GET", route: str = "/session") -> dict[str, float]:
    """Return the replica's histogram of how long its answers took: counts by seconds."""
    time.sleep(FRESH)  # it is as of a second ago at most
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        text = answer.read().decode()
    label = f'method="{method}",route="{route}"'
    pairs = re.findall(
        rf"^hub_request_seconds_(\S+){{(?:le=\"([^\"]+)\",)?{label}}} (\S+)$", text, re.M
    )
    return {le or name: float(value) for name, le, value in pairs}


def compare(before: dict[str, float], after: dict[str, float]) -> dict[str, float]:
    """Return the mean and the 99th percentile of answers, by the replica's own clock."""
    since = {name: value - before.get(name, 0) for name, value in after.items()}
    bounds = sorted(float(name) for name in since if name[0].isdigit())
    within = next(b for b in bounds if since[str(b)] >= 0.99 * since["count"])
    return {
        "mean_ms": round(1000 * since["sum"] / since["count"], 2),
        "p99_within_ms": 1000 * within,
    }


@contextlib.asynccontextmanager
async def background(works: list[Awaitable[Any]]) -> AsyncIterator[list[asyncio.Task[Any]]]:
    """Do some work for the length of the context."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def log_out(port: int, seconds: float, rate: float) -> tuple[list[float], dict[bytes, float]]:
    """Log people out for a while; return how long answers took, and when each came, by id."""
    took, answered = list[float](), dict[bytes, float]()
    async with aiohttp.ClientSession() as http:

        async def one(name: str) -> None:
            asked = {"user": name, "reason": "admin"}
            headers = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
            url = f"http://127.0.0.1:{port}/admin/logout"
            began = time.monotonic()
            async with http.post(url, json=asked, headers=headers) as answer:
                body = await answer.json()
            answered[body["id"].encode()] = time.monotonic()
            took.append(time.monotonic() - began)

        await pace(one, seconds, rate)
    return took, answered


async def pace(one: Callable[[str], Awaitable[None]], seconds: float, rate: float) -> None:
    """Call at a fixed rate, whether or not earlier calls have returned."""
    began, calls = time.monotonic(), list[asyncio.Task[None]]()
    for number in range(int(seconds * rate)):
        await asyncio.sleep(max(0.0, began + number / rate - time.monotonic()))
        calls.append(asyncio.ensure_future(one(f"user-{secrets.token_hex(4)}")))
    await asyncio.gather(*calls)


async def ask(port: int, until: asyncio.Event, rate: float = 100) -> None:
    """Call ``/session`` at a rate until the event is set."""
    bearer = mint_token(SECRET, "asking", lifetime=3600, sid="s")
    async with aiohttp.ClientSession() as http:

        async def one(_: str) -> None:
            headers = {"Authorization": f"Bearer {bearer}"}
            async with http.get(f"http://127.0.0.1:{port}/session", headers=headers) as answer:
                await answer.read()
                assert answer.status == 200

        while not until.is_set():
            await pace(one, 0.25, rate)


async def asking(port: int, work: Awaitable[Any]) -> dict[str, float]:
    """Do some work while users call ``/session``; return how long the replica's answers took."""
    before, done = await asyncio.to_thread(served, port), asyncio.Event()
    calls = asyncio.ensure_future(ask(port, done))
    await work
    done.set()
    await calls
    return compare(before, await asyncio.to_thread(served, port))


async def start_guard(guard: Listener) -> float:
    """Read the feed until it is ready, and return how long that took."""
    began = time.monotonic()
    async with background([guard.run()]):
        await guard.ready.wait()
        return time.monotonic() - began


def describe(took: list[float]) -> dict[str, float]:
    """Return the median and the 99th percentile in milliseconds."""
    return {
        "p50_ms": round(1000 * percentile(took, 0.5), 2),
        "p99_ms": round(1000 * percentile(took, 0.99), 2),
    }


async def wait_for_guards(port: int, count: int) -> None:
    """Wait until the replica has this many guards, and a little longer."""
    address, wanted = f"http://127.0.0.1:{port}/metrics", f"hub_guards {count:.1f}\n"
    async with aiohttp.ClientSession() as http:
        while True:
            async with http.get(address) as answer:
                if wanted in await answer.text():
                    break
            await asyncio.sleep(0.5)
    await asyncio.sleep(3)


async def measure_guards(server: Server, guards: int, seconds: float, rate: float) -> None:
    """Print what logouts cost with some guards."""
    port = server.ports[0]
    listeners = [Listener(port) for _ in range(min(guards, SAMPLE))]
    with crowded(port, guards - len(listeners)):
        async with background([one.run() for one in listeners]):
            await _measure_crowd(server, listeners, guards, seconds, rate)


async def _measure_crowd(
    server: Server, listeners: list[Listener], guards: int, seconds: float, rate: float
) -> None:
    port = server.ports[0]
    logouts = (port, "POST", "/admin/logout")
    for one in listeners:
        await one.ready.wait()
    await wait_for_guards(port, guards)
    idle, began = cpu_seconds(server.pids), time.monotonic()
    await asyncio.sleep(5)
    idle = (cpu_seconds(server.pids) - idle) / (time.monotonic() - began)
    asked = await asyncio.to_thread(served, *logouts)
    before, began = cpu_seconds(server.pids), time.monotonic()
    took, answered = await log_out(port, seconds, rate)
    cpu = (cpu_seconds(server.pids) - before) / (time.monotonic() - began)
    await asyncio.sleep(1)
    late = [one.received[name] - at for one in listeners for name, at in answered.items()]
    print(
        json.dumps(
            {
                "guards": guards,
                "logouts_a_second": rate,
                "cpu_idle": round(idle, 3),
                "cpu": round(cpu, 3),
                "logout": describe(took),
                "logout_by_the_replica": compare(asked, await asyncio.to_thread(served, *logouts)),
                "received": describe(late) if late else None,
                "rss_mb": round(resident_bytes(server.pids) / 1e6),
            }
        ),
        flush=True,
    )


def in_force(count: int) -> Iterator[Logout]:
    """Yield logouts of sessions, the last of which is dated now."""
    now = time.time_ns() // 1000
    for number in range(count):
        user = user_key("https://id.example", f"user-{number:08}")
        sid = secrets.token_urlsafe(16)
        yield Logout(
            secrets.token_urlsafe(18),
            user,
            Scope.SESSION,
            Reason.USER,
            sid,
            at=now - count + number,
        )


async def measure_in_force(store: Store, count: int) -> None:
    """Print what a number of logouts in force costs a starting replica, and a guard."""

    def show(what: str, **found: Any) -> None:
        print(json.dumps({"in_force": count, "what": what, **found}), flush=True)

    async with running("hub", store, more=MORE) as server:
        port, began = server.ports[0], time.monotonic()
        empty, before = resident_bytes(server.pids), cpu_seconds(server.pids)
        session = await asking(port, start_guard(Listener(port)))
        show(
            "the replica has just started",
            guard_ready_s=round(time.monotonic() - began, 1),
            cpu_s=round(cpu_seconds(server.pids) - before, 1),
            session=session,
            rss_mb_before=round(empty / 1e6),
            rss_mb=round(resident_bytes(server.pids) / 1e6),
        )
        show("no guard starts", session=await asking(port, asyncio.sleep(5)))
        for packed in (False, True):
            guard, started = Listener(port, packed=packed), list[float]()

            async def start(guard: Listener = guard, started: list[float] = started) -> None:
                started.append(await start_guard(guard))

            session = await asking(port, start())
            show(
                "a guard starts",
                packed=packed,
                guard_ready_s=round(started[0], 2),
                mb_read=round(guard.read / 1e6, 1),
                session=session,
            )


async def measure(given: argparse.Namespace) -> None:
    """Measure both."""
    with running_store() as store:
        if given.guards:
            for guards in (0, given.guards):
                async with running("hub", store, more=MORE) as server:
                    await measure_guards(server, guards, given.seconds, given.rate)
                store.clear()
        if given.in_force:
            await asyncio.to_thread(fill, store, in_force(given.in_force))
            await measure_in_force(store, given.in_force)


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.feed", description=__doc__)
    parser.add_argument("--guards", type=int, default=1000)
    parser.add_argument("--rate", type=float, default=20, help="logouts a second")
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--in-force", type=int, default=1_000_000)
    given = parser.parse_args()
    with on_cores(OTHER_CORES):
        uvloop.run(measure(given))


if __name__ == "__main__":
    main()
