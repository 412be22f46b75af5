"""Clients that never finish a request, or do not read the response, cannot fill the memory.

The bounds: 64 KiB of headers for a request; 64 MiB of unfinished requests of all connections
together; half as many connections that hold some as may be idle, and as many that are not read.
Beyond, the oldest give way, and a request that arrives in time is answered.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys

import pytest

from hub.api import unfinished
from hub.api.listener import Listener
from hub.api.unfinished import MAX_HEAD, Unfinished
from tests.attacks.apart import hub_apart
from tests.patience import PATIENCE
from tests.realtime.raw import eventually
from tests.site import Replica, running, settings

MOST = 40
MANY = 100
MAX_GROWN = 60 * 1024 * 1024
"""Bytes that a process may grow by; it was 290 MB."""

BEGIN = b"GET /healthz HTTP/1.1\r\nHost: hub\r\n"
HEADERS = b"".join(b"X-%d: %s\r\n" % (number, b"a" * 16_000) for number in range(90))
POST = b"POST /revoke HTTP/1.1\r\nHost: hub\r\nContent-Type: application/x-www-form-urlencoded\r\n"
BODY = b"token=" + b"a" * 10_000
POLL = "/socket.io/?EIO=4&transport=polling"

Line = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def begin(port: int, data: bytes) -> Line:
    """Open a connection, and send the beginning of a request."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data)
    return reader, writer


async def status(line: Line) -> bytes:
    """Return the status of the response; empty if the connection is closed without one."""
    async with asyncio.timeout(PATIENCE):
        try:
            return (await line[0].readline())[9:12]
        except ConnectionError:
            return b""


async def test_a_pipeline_is_no_head() -> None:
    """All small requests that a client pipelines are answered, however many there are."""
    async with running(settings()) as hub:
        whole = BEGIN + HEADERS[:1000] + b"\r\n\r\n"
        sent = whole * 200 + whole[:-2]
        reader, writer = await begin(hub.port, sent)
        for _ in range(200):
            assert b" 200 " in await reader.readuntil(b"}")
        writer.write(whole[-2:])
        assert b" 200 " in await reader.readuntil(b"}")
        writer.close()


async def begin_bodies(hub: Replica, count: int, sent: int) -> list[Line]:
    """Begin requests with bodies, and send this many bytes of each."""
    head = POST + b"Content-Length: %d\r\n\r\n" % len(BODY)
    return [await begin(hub.port, head + BODY[:sent]) for _ in range(count)]


def is_closed(line: Line) -> bool:
    """Tell whether the hub has closed a connection."""
    return line[0].at_eof() or line[0].exception() is not None


async def closed(lines: list[Line]) -> int:
    """Return how many connections the hub has closed."""
    await asyncio.sleep(0)
    return sum(map(is_closed, lines))


@pytest.mark.skipif(sys.platform != "linux", reason="it reads /proc")
async def test_headers_without_an_end_are_refused() -> None:
    """Headers that are too large are refused at once, and the connection is closed."""
    async with hub_apart() as hub:
        before = hub.memory()
        lines = [await begin(hub.port, BEGIN + HEADERS) for _ in range(MANY)]
        assert {await status(line) for line in lines} <= {b"431", b""}
        assert hub.memory() - before < MAX_GROWN
        assert await hub.is_well()
        for _, writer in lines:
            writer.transport.abort()


@pytest.mark.parametrize("in_front", [b"", BEGIN + b"\r\n"], ids=["alone", "behind a request"])
async def test_headers_are_refused_with_an_answer(in_front: bytes) -> None:
    """Headers that are too large get 431, and large ones below the limit are accepted."""
    async with running(settings()) as hub:
        fits = HEADERS[: HEADERS.index(b"X-3")]
        line = await begin(hub.port, in_front + BEGIN + fits + b"\r\n")
        assert await status(line) == b"200"
        line[1].transport.abort()
        line = await begin(hub.port, in_front)
        if in_front:
            await line[0].readuntil(b"}")
        line[1].write(BEGIN + HEADERS[: MAX_HEAD + 20_000])
        answer = await line[0].readuntil(b"}")
        assert answer[9:12] == b"431"
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["code"] == "invalid_request"
        assert await line[0].read() == b""
        line[1].close()


