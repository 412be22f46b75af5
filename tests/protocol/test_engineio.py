"""The Engine.IO state machine, without a clock, a socket or a request."""

from __future__ import annotations

import json

import pytest

from hub.protocol.engineio import (
    ABANDONED_AFTER,
    MAX_PACKETS,
    CloseReason,
    Config,
    Message,
    PlainEvent,
    ProtocolError,
    Refusal,
    ServerProtocol,
    State,
    check_request,
    join_payload,
    split_payload,
)

CONFIG = Config(ping_interval=25, ping_timeout=20, max_payload=1000)


def polling() -> ServerProtocol:
    """Return a session that polls."""
    return ServerProtocol("id", CONFIG, State.POLLING)


def over_websocket() -> ServerProtocol:
    """Return a session over WebSocket."""
    return ServerProtocol("id", CONFIG, State.WEBSOCKET)


def probing() -> ServerProtocol:
    """Return a session whose WebSocket has been probed."""
    session = polling()
    assert session.receive_probe("2probe") == "3probe"
    return session


# ---- Requests and payloads ----


@pytest.mark.parametrize(
    ("query", "method", "refusal"),
    [
        ({"transport": "polling", "EIO": "4"}, "GET", None),
        ({"transport": "websocket", "EIO": "4"}, "GET", None),
        ({"transport": "polling", "sid": "x"}, "POST", None),
        ({"transport": "websocket", "sid": "x"}, "GET", None),
        ({}, "GET", Refusal.UNKNOWN_TRANSPORT),
        ({"transport": "webtransport", "EIO": "4"}, "GET", Refusal.UNKNOWN_TRANSPORT),
        ({"transport": "polling"}, "GET", Refusal.UNSUPPORTED_VERSION),
        ({"transport": "polling", "EIO": "3"}, "GET", Refusal.UNSUPPORTED_VERSION),
        ({"transport": "polling", "EIO": "4"}, "POST", Refusal.BAD_METHOD),
    ],
    ids=str,
)
def test_a_request_is_checked(query: dict[str, str], method: str, refusal: Refusal | None) -> None:
    """A known transport, version 4, and GET to open a session."""
    assert check_request(CONFIG, query, method) is refusal


def test_a_transport_that_is_switched_off_is_unknown() -> None:
    """HUB_TRANSPORTS names the ones that are spoken."""
    config = Config(transports=("websocket",))
    query = {"transport": "polling", "EIO": "4"}
    assert check_request(config, query, "GET") is Refusal.UNKNOWN_TRANSPORT
    assert ServerProtocol("id", config, State.POLLING).handshake().count("upgrades") == 1


def test_a_payload_is_taken_apart_and_put_together() -> None:
    """Packets are separated by U+001E; an answer is never empty."""
    assert split_payload("4a\x1e4ü\x1e".encode()) == ["4a", "4ü", ""]
    assert join_payload(["4a", "4b"]) == "4a\x1e4b"
    assert join_payload([]) == "6"


@pytest.mark.parametrize("body", [b"4\xff", b"\x1e" * MAX_PACKETS], ids=["no text", "too many"])
def test_a_payload_that_cannot_be_meant_is_refused(body: bytes) -> None:
    """It is UTF-8, of a bounded number of packets."""
    with pytest.raises(ProtocolError):
        split_payload(body)


def test_the_handshake_says_what_the_client_needs() -> None:
    """Times are milliseconds; only a session that polls can be upgraded."""
    opening = json.loads(polling().handshake()[1:])
    assert opening == {
        "sid": "id",
        "upgrades": ["websocket"],
        "pingInterval": 25000,
        "pingTimeout": 20000,
        "maxPayload": 1000,
    }
    assert json.loads(over_websocket().handshake()[1:])["upgrades"] == []


# ---- What arrives ----


@pytest.mark.parametrize("session", [polling(), probing(), over_websocket()], ids=lambda s: s.state)
def test_a_packet_means_the_same_over_every_transport(session: ServerProtocol) -> None:
    """Messages, pongs and binary are told apart by their first character."""
    assert session.receive("4") == Message("")
    assert session.receive("42[]") == Message("2[]")
    assert session.receive("3") is None
    assert session.receive("bAAAA") is PlainEvent.BINARY
    assert session.close_reason is None
    assert session.receive("1") is PlainEvent.CLOSED
    assert session.close_reason is CloseReason.CLIENT


