"""The Socket.IO side, frame by frame: which sockets are accepted, answered and cut."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import socket
import time
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import jwt
import msgspec
import pytest

from hub.api.services import SERVICES
from hub.core.model import Identity, Receipt, RevocationState
from hub.realtime.engine import Engine
from hub.realtime.lingering import SECONDS
from hub.realtime.server import Socket
from hub.store.memory import MemoryStore
from hub.store.values import Command, Registration, Unsure
from tests.contract.listener import listening
from tests.e2e.people import python_client
from tests.realtime.raw import RawSocket, eventually, is_reset, raw_socket
from tests.site import ADMIN, SECRET, Replica, running, settings, token

APP = "https://app.example"


@pytest.fixture
async def hub() -> AsyncIterator[Replica]:
    """A hub on the embedded store, with short timeouts."""
    given = settings(
        cookie_name="hub_token", allowed_origins=(APP,), connect_timeout=4, notice_grace=4
    )
    async with running(given) as replica:
        yield replica


async def metric(hub: Replica, line: str) -> float:
    """Return the value of a metric, 0 when it was never counted."""
    text: str = (await hub.call("GET", "/metrics")).body
    found = [row.rsplit(" ", 1)[1] for row in text.splitlines() if row.startswith(line + " ")]
    return float(found[0]) if found else 0.0


async def admin_logout(hub: Replica, **body: Any) -> Any:
    """Log users out as an administrator."""
    return await hub.call("POST", "/admin/logout", ADMIN, json={"reason": "admin", **body})


async def test_a_good_token_is_accepted(hub: Replica) -> None:
    """CONNECT is answered with socket, session, user and time left, and the session is online."""
    async with raw_socket(hub) as raw:
        answer = await raw.connect(token("ada", "s1", lifetime=600), device="Ada's  phone\n")
        assert answer is not None
        told = json.loads(answer.removeprefix("40"))
        assert told.keys() == {"sid", "session", "user", "expires_in"}
        assert (told["session"], told["user"]) == ("s1", "ada")
        assert told["sid"] not in ("", "s1")
        assert 500 < told["expires_in"] <= 610
        listed = await hub.call("GET", "/sessions", token("ada", "s1"))
        assert [(s["device"], s["online"]) for s in listed.body["sessions"]] == [
            ("Ada's phone", True)
        ]

    async def offline() -> bool:
        answer = await hub.call("GET", "/sessions", token("ada", "s1"))
        return answer.body["sessions"][0]["online"] is False

    await eventually(offline)


def old(**claims: Any) -> str:
    """Return a token that expired long ago."""
    return jwt.encode({"sub": "ada", "iat": 1_000_000, "exp": 1_000_060, **claims}, SECRET)


REFUSALS: list[tuple[str, str]] = [
    ("40", "token_missing"),
    ("40{}", "token_missing"),
    ('40{"token": ""}', "token_missing"),
    ('40{"token": null}', "token_missing"),
    ('40{"token": "nonsense"}', "token_invalid"),
    ('40{"token": 5}', "invalid_request"),
    ('40{"token": {"a": 1}}', "invalid_request"),
    ("40[1]", "invalid_request"),
    ('40"text"', "invalid_request"),
    ('40{"token": "' + "x" * 9000 + '"}', "token_invalid"),
    ("40" + json.dumps({"token": old()}), "token_expired"),
    ("40" + json.dumps({"token": token("ada"), "device": 7}), "invalid_request"),
]


@pytest.mark.parametrize(("frame", "code"), REFUSALS, ids=[f"{c}-{i}" for i, (_, c) in enumerate(REFUSALS)])  # fmt: skip  # noqa: E501
async def test_a_refused_socket_is_told_why(hub: Replica, frame: str, code: str) -> None:
    """CONNECT_ERROR contains the code and the title."""
    async with raw_socket(hub) as raw:
        await raw.send(frame)
        refusal = await raw.refusal()
    assert refusal["message"] == refusal["data"]["code"] == code
    assert refusal["data"]["title"]
    assert refusal["data"]["retryable"] is False
    assert await metric(hub, f'hub_connects_total{{code="{code}"}}') == 1


async def test_a_revoked_token_is_refused_with_its_logout(hub: Replica) -> None:
    """A client that reconnects after a logout learns which logout it was."""
    mine = token("ada", "s1")
    ended = await hub.call("POST", "/logout", mine, json={"reason": "suspicious"})
    async with raw_socket(hub) as raw:
        refusal = await raw.closing_refusal(await raw.connect(mine))
    assert refusal["message"] == "token_revoked"
    assert refusal["data"]["logout"]["id"] == ended.body["id"]
    assert refusal["data"]["logout"]["reason"] == "suspicious"


async def test_a_token_in_the_query_string_is_refused(hub: Replica) -> None:
    """A token in the query string is refused even if CONNECT has a good one."""
    async with raw_socket(hub, query=f"&token={token('ada')}") as raw:
        refusal = await raw.closing_refusal(await raw.connect(token("ada")))
    assert refusal["message"] == "invalid_request"


@pytest.mark.parametrize(
    ("origin", "code"),
    [
        (APP, None),
        (None, "origin_not_allowed"),
        ("null", "origin_not_allowed"),
        ("https://evil.example", "origin_not_allowed"),
        ("https://app.example.evil.example", "origin_not_allowed"),
    ],
)
async def test_a_cookie_needs_an_allowed_origin(
    hub: Replica, origin: str | None, code: str | None
) -> None:
    """A cookie is accepted only from an allowed origin, so that no other site can use it."""
    headers = {"Cookie": f"hub_token={token('ada')}"} | ({"Origin": origin} if origin else {})
    async with raw_socket(hub, headers=headers) as raw:
        answer = await raw.connect()
        if code is None:
            assert answer is not None
            assert answer.startswith("40{")
        else:
            assert (await raw.closing_refusal(answer))["message"] == code


async def test_a_page_of_the_hubs_own_origin_may_poll_with_its_cookie(hub: Replica) -> None:
    """A browser's same-origin GET has no Origin, but Sec-Fetch-Site says where it comes from."""
    headers = {"Cookie": f"hub_token={token('ada')}", "Sec-Fetch-Site": "same-origin"}
    async with raw_socket(hub, headers=headers) as raw:
        assert str(await raw.connect()).startswith("40{")
    async with raw_socket(hub, headers={**headers, "Origin": "https://evil.example"}) as raw:
        refusal = await raw.closing_refusal(await raw.connect())
        assert refusal["message"] == "origin_not_allowed"
        assert "HUB_ALLOWED_ORIGINS" in refusal["data"]["detail"]


