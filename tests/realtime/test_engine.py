"""The Engine.IO 4 protocol, requirement by requirement, against a server that only echoes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket as sockets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
from aiohttp import WSMsgType, web

from hub.api.listener import Runner
from hub.protocol.engineio import ABANDONED_AFTER, MAX_PACKETS, MESSAGE, CloseReason, Config
from hub.protocol.frames import NORMAL
from hub.realtime import engine as engines
from hub.realtime import probe as probes
from hub.realtime.engine_session import EngineSession
from hub.realtime.timer_wheel import STEP, TimerWheel
from hub.realtime.websocket import MAX_UNSENT
from tests.patience import PATIENCE
from tests.realtime.raw import eventually, is_reset

OFTEN, SELDOM = 0.5, 3.0
"""Seconds between pings, where a test is about them, and until an answer must be there."""
LIMIT = 2000


@dataclass
class Engine:
    """A running engine that echoes messages and records which sessions began and ended."""

    server: engines.Engine
    timers: TimerWheel
    url: str
    http: aiohttp.ClientSession
    came: list[str]
    went: list[str]

    def send(self, sid: str, text: str) -> None:
        """Send a client a message."""
        self.server.sessions[sid].send(MESSAGE + text)

    def close(self, sid: str, code: int = NORMAL) -> None:
        """Close a session."""
        self.server.sessions[sid].close(CloseReason.SERVER, code)

    async def call(self, query: str, method: str = "GET", data: Any = None) -> tuple[int, str]:
        """Send a request of the polling transport, and return status and body."""
        async with self.http.request(method, f"{self.url}?EIO=4&{query}", data=data) as answer:
            return answer.status, await answer.text()

    async def open(self) -> str:
        """Open a polling session and return its id."""
        _, body = await self.call("transport=polling")
        sid: str = json.loads(body[1:])["sid"]
        return sid

    async def poll(self, sid: str) -> tuple[int, str]:
        """Poll, answering pings that come, until something else does."""
        while True:
            status, body = await self.call(f"transport=polling&sid={sid}")
            if body != "2":
                return status, body
            await self.post(sid, "3")

    async def post(self, sid: str, data: Any) -> tuple[int, str]:
        """Send packets."""
        return await self.call(f"transport=polling&sid={sid}", "POST", data)

    @contextlib.asynccontextmanager
    async def websocket(self, query: str = "") -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        """Open a WebSocket for the length of the context."""
        address = f"{self.url}?EIO=4&transport=websocket{query}"
        async with self.http.ws_connect(address, compress=15) as websocket:
            yield websocket


async def heard(websocket: aiohttp.ClientWebSocketResponse) -> str | None:
    """Return the next packet, pings answered; None once the connection is closed."""
    async with asyncio.timeout(PATIENCE):
        while True:
            message = await websocket.receive()
            if message.type is not aiohttp.WSMsgType.TEXT:
                return None
            if message.data != "2":
                return str(message.data)
            await websocket.send_str("3")


def transport_of(websocket: aiohttp.ClientWebSocketResponse) -> Any:
    """Return the transport of a client's WebSocket, to write raw bytes or to stop reading."""
    connection = websocket._response.connection
    assert connection is not None
    return connection.transport


class Echo:
    """Sends every message back, and records the end."""

    def __init__(self, session: EngineSession, went: list[str]) -> None:
        self.session = session
        self.went = went

    def on_message(self, text: str) -> None:
        """Send the message back."""
        self.session.send(MESSAGE + text)

    def on_binary(self) -> None:
        """Do nothing."""

    def on_closed(self) -> None:
        """Record the reason."""
        reason = self.session.protocol.close_reason
        assert reason is not None
        self.went.append(reason.value)


@pytest.fixture
async def engine() -> AsyncIterator[Engine]:
    """An engine that pings so rarely that no test notices, however busy the machine is."""
    async with running(PATIENCE, PATIENCE) as made:
        yield made


