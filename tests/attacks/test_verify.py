"""Attack: bodies, methods, paths and headers at `/verify`, which a proxy passes on from anybody.

Bounds: no body is read before the answer, nor kept after it; a connection stays in step or is
closed; metrics and log grow with nothing that a client makes up.
"""

from __future__ import annotations

import asyncio
import gzip
import re
import time
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.attacks.apart import Apart, hub_apart
from tests.patience import PATIENCE
from tests.site import token

pytestmark = pytest.mark.asyncio(loop_scope="module")

MB = 2**20
NEXT = b"GET /healthz HTTP/1.1\r\nHost: hub\r\nConnection: close\r\n\r\n"
SMUGGLED = b"GET /nowhere HTTP/1.1\r\nHost: hub\r\n\r\n"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hub() -> AsyncIterator[Apart]:
    """A hub in a process of its own, for the whole file."""
    async with hub_apart(
        HUB_VERIFY_REDIRECTS="web=https://login.example/", HUB_ALLOWED_ORIGINS="https://app.example"
    ) as made:
        yield made


def asked(*headers: str, method: str = "POST", path: str = "/verify") -> bytes:
    """Return the head of a request with a good token."""
    lines = [f"{method} {path} HTTP/1.1", "Host: hub", f"Authorization: Bearer {token('ada')}"]
    return "\r\n".join([*lines, *headers, "\r\n"]).encode()


def statuses(heard: bytes) -> list[bytes]:
    """Return the statuses of all answers."""
    return re.findall(rb"^HTTP/1\.[01] (\d+)", heard, re.MULTILINE)


BODIES = {
    "length": (b"Content-Length: %d" % len(SMUGGLED), SMUGGLED),
    "chunked": (
        b"Transfer-Encoding: chunked",
        b"%x\r\n%s\r\n0\r\n\r\n" % (len(SMUGGLED), SMUGGLED),
    ),
    "gzip": (b"Content-Encoding: gzip\r\nContent-Length: %d" % len(SMUGGLED), SMUGGLED),
}


@pytest.mark.parametrize("kind", BODIES)
async def test_a_body_is_no_request(hub: Apart, kind: str) -> None:
    """A body that looks like a request is skipped, or the connection is closed."""
    header, body = BODIES[kind]
    heard = await hub.exchange(asked(header.decode()) + body + NEXT)
    assert statuses(heard) in ([b"204", b"200"], [b"204"], [b"400"])
    if kind != "gzip":
        assert statuses(heard) == [b"204", b"200"]


@pytest.mark.parametrize(
    "headers",
    [
        ("Content-Length: 37", "Transfer-Encoding: chunked"),
        ("Content-Length: 37", "Content-Length: 0"),
        ("Transfer-Encoding: chunked, identity",),
        ("Content-Length: -1",),
    ],
)
async def test_a_body_of_two_lengths_is_refused(hub: Apart, headers: tuple[str, ...]) -> None:
    """A request with an ambiguous length is refused, and the connection is closed."""
    assert statuses(await hub.exchange(asked(*headers) + SMUGGLED + NEXT)) == [b"400"]


async def test_a_body_that_never_comes_is_not_waited_for(hub: Apart) -> None:
    """A request with Content-Length but no body is answered at once."""
    reader, writer = await hub.connect()
    began = time.monotonic()
    writer.write(asked("Content-Length: 1000"))
    async with asyncio.timeout(PATIENCE):
        assert b" 204 " in await reader.readuntil(b"\r\n\r\n")
        assert await reader.read() == b""
    assert time.monotonic() - began < 8
    writer.close()


async def test_large_bodies_are_not_kept(hub: Apart) -> None:
    """Large or compressed bodies cause no 413, and nothing of them stays in memory."""
    plain, packed = bytes(16 * MB), gzip.compress(bytes(64 * MB))
    before = hub.memory()
    for _ in range(3):
        for extra, body in (((), plain), (("Content-Encoding: gzip",), packed)):
            heard = await hub.exchange(asked(*extra, f"Content-Length: {len(body)}") + body + NEXT)
            assert statuses(heard)[:1] in ([b"204"], [])  # reset: closed before all was sent
    assert hub.memory() - before < 30 * MB
    assert await hub.is_well()


async def test_made_up_methods_and_paths_are_not_counted_apart(hub: Apart) -> None:
    """Unknown methods share a label in the metrics, and all paths two."""
    methods = ["MKCOL", "LOCK", "REPORT", "SEARCH", "M-SEARCH"]
    for number, method in enumerate(methods):
        path = f"/verify/{number}/{'x' * 2000}?y={number}"
        assert statuses(await hub.exchange(asked("Connection: close", method=method, path=path)))
    for method in ("MADEUP", "get", "G@T"):
        heard = await hub.exchange(asked("Connection: close", method=method))
        assert statuses(heard) in ([b"204"], [b"400"])
    metrics = await hub.exchange(NEXT.replace(b"/healthz", b"/metrics"))
    routes = re.findall(rb'requests_total\{method="([^"]+)",route="(/verify[^"]*)"', metrics)
    assert {route for _, route in routes} <= {b"/verify", b"/verify/{path}"}
    assert {method for method, _ in routes} <= {b"GET", b"POST", b"DELETE", b"OPTIONS", b"other"}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ([f"X-Forwarded-Uri: /{number}" for number in range(50)], b"303"),
        (["X-Forwarded-Host: " + "a," * 4000, "X-Original-URL: " + ":/" * 4000], b"303"),
        ([f"X-Made-Up-{number}: x" for number in range(200)], b"400"),
        (["X-Forwarded-Uri: /" + "a" * 20_000], b"400"),
    ],
)
async def test_floods_of_headers_cost_no_more_than_their_length(
    hub: Apart, headers: list[str], status: bytes
) -> None:
    """Repeated and long headers are answered quickly; too many get 400."""
    lines = ["Sec-Fetch-Mode: navigate", "X-Forwarded-Proto: https", *headers, "Connection: close"]
    head = asked(*lines, path="/verify?redirect=web").replace(b"Bearer", b"Basic")
    heard = await hub.exchange(head)
    assert statuses(heard) == [status]
    assert len(heard) < 4096


async def test_a_path_of_slashes_is_no_yes(hub: Apart) -> None:
    """A path with too many slashes is refused, even with a good token."""
    heard = await hub.exchange(asked("Connection: close", path="/verify" + "/" * 4000))
    assert statuses(heard) == [b"404"]
