"""A WebSocket over a simulated transport: what is read, written and closed, and when."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from hub.protocol.frames import Kind, encode_frame, encode_text
from hub.realtime.read_budget import BEFORE_CONNECT, MAX_FRAMES_AT_ONCE, ReadBudget
from hub.realtime.timer_wheel import TimerWheel
from hub.realtime.websocket import Config, WebSocket
from tests.protocol.test_frames import masked
from tests.realtime.raw import eventually


class Ear:
    """Records what a WebSocket receives."""

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

    def binary_refusal(self, websocket: WebSocket) -> bytes:
        """Return nothing."""
        return b""

    def on_close(self, websocket: WebSocket) -> None:
        """Count the end."""
        self.closed += 1


class Wire:
    """A transport that records what is written to it."""

    def __init__(self) -> None:
        self.written = b""
        self.ended = ""
        self.reads = True
        self.unsent = 0

    def set_write_buffer_limits(self, high: int) -> None:
        """Accept any."""

    def pause_reading(self) -> None:
        """Read no more."""
        assert self.reads
        self.reads = False

    def resume_reading(self) -> None:
        """Read on."""
        assert not self.reads
        self.reads = True

    def write(self, data: bytes) -> None:
        """Keep data."""
        self.written += data

    def get_write_buffer_size(self) -> int:
        """Return the unsent bytes."""
        return self.unsent

    def close(self) -> None:
        """Note an orderly end."""
        self.ended = "closed"

    def abort(self) -> None:
        """Note a cut."""
        self.ended = "aborted"


@pytest.fixture
def ear() -> Ear:
    """A listener."""
    return Ear()


@pytest.fixture
def wire() -> Wire:
    """A transport."""
    return Wire()


def made(ear: Ear, wire: Any, config: Config | None = None) -> WebSocket:
    """Return a WebSocket between the two, with messages of at most 100 bytes."""
    websocket = WebSocket(ear, config or Config(TimerWheel(), 100), ReadBudget())
    websocket.connection_made(wire)
    return websocket


@pytest.fixture
async def websocket(ear: Ear, wire: Any) -> AsyncIterator[WebSocket]:
    """A WebSocket between the two."""
    websocket = made(ear, wire)
    yield websocket
    websocket.connection_lost(None)


async def test_two_websockets_do_not_hear_each_other(ear: Ear, wire: Any) -> None:
    """A partial frame of one is not completed by the other."""
    other_ear = Ear()
    one, other = made(ear, wire), made(other_ear, Wire())
    whole = masked(0x81, b"4first")
    one.data_received(whole[:5])
    other.data_received(masked(0x81, b"4second"))
    one.data_received(whole[5:])
    assert (ear.heard, other_ear.heard) == (["4first"], ["4second"])


async def test_pings_are_answered(websocket: WebSocket, wire: Wire) -> None:
    """A ping frame gets a pong with the same data (RFC 6455 section 5.5.3)."""
    websocket.data_received(masked(0x89, b"hi"))
    assert wire.written == encode_frame(Kind.PONG, b"hi")


async def test_a_fault_is_answered_with_its_code_and_the_end(
    websocket: WebSocket, wire: Wire, ear: Ear
) -> None:
    """A protocol error gets a close frame with its code, and TCP ends at once."""
    websocket.data_received(b"\x81\x024x" + masked(0x81, b"4late"))
    assert wire.written == encode_frame(Kind.CLOSE, (1002).to_bytes(2, "big"))
    assert (wire.ended, wire.reads, ear.failed) == ("closed", False, 1)
    websocket.data_received(masked(0x81, b"4later"))
    assert ear.heard == []
    assert wire.written.count(b"\x88") == 1


async def test_a_close_is_answered_with_its_code(websocket: WebSocket, wire: Wire) -> None:
    """The client's own close is echoed, and then TCP ends (section 5.5.1)."""
    websocket.data_received(masked(0x88, (3000).to_bytes(2, "big") + b"bye"))
    assert wire.written == encode_frame(Kind.CLOSE, (3000).to_bytes(2, "big"))
    assert wire.ended == "closed"


async def test_after_the_hubs_close_only_the_clients_is_heard(
    websocket: WebSocket, wire: Wire, ear: Ear
) -> None:
    """After the hub's close frame everything but the client's is ignored."""
    websocket.close(1001)
    websocket.data_received(masked(0x81, b"4late") + masked(0x89, b"ping"))
    assert (ear.heard, wire.ended, wire.reads) == ([], "", True)
    websocket.data_received(masked(0x88, b""))
    assert (ear.heard, wire.ended) == ([], "closed")
    assert wire.written == encode_frame(Kind.CLOSE, (1001).to_bytes(2, "big"))