@pytest.fixture
async def pinging_engine() -> AsyncIterator[Engine]:
    """An engine that pings within a test, and gives a busy machine time to answer."""
    async with running(SELDOM, SELDOM) as made:
        yield made


@pytest.fixture
async def hasty_engine() -> AsyncIterator[Engine]:
    """An engine that pings often, and does not wait long for an answer."""
    async with running(OFTEN, OFTEN) as made:
        yield made


@contextlib.asynccontextmanager
async def running(interval: float, timeout: float) -> AsyncIterator[Engine]:
    """Run an engine with this ping interval and timeout inside the context."""
    came: list[str] = []
    went: list[str] = []

    def echo(session: EngineSession, opening: engines.Opening) -> Echo:
        came.append(session.id)
        return Echo(session, went)

    timers = TimerWheel()
    config = Config(max_payload=LIMIT, ping_interval=interval, ping_timeout=timeout)
    server = engines.Engine(config, timers, echo, replica="west-1")
    app = web.Application(client_max_size=LIMIT)
    server.attach(app)
    runner = Runner(app, read_seconds=10, write_seconds=10, shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/socket.io/"
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=PATIENCE)) as http:
        yield Engine(server, timers, url, http, came, went)
        await server.drain()
    await runner.cleanup()


# ---- Handshake ----


async def test_polling_opens_with_the_parameters_of_the_session(engine: Engine) -> None:
    """The open packet has the session's id, its upgrades, ping times and payload limit."""
    status, body = await engine.call("transport=polling")
    assert (status, body[0]) == (200, "0")
    opening = json.loads(body[1:])
    assert opening.pop("sid").endswith(".west-1")
    assert opening == {
        "upgrades": ["websocket"],
        "pingInterval": 1000 * PATIENCE,
        "pingTimeout": 1000 * PATIENCE,
        "maxPayload": LIMIT,
    }


async def test_a_websocket_opens_likewise_without_upgrades(engine: Engine) -> None:
    """Over WebSocket the first packet is the open packet, without upgrades."""
    async with engine.websocket() as websocket:
        opening = await heard(websocket)
        assert opening is not None
        assert json.loads(opening[1:])["upgrades"] == []
        assert websocket.compress == 0


@pytest.mark.parametrize(
    ("query", "method", "code"),
    [
        ("transport=abc", "GET", 0),
        ("", "GET", 0),
        ("transport=polling&sid=nobody", "GET", 1),
        ("transport=polling&sid=nobody", "POST", 1),
        ("transport=websocket&sid=nobody", "GET", 1),
        ("transport=polling", "POST", 2),
        ("transport=websocket", "GET", 3),
        ("transport=polling&EIO=3", "GET", None),
    ],
)
async def test_a_bad_request_is_refused_with_its_code(
    engine: Engine, query: str, method: str, code: int | None
) -> None:
    """Unknown transports, sessions and methods are answered 400 with the protocol's code."""
    status, body = await engine.call(query, method)
    if code is None:
        return
    assert (status, json.loads(body)["code"]) == (400, code)


@pytest.mark.parametrize("version", ["", "EIO=3", "EIO=abc"])
async def test_another_version_of_the_protocol_is_refused(engine: Engine, version: str) -> None:
    """Only version 4 of Engine.IO is accepted."""
    async with engine.http.get(f"{engine.url}?{version}&transport=polling") as answer:
        assert (answer.status, (await answer.json())["code"]) == (400, 5)


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-WebSocket-Version": "8"},
        {"Sec-WebSocket-Key": "short"},
        {"Sec-WebSocket-Key": "!" * 24},
        {"Upgrade": "h2c"},
    ],
    ids=str,
)
async def test_a_bad_websocket_handshake_is_refused(
    engine: Engine, headers: dict[str, str]
) -> None:
    """An invalid handshake (RFC 6455) gets 400, and opens nothing."""
    good = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    address = f"{engine.url}?EIO=4&transport=websocket"
    async with engine.http.get(address, headers={**good, **headers}) as answer:
        assert answer.status == 400
    assert engine.server.sessions == {}