async def test_a_transport_without_connect_is_closed(hub: Replica) -> None:
    """A transport without CONNECT is closed after the timeout."""
    async with raw_socket(hub) as raw:
        assert await raw.receive_all() == []


NO_PACKETS = [
    "42",
    "4",
    "49",
    "4x",
    "40{",
    '42["logout"',
    "45",
    "451-[]",
    "46",
    b"\x00\x01",
    "44{}",
]


@pytest.mark.parametrize("packet", NO_PACKETS, ids=repr)
async def test_what_is_no_packet_ends_the_connection(hub: Replica, packet: str | bytes) -> None:
    """Garbage, binary and unknown packets close the transport, and nothing else."""
    async with raw_socket(hub) as raw:
        await raw.connect(token("ada"))
        await raw.send(packet)
        assert await raw.receive_all() == []
    assert (await hub.call("GET", "/healthz")).status == 200


async def test_a_binary_connect_is_refused_in_msgpack_and_counted(hub: Replica) -> None:
    """A msgpack client gets CONNECT_ERROR and DISCONNECT in msgpack, then the close."""
    async with raw_socket(hub) as raw:
        await raw.send(msgspec.msgpack.encode({"type": 0, "nsp": "/", "data": {}}))
        told = [msgspec.msgpack.decode((await raw.websocket.receive()).data) for _ in range(2)]
        assert [packet["type"] for packet in told] == [4, 1]
        assert told[0]["data"]["data"]["code"] == "invalid_request"
        assert await raw.receive() is None
        assert raw.websocket.close_code == 1003
    assert await metric(hub, 'hub_limited_total{kind="msgpack"}') == 1


async def test_nothing_but_connect_is_obeyed_before_acceptance(hub: Replica) -> None:
    """An event before CONNECT, or after a refusal, closes the transport."""
    mine = token("ada", "s1")
    async with raw_socket(hub) as raw:
        await raw.send('420["logout",{}]')
        await raw.send('40{"token": "nonsense"}')
        await raw.send('421["logout",{}]')
        assert await raw.receive_all() == []
    async with raw_socket(hub) as raw:
        assert str(await raw.connect("nonsense")).startswith("44")
        await raw.send('421["logout",{}]')
        assert await raw.receive_all() == []
    assert (await hub.call("GET", "/verify", mine)).status == 204


