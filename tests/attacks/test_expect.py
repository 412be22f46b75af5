"""The bound: no ``Expect`` header makes the hub fail, and none is quoted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.patience import PATIENCE
from tests.site import Replica, running, settings, token


@pytest.fixture
async def hub() -> AsyncIterator[Replica]:
    """A hub on the embedded store."""
    async with running(settings()) as replica:
        yield replica


async def ask(hub: Replica, path: str, expected: bytes) -> bytes:
    """Return the whole response to a request with ``Expect``."""
    reader, writer = await asyncio.open_connection("127.0.0.1", hub.port)
    bearer = token("ada", "s1").encode()
    writer.write(
        b"GET " + path.encode() + b" HTTP/1.1\r\nHost: hub\r\nConnection: close\r\n"
        b"Authorization: Bearer " + bearer + b"\r\nExpect: " + expected + b"\r\n\r\n"
    )
    async with asyncio.timeout(PATIENCE):
        heard = await reader.read()
    writer.close()
    return heard


@pytest.mark.parametrize("path", ["/verify", "/nowhere", "/socket.io/"])
@pytest.mark.parametrize("expected", [b"\x80", b"Bearer", b"100-continue, x", b"<script>"])
async def test_what_nobody_can_expect_is_refused(hub: Replica, path: str, expected: bytes) -> None:
    """The response is 417 with problem details, and does not quote the request."""
    heard = await ask(hub, path, expected)
    head, _, body = heard.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 417 ")
    assert b"application/problem+json" in head
    assert b"Cache-Control: no-store" in head
    assert b'"code":"invalid_request"' in body
    assert expected not in body.replace(b"100-continue can", b"")


async def test_100_continue_is_met(hub: Replica) -> None:
    """A client that expects 100-continue gets it before it sends its body."""
    heard = await ask(hub, "/verify", b"100-Continue")
    assert heard.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 ")