# ---- Messages ----


async def test_a_handshake_is_a_get_of_http_1_1_with_one_key(engine: Engine) -> None:
    """A handshake over HTTP/1.0, or with two keys, is refused."""
    address = engine.url.removeprefix("http://").partition("/")[0].partition(":")
    good = ("GET", "HTTP/1.1", ["dGhlIHNhbXBsZSBub25jZQ=="])
    for method, version, keys in (
        ("GET", "HTTP/1.0", good[2]),
        ("POST", "HTTP/1.1", good[2]),
        ("GET", "HTTP/1.1", good[2] * 2),
        good,
    ):
        lines = [
            f"{method} /socket.io/?EIO=4&transport=websocket {version}",
            "Host: hub",
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Version: 13",
            *(f"Sec-WebSocket-Key: {key}" for key in keys),
        ]
        reader, writer = await asyncio.open_connection(address[0], int(address[2]))
        writer.write("\r\n".join([*lines, "", ""]).encode())
        status = (await reader.readline()).split()[1]
        assert status == (b"101" if (method, version, keys) == good else b"400")
        writer.close()


async def test_a_message_comes_back_over_polling(engine: Engine) -> None:
    """Messages are posted and polled; several share a body, in order."""
    sid = await engine.open()
    assert await engine.post(sid, "4one\x1e4two\x1e4drei ü") == (200, "ok")
    got: list[str] = []
    while len(got) < 3:
        got += (await engine.poll(sid))[1].split("\x1e")
    assert got == ["4one", "4two", "4drei ü"]


async def test_a_message_comes_back_over_a_websocket(engine: Engine) -> None:
    """Messages over WebSocket keep their order."""
    async with engine.websocket() as websocket:
        await heard(websocket)
        for number in range(20):
            await websocket.send_str(f"4{number}")
        assert [await heard(websocket) for _ in range(20)] == [f"4{n}" for n in range(20)]


async def test_a_poll_waits_for_a_message(engine: Engine) -> None:
    """A poll that finds nothing is answered as soon as there is something."""
    sid = await engine.open()
    polling = asyncio.create_task(engine.poll(sid))
    await asyncio.sleep(0.05)
    assert not polling.done()
    await engine.post(sid, "4late")
    assert await polling == (200, "4late")


async def test_a_fragmented_message_is_put_together(engine: Engine) -> None:
    """Frames may come in pieces, and a message in several frames (RFC 6455 section 5.4)."""
    async with engine.websocket() as websocket:
        await heard(websocket)
        transport = transport_of(websocket)
        for part in (b"\x01\x83\0\0\0\0" + b"4ab", b"\x80\x82\0\0", b"\0\0" + b"cd"):
            transport.write(part)
            await asyncio.sleep(0.02)
        assert await heard(websocket) == "4abcd"


@pytest.mark.parametrize("body", ["abc", "", "4a\x1eabc", "2", "6", "9"], ids=repr)
async def test_a_malformed_body_ends_the_session(engine: Engine, body: str) -> None:
    """A packet that clients may not send gets 400 and closes the session."""
    sid = await engine.open()
    assert (await engine.post(sid, body))[0] == 400
    await eventually(lambda: engine.went == ["transport error"])
    while (answer := await engine.call(f"transport=polling&sid={sid}"))[0] == 200:
        assert answer[1].split("\x1e")[-1] in ("1", "2")


async def test_a_body_that_is_no_text_ends_the_session(engine: Engine) -> None:
    """A polling body that is not UTF-8 gets 400 and closes the session."""
    sid = await engine.open()
    assert (await engine.post(sid, b"4\xff"))[0] == 400


async def test_a_body_over_the_limit_is_refused_at_once(engine: Engine) -> None:
    """More than maxPayload is answered 413, and the session ends."""
    sid = await engine.open()
    assert (await engine.post(sid, "4" + "x" * LIMIT))[0] == 413
    await eventually(lambda: engine.went == ["transport error"])