async def test_a_socket_that_disconnects_itself_is_closed(hub: Replica) -> None:
    """DISCONNECT leaves no transport behind."""
    async with raw_socket(hub) as raw:
        await raw.connect(token("ada"))
        await raw.send("41")
        assert await raw.receive_all() == []
    assert await metric(hub, "hub_sockets") == 0


async def test_a_second_connect_closes(hub: Replica) -> None:
    """A transport carries one session: another CONNECT closes it."""
    async with raw_socket(hub) as raw:
        await raw.connect(token("ada", "s1"))
        assert await raw.connect(token("grace", "s2")) is None
        assert raw.websocket.close_code == 1000
    assert await metric(hub, "hub_sockets") == 0


NOWHERE = '44/chat,{"message":"Invalid namespace"}'


async def test_an_unknown_namespace_is_refused(hub: Replica) -> None:
    """A client that only asks for another namespace is refused and then disconnected."""
    async with raw_socket(hub) as raw:
        await raw.send("40/chat," + json.dumps({"token": token("ada")}))
        assert await raw.receive() == NOWHERE
        assert await raw.receive_all() == ["41/chat,"]


async def test_who_is_connected_stays_when_another_namespace_is_refused(hub: Replica) -> None:
    """A transport may ask for other namespaces before or after ``/``, and stays connected."""
    for first, then in (("40/chat,", "40"), ("40", "40/chat,")):
        async with raw_socket(hub) as raw:
            answers = []
            for packet in (first, then):
                credential = json.dumps({"token": token("ada")}) if packet == "40" else ""
                await raw.send(packet + credential)
                answers.append(str(await raw.receive())[:3])
            assert sorted(answers) == ["40{", "44/"]
            await asyncio.sleep(SECONDS + 0.5)
            await raw.send('421["unheard of"]')
            assert str(await raw.receive()).startswith("431[")


async def test_a_refused_client_has_a_moment_to_stop(hub: Replica) -> None:
    """After CONNECT_ERROR the transport stays open for the refusal delay, then comes DISCONNECT."""
    async with raw_socket(hub) as raw:
        began = time.monotonic()
        assert str(await raw.connect("nonsense")).startswith("44")
        assert await raw.receive_all() == ["41"]
        assert time.monotonic() - began > SECONDS / 2
    async with raw_socket(hub) as raw:
        assert str(await raw.connect("nonsense")).startswith("44")
        await raw.send("41")
        assert await raw.receive_all() == []


async def test_a_refused_client_that_asks_again_is_to_connect_anew(hub: Replica) -> None:
    """Its transport is closed without DISCONNECT, so that it reconnects with its new token."""
    async with raw_socket(hub) as raw:
        assert str(await raw.connect("nonsense")).startswith("44")
        assert await raw.connect(token("ada")) is None
        assert raw.websocket.close_code == 1006


async def notification(raw: RawSocket) -> tuple[str, dict[str, Any]]:
    """Return the acknowledgement's id and the payload of the next notification."""
    frame = await raw.receive()
    assert frame is not None
    number, _, rest = frame.removeprefix("42").partition("[")
    event, payload = json.loads("[" + rest)
    assert event == "logoutNotification"
    return number, payload


async def test_a_logout_is_told_acknowledged_and_cut_at_once(hub: Replica) -> None:
    """After the acknowledgement come DISCONNECT and the close, without waiting for the grace."""
    async with raw_socket(hub) as raw:
        await raw.connect(token("ada", "s1"))
        ended = await admin_logout(hub, user="ada", message="Bye")
        number, told = await notification(raw)
        assert told == {
            "id": ended.body["id"],
            "scope": "all",
            "reason": "admin",
            "message": "Bye",
            "sid": None,
            "at": ended.body["at"],
        }
        await raw.send(f'43{number}[{{"cleared":true}}]')
        assert await raw.receive_all() == ["41"]
    assert await metric(hub, 'hub_notices_total{state="acknowledged"}') == 1


async def test_what_a_client_could_not_clear_stands_in_the_receipt(hub: Replica) -> None:
    """It is cut like any other, and the receipt names what it could not clear."""
    async with raw_socket(hub) as raw:
        await raw.connect(token("ada", "s1"))
        ended = await admin_logout(hub, user="ada")
        number, _ = await notification(raw)
        await raw.send(f'43{number}[{{"cleared":false,"failed":["caches","<b>"]}}]')
        assert await raw.receive_all() == ["41"]
    answer = await hub.call("GET", f"/logouts/{ended.body['id']}?wait=5", ADMIN)
    (session,) = answer.body["sessions"]
    assert (session["state"], session["failed"]) == ("acknowledged", ["caches"])


