"""Connections that are over leave nothing that waits for the garbage collector."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Sequence

import pytest

from hub.api.connection import Connection
from tests.patience import PATIENCE
from tests.realtime.raw import eventually
from tests.site import Replica, running, settings, token

BODY = '{"scope": "session"}'
AS_CHUNKS = f"14\r\n{BODY}\r\n0\r\n\r\n"
LASTING = token("ada", "s1", lifetime=3600)  # until the last test
ABORT = ""
"""Written instead of a piece of a request: the client goes away."""


def head(method: str = "GET", path: str = "/session", *lines: str, who: str | None = None) -> str:
    """Return the head of a request, by a user unless it is nobody's."""
    mine = LASTING if who is None else who
    more = ["Host: hub", *([f"Authorization: Bearer {mine}"] if mine else []), *lines]
    return "\r\n".join([f"{method} {path} HTTP/1.1", *more, "", ""])


LENGTH = f"Content-Length: {len(BODY)}"
CHUNKED = "Transfer-Encoding: chunked"
UPGRADE = ("Connection: Upgrade", "Upgrade: websocket")
LOGOUT = ("POST", "/logout", "Content-Type: application/json")

REQUESTS: dict[str, tuple[int, Sequence[str]]] = {
    "no body": (200, [head()]),
    "a body with the head": (200, [head(*LOGOUT, LENGTH) + BODY]),
    "a body after the head": (200, [head(*LOGOUT, LENGTH), BODY[:9], BODY[9:]]),
    "chunks with the head": (200, [head(*LOGOUT, CHUNKED) + AS_CHUNKS]),
    "chunks after the head": (200, [head(*LOGOUT, CHUNKED), AS_CHUNKS[:9], AS_CHUNKS[9:]]),
    "an expectation": (100, [head(*LOGOUT, LENGTH, "Expect: 100-continue"), BODY]),
    "an expectation that is not met": (417, [head("GET", "/session", "Expect: more")]),
    "pipelined": (200, [3 * head()]),
    "an upgrade that is refused": (400, [head("GET", "/socket.io/?EIO=4&x", *UPGRADE)]),
    "an upgrade that is ignored": (200, [head("GET", "/session", *UPGRADE)]),
    "too large": (413, [head(*LOGOUT, "Content-Length: 9999999"), "x" * 99_999]),
    "too large, in chunks": (
        413,
        [head(*LOGOUT, CHUNKED), 2 * ("ffff\r\n" + "x" * 65_535 + "\r\n")],
    ),
    "too late": (408, [head(*LOGOUT, LENGTH), BODY[:9]]),
    "too late, in chunks": (408, [head(*LOGOUT, CHUNKED), AS_CHUNKS[:9]]),
    "aborted in the head": (0, [head()[:30], ABORT]),
    "aborted in the body": (0, [head(*LOGOUT, LENGTH), BODY[:9], ABORT]),
    "aborted in a chunk": (0, [head(*LOGOUT, CHUNKED), AS_CHUNKS[:9], ABORT]),
    "not a request": (400, ["GET\x01 / HTTP/9\r\n\r\n"]),
    "not a chunk": (400, [head(*LOGOUT, CHUNKED), "zz\r\n"]),
    "not a chunk, with the head": (400, [head(*LOGOUT, CHUNKED) + "zz\r\n"]),
    "headers that are too large": (431, [head("GET", "/session", *30 * ["a: " + "x" * 4000])]),
    "nobody": (401, [head(who="")]),
    "somebody who was logged out": (401, [head(who=token("ada", "ended", lifetime=3600))]),
    "a forged token": (401, [head(who=LASTING[:-9] + "AAAAAAAAA")]),
    "not found": (404, [head("GET", "/nothing")]),
    "not found, with a body": (404, [head("POST", "/nothing", CHUNKED), AS_CHUNKS]),
    "no such method": (405, [head("PUT", "/session")]),
}


def kept() -> int:
    """Return how many connections of hubs in this process are in memory."""
    return sum(isinstance(one, Connection) for one in gc.get_objects())


async def send(port: int, pieces: Sequence[str]) -> int:
    """Send the pieces of a request; return the status of the answer, 0 without one."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for piece in pieces:
            if piece == ABORT:
                writer.transport.abort()
                return 0
            writer.write(piece.encode("latin-1"))
            await asyncio.sleep(0.1)  # in a packet of its own
        return int((await reader.readline()).split()[1])
    finally:
        writer.close()


@pytest.mark.parametrize(("status", "pieces"), REQUESTS.values(), ids=list(REQUESTS))
async def test_a_connection_is_freed_without_the_garbage_collector(
    status: int, pieces: Sequence[str]
) -> None:
    """Whatever was sent and answered, the connection goes with its end, and so does its request."""
    patience = 1 if status == 408 else PATIENCE
    async with running(settings(limit_read_seconds=patience)) as hub:
        await log_out(hub)
        gc.collect()
        gc.disable()
        try:
            before = kept()
            async with asyncio.timeout(PATIENCE):
                assert await send(hub.port, pieces) == status
            await eventually(lambda: kept() == before)
        finally:
            gc.enable()


async def log_out(hub: Replica) -> None:
    """End the session called ended."""
    ended = await hub.call("POST", "/logout", token("ada", "ended"), json={"scope": "session"})
    assert ended.status == 200