async def test_more_packets_than_the_limit_are_refused_not_dropped(engine: Engine) -> None:
    """A body of too many packets is a bad request; up to the limit all arrive."""
    sid = await engine.open()
    assert (await engine.post(sid, "\x1e".join(["3"] * MAX_PACKETS)))[0] == 200
    sid = await engine.open()
    assert (await engine.post(sid, "\x1e".join(["3"] * (MAX_PACKETS + 1))))[0] == 400


@pytest.mark.parametrize("packet", ["abc", "", "2", "9", "bAAAA"], ids=repr)
async def test_a_malformed_packet_ends_a_websocket(engine: Engine, packet: str) -> None:
    """An invalid packet closes the connection."""
    async with engine.websocket() as websocket:
        await heard(websocket)
        await websocket.send_str(packet)
        assert await heard(websocket) is None
    await eventually(lambda: engine.server.sessions == {})


async def test_binary_is_not_taken(engine: Engine) -> None:
    """A binary frame is refused in msgpack, which its sender can read, and closed with 1003."""
    async with engine.websocket() as websocket:
        await heard(websocket)
        await websocket.send_bytes(b"4x")
        kinds = [(await websocket.receive()).type for _ in range(3)]
        assert kinds == [WSMsgType.BINARY, WSMsgType.BINARY, WSMsgType.CLOSE]
        assert websocket.close_code == 1003


async def test_a_message_over_the_limit_ends_a_websocket(engine: Engine) -> None:
    """A frame that announces too much is refused with 1009 before it is read."""
    async with engine.websocket() as websocket:
        await heard(websocket)
        await websocket.send_str("4" + "x" * (2 * LIMIT))
        assert await heard(websocket) is None
        assert websocket.close_code == 1009


# ---- Heart beat ----


async def test_a_client_that_answers_pings_stays(pinging_engine: Engine) -> None:
    """Pings come at the interval, over either transport, and an answered one keeps the session."""
    engine = pinging_engine
    sid = await engine.open()
    async with engine.websocket() as websocket:
        await heard(websocket)
        for _ in range(2):
            assert (await websocket.receive(timeout=PATIENCE)).data == "2"
            await websocket.send_str("3")
            assert await engine.call(f"transport=polling&sid={sid}") == (200, "2")
            await engine.post(sid, "3")
        assert engine.went == []


async def test_a_client_that_does_not_answer_a_ping_is_closed(hasty_engine: Engine) -> None:
    """A session without a pong in time is closed, over either transport."""
    engine = hasty_engine
    await engine.open()
    async with engine.websocket() as websocket:
        await heard(websocket)
        assert (await websocket.receive(timeout=PATIENCE)).data == "2"
        assert await heard(websocket) is None
    await eventually(lambda: engine.went == ["ping timeout"] * 2)
    await eventually(lambda: engine.server.sessions == {})


# ---- Closing ----


async def test_a_close_packet_ends_a_polling_session(engine: Engine) -> None:
    """The poll that waits is answered with a noop, and later ones are refused."""
    sid = await engine.open()
    polling = asyncio.create_task(engine.poll(sid))
    await asyncio.sleep(0.05)
    assert await engine.post(sid, "1") == (200, "ok")
    assert await polling == (200, "6")
    assert (await engine.poll(sid))[0] == 400
    assert engine.went == ["client disconnect"]


async def test_a_close_packet_ends_a_websocket(engine: Engine) -> None:
    """The connection is closed in answer to a close packet."""
    async with engine.websocket() as websocket:
        await heard(websocket)
        await websocket.send_str("1")
        assert await heard(websocket) is None
    assert engine.went == ["client disconnect"]


async def test_a_websocket_that_goes_away_is_noticed(engine: Engine) -> None:
    """A lost connection closes its session, once."""
    async with engine.websocket() as websocket:
        await heard(websocket)
    await eventually(lambda: engine.server.sessions == {})
    assert engine.went == ["transport close"]


