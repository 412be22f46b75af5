"""A socket whose transport is lost is removed: none remains that a logout cannot reach.

The bound: whatever a client sends, within a second its socket is either accepted, and then told and
cut, or gone from every table of the replica and not shown online.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator

import pytest
from structlog.testing import capture_logs

from tests.realtime.raw import RawSocket, eventually, raw_socket
from tests.realtime.test_sockets import admin_logout, metric
from tests.site import ADMIN, Replica, running, settings, token

FOREIGN = ["41/x,", '42/x,["logout",{}]', "43/x,1[]", '41/x?a=b,{"a":1}', "41/", "41/x"]


@pytest.fixture
async def hub() -> AsyncIterator[Replica]:
    """A hub on the embedded store."""
    async with running(settings(notice_grace=0.5)) as replica:
        yield replica


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Nothing that a client sends may cause a traceback."""
    with capture_logs() as lines:
        yield
    assert not [line for line in lines if line["log_level"] in ("error", "critical")]
    assert not [record for record in caplog.records if record.exc_info]


async def is_empty(hub: Replica) -> bool:
    """Tell whether no socket is left, neither here nor in what Ada sees of her sessions."""
    listed = await hub.call("GET", "/sessions", token("ada", "s1"))
    online = any(session["online"] for session in listed.body.get("sessions", []))
    return not online and await metric(hub, "hub_sockets") == 0


@pytest.mark.parametrize("packet", FOREIGN)
async def test_a_packet_of_another_namespace_ends_the_socket(hub: Replica, packet: str) -> None:
    """As in the reference server, the socket is closed, and its session is offline."""
    async with raw_socket(hub) as raw:
        assert str(await raw.connect(token("ada", "s1"))).startswith("40{")
        await raw.send(packet)
        assert await raw.receive_all() == []
        await eventually(lambda: is_empty(hub))


async def test_another_namespace_is_refused_and_hides_nobody(hub: Replica) -> None:
    """After a CONNECT to an unknown namespace, a logout still reaches the socket."""
    async with raw_socket(hub) as raw:
        await raw.connect(token("ada", "s1"))
        for packet in ("40/x,", "40/x,{}"):
            await raw.send(packet)
            assert str(await raw.receive()).startswith("44")
        await admin_logout(hub, user="ada")
        assert str(await raw.receive()).startswith('421["logoutNotification"')
    await eventually(lambda: is_empty(hub))


@pytest.mark.parametrize("after", ["40", '42["logout",{}]', "41", "40/x,", "43", "3"])
async def test_nothing_is_heard_after_disconnect(hub: Replica, after: str) -> None:
    """Whatever a client sends after DISCONNECT is ignored, and it is closed."""
    mine = token("ada", "s1")
    async with raw_socket(hub) as raw:
        await raw.connect(mine)
        await asyncio.gather(raw.send("41"), raw.send(after), raw.send(after))
        assert await raw.receive_all() == []
    await eventually(lambda: is_empty(hub))
    assert (await hub.call("GET", "/verify", mine)).status == 204


async def poll_open(hub: Replica) -> str:
    """Open a polling session and return its path."""
    opening = (await hub.call("GET", "/socket.io/?EIO=4&transport=polling")).body
    return f"/socket.io/?EIO=4&transport=polling&sid={json.loads(opening[1:])['sid']}"


async def test_an_aborted_poll_does_not_spoil_a_receipt(hub: Replica) -> None:
    """After a page reloads during a poll, the acknowledgement of its new socket counts."""
    mine = token("ada", "s1")
    address = await poll_open(hub)
    await hub.call("POST", address, data=("40" + json.dumps({"token": mine})).encode())
    assert (await hub.call("GET", address)).body.startswith("40{")
    polling = asyncio.create_task(hub.call("GET", address))
    await asyncio.sleep(0.2)
    polling.cancel()
    await asyncio.gather(polling, return_exceptions=True)
    await eventually(lambda: is_empty(hub))
    async with raw_socket(hub) as raw:
        await raw.connect(mine)
        ended = await admin_logout(hub, user="ada")
        notice = str(await raw.receive())
        await raw.send(notice.partition("[")[0].replace("42", "43", 1) + "[]")
        assert await raw.receive_all() == ["41"]
    receipt = await hub.call("GET", f"/logouts/{ended.body['id']}?wait=3", ADMIN)
    assert [session["state"] for session in receipt.body["sessions"]] == ["acknowledged"]


AFTER_CONNECT = ["40", '420["logout",{}]', "41", "43", "40/x,", "41/x,", "44{}", "5", "451-[]"]


@pytest.mark.parametrize("good", [True, False], ids=["good token", "no token"])
@pytest.mark.parametrize("after", AFTER_CONNECT)
async def test_what_follows_connect_in_one_payload_does_no_harm(
    hub: Replica, after: str, good: bool
) -> None:
    """63 packets after a CONNECT, in one POST or segment, are answered or close the socket."""
    first = "40" + (json.dumps({"token": token("ada", "s1")}) if good else "")
    address = await poll_open(hub)
    body = "\x1e".join([first, *[after] * 63])
    assert (await hub.call("POST", address, data=body.encode())).status in (200, 400)
    answer = await hub.call("GET", address)
    assert answer.status in (200, 400, 429)
    async with raw_socket(hub) as raw:
        await pour(raw, [first, *[after] * 63])
        assert str(await raw.receive())[:2] in ("40", "44", "No")
    await hub.call("POST", address, data=b"1")  # a session that polls would stay to the last
    await eventually(lambda: is_empty(hub))
    assert await metric(hub, 'hub_connects_total{code="unavailable"}') == 0
    assert (await hub.call("GET", "/readyz")).status == 200


async def pour(raw: RawSocket, frames: list[str]) -> None:
    """Send many frames at once; the other side may have closed already."""
    for frame in frames:
        try:
            await raw.send(frame)
        except ConnectionError:
            return
