"""Attack: paths of thousands of slashes, for each of which a router would look once more.

Bound: a path with more than 32 slashes never reaches the router, so that what it costs grows with
its length alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from hub.api.listener import MAX_SLASHES, _screening
from tests.attacks.apart import Apart, hub_apart

LONGEST = 7900


async def statuses(paths: list[str]) -> tuple[list[int], list[str]]:
    """Return the paths that reach the handler behind the check, and the status of each path."""
    routed: list[str] = []

    def route(request: web.BaseRequest) -> Awaitable[web.StreamResponse]:
        routed.append(request.path)
        return asyncio.sleep(0, web.Response(status=204))

    screened = _screening(route)
    answers = [await screened(make_mocked_request("GET", path)) for path in paths]
    return [answer.status for answer in answers], routed


async def test_a_path_of_many_slashes_is_not_routed() -> None:
    """A path with one slash more than the bound is answered without the router."""
    longest, longer = "/a" * MAX_SLASHES, "/a" * (MAX_SLASHES + 1)
    found, routed = await statuses([longest, longer])
    assert found == [204, 404]
    assert routed == [longest]


async def test_slashes_in_a_query_or_in_a_name_do_not_count() -> None:
    """Slashes in the query, and escaped ones, do not count."""
    found, _ = await statuses(["/verify?next=" + "/" * LONGEST, "/sessions/" + "%2F" * 100])
    assert found == [204, 204]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hub() -> AsyncIterator[Apart]:
    """A hub in a process of its own, for the whole file."""
    async with hub_apart() as made:
        yield made


@pytest.mark.parametrize("path", ["/" * LONGEST, "/healthz" + "/a" * 3900, "/%2e%2e" * 1100])
async def test_a_long_path_is_refused_as_any_other(hub: Apart, path: str) -> None:
    """A path of slashes gets the usual 404, and the hub stays available."""
    request = f"GET {path} HTTP/1.1\r\nHost: hub\r\nConnection: close\r\n\r\n"
    answer = await hub.exchange(request.encode())
    head = answer.partition(b"\r\n\r\n")[0].lower()
    assert head.startswith(b"http/1.1 404")
    assert b"application/problem+json" in head
    assert b"cache-control: no-store" in head
    assert await hub.is_well()
