"""Idle connections cannot use up all file descriptors of the process.

The bound: so many connections that carry no socket (a quarter of the files that the process may
open, and 5,000 at most); beyond, the oldest of those that wait for a request give way.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys

import pytest

from hub.api.listener import NEWCOMER_SECONDS, Listener
from hub.api.open_files import allow_many_files, most_files
from tests.realtime.raw import eventually, raw_socket
from tests.site import Replica, running, settings, token

MOST = 40
GET = b"GET /healthz HTTP/1.1\r\nHost: hub\r\n\r\n"
POLL = "/socket.io/?EIO=4&transport=polling"

Line = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def connect(hub: Replica, request: bytes) -> Line:
    """Open a connection, and send a request over it if there is one."""
    reader, writer = await asyncio.open_connection("127.0.0.1", hub.port)
    if request:
        writer.write(request)
        await reader.readuntil(b"}")
    return reader, writer


def is_closed(line: Line) -> bool:
    """Tell whether the hub has closed a connection."""
    return line[0].at_eof()


@pytest.mark.parametrize("request_first", [GET, b""], ids=["after a request", "from the first"])
async def test_idle_connections_give_way(
    monkeypatch: pytest.MonkeyPatch, request_first: bytes
) -> None:
    """A flood of idle connections closes the oldest of them; polls and sockets stay."""
    monkeypatch.setattr(Listener, "most", MOST)
    async with running(settings(limit_read_seconds=60)) as hub, raw_socket(hub) as raw:
        await raw.connect(token("ada", "s1"))
        sid = json.loads((await hub.call("GET", POLL)).body[1:])["sid"]
        polling = asyncio.create_task(hub.call("GET", f"{POLL}&sid={sid}"))
        lines = [await connect(hub, request_first) for _ in range(5 * MOST)]
        await eventually(lambda: sum(map(is_closed, lines)) >= 3 * MOST)
        assert not is_closed(lines[-1])
        assert not polling.done()
        assert (await hub.call("POST", f"{POLL}&sid={sid}", data="1")).status == 200
        await polling
        await raw.send('421["logout",{"scope":"others"}]')
        assert '"ok":true' in str(await raw.receive())
        for _, writer in lines:
            writer.close()


async def test_who_has_just_come_is_not_closed_before_its_request_arrives(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Older idle connections are closed before one that has just been accepted."""
    monkeypatch.setattr(Listener, "most", MOST)
    async with running(settings(limit_read_seconds=60)) as hub:
        silent = await connect(hub, b"")
        await asyncio.sleep(NEWCOMER_SECONDS + 0.5)
        idle = [await connect(hub, GET) for _ in range(MOST)]
        lines = [await connect(hub, b"") for _ in range(MOST // 2)]
        await eventually(lambda: is_closed(silent) and is_closed(idle[0]))
        assert not any(map(is_closed, lines))
        for _, writer in (silent, *idle, *lines):
            writer.close()


def test_the_bound_is_a_share_of_the_files_that_may_be_open() -> None:
    """A process with few file descriptors keeps most of them for sockets."""
    code = (
        "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (400, 800));"
        "from hub.api.open_files import allow_many_files, most_files;"
        "before = most_files(); allow_many_files(); print(before, most_files())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["400", "800"]
    allow_many_files()
    assert most_files() >= 800