@pytest.mark.parametrize("packet", ["", "0", "2", "2probe", "5", "6", "7", "abc", " 4"])
def test_what_clients_do_not_send_is_an_error(packet: str) -> None:
    """Open, ping, upgrade and noop are the server's, or a probe's."""
    with pytest.raises(ProtocolError):
        over_websocket().receive(packet)


# ---- Upgrade ----


def test_an_upgrade_is_a_probe_and_then_the_change() -> None:
    """What waited for a poll is there for the WebSocket."""
    session = polling()
    session.send("4first")
    assert session.receive_probe("2probe") == "3probe"
    assert session.receive_probe("5") is None
    assert session.state is State.WEBSOCKET
    assert session.take_outgoing() == ["4first"]


@pytest.mark.parametrize("steps", [["5"], ["4x"], ["2"], ["2probe", "2probe"], ["2probe", "4x"]])
def test_another_step_ends_the_upgrade_and_polling_goes_on(steps: list[str]) -> None:
    """The session is as it was, and may be probed again."""
    session = polling()
    for step in steps[:-1]:
        session.receive_probe(step)
    with pytest.raises(ProtocolError):
        session.receive_probe(steps[-1])
    assert session.state is State.POLLING
    assert session.receive_probe("2probe") == "3probe"


def test_a_websocket_that_is_lost_while_it_is_probed_changes_nothing() -> None:
    """Polling goes on; a session that has changed does not change back."""
    session = probing()
    session.stop_probing()
    assert session.state is State.POLLING
    session = over_websocket()
    session.stop_probing()
    assert session.state is State.WEBSOCKET


# ---- The heartbeat ----


def test_pings_come_at_the_interval_while_they_are_answered() -> None:
    """The next ping is due at the interval after the one before, whenever the pong came."""
    session = over_websocket()
    assert session.timer == 25
    for _ in range(3):
        session.time_out()
        assert (session.take_outgoing(), session.timer) == (["2"], 20)
        session.receive("3")
        session.time_out()
        assert (session.take_outgoing(), session.timer) == ([], 5)
    assert session.close_reason is None


def test_a_ping_without_an_answer_ends_the_session() -> None:
    """A pong that nobody asked for does not count."""
    session = over_websocket()
    session.receive("3")
    session.time_out()
    session.time_out()
    assert session.close_reason is CloseReason.PING_TIMEOUT


def test_an_aborted_poll_ends_the_session_unless_the_client_comes_back() -> None:
    """It has a moment to show itself, and then the heartbeat begins anew."""
    session = polling()
    session.abandon()
    assert session.timer == ABANDONED_AFTER
    assert session.resume()
    assert session.timer == 25
    assert not session.resume()
    session.abandon()
    session.time_out()
    assert session.close_reason is CloseReason.TRANSPORT_CLOSED


# ---- What leaves, and the end ----


def test_what_waits_for_a_poll_is_bounded() -> None:
    """A client that lets too much wait is closed."""
    session = polling()
    for _ in range(MAX_PACKETS):
        session.send("4x")
    assert session.close_reason is None
    session.send("4x")
    assert session.close_reason is CloseReason.TRANSPORT_ERROR


@pytest.mark.parametrize(
    ("session", "reason", "may_return", "packets"),
    [
        (polling(), CloseReason.SERVER, False, ["41", "1"]),
        (polling(), CloseReason.SERVER, True, ["41"]),
        (polling(), CloseReason.CLIENT, False, ["41"]),
        (probing(), CloseReason.SERVER, False, ["41", "1"]),
        (over_websocket(), CloseReason.SERVER, False, ["41"]),
    ],
)
def test_the_end_is_said_where_the_transport_does_not_say_it(
    session: ServerProtocol, reason: CloseReason, may_return: bool, packets: list[str]
) -> None:
    """Over polling a close packet is the end, unless the client is to connect again."""
    session.close(reason, "41", may_return=may_return)
    session.close(CloseReason.PING_TIMEOUT, "4late")
    assert (session.take_outgoing(), session.close_reason) == (packets, reason)
