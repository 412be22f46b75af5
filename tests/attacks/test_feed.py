"""The feed for guards costs a replica little, with any credentials and however slowly it is read.

The bounds: a stranger gets as many refusals as any who guesses; there are as many guards as the
settings say, and the next one is told to come back; a guard that does not read is cut within
seconds, while others are served; and nobody's position is an error.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
import pytest_asyncio
from pydantic import SecretStr

from hub.api.services import SERVICES
from hub.core.feed import Revocation
from hub.core.model import Reason, Scope
from hub.core.rate import Rate
from tests.feed_reader import GUARD, reading
from tests.patience import PATIENCE
from tests.realtime.raw import eventually
from tests.site import Replica, running, settings

MOST = 3
SOON = 8.0
"""Seconds that are enough on a busy machine for a bound of one."""

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hub() -> AsyncIterator[Replica]:
    """A hub with short timeouts, room for few guards, and 8 MB of logouts in force."""
    given = settings(
        guard_token=SecretStr(GUARD),
        limit_guards=MOST,
        limit_write_seconds=1,
        limit_refused=Rate(per_second=0.01, burst=5),
    )
    async with running(given) as made:
        ledger = made.app[SERVICES].feed._source.ledger
        for number in range(8_000):
            user = f"{number:08}" + "\N{GRINNING FACE}" * 240
            ledger.apply(Revocation(Scope.ALL, Reason.USER, at=time.time(), user=user))
        yield made


async def shows(hub: Replica, line: str) -> bool:
    """Tell whether the metrics contain a line."""
    return line in (await hub.call("GET", "/metrics")).body


async def has_room(hub: Replica) -> bool:
    """Tell whether one more guard is admitted."""
    return (await hub.call("HEAD", "/revocations", GUARD)).status == 200


async def test_a_guard_that_does_not_read_is_cut(hub: Replica) -> None:
    """It is cut within the time to read, and others are sent everything meanwhile."""
    silent = socket.socket()
    silent.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    silent.connect(("127.0.0.1", hub.port))
    head = f"GET /revocations HTTP/1.1\r\nHost: hub\r\nAuthorization: Bearer {GUARD}\r\n\r\n"
    silent.sendall(head.encode())
    began = time.monotonic()
    async with reading(hub) as other:
        assert (await other.until("ready"))[-1].kind == "ready"
    await eventually(lambda: shows(hub, "hub_guards_cut_total 1.0"))
    assert time.monotonic() - began < SOON
    silent.close()


async def test_there_are_as_many_guards_as_the_settings_say(hub: Replica) -> None:
    """One guard too many is refused with Retry-After, and a free place is available at once."""
    async with AsyncExitStack() as stack:
        for _ in range(MOST):
            guard = await stack.enter_async_context(reading(hub))
            assert guard.status == 200
        refused = await hub.call("GET", "/revocations", GUARD)
        assert (refused.status, refused.code) == (503, "unavailable")
        assert int(refused.headers["Retry-After"]) >= 1
    await eventually(lambda: has_room(hub))


async def test_a_storm_of_connects_that_are_left_leaves_nothing(hub: Replica) -> None:
    """Aborted connections leave nothing behind, whether or not they had begun to read."""
    for _ in range(50):
        reader, writer = await asyncio.open_connection("127.0.0.1", hub.port)
        writer.write(
            f"GET /revocations HTTP/1.1\r\nHost: hub\r\nAuthorization: Bearer {GUARD}\r\n"
            "Accept-Encoding: gzip\r\n\r\n".encode()
        )
        await reader.read(1)
        writer.transport.abort()
    await eventually(lambda: shows(hub, "hub_guards 0.0"))
    async with reading(hub) as guard:
        await guard.until("ready")


@pytest.mark.parametrize("last", ["\x7f", "A" * 8000, "8gIEt6dC9NP/7cHqoTQAAA", "\xff\xfe", "a=b"])
async def test_no_position_is_an_error(hub: Replica, last: str) -> None:
    """An invalid position gets everything anew, or the request is refused."""
    reader, writer = await asyncio.open_connection("127.0.0.1", hub.port)
    head = f"GET /revocations HTTP/1.1\r\nHost: hub\r\nAuthorization: Bearer {GUARD}\r\n"
    writer.write(head.encode() + b"Last-Event-ID: " + last.encode("latin-1") + b"\r\n\r\n")
    async with asyncio.timeout(PATIENCE):
        status = await reader.readline()
        if b" 200 " in status:
            await reader.readuntil(b"event: reset")
    assert status.split()[1] in (b"200", b"400")
    writer.transport.abort()


async def test_strangers_are_limited_like_all_who_guess(hub: Replica) -> None:
    """A stranger's guesses are limited by address; guards at that address are still served."""
    found = Counter(
        [(await hub.call("GET", "/revocations", f"guess-{n}")).status for n in range(9)]
    )
    assert found == {401: 5, 429: 4}
    async with reading(hub) as guard:
        assert guard.status == 200