@pytest.mark.parametrize("split", [0, 3, 6])
async def test_a_close_right_behind_what_ends_the_session_is_read(wire: Any, split: int) -> None:
    """A client that disconnects and closes in one packet is gone at once, wherever that is cut."""

    class Ender(Ear):
        def on_text(self, websocket: WebSocket, text: str) -> None:
            websocket.close(1000)

    websocket = made(Ender(), wire)
    data = masked(0x81, b"41") + masked(0x81, b"4late") + masked(0x88, b"")
    end = len(data) - split
    websocket.data_received(data[:end])
    if split:
        assert wire.ended == ""
        websocket.data_received(data[end:])
    assert wire.ended == "closed"
    websocket.connection_lost(None)


async def test_a_flood_after_the_close_is_not_read(websocket: WebSocket, wire: Wire) -> None:
    """A client that sends more than a few KB after the close is not read, and cut in a second."""
    websocket.close(1001)
    websocket.data_received(masked(0x81, b"3") * 1000)
    assert not wire.reads
    await eventually(lambda: wire.ended == "aborted")


async def test_frames_are_taken_some_a_turn_and_then_as_they_are_paid_for(
    websocket: WebSocket, wire: Wire, ear: Ear
) -> None:
    """Many frames in one chunk are read a few at a time, as the budget allows."""
    websocket.data_received(masked(0x81, b"4x") * 200)
    assert (len(ear.heard), wire.reads) == (MAX_FRAMES_AT_ONCE, False)
    await eventually(lambda: len(ear.heard) >= BEFORE_CONNECT.burst)
    assert len(ear.heard) < BEFORE_CONNECT.burst + 10
    assert (wire.reads, wire.ended) == (False, "")


@pytest.mark.parametrize("first", [0x89, 0x8A, 0x01], ids=["ping", "pong", "fragment"])
async def test_frames_that_say_nothing_count_as_well(
    websocket: WebSocket, wire: Wire, first: int
) -> None:
    """Control frames and empty fragments are charged too."""
    begun = masked(0x01, b"") if first == 0x01 else b""
    websocket.data_received(begun + masked(first if first != 0x01 else 0x00, b"") * 1000)
    assert not wire.reads
    assert wire.written.count(b"\x8a") <= MAX_FRAMES_AT_ONCE


async def test_a_client_is_read_on_once_it_has_paid(ear: Ear, wire: Any) -> None:
    """A client over budget is read later, completely and in order."""
    websocket = made(ear, wire)
    many = [f"4{number}" for number in range(30)]
    websocket.data_received(b"".join(masked(0x81, text.encode()) for text in many))
    await eventually(lambda: ear.heard == many)
    await eventually(lambda: wire.reads)
    websocket.connection_lost(None)


async def test_more_than_a_stranger_may_say_ends_it(ear: Ear, wire: Any) -> None:
    """Before CONNECT, the backlog and the size of messages are bounded."""
    websocket = made(ear, wire, Config(TimerWheel(), 65536))
    websocket.data_received(masked(0x81, b"4x") * 10_000)
    await eventually(lambda: wire.ended == "closed")
    assert len(ear.heard) <= BEFORE_CONNECT.burst
    assert wire.written[-2:] == (1008).to_bytes(2, "big")
    other = Wire()
    made(ear, other, Config(TimerWheel(), 65536)).data_received(b"\x81\xfe\x40\x01\0\0\0\0")
    assert other.written[-2:] == (1009).to_bytes(2, "big")


async def test_who_does_not_read_is_not_read_from_and_has_so_long(ear: Ear, wire: Any) -> None:
    """A client that does not read is not read from, and cut after ``write_seconds``."""
    websocket = made(ear, wire, Config(TimerWheel(), 100, write_seconds=0.3))
    websocket.pause_writing()
    assert not wire.reads
    websocket.resume_writing()
    assert wire.reads
    websocket.pause_writing()
    await eventually(lambda: wire.ended == "aborted")


async def test_the_end_is_told_once(websocket: WebSocket, ear: Ear) -> None:
    """The listener is notified of a lost connection once."""
    websocket.connection_lost(None)
    websocket.connection_lost(None)
    websocket.send(encode_text("4x"))
    websocket.close(1000)
    websocket.abort()
    websocket.data_received(masked(0x81, b"4late"))
    assert (ear.closed, ear.heard) == (1, [])