async def test_the_server_ends_a_polling_session_with_what_it_had_to_say(engine: Engine) -> None:
    """Queued messages are sent with the close packet; then the session is unknown."""
    sid = await engine.open()
    engine.send(sid, "bye")
    engine.close(sid)
    assert await engine.poll(sid) == (200, "4bye\x1e1")
    assert (await engine.poll(sid))[0] == 400


@pytest.mark.parametrize("code", [1000, 1001, 1008])
async def test_the_server_ends_a_websocket_with_what_it_had_to_say(
    engine: Engine, code: int
) -> None:
    """Queued messages are sent, then the close frame, or with 1001 only the end of TCP."""
    async with engine.websocket() as websocket:
        opening = await heard(websocket)
        assert opening is not None
        sid = json.loads(opening[1:])["sid"]
        engine.send(sid, "bye")
        engine.close(sid, code)
        assert await heard(websocket) == "4bye"
        assert await heard(websocket) is None
        assert websocket.close_code == (1006 if code == 1001 else code)
    assert engine.went == ["server disconnect"]


async def test_a_second_poll_at_the_same_time_ends_the_session(engine: Engine) -> None:
    """Of two concurrent polls the first is answered with close, the second refused."""
    sid = await engine.open()
    first = asyncio.create_task(engine.call(f"transport=polling&sid={sid}"))
    await asyncio.sleep(0.05)
    assert (await engine.call(f"transport=polling&sid={sid}"))[0] == 400
    assert await first == (200, "1")


async def test_a_poll_that_was_given_up_loses_nothing_in_silence(engine: Engine) -> None:
    """Packets that were unsent when the client aborted its poll are in its next poll."""
    sid = await engine.open()
    await abort_poll(engine, sid)
    engine.send(sid, "lost?")
    assert await engine.poll(sid) == (200, "4lost?")
    await asyncio.sleep(2 * ABANDONED_AFTER)
    assert engine.went == []


async def test_an_aborted_poll_leaves_no_ghost(engine: Engine) -> None:
    """A client that dropped its poll is gone soon, without anything that must be sent first.

    What it sent before, and what arrives only now, is still taken.
    """
    sid = await engine.open()
    await abort_poll(engine, sid)
    assert await engine.post(sid, "4late") == (200, "ok")
    await eventually(lambda: engine.went == ["transport close"], ABANDONED_AFTER + 1.5)
    await eventually(lambda: not engine.server.sessions)


async def abort_poll(engine: Engine, sid: str) -> None:
    """Poll, and drop the poll while it waits."""
    polling = asyncio.create_task(engine.call(f"transport=polling&sid={sid}"))
    await eventually(lambda: engine.server.sessions[sid].poll is not None)
    polling.cancel()
    await asyncio.gather(polling, return_exceptions=True)
    await eventually(lambda: engine.server.sessions[sid].poll is None)