async def test_who_does_not_acknowledge_is_cut_after_the_grace(hub: Replica) -> None:
    """A client that does not acknowledge is cut after the grace."""
    async with raw_socket(hub) as raw:
        await raw.connect(token("ada", "s1"))
        await admin_logout(hub, user="ada")
        await notification(raw)
        assert await raw.receive_all() == ["41"]
    assert await metric(hub, 'hub_notices_total{state="notified"}') == 1


def silent_socket(hub: Replica, token: str) -> socket.socket:
    """Return a connection that has sent CONNECT, and that nobody reads."""
    request = (
        f"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: 127.0.0.1:{hub.port}\r\n"
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    silent = socket.socket()
    silent.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    silent.connect(("127.0.0.1", hub.port))
    silent.sendall(request.encode() + frame("40" + json.dumps({"token": token})))
    return silent


def frame(text: str) -> bytes:
    """Return a text frame as a client sends it, masked with zeros (RFC 6455 section 5.2)."""
    data = text.encode()
    size = bytes([0x80 | len(data)]) if len(data) < 126 else b"\xfe" + len(data).to_bytes(2, "big")
    return b"\x81" + size + b"\0\0\0\0" + data


async def test_who_does_not_read_is_cut_too(hub: Replica) -> None:
    """A client that reads nothing is cut, without any help of its own."""

    async def sockets(count: int) -> bool:
        return await metric(hub, "hub_sockets") == count

    with silent_socket(hub, token("ada", "s1")) as silent:
        await eventually(lambda: sockets(1))
        await admin_logout(hub, user="ada")
        await eventually(lambda: sockets(0))
        await eventually(lambda: is_reset(silent))


async def test_a_socket_that_was_ended_is_not_obeyed_any_more(hub: Replica) -> None:
    """Between notification and cut, a socket can neither log out nor refresh."""
    async with raw_socket(hub) as raw:
        await raw.connect(token("ada", "s1"))
        await admin_logout(hub, user="ada")
        await notification(raw)
        await raw.send('427["logout",{}]')
        await raw.send('428["refresh",' + json.dumps({"token": token("ada", "s1")}) + "]")
        answers = [await raw.receive(), await raw.receive()]
    for answer in answers:
        assert answer is not None
        told = json.loads(answer[answer.index("[") :])[0]
        assert told["ok"] is False
        assert told["error"]["code"] == "token_revoked"


async def test_who_asked_is_answered_before_the_cut(hub: Replica) -> None:
    """A socket that logs itself out gets its answer, though the notification overtakes it."""
    store = store_of(hub)
    real = store.end_own

    async def slow(command: Command, caller: Identity) -> Receipt | Unsure:
        receipt = await real(command, caller)
        await asyncio.sleep(0.2)
        return receipt

    store.end_own = slow  # type: ignore[method-assign]
    async with raw_socket(hub) as raw:
        await raw.connect(token("ada", "s1"))
        await raw.send('421["logout",{}]')
        number, _ = await notification(raw)
        await raw.send(f"43{number}[]")
        answer, end = await raw.receive_all()
    assert answer.startswith('431[{"ok":true')
    assert end == "41"


BAD_EVENTS: list[tuple[list[Any], str]] = [
    (["logout", {"scope": "planet"}], "invalid_request"),
    (["logout", {"scope": "all", "sid": "s1"}], "invalid_request"),
    (["logout", "all"], "invalid_request"),
    (["logout", 5], "invalid_request"),
    (["logout", {}, {}], "invalid_request"),
    (["logout", {"unknown": 1}], "invalid_request"),
    (["logout", {"message": "\ud800"}], "invalid_request"),
    (["logout", {"sid": "of nobody"}], "not_found"),
    (["refresh"], "invalid_request"),
    (["refresh", None], "invalid_request"),
    (["refresh", {"token": "nonsense"}], "token_invalid"),
    (["refresh", {"token": token("grace", "s1")}], "forbidden"),
    (["refresh", {"token": token("ada", "s2")}], "forbidden"),
    (["refresh", {"token": old(sid="s1")}], "token_expired"),
    (["no such event", {}], "not_found"),
]


@pytest.mark.parametrize(("event", "code"), BAD_EVENTS, ids=[json.dumps(e)[:40] for e, _ in BAD_EVENTS])  # fmt: skip  # noqa: E501
async def test_a_bad_event_is_answered_and_changes_nothing(
    hub: Replica, event: list[Any], code: str
) -> None:
    """Every event gets an answer with a code, and the socket and session go on."""
    async with raw_socket(hub) as raw:
        await raw.connect(token("ada", "s1"))
        await raw.send("421" + json.dumps(event))
        answer = await raw.receive()
        assert answer is not None
        assert answer.startswith("431[")
        told = json.loads(answer[3:])[0]
        assert (told["ok"], told["error"]["code"]) == (False, code)
        assert (await hub.call("GET", "/verify", token("ada", "s1"))).status == 204


@pytest.mark.parametrize(
    "name", ['"connect"', '"disconnect"', '"connect_error"', '"newListener"', "5", "null"]
)
@pytest.mark.parametrize("rest", ["", ',"x"', ",{}"])
async def test_an_event_of_a_reserved_name_ends_the_socket_and_hides_nothing(
    hub: Replica, name: str, rest: str
) -> None:
    """A client cannot send reserved events, with which it could hide from logouts."""
    async with raw_socket(hub) as raw:
        await raw.connect(token("ada", "s1"))
        await raw.send(f"42[{name}{rest}]")
        assert await raw.receive_all() == []
    assert await metric(hub, "hub_sockets") == 0


async def test_too_many_events_at_once_are_refused_not_queued(hub: Replica) -> None:
    """A flood of events is answered with rate_limited once the limit is reached."""
    store = store_of(hub)
    real, gate = store.end_own, asyncio.Event()

    async def slow(command: Command, caller: Identity) -> Receipt | Unsure:
        await gate.wait()
        return await real(command, caller)

    store.end_own = slow  # type: ignore[method-assign]
    async with raw_socket(hub) as raw:
        await raw.connect(token("ada", "s1"))
        for number in range(12):
            await raw.send(f'42{number}["logout",{{"scope":"others"}}]')
        early = [await raw.receive() for _ in range(4)]
        gate.set()
        late = [await raw.receive() for _ in range(8)]
    assert all("rate_limited" in str(frame) for frame in early)
    assert all('"ok":true' in str(frame) for frame in late)


async def test_events_before_the_answer_to_connect_wait_but_not_without_end(hub: Replica) -> None:
    """Events before the answer to CONNECT wait, in order; too many close the transport."""
    store = store_of(hub)
    real, gate = store.register, asyncio.Event()

    async def slow(registration: Registration) -> Any:
        await gate.wait()
        return await real(registration)

    store.register = slow  # type: ignore[method-assign]
    connect = "40" + json.dumps({"token": token("ada", "s1")})
    async with raw_socket(hub) as patient, raw_socket(hub) as flood:
        for raw, count in ((patient, 3), (flood, 100)):
            await raw.send(connect)
            for number in range(count):
                await raw.send(f'42{number}["nothing"]')
        assert await flood.receive_all() == []
        gate.set()
        frames = [str(await patient.receive()) for _ in range(4)]
    assert [frame[:3] for frame in frames] == ["40{", "430", "431", "432"]


def engine_of(hub: Replica) -> Engine:
    """Return the engine of a hub that runs in this process."""
    (route,) = [
        route
        for route in hub.app.router.routes()
        if route.method == "GET" and route.resource and route.resource.canonical == "/socket.io/"
    ]
    engine: Engine = route.handler.__self__  # type: ignore[attr-defined]
    return engine


@pytest.mark.parametrize("goodbye", ["41", None], ids=["DISCONNECT", "the transport alone"])
async def test_a_socket_that_left_is_counted_no_more(hub: Replica, goodbye: str | None) -> None:
    """However a socket closes, it is no longer counted, by address or in all."""
    unconnected = engine_of(hub)._make_receiver.args[0].unconnected  # type: ignore[attr-defined]
    async with raw_socket(hub) as raw:
        await raw.connect(token("ada", "s1"))
        assert unconnected._connected
        if goodbye is not None:
            await raw.send(goodbye)
            assert await raw.receive_all() == []
    await eventually(lambda: not unconnected._connected)
    assert await metric(hub, "hub_sockets") == 0


def kept_sockets() -> int:
    """Return how many sockets of hubs in this process are in memory."""
    return sum(type(kept) is Socket for kept in gc.get_objects())


async def test_a_socket_that_left_is_freed_without_the_garbage_collector(hub: Replica) -> None:
    """Closed sockets leave no reference cycles for the garbage collector."""
    gc.collect()
    gc.disable()
    before = kept_sockets()
    try:
        async with raw_socket(hub) as raw:
            await raw.connect(token("ada", "s1"))
            assert kept_sockets() == before + 1
        await eventually(lambda: kept_sockets() == before)
    finally:
        gc.enable()


@pytest.mark.parametrize(
    "given",
    [
        token("ada", "ended", lifetime=3600),
        token("ada", "s1", lifetime=3600)[:-9] + "AAAAAAAAA",
        token("ada", "s1", lifetime=-9),
    ],
    ids=["ended", "forged", "expired"],
)
@pytest.mark.parametrize("is_connected", [False, True], ids=["CONNECT", "refresh"])
async def test_a_socket_that_was_refused_is_freed_without_the_garbage_collector(
    hub: Replica, given: str, is_connected: bool
) -> None:
    """No error keeps the socket to which it was answered."""
    await hub.call("POST", "/logout", token("ada", "ended"), json={"scope": "session"})
    gc.collect()
    gc.disable()
    before = kept_sockets()
    try:
        async with raw_socket(hub) as raw:
            if is_connected:
                await raw.connect(token("ada", "s1"))
                await raw.send("421" + json.dumps(["refresh", {"token": given}]))
                assert '"ok":false' in str(await raw.receive())
            else:
                assert str(await raw.connect(given)).startswith("44")
            assert kept_sockets() == before + 1
        await eventually(lambda: kept_sockets() == before)
    finally:
        gc.enable()


async def test_a_replica_that_is_fenced_meanwhile_answers_no_connect(hub: Replica) -> None:
    """Its transports are closed as a network failure would, so that clients go elsewhere."""
    engine = engine_of(hub)
    async with raw_socket(hub) as raw:
        engine._is_open = lambda: False
        await raw.send("40" + json.dumps({"token": token("ada", "s1")}))
        assert await raw.receive_all() == []
        assert raw.websocket.close_code == 1006
    assert await metric(hub, "hub_sockets") == 0


def store_of(hub: Replica) -> MemoryStore:
    """Return the store of a hub that runs in this process, to put a fault into it."""
    store = hub.app[SERVICES].store
    assert isinstance(store, MemoryStore)
    return store


SHORT = 5
"""Seconds of a token that a test outlives, enough to connect with it on a busy machine."""


async def test_a_socket_expires_with_its_token(hub: Replica) -> None:
    """At exp the socket is notified that its token expired, and is cut."""
    async with raw_socket(hub) as raw:
        await raw.connect(token("ada", "s1", lifetime=SHORT))
        _, told = await notification(raw)
        assert (told["reason"], told["scope"], told["sid"]) == ("expired", "session", "s1")
        assert await raw.receive_all() == ["41"]


async def test_a_refresh_extends_the_life_of_a_socket(hub: Replica) -> None:
    """A newer token of the same session keeps the socket beyond the first one's exp."""
    async with raw_socket(hub) as raw:
        await raw.connect(token("ada", "s1", lifetime=SHORT))
        await raw.send("421" + json.dumps(["refresh", {"token": token("ada", "s1", lifetime=60)}]))
        answer = await raw.receive()
        assert answer is not None
        told = json.loads(answer[3:])[0]
        assert told["ok"] is True
        assert 30 < told["expires_in"] <= 61
        assert told["expires_at"] == pytest.approx(time.time() + told["expires_in"], abs=30)
        await asyncio.sleep(SHORT + 0.2)
        await raw.send('422["logout",{"scope":"others"}]')
        assert '"ok":true' in str(await raw.receive())


async def test_all_that_was_asked_for_is_answered_before_the_cut(hub: Replica) -> None:
    """An acknowledged socket is cut only once all its pending events were answered."""
    store = store_of(hub)
    end_own, register = store.end_own, store.register

    async def end_late(command: Command, caller: Identity) -> Receipt | Unsure:
        answer = await end_own(command, caller)
        await asyncio.sleep(0.3)
        return answer

    async def register_late(registration: Registration) -> RevocationState:
        state = await register(registration)
        await asyncio.sleep(0.1)
        return state

    async def log_out(user: str) -> list[str]:
        async with raw_socket(hub) as raw:
            await raw.connect(token(user, "s1"))
            await raw.send('421["logout",{"scope":"session"}]')
            await raw.send("422" + json.dumps(["refresh", {"token": token(user, "s1")}]))
            frames = []
            while (frame := await raw.receive()) is not None:
                frames.append(frame)
                if "logoutNotification" in frame:
                    await raw.send(f'43{frame[2:].partition("[")[0]}[{{"cleared":true}}]')
            return frames

    store.end_own = end_late  # type: ignore[method-assign]
    store.register = register_late  # type: ignore[method-assign]
    # Which of the two is waited for first is a matter of chance, so there are several.
    for frames in await asyncio.gather(*(log_out(f"user-{number}") for number in range(12))):
        answered = [frame for frame in frames if frame.startswith("431")]
        assert len(answered) == 1, frames
        assert '"ok":true' in answered[0]
        assert frames[-1] == "41"


async def test_a_logout_in_the_middle_of_connecting_wins(hub: Replica) -> None:
    """A logout while a socket is connecting refuses the socket.

    The store answers that the session lives, as it did when asked; the logout comes before that
    answer is read.
    """
    store = store_of(hub)
    real = store.register

    async def late(registration: Registration) -> RevocationState:
        state = await real(registration)
        await admin_logout(hub, user="ada")
        return state

    store.register = late  # type: ignore[method-assign]
    async with raw_socket(hub) as raw:
        refusal = await raw.closing_refusal(await raw.connect(token("ada", "s1")))
    assert refusal["message"] == "token_revoked"


async def test_of_two_logouts_in_the_middle_of_connecting_the_later_one_counts(
    hub: Replica,
) -> None:
    """A login newer than a late logout is still ended by the next one."""
    store = store_of(hub)
    real = store.register
    async with listening(store) as listener:
        await admin_logout(hub, user="ada")
        (old,) = await listener.hear(1)

    async def late(registration: Registration) -> RevocationState:
        state = await real(registration)
        for queue in store._followers:
            queue.put_nowait(old)
        await asyncio.sleep(0.1)
        await admin_logout(hub, user="ada")
        await asyncio.sleep(0.1)
        return state

    store.register = late  # type: ignore[method-assign]
    async with raw_socket(hub) as raw:
        refusal = await raw.closing_refusal(await raw.connect(token("ada", "s2")))
    assert refusal["message"] == "token_revoked"


async def test_whatever_breaks_while_connecting_refuses(hub: Replica) -> None:
    """An unexpected exception gets `unavailable`, never an accepted socket."""
    store = store_of(hub)

    async def broken(registration: Registration) -> RevocationState:
        raise TypeError("a bug")

    store.register = broken  # type: ignore[method-assign]
    async with raw_socket(hub) as raw:
        refusal = await raw.closing_refusal(await raw.connect(token("ada", "s1")))
    assert (refusal["message"], refusal["data"]["retryable"]) == ("unavailable", True)
    assert await metric(hub, "hub_sockets") == 0


async def test_a_late_notice_does_not_cut_a_newer_login(hub: Replica) -> None:
    """A logout that arrives after a new login does not end that login."""
    store = store_of(hub)
    async with listening(store) as listener:
        await admin_logout(hub, user="ada")
        (old,) = await listener.hear(1)
    async with raw_socket(hub) as raw:
        await raw.connect(token("ada", "s2"))
        for queue in store._followers:
            queue.put_nowait(old)
        await asyncio.sleep(0.1)
        await raw.send('421["logout",{"scope":"others"}]')
        assert str(await raw.receive()).startswith('431[{"ok":true')


async def test_two_tabs_of_a_session_are_both_told(hub: Replica) -> None:
    """All sockets of a session are notified, and it is online until the last closes."""
    mine = token("ada", "s1")
    async with raw_socket(hub) as first:
        async with raw_socket(hub) as second:
            await first.connect(mine)
            await second.connect(mine)
        await asyncio.sleep(0.2)
        listed = await hub.call("GET", "/sessions", mine)
        assert [s["online"] for s in listed.body["sessions"]] == [True]
        async with raw_socket(hub) as third:
            await third.connect(mine)
            await hub.call("POST", "/logout", mine)
            assert (await notification(first))[1] == (await notification(third))[1]


async def test_a_session_is_offline_in_whatever_order_its_sockets_close(hub: Replica) -> None:
    """Whichever of two sockets closes first, the session ends up offline."""
    mine = token("ada", "s1")

    async def online() -> list[bool]:
        listed = await hub.call("GET", "/admin/users/ada/sessions", ADMIN)
        return [s["online"] for s in listed.body["sessions"]]

    async with raw_socket(hub) as older:
        await older.connect(mine)
        async with raw_socket(hub) as newer:
            await newer.connect(mine)
        await asyncio.sleep(0.2)
        assert await online() == [True]

    async def offline() -> bool:
        return await online() == [False]

    await eventually(offline)


async def test_a_polling_client_is_told_and_cut(hub: Replica) -> None:
    """Over long polling the notification arrives, its acknowledgement counts, the session ends."""
    async with python_client(hub, token("ada", "s1"), transports=["polling"]) as person:
        await person.diary.wait("connect")
        await admin_logout(hub, user="ada")
        await person.diary.wait("notified")
        await person.diary.wait("disconnect")
    assert await metric(hub, 'hub_notices_total{state="acknowledged"}') == 1


async def test_a_polling_body_in_pieces_is_one_body(hub: Replica) -> None:
    """A polling POST that arrives in several TCP segments is read whole."""
    async with aiohttp.ClientSession() as http:
        address = f"{hub.url}/socket.io/?EIO=4&transport=polling"
        async with http.get(address) as answer:
            sid = json.loads((await answer.text())[1:])["sid"]

        async def pieces() -> AsyncIterator[bytes]:
            body = ("40" + json.dumps({"token": token("ada")})).encode()
            yield body[:20]
            await asyncio.sleep(0.05)
            yield body[20:]

        async with http.post(f"{address}&sid={sid}", data=pieces()) as answer:
            assert (await answer.text()) == "ok"
        async with http.get(f"{address}&sid={sid}") as answer:
            assert (await answer.text()).startswith("40{")


async def test_a_poll_that_closes_while_it_connects_leaves_nothing_behind(hub: Replica) -> None:
    """A client that closes while it is being accepted is neither counted nor online."""
    store = store_of(hub)
    real, asked, gate = store.register, asyncio.Event(), asyncio.Event()

    async def slow(registration: Registration) -> RevocationState:
        asked.set()
        await gate.wait()
        return await real(registration)

    store.register = slow  # type: ignore[method-assign]
    async with aiohttp.ClientSession() as http:
        address = f"{hub.url}/socket.io/?EIO=4&transport=polling"
        async with http.get(address) as answer:
            sid = json.loads((await answer.text())[1:])["sid"]
        body = "40" + json.dumps({"token": token("ada", "s1")})
        connecting = asyncio.create_task(http.post(f"{address}&sid={sid}", data=body))
        await asked.wait()
        async with http.post(f"{address}&sid={sid}", data="1"):
            gate.set()
        (await connecting).release()
    store.register = real  # type: ignore[method-assign]
    assert await metric(hub, "hub_sockets") == 0

    async def offline() -> bool:
        listed = await hub.call("GET", "/admin/users/ada/sessions", ADMIN)
        return [s["online"] for s in listed.body["sessions"]] == [False]

    await eventually(offline)


async def test_only_the_offered_transports_are_open() -> None:
    """HUB_TRANSPORTS restricts the transports."""
    async with (
        running(settings(transports=("websocket",))) as hub,
        aiohttp.ClientSession() as http,
    ):
        async with http.get(f"{hub.url}/socket.io/?EIO=4&transport=polling") as answer:
            assert answer.status == 400
        async with raw_socket(hub) as raw:
            assert str(await raw.connect(token("ada"))).startswith("40{")


async def test_compression_is_not_negotiated(hub: Replica) -> None:
    """A client that offers permessage-deflate is answered without it."""
    async with raw_socket(hub) as raw:
        assert raw.websocket.compress == 0


async def test_a_hub_that_stops_tells_clients_to_come_back() -> None:
    """On shutdown, TCP ends without DISCONNECT or a close frame, so that clients reconnect."""
    async with contextlib.AsyncExitStack() as clients:
        async with running(settings()) as stopping:
            raw = await clients.enter_async_context(raw_socket(stopping))
            await raw.connect(token("ada"))
            reading = asyncio.create_task(raw.receive_all())
        assert await reading == []
        assert raw.websocket.close_code == 1006


async def test_the_address_behind_a_trusted_proxy_is_kept() -> None:
    """X-Forwarded-For is believed from trusted proxies only."""
    headers = {"X-Forwarded-For": "198.51.100.1, 203.0.113.9"}
    for trusted, expected in (((), "127.0.0.1"), (("127.0.0.0/8",), "203.0.113.9")):
        async with (
            running(settings(trusted_proxies=trusted)) as hub,
            raw_socket(hub, headers=headers) as raw,
        ):
            await raw.connect(token("ada", "s1"))
            listed = await hub.call("GET", "/admin/users/ada/sessions", ADMIN)
            assert [s["ip"] for s in listed.body["sessions"]] == [expected]
