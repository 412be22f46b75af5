"""What the hub reaches for inside python-socketio is still there; fails when it moves."""

from __future__ import annotations

import inspect

import socketio

from hub.access.limits import Limiter, Refusals
from hub.core.model import Identity, user_key
from hub.metrics import Metrics
from hub.realtime.connections import Connection, Connections
from hub.realtime.pending import Pending
from hub.realtime.server import Manager, Server


def parameters(function: object) -> list[str]:
    """Return the names of a function's parameters."""
    return list(inspect.signature(function).parameters)  # type: ignore[arg-type]


def test_the_handlers_that_are_extended_have_the_same_parameters() -> None:
    """The private methods of python-socketio's server that are overridden exist."""
    for name in (
        "_handle_eio_connect",
        "_handle_eio_disconnect",
        "_handle_eio_message",
        "_handle_connect",
        "_handle_event",
        "_send_packet",
        "_engineio_server_class",
    ):
        stock = parameters(getattr(socketio.AsyncServer, name))
        assert stock == parameters(getattr(Server, name)), name


def test_the_manager_replaces_what_the_server_calls() -> None:
    """The book-keeping of python-socketio's manager is overridden with the same parameters."""
    for name in (
        "pre_connect",
        "connect",
        "is_connected",
        "sid_from_eio_sid",
        "eio_sid_from_sid",
        "pre_disconnect",
        "get_rooms",
        "get_participants",
    ):
        stock = parameters(getattr(socketio.AsyncManager, name))
        assert stock == parameters(getattr(Manager, name)), name
    called = {
        line.partition("self.manager.")[2].partition("(")[0]
        for line in inspect.getsource(socketio.AsyncServer).splitlines()
        if "self.manager." in line
    }
    assert called <= {*vars(Manager), "can_disconnect", "emit", "trigger_callback", "initialize",
                      "enter_room", "leave_room", "close_room"}  # fmt: skip


async def test_a_socket_is_in_the_rooms_of_its_user_and_session() -> None:
    """The rooms are known to python-socketio as they are to the hub."""
    connections = Connections()
    refusals = Refusals(Metrics())
    server = Server(
        connections,
        transports=("websocket",),
        connect_timeout=1,
        max_body=1000,
        pending=Pending(1, 1, Limiter("refused", None, refusals), refusals),
        read_source=lambda request: "",
        refusals=refusals,
    )
    user = user_key("https://id.example", "ada:1")
    for sid, session in (("a", "s:1"), ("b", "s:2")):
        identity = Identity(user=user, sub="", iss="", sid=session, iat=0, exp=0)
        connections.add(Connection(sid, identity, None))  # type: ignore[arg-type]
        await server.manager.pre_connect(sid, "/")
        await server.manager.connect(sid, "/")
    assert server.rooms("a") == ["a", f"user:{user}", f"session:{user}:s:1"]

    def members(room: str | None) -> set[str]:
        return {sid for sid, _ in server.manager.get_participants("/", room)}

    assert members(f"user:{user}") == members(None) == {"a", "b"}
    assert members(f"session:{user}:s:2") == members("b") == {"b"}
    assert members("user:nobody") == members("anything") == set()
