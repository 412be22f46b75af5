"""A WebSocket opens in two ways, by ``hub.api.arrival`` or by aiohttp, which clients cannot tell.

Each request is sent to two hubs, of which one always takes aiohttp's way. What they answer, up to
the answer to CONNECT, is compared whole.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp.http import RawRequestMessage

from benchmarks.frames import TEXT, frame
from hub.api.arrival import decline
from hub.api.services import SERVICES
from hub.app import OPEN_WEBSOCKET, create_app, serve
from hub.realtime.follower import Follower
from tests.patience import PATIENCE
from tests.realtime.raw import eventually
from tests.site import Replica, settings, token

ORIGIN = "https://app.example"
TARGET = b"/socket.io/?EIO=4&transport=websocket"
HOST = b"Host: hub\r\n"
VERSION = b"Sec-WebSocket-Version: 13\r\n"
KEY = b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
UPGRADE = b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
COOKIE = b"Cookie: session=" + token("ada", "cookie").encode() + b"\r\n"
PROXIED = b"X-Forwarded-For: 192.0.2.7\r\nUser-Agent: Mozilla/5.0 Firefox/140.0\r\n"
VARIES = re.compile(
    rb'"(sid)":"[^"]+"|"(expires_in)":[0-9.]+|\r\n(Date): [^\r]+|\x81(?:~..|.)(?=4[04]{)', re.DOTALL
)
"""What differs from one answer to the next, the length of a frame included."""


class Hub:
    """A hub; ``direct`` says for each complete upgrade whether it was opened directly."""

    def __init__(self, replica: Replica, direct: list[bool]) -> None:
        self.replica = replica
        self.direct = direct

    async def ask(self, *parts: bytes, connect: str = "40", port: int | None = None) -> bytes:
        """Send a request in parts; return the answer, after an upgrade also that to CONNECT."""
        reader, writer = await asyncio.open_connection("127.0.0.1", port or self.replica.port)
        try:
            async with asyncio.timeout(PATIENCE):
                for number, part in enumerate(parts):
                    await asyncio.sleep(0.1 if number else 0)
                    writer.write(part)
                said = await reader.readuntil(b"\r\n\r\n")
                if said.startswith(b"HTTP/1.1 101"):
                    writer.write(frame(TEXT, connect.encode()))
                    while b"40{" not in said and b"44{" not in said:
                        said += await reader.read(65536) or b"40{ never came"
                elif length := re.search(rb"Content-Length: (\d+)", said):
                    said += await reader.readexactly(int(length[1]))
        finally:
            writer.transport.abort()
        return VARIES.sub(rb"\1\2\3", said)


@contextlib.asynccontextmanager
async def hub_that(is_direct: bool, **changes: Any) -> AsyncIterator[Hub]:
    """Run a hub that opens WebSockets directly, or through aiohttp."""
    app = create_app(settings(**changes))
    open_websocket = app[OPEN_WEBSOCKET] if is_direct else decline
    async with contextlib.AsyncExitStack() as stack:
        http = await stack.enter_async_context(aiohttp.ClientSession())
        direct: list[bool] = []

        def note(message: RawRequestMessage, transport: asyncio.Transport) -> bool:
            direct.append(open_websocket(message, transport))
            return direct[-1]

        app[OPEN_WEBSOCKET] = note
        port = await stack.enter_async_context(serve(app, "127.0.0.1", 0))
        yield Hub(Replica(app, port, http), direct)


@contextlib.asynccontextmanager
async def both(**changes: Any) -> AsyncIterator[tuple[Hub, Hub]]:
    """Run one hub of each kind."""
    async with hub_that(True, **changes) as direct, hub_that(False, **changes) as usual:
        yield direct, usual


def keep_until_closed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Close a connection; both of its sides were referenced until now, so that it stayed open."""
    writer.transport.abort()


def request(
    target: bytes = TARGET, headers: bytes = HOST + UPGRADE + VERSION + KEY, more: bytes = b""
) -> bytes:
    """Return the request for a WebSocket."""
    return b"GET %s HTTP/1.1\r\n%s%s\r\n" % (target, headers, more)


