"""Connects and closes very many sockets, and compares what is left with what was there before.

``python -m tests.realtime.soak --sockets 100000`` prints a line each few seconds and a table.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import itertools
import json
import os
import random
import resource
import time
from dataclasses import dataclass

from hub.api.services import SERVICES
from tests.patience import PATIENCE
from tests.site import Replica, running, settings, token

WAYS = ("close", "abort", "refused", "silent", "garbage", "logout")
AT_ONCE = 100
HEAD = (
    "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: hub\r\nUpgrade: websocket\r\n"
    "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


@dataclass(frozen=True)
class Census:
    """What a process holds."""

    kibibytes: int
    files: int
    tasks: int
    objects: int


def count() -> Census:
    """Return what this process holds now."""
    gc.collect()
    with open("/proc/self/statm") as statm:
        pages = int(statm.read().split()[1])
    return Census(
        pages * resource.getpagesize() // 1024,
        len(os.listdir("/proc/self/fd")),
        len(asyncio.all_tasks()),
        len(gc.get_objects()),
    )


def frame(text: str) -> bytes:
    """Return a client's text frame, masked with zeros."""
    data = text.encode()
    if len(data) < 126:
        return bytes((0x81, 0x80 | len(data))) + bytes(4) + data
    return bytes((0x81, 0xFE)) + len(data).to_bytes(2, "big") + bytes(4) + data


async def visit(hub: Replica, number: int, way: str) -> None:
    """Connect a socket, and end it in one of the ways."""
    reader, writer = await asyncio.open_connection("127.0.0.1", hub.port)
    try:
        writer.write(HEAD.encode())
        await reader.readuntil(b"pingTimeout")
        if way == "silent":
            return
        if way == "garbage":
            writer.write(random.randbytes(40))  # noqa: S311 - any bytes will do
            return
        mine = "nonsense" if way == "refused" else token(f"user-{number % 1000}", f"s{number}")
        writer.write(frame("40" + json.dumps({"token": mine})))
        await reader.readuntil(b"44{" if way == "refused" else b"40{")
        if way == "logout":
            writer.write(frame('420["logout",{"scope":"session"}]'))
            await reader.readuntil(b"logoutNotification")
        elif way == "close":
            writer.write(bytes((0x88, 0x82)) + bytes(4) + (1000).to_bytes(2, "big"))
            await reader.read()
    finally:
        if way == "abort":
            writer.transport.abort()
        writer.close()


async def crowd(hub: Replica, sockets: int, *, talks: bool) -> None:
    """Connect and close this many sockets, some at once."""
    numbers = itertools.count()
    began = said = time.monotonic()

    async def worker() -> None:
        nonlocal said
        while (number := next(numbers)) < sockets:
            async with asyncio.timeout(PATIENCE):
                await visit(hub, number, WAYS[number % len(WAYS)])
            if talks and time.monotonic() - said > 5:
                said = time.monotonic()
                print(f"{number:,} sockets, {number / (said - began):.0f} a second", flush=True)

    await asyncio.gather(*(worker() for _ in range(AT_ONCE)))


async def soak(sockets: int, warm: int, *, talks: bool = False) -> tuple[Census, Census]:
    """Return what the process held before and after the crowd, once all is quiet."""
    given = settings(notice_grace=0.2, connect_timeout=PATIENCE, max_sessions=100_000)
    async with running(given) as hub:
        await crowd(hub, warm, talks=False)
        await settle(hub)
        before = count()
        await crowd(hub, sockets, talks=talks)
        await settle(hub)
        return before, count()


async def settle(hub: Replica) -> None:
    """Wait until no socket is left, and have the store forget all sessions."""
    async with asyncio.timeout(PATIENCE):
        while True:
            text: str = (await hub.call("GET", "/metrics")).body
            if "hub_sockets 0.0" in text:
                break
            await asyncio.sleep(0.1)
    await asyncio.sleep(3)
    # The registry rightly remembers who was there, and a bounded number of tokens is remembered
    # that were verified; this is about sockets.
    parts = hub.app[SERVICES]
    await parts.store.__aexit__(None, None, None)  # type: ignore[attr-defined]
    parts.authority._verified.clear()


def main() -> None:
    """Run it from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sockets", type=int, default=100_000)
    given = parser.parse_args()
    before, after = asyncio.run(soak(given.sockets, 5000, talks=True))
    for name in ("kibibytes", "files", "tasks", "objects"):
        was, is_now = getattr(before, name), getattr(after, name)
        print(f"{name:<10} before {was:>9,}   after {is_now:>9,}   {is_now - was:+,}")


if __name__ == "__main__":
    main()
