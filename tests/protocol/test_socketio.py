"""The Socket.IO state machine: every packet in every state, and packets as text."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from socketio.packet import Packet as StockPacket

from hub.core.strict_json import Repeated
from hub.protocol.socketio import (
    MAX_NAMESPACE,
    MAX_WAITING,
    Ack,
    Connect,
    Disconnect,
    Emit,
    ProtocolError,
    Reconnect,
    ServerProtocol,
    State,
    UnknownNamespace,
    decode,
    encode_ack,
    encode_disconnect,
    encode_event,
)

ERROR = "error"
EVENT, ACK = Emit("x", [], None), Ack(1, [])

TABLE = [
    # packet, and what it means when OPENED, CONNECTING, CONNECTED, REFUSED, CLOSED
    ("0", Connect(None), ERROR, ERROR, Reconnect(), ERROR),
    ('0{"token":"x"}', Connect({"token": "x"}), ERROR, ERROR, Reconnect(), ERROR),
    ("1", ERROR, None, Disconnect(), Disconnect(), ERROR),
    ('2["x"]', ERROR, None, EVENT, ERROR, ERROR),
    ("31[]", ERROR, None, ACK, ERROR, ERROR),
    ("3[]", ERROR, None, ERROR, ERROR, ERROR),
    ("31", ERROR, None, ERROR, ERROR, ERROR),
    ("4{}", ERROR, None, ERROR, ERROR, ERROR),
    ("51-[]", ERROR, ERROR, ERROR, ERROR, ERROR),
    ("61-1[]", ERROR, ERROR, ERROR, ERROR, ERROR),
    ('2/chat,["x"]', ERROR, ERROR, ERROR, ERROR, ERROR),
    ("1/chat,", ERROR, ERROR, ERROR, ERROR, ERROR),
]
"""An event that waits until CONNECT is answered is None."""


def brought_to(state: State) -> ServerProtocol:
    """Return a state machine in a state, brought there by packets."""
    protocol = ServerProtocol()
    if state is not State.OPENED:
        protocol.receive("0")
    if state in (State.CONNECTED, State.CLOSED):
        protocol.accept({})
    if state is State.REFUSED:
        protocol.refuse({})
    if state is State.CLOSED:
        protocol.receive("1")
    assert protocol.state is state
    return protocol


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row[0])
@pytest.mark.parametrize(("column", "state"), list(enumerate(State, start=1)), ids=str)
def test_a_packet_means_what_the_table_says(
    row: tuple[object, ...], column: int, state: State
) -> None:
    """Every kind of packet in every state."""
    protocol = brought_to(state)
    if row[column] == ERROR:
        with pytest.raises(ProtocolError):
            protocol.receive(str(row[0]))
    else:
        assert protocol.receive(str(row[0])) == row[column]


@pytest.mark.parametrize("state", list(State), ids=str)
def test_another_namespace_is_refused_and_changes_nothing(state: State) -> None:
    """As in the reference server; its query is not part of the name."""
    protocol = brought_to(state)
    event = protocol.receive("0/chat?token=x,{}")
    assert event == UnknownNamespace("/chat", '4/chat,{"message":"Invalid namespace"}')
    assert protocol.state is state
    with pytest.raises(ProtocolError):
        protocol.receive("0/" + "x" * MAX_NAMESPACE)


def test_what_came_before_the_answer_is_handed_out_after_it() -> None:
    """In order; a client that leaves meanwhile has left."""
    protocol = brought_to(State.CONNECTING)
    for packet in ('2["a"]', '27["b",1]', "1", '2["c"]'):
        assert protocol.receive(packet) is None
    assert protocol.accept({"sid": "x"}) == '0{"sid":"x"}'
    waiting = protocol.take_waiting()
    assert [next(waiting) for _ in range(3)] == [
        Emit("a", [], None),
        Emit("b", [1], 7),
        Disconnect(),
    ]
    with pytest.raises(ProtocolError):
        next(waiting)
    assert list(protocol.take_waiting()) == []


def test_what_waits_is_bounded_and_forgotten_with_a_refusal() -> None:
    """A flood before the answer is an error; after a refusal nothing is handed out."""
    protocol = brought_to(State.CONNECTING)
    for _ in range(MAX_WAITING):
        protocol.receive('2["a"]')
    with pytest.raises(ProtocolError):
        protocol.receive('2["a"]')
    assert protocol.refuse({"message": "no"}) == '4{"message":"no"}'
    assert list(protocol.take_waiting()) == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "7",
        "2",
        "2[]",
        "2{}",
        '2"x"',
        "2[1]",
        '2["connect"]',
        '2["disconnecting"]',
        '2["x"',
        '2["x"]]',
        "29999999999999999[",
        "2" + "[" * 100_000,
        '²["x"]',
        '2٣["x"]',
    ],
    ids=lambda text: text[:20],
)
def test_what_is_no_packet_is_an_error(text: str) -> None:
    """Text that cannot be parsed, events without a name, and names that are the library's."""
    with pytest.raises(ProtocolError):
        brought_to(State.CONNECTED).receive(text)


def test_a_refusal_may_quote_what_utf8_cannot_encode() -> None:
    """A lone surrogate, as JSON can write it, is written as JSON again."""
    protocol = brought_to(State.CONNECTING)
    refusal = {"message": "no", "data": {"detail": "\ud800 and ü"}}
    answer = protocol.refuse(refusal)
    answer.encode()
    assert (answer[0], json.loads(answer[1:])) == ("4", refusal)


def test_a_member_that_stands_twice_says_nothing() -> None:
    """Parsers differ in which of the two they take."""
    packet = decode('0{"token":"a","token":"b"}')
    assert isinstance(packet.data, Repeated)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(
    kind=st.integers(0, 4),
    number=st.none() | st.integers(0, 10**12),
    data=st.lists(JSON, min_size=1, max_size=3),
)
def test_packets_are_read_as_the_stock_client_writes_them(
    kind: int, number: int | None, data: list[object]
) -> None:
    """Whatever python-socketio encodes is decoded to the same."""
    text = StockPacket(kind, data=data, namespace="/", id=number).encode()
    packet = decode(text)
    assert (packet.kind, packet.namespace, packet.id) == (str(kind), "/", number)
    assert packet.data == data


@given(name=st.text(min_size=1, max_size=8), number=st.integers(1, 10**12), data=JSON)
def test_packets_are_written_as_the_stock_client_reads_them(
    name: str, number: int, data: object
) -> None:
    """Events and acknowledgements arrive with name, data and id."""
    event = StockPacket(encoded_packet=encode_event(name, data, number))
    assert (event.packet_type, event.id, event.data) == (2, number, [name, data])
    ack = StockPacket(encoded_packet=encode_ack(number, data))
    assert (ack.packet_type, ack.id, ack.data) == (3, number, [data])
    assert StockPacket(encoded_packet=encode_disconnect("/chat")).namespace == "/chat"
    assert json.loads(encode_disconnect()) == 1