WHOLE = request()
CONNECT = frame(TEXT, b"40")
GOOD = f'40{{"token":"{token("ada", "own")}","device":"phone"}}'

DIRECT: dict[str, tuple[bytes, str]] = {
    "with a token": (WHOLE, GOOD),
    "without": (WHOLE, "40"),
    "with a bad token": (WHOLE, '40{"token":"nonsense"}'),
    "in another order": (request(b"/socket.io/?transport=websocket&EIO=4&t=x"), GOOD),
    "a token in the query": (request(TARGET + b"&token=x"), GOOD),
    "a cookie from an allowed origin": (
        request(more=COOKIE + b"Origin: " + ORIGIN.encode() + b"\r\n"),
        "40",
    ),
    "a cookie from elsewhere": (request(more=COOKIE + b"Origin: https://evil.example\r\n"), "40"),
    "a cookie from nowhere": (request(more=COOKIE), "40"),
    "a cookie from here": (request(more=COOKIE + b"Sec-Fetch-Site: same-origin\r\n"), "40"),
    "behind a proxy": (request(more=PROXIED), GOOD),
    "with extensions": (request(more=b"Sec-WebSocket-Extensions: permessage-deflate\r\n"), GOOD),
    "a long header": (request(more=b"X-Long: " + b"a" * 16_000 + b"\r\n"), GOOD),
}
"""What is opened before the application is asked; the CONNECT that follows may be refused."""

USUAL: dict[str, tuple[bytes, ...]] = {
    "in two packets": (WHOLE[:40], WHOLE[40:]),
    "a first packet too short to tell": (WHOLE[:10], WHOLE[10:]),
    "with CONNECT behind it": (WHOLE + CONNECT,),
    "with a request behind it": (WHOLE + WHOLE,),
    "behind another request": (b"GET /healthz HTTP/1.1\r\nHost: hub\r\n\r\n" + WHOLE,),
    "no slash": (request(b"/socket.io?EIO=4&transport=websocket"),),
    "another path": (request(b"/socket.io/x?EIO=4&transport=websocket"),),
    "a full address": (request(b"http://hub" + TARGET),),
    "polling": (request(b"/socket.io/?EIO=4&transport=polling"),),
    "no transport": (request(b"/socket.io/?EIO=4"),),
    "another transport": (request(b"/socket.io/?EIO=4&transport=webtransport"),),
    "an older protocol": (request(b"/socket.io/?EIO=3&transport=websocket"),),
    "an unknown session": (request(TARGET + b"&sid=nobody"),),
    "no key": (request(headers=HOST + UPGRADE + VERSION),),
    "a short key": (request(headers=HOST + UPGRADE + VERSION + b"Sec-WebSocket-Key: QUJD\r\n"),),
    "two keys": (request(more=KEY),),
    "no version": (request(headers=HOST + UPGRADE + KEY),),
    "another version": (request(headers=HOST + UPGRADE + KEY + b"Sec-WebSocket-Version: 8\r\n"),),
    "no upgrade": (request(headers=HOST + VERSION + KEY),),
    "an upgrade to something else": (
        request(headers=HOST + VERSION + KEY + b"Connection: Upgrade\r\nUpgrade: h2c\r\n"),
    ),
    "no host": (request(headers=UPGRADE + VERSION + KEY),),
    "HTTP/1.0": (WHOLE.replace(b"HTTP/1.1", b"HTTP/1.0"),),
    "another method": (WHOLE.replace(b"GET", b"POST"),),
    "with a body": (request(more=b"Content-Length: 2\r\n") + b"hi",),
    "with a body in chunks": (
        request(more=b"Transfer-Encoding: chunked\r\n") + b"2\r\nhi\r\n0\r\n\r\n",
    ),
    "an expectation": (request(more=b"Expect: a miracle\r\n"),),
    "a header that is too long": (request(more=b"X-Long: " + b"a" * 17_000 + b"\r\n"),),
    "a line that is too long": (request(TARGET + b"&x=" + b"a" * 8_200),),
    "too many headers": (request(more=b"X-Many: a\r\n" * 101),),
    "a header without a colon": (request(more=b"nonsense\r\n"),),
    "a zero byte": (request(more=b"X-Zero: \x00\r\n"),),
    "nonsense": (b"GET /socket.io/?\x00\xff",),
}
"""What is left to aiohttp, in which parts it is sent."""


