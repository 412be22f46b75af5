"""A socket that floods is read no faster than its budget allows, and other users do not notice.

The bound: before CONNECT a client gets 24 frames at once and then 4 a second into the hub, later
100 and 20, whatever it sends; and while several do, `/verify` stays answered, its p99 within a
fraction of a second (measured in a quiet moment: some milliseconds), some of the processor stays
free, and nothing stays in memory.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest

from tests.attacks.flooded import bare_socket, hub_apart, p99, processor_seconds, resident_bytes
from tests.commands import Running
from tests.patience import PATIENCE
from tests.protocol.test_frames import masked
from tests.realtime.raw import eventually
from tests.realtime.test_sockets import metric
from tests.site import ADMIN, Replica, token

FLOODERS = 8
SECONDS = 1.0
TRIES = 3
MARGIN, FLOOR = 10, 0.25
"""How much worse than the quiet moment it may be, and what is never too bad on a busy machine."""

MAX_LEFT = 40 * 1024 * 1024
"""Bytes that may stay in the process, of some hundred megabytes that were thrown at it."""

PONG = masked(0x81, b"3")
FLOODS = {
    "pongs": (b"", PONG),
    "WebSocket pings": (b"", masked(0x89, b"x" * 125)),
    "WebSocket pongs": (b"", masked(0x8A, b"")),
    "continuations": (masked(0x01, b"4"), masked(0x00, b"")),
    "messages": (b"", masked(0x81, b"42x")),
    "acknowledgements": (b"", masked(0x81, b"43999[]")),
    "long messages": (b"", masked(0x81, b"43999[" + b" " * 8000 + b"]")),
}

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="it reads /proc")


@pytest.fixture
async def apart() -> AsyncIterator[tuple[Replica, Running]]:
    """A hub in a process of its own."""
    async with hub_apart() as started:
        yield started


async def flood(hub: Replica, mine: str | None, begin: bytes, piece: bytes) -> int:
    """Write as much as the hub reads, and once more when it has stopped; return how much."""
    chunk, sent = piece * (65536 // len(piece)), 0
    while True:
        reader, writer = await bare_socket(hub, mine)
        try:
            writer.write(begin)
            while not reader.at_eof():
                writer.write(chunk)
                sent += len(chunk)
                await writer.drain()
                await asyncio.sleep(0)
        except OSError:
            pass
        except asyncio.CancelledError:
            return sent
        finally:
            writer.transport.abort()
        await asyncio.sleep(0.05)


async def beside_a_flood(
    hub: Replica, process: Running, begin: Callable[[], Coroutine[Any, Any, int]]
) -> tuple[float, float]:
    """Return the p99 in seconds during a flood, and the hub's share of a CPU."""
    before, loop = processor_seconds(process), asyncio.get_running_loop()
    began = loop.time()
    floods = [asyncio.create_task(begin()) for _ in range(FLOODERS)]
    try:
        await asyncio.sleep(0.2)
        flooded = await p99(hub, SECONDS)
    finally:
        for task in floods:
            task.cancel()
        await asyncio.gather(*floods, return_exceptions=True)
    return flooded, (processor_seconds(process) - before) / (loop.time() - began)


@pytest.mark.parametrize("accepted", [False, True], ids=["before CONNECT", "accepted"])
async def test_a_flood_of_frames_holds_up_nobody(
    apart: tuple[Replica, Running], accepted: bool
) -> None:
    """Eight sockets that write as fast as they can do not delay `/verify`."""
    hub, process = apart
    mine = token("eve", "e") if accepted else None
    quiet = await p99(hub, SECONDS)
    held = resident_bytes(process)
    for name, (begin, piece) in FLOODS.items():
        seen = []
        for _ in range(TRIES):
            flooded, used = await beside_a_flood(
                hub, process, functools.partial(flood, hub, mine, begin, piece)
            )
            seen.append((flooded, used))
            if flooded < max(FLOOR, MARGIN * quiet) and used < 0.9:
                break
        else:
            pytest.fail(f"{name}: {quiet} s while it was quiet, {seen} beside the flood")

    async def nobody_is_left() -> bool:
        return await metric(hub, "hub_sockets") == 0

    await eventually(nobody_is_left)
    assert resident_bytes(process) - held < MAX_LEFT


EVE = {"reason": "admin", "user": "eve"}


async def test_a_socket_that_is_too_fast_is_logged_out_like_any_other(
    apart: tuple[Replica, Running],
) -> None:
    """It is notified and cut, though the frames that it sent have not been read yet."""
    hub, _ = apart
    reader, writer = await bare_socket(hub, token("eve", "e"))
    writer.write(PONG * 300)
    await asyncio.sleep(0.3)
    ended = await hub.call("POST", "/admin/logout?wait=5", ADMIN, json=EVE)
    assert [session["state"] for session in ended.body["sessions"]] == ["notified"]
    with contextlib.suppress(ConnectionError):
        assert b"logoutNotification" in await asyncio.wait_for(reader.read(), PATIENCE)
    writer.transport.abort()


async def test_a_socket_that_floods_is_closed(
    apart: tuple[Replica, Running],
) -> None:
    """Frames beyond the budget are neither kept nor read, and the socket is closed at once."""
    hub, _ = apart
    reader, writer = await bare_socket(hub, token("eve", "e"))
    writer.write(PONG * 9000)

    async def nobody_is_left() -> bool:
        return await metric(hub, "hub_sockets") == 0

    await eventually(nobody_is_left, patience=3)
    with contextlib.suppress(ConnectionError):
        assert (await asyncio.wait_for(reader.read(), PATIENCE)).endswith((1008).to_bytes(2, "big"))
    writer.transport.abort()