async def test_begun_bodies_give_way_when_they_are_too_much(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The oldest are aborted; the newest, and complete requests, are answered."""
    monkeypatch.setattr(unfinished, "MAX_HELD", 10 * len(BODY) + 5_000)
    async with running(settings(limit_read_seconds=PATIENCE)) as hub:
        lines = await begin_bodies(hub, 30, len(BODY) - 1)
        await eventually(lambda: _are(lines, 20))
        assert [is_closed(line) for line in lines] == [True] * 20 + [False] * 10
        assert (await hub.call("POST", "/revoke", data={"token": "a" * 10_000})).status == 200
        lines[-1][1].write(BODY[-1:])
        assert await status(lines[-1]) == b"200"
        for _, writer in lines:
            writer.transport.abort()


async def _are(lines: list[Line], count: int) -> bool:
    return await closed(lines) >= count


@pytest.mark.parametrize("sent", [1, 100])
async def test_only_so_many_connections_hold_a_part_of_a_request(
    monkeypatch: pytest.MonkeyPatch, sent: int
) -> None:
    """The number of incomplete requests is limited, however small each is."""
    monkeypatch.setattr(Listener, "most", MOST)
    async with running(settings(limit_read_seconds=PATIENCE)) as hub:
        lines: list[Line] = []
        for _ in range(3 * MOST):
            lines += await begin_bodies(hub, 1, sent)
            await asyncio.sleep(0.002)
        await eventually(lambda: _are(lines, len(lines) - MOST // 2))
        await eventually(hub.is_ready)
        for _, writer in lines:
            writer.transport.abort()


async def test_who_does_not_read_gives_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """If there are too many, clients that do not read are cut before their time is over."""
    monkeypatch.setattr(Listener, "most", MOST)
    loop, abort, left = asyncio.get_running_loop(), Listener.abort_overdue, list[int]()

    def abort_and_count(listener: Listener) -> None:
        abort(listener)
        left.append(len(listener.connections))

    monkeypatch.setattr(Listener, "abort_overdue", abort_and_count)
    async with running(settings(limit_write_seconds=PATIENCE)) as hub:
        lines = []
        for _ in range(3 * MOST):
            line = socket.socket()
            line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            line.setblocking(False)
            await loop.sock_connect(line, ("127.0.0.1", hub.port))
            await loop.sock_sendall(line, b"GET /openapi.json HTTP/1.1\r\nHost: hub\r\n\r\n" * 300)
            lines.append(line)
        await eventually(lambda: max(left, default=0) > 2 * MOST)
        await eventually(lambda: left[-1] <= MOST)
        assert (await hub.call("GET", "/healthz")).status == 200
        for line in lines:
            line.close()


@pytest.mark.parametrize("sid", [False, True], ids=["a handshake", "a poll"])
async def test_a_poll_has_no_body(sid: bool) -> None:
    """A poll with a body is refused, since its body would wait as long as the poll."""
    async with running(settings()) as hub:
        path = POLL
        if sid:
            path += "&sid=" + json.loads((await hub.call("GET", POLL)).body[1:])["sid"]
        assert (await hub.call("GET", path, data="x" * 60_000)).status == 400


class Abortable:
    """A connection that records whether it was aborted."""

    def __init__(self) -> None:
        self.is_aborted = False

    def abort(self) -> None:
        """Record it."""
        self.is_aborted = True


def test_what_is_held_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection keeps its age while it grows, and is forgotten when its request is complete."""
    monkeypatch.setattr(unfinished, "MAX_HELD", 100)
    most = 9
    held, (first, second, third) = Unfinished(lambda: most), (Abortable() for _ in range(3))
    held.note(first, 40)
    held.note(second, 40)
    held.note(first, 0)
    held.note(third, 40)
    held.note(second, 60)
    assert len(held) == 2
    assert not any(one.is_aborted for one in (first, second, third))
    held.note(first, 1)
    assert [one.is_aborted for one in (first, second, third)] == [False, True, False]
    most = 1
    held.note(second, 9)
    assert third.is_aborted
    assert first.is_aborted
    assert len(held) == 1
