"""What the hub reaches for inside aiohttp is still there, and frames are as RFC 6455 says."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
from aiohttp import WSMsgType
from aiohttp._websocket.reader import WebSocketDataQueue, WebSocketReader
from aiohttp.web_protocol import RequestHandler

from hub.realtime import websocket as module
from hub.realtime.websocket import WebSocket, encode_frame, encode_text


class Ear:
    """Hears what a WebSocket says."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.closed = 0
        self.failed = 0

    def on_text(self, websocket: WebSocket, text: str) -> None:
        """Note a message."""
        self.heard.append(text)

    def on_failure(self, websocket: WebSocket) -> None:
        """Count a failure."""
        self.failed += 1

    def on_close(self, websocket: WebSocket) -> None:
        """Count the end."""
        self.closed += 1


class Wire:
    """A transport that keeps what is written to it."""

    def __init__(self) -> None:
        self.written = b""
        self.ended = ""

    def write(self, data: bytes) -> None:
        """Keep data."""
        self.written += data

    def get_write_buffer_size(self) -> int:
        """Nothing waits."""
        return 0

    def close(self) -> None:
        """Note an orderly end."""
        self.ended = "closed"

    def abort(self) -> None:
        """Note a cut."""
        self.ended = "aborted"


@pytest.fixture
def ear() -> Ear:
    """Something to listen."""
    return Ear()


@pytest.fixture
def wire() -> Wire:
    """Something to write on."""
    return Wire()


@pytest.fixture
def websocket(ear: Ear, wire: Any) -> WebSocket:
    """A WebSocket between the two, of messages up to 100 bytes."""
    made = WebSocket(ear, 100)
    made.connection_made(wire)
    return made


def masked(first: int, data: bytes) -> bytes:
    """Return a short frame as a client sends it."""
    key = b"\x01\x02\x03\x04"
    body = bytes(byte ^ key[index % 4] for index, byte in enumerate(data))
    return bytes((first, 0x80 | len(data))) + key + body


def test_aiohttps_request_handler_can_let_go_of_its_connection() -> None:
    """The attributes and methods that the take-over uses exist."""
    assert "_message_tail" in RequestHandler.__slots__
    assert list(inspect.signature(RequestHandler.connection_lost).parameters) == ["self", "exc"]
    assert "self._force_close" in inspect.getsource(RequestHandler.start)


def test_aiohttps_reader_is_the_compiled_one_and_feeds_our_sink(
    websocket: WebSocket, ear: Ear
) -> None:
    """Frames go from the compiled reader to the WebSocket that is being fed."""
    assert WebSocketReader.__module__ == "aiohttp._websocket.reader_c"
    assert issubclass(type(module._sink), WebSocketDataQueue)
    websocket.data_received(masked(0x81, b"4one") + masked(0x81, "4zwei ü".encode()))
    assert ear.heard == ["4one", "4zwei ü"]


def test_two_websockets_do_not_hear_each_other(ear: Ear, wire: Any) -> None:
    """One sink serves all, but a half frame of one is not finished by another."""
    other_ear = Ear()
    one, other = WebSocket(ear, 100), WebSocket(other_ear, 100)
    one.connection_made(wire)
    other.connection_made(wire)
    whole = masked(0x81, b"4first")
    one.data_received(whole[:5])
    other.data_received(masked(0x81, b"4second"))
    one.data_received(whole[5:])
    assert (ear.heard, other_ear.heard) == (["4first"], ["4second"])


def test_pings_are_answered(websocket: WebSocket, wire: Wire) -> None:
    """A ping frame gets a pong with the same data (RFC 6455 section 5.5.3)."""
    websocket.data_received(masked(0x89, b"hi"))
    assert wire.written == encode_frame(WSMsgType.PONG, b"hi")


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (masked(0x82, b"binary"), 1003),
        (masked(0x81, b"\xff"), 1007),
        (masked(0x80, b"continues nothing"), 1002),
        (b"\xf1\x80\0\0\0\0", 1002),
        (b"\x81\xfe\x7f\xff\0\0\0\0", 1009),
        (masked(0x88, (1001).to_bytes(2, "big")), 1001),
    ],
    ids=["binary", "no UTF-8", "stray continuation", "reserved bits", "too large", "close"],
)
def test_what_ends_a_websocket_is_answered_with_its_code(
    websocket: WebSocket, wire: Wire, data: bytes, code: int
) -> None:
    """The close frame says why; afterwards nothing that comes is heard."""
    websocket.data_received(data)
    assert wire.written == encode_frame(WSMsgType.CLOSE, code.to_bytes(2, "big"))
    websocket.data_received(masked(0x81, b"4late"))
    assert wire.written.count(b"\x88") == 1


def test_the_end_is_told_once(websocket: WebSocket, ear: Ear) -> None:
    """A connection that is lost is lost once, and takes nothing more."""
    websocket.connection_lost(None)
    websocket.connection_lost(None)
    websocket.send(encode_text("4x"))
    websocket.close(1000)
    websocket.abort()
    assert ear.closed == 1


@pytest.mark.parametrize("size", [0, 125, 126, 65535, 65536])
def test_frames_have_the_shortest_length_that_fits(size: int) -> None:
    """7, 16 or 64 bits say how long a frame is (RFC 6455 section 5.2)."""
    frame = encode_text("x" * size)
    header = 2 if size < 126 else 4 if size < 65536 else 10
    assert len(frame) == header + size
    assert frame[0] == 0x81
    assert not frame[1] & 0x80
