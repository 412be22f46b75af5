"""What cannot be parsed is answered once, and nothing after it is read or kept.

The bound: 60 connections that send 4 MB of zeros each behind a request, and close, leave less than
60 MB with the hub, where all that they sent was 240 MB.
"""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from tests.attacks.apart import Apart, hub_apart
from tests.patience import PATIENCE

GOOD = b"GET /healthz HTTP/1.1\r\nHost: hub\r\n\r\n"
MB = 1_000_000


async def pour(hub: Apart, request: bytes, filler: bytes, total: int) -> None:
    """Send a request and then filler, as long as the hub reads it, and close."""
    _, writer = await hub.connect()
    with contextlib.suppress(ConnectionError, TimeoutError):
        writer.write(request)
        async with asyncio.timeout(PATIENCE):
            for _ in range(total // len(filler)):
                writer.write(filler)
                await writer.drain()
    writer.transport.abort()


@pytest.mark.parametrize("filler", [b"\0", b"GET / HTTP/1.1\r\n\xff: x\r\n\r\n"])
async def test_what_follows_upon_garbage_is_not_kept(filler: bytes) -> None:
    """It is not kept while the connections are open, nor after they are closed."""
    async with hub_apart() as hub:
        before = hub.memory()
        chunk = filler * (65536 // len(filler))
        await asyncio.gather(*(pour(hub, GOOD, chunk, 4 * MB) for _ in range(60)))
        assert await hub.is_well()
        assert hub.memory() - before < 60 * MB


UNREADABLE = [
    b"\0" * 100,
    b"GET\r\n\r\n",
    b"GET / HTTP/9.9\r\n\r\n",
    b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1\r\n" + b"".join(b"a%d: b\r\n" % n for n in range(150)) + b"\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nCookie: " + b"a" * 17_000 + b"\r\n\r\n",
]


async def test_a_request_that_cannot_be_read_is_a_problem_like_all_others() -> None:
    """It gets problem details with a code, which quote neither the request nor a version."""
    async with hub_apart() as hub:
        for request in UNREADABLE:
            answer = await hub.exchange(request)
            head, _, body = answer.partition(b"\r\n\r\n")
            assert head.startswith((b"HTTP/1.1 400 ", b"HTTP/1.0 400 ")), (request[:40], head)
            lines = {line.lower() for line in head.split(b"\r\n")}
            assert b"content-type: application/problem+json" in lines
            assert b"cache-control: no-store" in lines
            assert b"server: logout-hub" in lines
            assert b'"code":"invalid_request"' in body
            assert b"aaaa" not in body
        assert await hub.is_well()