async def test_a_client_that_never_reads_is_cut(engine: Engine) -> None:
    """A cut waits neither for full buffers to drain nor for the client's close frame."""
    address = engine.url.removeprefix("http://").partition("/")[0].partition(":")
    request = (
        "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: hub\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    with sockets.create_connection((address[0], int(address[2]))) as silent:
        silent.sendall(request.encode())
        await eventually(lambda: len(engine.came) == 1)
        engine.close(engine.came[0])
        await eventually(lambda: engine.server.sessions == {})
        await eventually(lambda: is_reset(silent))


async def test_what_a_client_does_not_read_is_bounded(engine: Engine) -> None:
    """A client with more unread data than the limit is cut, and its session closed."""
    async with engine.websocket() as websocket:
        await heard(websocket)
        transport = transport_of(websocket)
        transport.pause_reading()
        sid = engine.came[0]
        for _ in range(200):
            engine.send(sid, "x" * MAX_UNSENT)
        await eventually(lambda: engine.server.sessions == {})
        transport.abort()
    assert engine.went == ["transport close"]


async def test_pongs_that_a_client_does_not_read_are_bounded(engine: Engine) -> None:
    """A client that floods pings and reads nothing is cut like any other."""
    async with engine.websocket() as websocket:
        await heard(websocket)
        transport = transport_of(websocket)
        transport.pause_reading()
        ping = b"\x89\xfd\0\0\0\0" + b"x" * 125
        for _ in range(400):
            if transport.is_closing() or engine.server.sessions == {}:
                break
            transport.write(ping * 200)
            await asyncio.sleep(0.01)
        await eventually(lambda: engine.server.sessions == {})
        transport.abort()


async def test_a_client_that_breaks_the_protocol_is_cut_soon(engine: Engine) -> None:
    """A session is closed at once when its WebSocket fails, without a close from the client."""
    async with engine.websocket() as websocket:
        await heard(websocket)
        transport_of(websocket).pause_reading()
        transport_of(websocket).write(b"\x81\x81\0\0\0\0\xff")
        await eventually(lambda: engine.went == ["transport error"])
        await eventually(lambda: engine.server.sessions == {}, patience=4.0)
        transport_of(websocket).abort()


async def test_what_a_poller_does_not_fetch_is_bounded(engine: Engine) -> None:
    """A session with more packets queued than the limit is closed."""
    sid = await engine.open()
    for _ in range(MAX_PACKETS + 1):
        engine.send(sid, "x")
    await eventually(lambda: engine.went == ["transport error"])


# ---- Upgrade ----


async def upgraded(engine: Engine, sid: str, websocket: Any) -> None:
    """Take a session from polling to a WebSocket."""
    polling = asyncio.create_task(engine.poll(sid))
    await asyncio.sleep(0.05)
    await websocket.send_str("2probe")
    assert await heard(websocket) == "3probe"
    assert await polling == (200, "6")
    await websocket.send_str("5")


async def test_a_session_moves_from_polling_to_a_websocket(engine: Engine) -> None:
    """After probe and upgrade, messages flow over the WebSocket, and polling is over."""
    sid = await engine.open()
    async with engine.websocket(f"&sid={sid}") as websocket:
        await upgraded(engine, sid, websocket)
        await websocket.send_str("4hello")
        assert await heard(websocket) == "4hello"
        assert (await engine.call(f"transport=polling&sid={sid}"))[0] == 400
        assert (await engine.post(sid, "4x"))[0] == 400
        assert engine.server.sessions[sid].transport == "websocket"
    await eventually(lambda: engine.went == ["transport close"])


async def test_an_upgrade_does_not_put_off_the_next_ping(engine: Engine) -> None:
    """Clients count from the handshake, so the ping after an upgrade is not late."""
    sid = await engine.open()
    due = engine.server.sessions[sid].due
    await asyncio.sleep(2 * STEP)
    async with engine.websocket(f"&sid={sid}") as websocket:
        await upgraded(engine, sid, websocket)
        await eventually(lambda: engine.server.sessions[sid].transport == "websocket")
        assert engine.server.sessions[sid].due == due


async def test_what_was_sent_during_the_upgrade_arrives_after_it(engine: Engine) -> None:
    """Messages that found no poll wait for the WebSocket, in order."""
    sid = await engine.open()
    async with engine.websocket(f"&sid={sid}") as websocket:
        await websocket.send_str("2probe")
        assert await heard(websocket) == "3probe"
        for number in range(3):
            engine.send(sid, str(number))
        await websocket.send_str("5")
        assert [await heard(websocket) for _ in range(3)] == ["40", "41", "42"]


async def test_a_session_that_ends_during_the_upgrade_says_what_it_had_to_say(
    engine: Engine,
) -> None:
    """A refusal during an upgrade arrives over the new transport."""
    sid = await engine.open()
    async with engine.websocket(f"&sid={sid}") as websocket:
        await websocket.send_str("2probe")
        assert await heard(websocket) == "3probe"
        engine.send(sid, "no")
        engine.close(sid)
        await websocket.send_str("5")
        assert await heard(websocket) == "4no"
        assert await heard(websocket) == "1"
        assert await heard(websocket) is None
    await eventually(lambda: engine.server.sessions == {})


async def test_a_failed_probe_leaves_the_session_polling(engine: Engine) -> None:
    """A WebSocket that does not probe properly is closed; polling goes on."""
    sid = await engine.open()
    for first in ("5", "4hello", "2"):
        async with engine.websocket(f"&sid={sid}") as websocket:
            await websocket.send_str(first)
            assert await heard(websocket) is None
    await engine.post(sid, "4still here")
    assert await engine.poll(sid) == (200, "4still here")


async def test_a_session_has_one_websocket(engine: Engine) -> None:
    """While one upgrade is under way, or done, another is refused."""
    sid = await engine.open()
    async with engine.websocket(f"&sid={sid}") as websocket:
        for _ in range(2):
            with pytest.raises(aiohttp.WSServerHandshakeError):
                async with engine.websocket(f"&sid={sid}"):
                    pass
            if engine.server.sessions[sid].transport == "polling":
                await upgraded(engine, sid, websocket)
        await websocket.send_str("4fine")
        assert await heard(websocket) == "4fine"


async def test_a_websocket_that_says_nothing_changes_nothing_for_polls(engine: Engine) -> None:
    """A proxy that passes on the request for a WebSocket and no frames keeps nobody busy."""
    sid = await engine.open()
    async with engine.websocket(f"&sid={sid}"):
        polling = asyncio.create_task(engine.poll(sid))
        await eventually(lambda: engine.server.sessions[sid].poll is not None)
        assert not polling.done()
        engine.send(sid, "here")
        assert await polling == (200, "4here")


async def test_a_probe_that_does_not_go_on_costs_few_polls(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each poll is longer than all before it; then the probe is closed, and polling goes on."""
    monkeypatch.setattr(probes, "PROBE_TIMEOUT", 2.0)
    sid = await engine.open()
    async with engine.websocket(f"&sid={sid}") as websocket:
        await websocket.send_str("2probe")
        assert await heard(websocket) == "3probe"
        closed, polls = asyncio.create_task(heard(websocket)), 0
        while not closed.done():
            polling = asyncio.create_task(engine.poll(sid))
            await asyncio.wait({polling, closed}, return_when=asyncio.FIRST_COMPLETED)
            polls += 1
        assert await closed is None
    assert 1 < polls < 25
    await eventually(lambda: engine.server.sessions[sid].probe is None)
    engine.send(sid, "still here")
    answer = await polling
    if answer == (200, "6"):
        answer = await engine.poll(sid)
    assert answer == (200, "4still here")
    assert engine.went == []


# ---- Draining ----


async def test_many_sessions_are_ended_little_by_little(engine: Engine) -> None:
    """At a shutdown, many sessions are closed over some time, and in the end all of them."""
    await asyncio.gather(*(engine.open() for _ in range(200)))
    draining = asyncio.create_task(engine.server.drain(spread=0.2))
    await asyncio.sleep(0)
    ending = [s for s in engine.server.sessions.values() if s.closing is not None]
    assert [s.closing for s in ending] == [1001] * 50
    await draining
    assert engine.server.sessions == {}
    assert engine.went == ["server disconnect"] * 200


# ---- Nothing stays behind ----


async def test_sessions_that_end_leave_nothing_behind(engine: Engine) -> None:
    """After many sessions of every kind, no session, task or timer is left."""
    tasks = len(asyncio.all_tasks())
    for _ in range(30):
        async with engine.websocket() as websocket:
            await heard(websocket)
        sid = await engine.open()
        await engine.post(sid, "1")
        sid = await engine.open()
        async with engine.websocket(f"&sid={sid}") as websocket:
            await upgraded(engine, sid, websocket)
    await eventually(lambda: engine.server.sessions == {})
    await eventually(lambda: len(engine.went) == len(engine.came) == 90)
    assert len(engine.timers) == 0
    await eventually(lambda: len(asyncio.all_tasks()) <= tasks + 2)