@pytest.fixture
async def hubs() -> AsyncIterator[tuple[Hub, Hub]]:
    """One hub of each kind."""
    async with both(
        cookie_name="session", allowed_origins=(ORIGIN,), trusted_proxies=("127.0.0.1",)
    ) as made:
        yield made


@pytest.mark.parametrize("name", DIRECT)
async def test_what_is_opened_directly_is_answered_as_usual(
    hubs: tuple[Hub, Hub], name: str
) -> None:
    """The answers up to CONNECT's are the same, and so is what is known of the client."""
    what, connect = DIRECT[name]
    direct, usual = hubs
    answers = [await hub.ask(what, connect=connect) for hub in hubs]
    assert direct.direct == [True]
    assert usual.direct == [False]
    assert answers[0] == answers[1]
    assert answers[0].startswith(b"HTTP/1.1 101")
    sessions = [await hub.replica.call("GET", "/sessions", token("ada", "asks")) for hub in hubs]
    known = [
        [(one["sid"], one["device"], one["ip"]) for one in answer.body["sessions"]]
        for answer in sessions
    ]
    assert known[0] == known[1]


@pytest.mark.parametrize("name", USUAL)
async def test_everything_else_is_left_to_aiohttp(hubs: tuple[Hub, Hub], name: str) -> None:
    """A request that is no plain upgrade goes to aiohttp, whether it is refused there or not."""
    answers = [await hub.ask(*USUAL[name]) for hub in hubs]
    assert not any(hubs[0].direct)
    assert answers[0] == answers[1]


async def test_a_hub_that_takes_no_sockets_opens_none_directly(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A hub that accepts no sockets answers 503 with problem details."""
    async with both() as hubs:
        monkeypatch.setattr(Follower, "takes_sockets", property(lambda follower: False))
        answers = [await hub.ask(WHOLE) for hub in hubs]
    assert answers[0] == answers[1]
    assert answers[0].startswith(b"HTTP/1.1 503")


async def test_too_many_that_send_no_connect_are_refused_and_counted_once() -> None:
    """One limit counts the sockets opened in both ways, and each refusal is counted once."""
    seen = []
    async with both(limit_pending_total=1) as hubs, contextlib.AsyncExitStack() as stack:
        for hub in hubs:
            for _ in range(2):
                reader, writer = await asyncio.open_connection("127.0.0.1", hub.replica.port)
                stack.callback(keep_until_closed, reader, writer)
                writer.write(WHOLE)
                assert (await reader.readline()).startswith(b"HTTP/1.1 101")
            refused = await hub.ask(WHOLE)
            assert refused.startswith(b"HTTP/1.1 429")
            metrics: str = (await hub.replica.call("GET", "/metrics")).body
            limited = [line for line in metrics.splitlines() if "pending_total" in line]
            seen.append((refused, [line for line in limited if "_created" not in line]))
        assert hubs[0].direct == [True, False, False]
    assert seen[0] == seen[1]


async def test_the_listener_of_operators_opens_none() -> None:
    """On the admin listener an upgrade gets 404, and on the public one it succeeds."""
    async with both(admin_port=0) as hubs:
        for hub in hubs:
            (admin,) = hub.replica.app[SERVICES].admin_ports
            assert (await hub.ask(WHOLE, port=admin)).startswith(b"HTTP/1.1 404")
            assert (await hub.ask(WHOLE)).startswith(b"HTTP/1.1 101")
        assert hubs[0].direct == [False, True]


async def test_a_connection_that_has_said_nothing_does_not_outlive_the_hub() -> None:
    """A connection that has sent nothing is closed when the hub stops."""
    async with hub_that(True) as hub:
        reader, writer = await asyncio.open_connection("127.0.0.1", hub.replica.port)
        await eventually(lambda: hub.ask(WHOLE))
    async with asyncio.timeout(PATIENCE):
        assert await reader.read() == b""
    writer.close()
