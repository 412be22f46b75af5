"""Slow clients are waited for as long as the settings say, and no longer.

The bound, here of one second instead of ten: a connection that is silent, or sends its headers or
its body byte by byte, or does not read its answer, is closed within a few seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.attacks.apart import Apart, hub_apart
from tests.patience import PATIENCE
from tests.site import token

SOON = 8.0
"""Seconds that are enough on a busy machine, and far less than what it was: 25 to 200."""

POST = (
    b"POST /logout HTTP/1.1\r\nHost: hub\r\nAuthorization: Bearer %s\r\nContent-Length: 500\r\n\r\n"
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hub() -> AsyncIterator[Apart]:
    """A hub with short timeouts, for the whole file."""
    async with hub_apart(HUB_LIMIT_READ_SECONDS="1", HUB_LIMIT_WRITE_SECONDS="1") as made:
        yield made


async def drip(hub: Apart, first: bytes, drops: bytes) -> tuple[float, bytes]:
    """Send bytes one by one; return after how long the hub closed, and what it sent."""
    reader, writer = await hub.connect()
    began = time.monotonic()
    writer.write(first)

    async def go_on() -> None:
        while True:
            for drop in drops:
                await asyncio.sleep(0.2)
                with contextlib.suppress(ConnectionError):
                    writer.write(bytes([drop]))
            if not drops:
                await asyncio.sleep(0.2)

    going = asyncio.create_task(go_on())
    said = b""
    with contextlib.suppress(ConnectionError):
        async with asyncio.timeout(PATIENCE):
            while piece := await reader.read(65536):
                said += piece
    going.cancel()
    writer.transport.abort()
    return time.monotonic() - began, said


@pytest.mark.parametrize(
    ("first", "drops"),
    [
        (b"", b""),
        (b"GET /healthz HTTP/1.1\r\n", b""),
        (b"GET /healthz HTTP/1.1\r\nA: ", b"a"),
        (b"", b"GET /healthz HTTP/1.1\r\n" + b"A: b\r\n" * 100),
    ],
    ids=["silent", "partial", "dripping a header", "dripping a request"],
)
async def test_headers_come_in_time_or_not_at_all(hub: Apart, first: bytes, drops: bytes) -> None:
    """The time for the headers counts from when the connection was accepted."""
    took, _ = await drip(hub, first, drops)
    assert took < SOON
    assert await hub.is_well()


async def test_the_next_headers_come_in_time_as_well(hub: Apart) -> None:
    """After a response, the time for headers counts from the first byte of the next request."""
    good = b"GET /healthz HTTP/1.1\r\nHost: hub\r\n\r\n"
    took, said = await drip(hub, good + b"GET /he", b"a")
    assert took < SOON
    assert b" 200 " in said


async def test_a_connection_may_rest_between_two_requests(hub: Apart) -> None:
    """A keep-alive connection may be idle for longer than the time for headers."""
    reader, writer = await hub.connect()
    for _ in range(2):
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: hub\r\n\r\n")
        async with asyncio.timeout(PATIENCE):
            assert b" 200 " in await reader.readuntil(b"}")
        await asyncio.sleep(2.5)
    writer.close()


async def test_a_body_comes_in_time_or_not_at_all(hub: Apart) -> None:
    """A body that is too slow gets 408, even with a good token."""
    took, said = await drip(hub, POST % token("ada").encode(), b" ")
    assert took < SOON
    assert b" 408 " in said


async def test_a_body_that_nobody_wants_is_not_waited_for(hub: Apart) -> None:
    """A request refused because of its headers ends soon, whatever body it announced."""
    took, said = await drip(hub, POST % b"x.y.z", b" ")
    assert took < SOON
    assert b" 401 " in said


async def test_an_answer_is_read_in_time_or_not_at_all(hub: Apart) -> None:
    """A client that requests much and reads nothing is cut."""
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    raw.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(raw, ("127.0.0.1", hub.port))
    with contextlib.suppress(TimeoutError, ConnectionError):
        async with asyncio.timeout(2):
            for _ in range(5000):
                await loop.sock_sendall(raw, b"GET /client.js HTTP/1.1\r\nHost: hub\r\n\r\n")
    async with asyncio.timeout(PATIENCE):
        # Once the hub has let go, the rest of the line is reset.
        with contextlib.suppress(ConnectionError):
            while True:
                await asyncio.sleep(0.3)
                await loop.sock_sendall(raw, b"G")
    raw.close()
    assert await hub.is_well()
