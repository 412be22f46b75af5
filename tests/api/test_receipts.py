"""Receipts over HTTP."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any
from urllib.parse import urlencode

import pytest

from hub.api.services import SERVICES
from hub.core.model import Receipt
from hub.errors import Unavailable
from hub.store.values import Command
from tests.patience import PATIENCE
from tests.realtime.raw import RawSocket, raw_socket
from tests.redis_server import RedisServer
from tests.site import ADMIN, Replica, running, settings, token


@pytest.fixture(params=["memory", "redis"])
def store_url(request: pytest.FixtureRequest) -> str | None:
    """The address of each store."""
    return request.getfixturevalue("redis_url") if request.param == "redis" else None


@pytest.fixture
async def hub(store_url: str | None) -> AsyncIterator[Replica]:
    """A hub on each store, which waits little for acknowledgements."""
    async with running(settings(redis_url=store_url, notice_grace=4)) as replica:
        yield replica


@pytest.fixture
async def patient_hub(store_url: str | None) -> AsyncIterator[Replica]:
    """A hub on each store, which waits until a test has looked at what is waited for."""
    async with running(settings(redis_url=store_url, notice_grace=5)) as replica:
        yield replica


async def acknowledge(raw: RawSocket) -> None:
    """Acknowledge the next notification."""
    frame = str(await raw.receive())
    number = frame[2:].partition("[")[0]
    await raw.send(f'43{number}[{{"cleared":true}}]')


def states(answer: Any) -> dict[str, str]:
    """Return the state of each session in a receipt."""
    return {session["sid"]: session["state"] for session in answer.body["sessions"]}


async def test_each_session_says_what_became_of_it(hub: Replica) -> None:
    """Sessions are acknowledged, notified without an acknowledgement, or offline."""
    async with (
        raw_socket(hub) as good,
        raw_socket(hub) as mute,
        raw_socket(hub) as leaving,
    ):
        for raw, sid in ((good, "good"), (mute, "mute"), (leaving, "leaving")):
            await raw.connect(token("ada", sid))
        await hub.call("GET", "/session", token("ada", "away"))
        asked = asyncio.create_task(hub.call("POST", "/logout?wait=8", token("ada", "away")))
        await acknowledge(good)
        assert "logoutNotification" in str(await leaving.receive())
        await leaving.websocket.close()
        answer = await asked
    assert answer.body["complete"] is True
    assert states(answer) == {
        "good": "acknowledged",
        "mute": "notified",
        "leaving": "notified",
        "away": "offline",
    }


async def test_the_answer_does_not_wait_unless_it_is_asked_to(hub: Replica) -> None:
    """A logout is answered at once, with the sessions to notify; the receipt has the rest later."""
    async with raw_socket(hub) as mute:
        await mute.connect(token("ada", "mute"))
        caller = token("ada", "caller")
        answer = await hub.call("POST", "/logout", caller)
        assert (states(answer), answer.body["complete"]) == (
            {"mute": "notified", "caller": "offline"},
            False,
        )
        path = f"/logouts/{answer.body['id']}"
        now = await hub.call("GET", path, caller)
        assert (now.status, now.body["complete"]) == (200, False)
        later = await hub.call("GET", path + "?wait=8", caller)
        assert (states(later)["mute"], later.body["complete"]) == ("notified", True)
        assert {**later.body, "sessions": [], "complete": 0} == {
            **answer.body,
            "sessions": [],
            "complete": 0,
        }


async def test_a_receipt_is_shown_to_its_owner_and_to_administrators(hub: Replica) -> None:
    """Other users, and the ended session for other logouts, get the answer for no such logout."""
    ended, fresh = token("ada", "s1"), token("ada", "s2")
    first = await hub.call("POST", "/logout", ended, json={"scope": "session"})
    second = await hub.call("POST", "/logout", fresh, json={"scope": "others"})
    path = f"/logouts/{first.body['id']}"
    for who in (ended, fresh, ADMIN, token("root", scope="hub:admin")):
        answer = await hub.call("GET", path, who)
        assert (answer.status, answer.body["id"]) == (200, first.body["id"])
    assert (await hub.call("GET", path, token("eve"))).status == 404
    assert (await hub.call("GET", path)).status == 401
    other = await hub.call("GET", f"/logouts/{second.body['id']}", ended)
    assert (other.status, other.code) == (401, "token_revoked")
    for name in ("never", "x" * 500, "%00", "a%2Fb"):
        assert (await hub.call("GET", f"/logouts/{name}", ADMIN)).status == 404


@pytest.mark.parametrize("wait", ["-1", "soon", "nan", "inf", "1e999", ""])
async def test_a_wait_that_is_no_number_of_seconds_ends_nothing(hub: Replica, wait: str) -> None:
    """Nothing is written before the request is understood."""
    mine = token("ada")
    answer = await hub.call("POST", f"/logout?wait={wait}", mine)
    assert (answer.status, answer.code) == (400, "invalid_request")
    assert (await hub.call("GET", "/verify", mine)).status == 204


async def test_a_long_wait_is_bounded(hub: Replica) -> None:
    """Who asks for an hour gets an answer all the same, within seconds."""
    async with raw_socket(hub) as mute:
        await mute.connect(token("ada", "mute"))
        began = time.monotonic()
        answer = await hub.call("POST", "/logout?wait=3600", token("ada", "caller"))
        assert answer.body["complete"] is True
        assert time.monotonic() - began < PATIENCE


async def test_several_users_have_one_receipt(hub: Replica) -> None:
    """Their sessions are counted by what became of them; each user sees only what is theirs."""
    async with raw_socket(hub) as good, raw_socket(hub) as mute:
        await good.connect(token("ada", "a"))
        await mute.connect(token("eve", "e"))
        body = {"users": ["ada", "eve", "grace"], "reason": "policy"}
        asked = asyncio.create_task(hub.call("POST", "/admin/logout", ADMIN, json=body))
        await acknowledge(good)
        answer = await asked
        assert (answer.body["users"], answer.body["complete"]) == (3, False)
        path = f"/logouts/{answer.body['id']}?wait=8"
        done = await hub.call("GET", path, ADMIN)
        assert done.body["states"] == {"acknowledged": 1, "notified": 1}
        assert done.body["complete"] is True
        mine = await hub.call("GET", path, token("ada", "b"))
        assert states(mine) == {"a": "acknowledged"}


async def test_everyones_receipt_counts_sockets(hub: Replica) -> None:
    """The counts of notified and cut sessions are over all users."""
    async with raw_socket(hub) as good, raw_socket(hub) as mute:
        await good.connect(token("ada", "a"))
        await mute.connect(token("eve", "e"))
        body = {"everyone": True, "reason": "policy"}
        asked = asyncio.create_task(hub.call("POST", "/admin/logout", ADMIN, json=body))
        await acknowledge(good)
        answer = await asked
        done = await hub.call("GET", f"/logouts/{answer.body['id']}?wait=8", ADMIN)
        assert (done.body["everyone"], done.body["complete"]) == (True, True)
        assert done.body["states"] == {"acknowledged": 1, "notified": 1}


async def test_a_spread_logout_is_true_at_once_and_told_little_by_little(hub: Replica) -> None:
    """No token is accepted from the start; the sockets are told over the seconds asked for."""
    async with raw_socket(hub) as one, raw_socket(hub) as two:
        mine = token("ada", "a")
        await one.connect(mine)
        await two.connect(token("eve", "e"))
        body = {"everyone": True, "reason": "policy", "spread_seconds": 2}
        began = time.monotonic()
        answer = await hub.call("POST", "/admin/logout", ADMIN, json=body)
        assert (await hub.call("GET", "/verify", mine)).status == 401
        assert answer.body["complete"] is False
        for raw in (one, two):
            assert "logoutNotification" in str(await raw.receive())
        path = f"/logouts/{answer.body['id']}?wait=9"
        done = await hub.call("GET", path, ADMIN)
        assert done.body["complete"] is True
        assert time.monotonic() - began > 1
        assert sum(done.body["states"].values()) == 2


@pytest.mark.parametrize("spread", [-1, 3601, 1.5, "1", True])
async def test_a_spread_that_makes_no_sense_ends_nothing(hub: Replica, spread: Any) -> None:
    """From nothing to an hour, in whole seconds."""
    body = {"everyone": True, "reason": "policy", "spread_seconds": spread}
    assert (await hub.call("POST", "/admin/logout", ADMIN, json=body)).status == 400
    assert (await hub.call("GET", "/verify", token("ada"))).status == 204


async def test_another_list_with_the_same_key_is_refused(hub: Replica) -> None:
    """Before anything of it is written; the same list again is the same logout."""
    key = {"Idempotency-Key": "k1"}
    await hub.call("GET", "/session", token("carol", "s"))
    carol = token("carol", "s")
    first = {"users": ["ada", "bob"], "reason": "policy"}
    one = await hub.call("POST", "/admin/logout", ADMIN, json=first, headers=key)
    again = await hub.call("POST", "/admin/logout", ADMIN, json=first, headers=key)
    assert (one.status, again.status) == (200, 200)
    assert one.body["id"] == again.body["id"]
    other = {"users": ["ada", "carol"], "reason": "policy"}
    refused = await hub.call("POST", "/admin/logout", ADMIN, json=other, headers=key)
    assert (refused.status, refused.code) == (400, "invalid_request")
    assert (await hub.call("GET", "/verify", carol)).status == 204


async def test_a_replica_that_dies_leaves_no_receipt_open(own_redis: RedisServer) -> None:
    """Its sockets count as notified once its lease expires, so that the receipt completes."""
    given = settings(redis_url=own_redis.url, replica="living")
    async with running(given) as hub:
        with own_redis.client() as client:
            # As a replica leaves things that was killed just after it had renewed its lease.
            await hub.call("GET", "/session", token("ada", "s1"))
            (session,) = client.scan_iter("hub:*:session:*")
            leases = session.decode().partition(":session:")[0] + ":leases"
            client.hset(session, "@dead.1", 1)
            client.zadd(leases, {"dead.1": time.time_ns() // 1000 - 13_000_000})
        answer = await hub.call("POST", "/logout", token("ada", "s2"))
        assert states(answer)["s1"] == "notified"
        done = await hub.call("GET", f"/logouts/{answer.body['id']}?wait=9", ADMIN)
        assert (states(done)["s1"], done.body["complete"]) == ("notified", True)


@pytest.mark.parametrize("body", [{"users": ["ada", "eve"]}, {"everyone": True}])
async def test_a_list_with_the_same_key_is_answered_after_its_receipt_is_gone(
    own_redis: RedisServer, body: dict[str, Any]
) -> None:
    """A key is remembered for 24 hours, a receipt for one: the repeat is no 404."""
    async with running(settings(redis_url=own_redis.url)) as hub:
        given = {**body, "reason": "policy"}
        key = {"Idempotency-Key": "k"}
        first = await hub.call("POST", "/admin/logout", ADMIN, json=given, headers=key)
        with own_redis.client() as client:
            for name in list(client.scan_iter("hub:*:receipt:*")):
                client.delete(name)
        again = await hub.call("POST", "/admin/logout", ADMIN, json=given, headers=key)
        assert (again.status, again.body.get("id")) == (200, first.body["id"])


async def test_a_repeat_that_waits_is_answered_after_its_receipt_is_gone(
    own_redis: RedisServer,
) -> None:
    """The same for a person's own logout with ?wait."""
    async with running(settings(redis_url=own_redis.url)) as hub:
        key, mine = {"Idempotency-Key": "k"}, token("ada")
        await hub.call("POST", "/logout", mine, headers=key)
        with own_redis.client() as client:
            for name in list(client.scan_iter("hub:*:receipt:*")):
                client.delete(name)
        again = await hub.call("POST", "/logout?wait=1", mine, headers=key)
        assert again.status == 200


async def test_a_hub_that_stops_does_not_wait_for_a_long_spread() -> None:
    """A deploy during a logout that is spread over an hour ends in seconds."""
    async with running(settings()) as hub, raw_socket(hub) as raw:
        await raw.connect(token("ada", "a"))
        body = {"everyone": True, "reason": "policy", "spread_seconds": 3600}
        assert (await hub.call("POST", "/admin/logout", ADMIN, json=body)).status == 200
        await asyncio.sleep(0.5)
        began = time.monotonic()
        await hub.app.shutdown()
        assert time.monotonic() - began < PATIENCE


async def test_a_list_that_was_written_in_part_is_one_logout_once_it_is_asked_again(
    hub: Replica, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first try fails amid the list; the second, with its key, completes the same receipt."""
    store = hub.app[SERVICES].store
    end, calls = store.end, itertools.count()

    async def failing(command: Command) -> Receipt:
        if next(calls) == 2:
            raise Unavailable("a hiccup")
        return await end(command)

    body = {"users": ["ada", "eve", "bob"], "reason": "policy"}
    key = {"Idempotency-Key": "k"}
    with monkeypatch.context() as patch:
        patch.setattr(store, "end", failing)
        first = await hub.call("POST", "/admin/logout", ADMIN, json=body, headers=key)
    assert (first.status, first.code) == (503, "unavailable")
    second = await hub.call("POST", "/admin/logout", ADMIN, json=body, headers=key)
    assert (second.status, second.body["users"]) == (200, 3)
    receipt = await hub.call("GET", f"/logouts/{second.body['id']}", ADMIN)
    assert receipt.body["users"] == 3


async def walk(hub: Replica, logout_id: str, **query: str) -> list[Any]:
    """Return the sessions of a logout, page after page."""
    found, after = [], ""
    while True:
        given = {**query, **({"after": after} if after else {})}
        path = f"/logouts/{logout_id}/sessions?{urlencode(given)}"
        page = (await hub.call("GET", path, ADMIN)).body
        found += page["sessions"]
        if page["next"] is None:
            return found
        assert len(page["sessions"]) == int(query["limit"])
        after = page["next"]


async def test_who_did_not_confirm_is_named(patient_hub: Replica) -> None:
    """Of everyone, with user, device and state; by state, in pages, for administrators alone."""
    async with AsyncExitStack() as stack:
        for name in ("ada", "bob", "eve"):
            raw = await stack.enter_async_context(raw_socket(patient_hub))
            await raw.connect(token(name, "s"), device=f"Phone of {name}")
        good = await stack.enter_async_context(raw_socket(patient_hub))
        await good.connect(token("gus", "s"))
        body = {"everyone": True, "reason": "policy"}
        answer = await patient_hub.call("POST", "/admin/logout", ADMIN, json=body)
        assert (sum(answer.body["states"].values()), answer.body["waiting"]) == (4, 4)
        waiting = await walk(patient_hub, answer.body["id"], limit="3")
        assert [session["waiting"] for session in waiting] == [True] * 4
        await acknowledge(good)
        name = answer.body["id"]
        done = await patient_hub.call("GET", f"/logouts/{name}?wait=8", ADMIN)
    assert done.body["states"] == {"acknowledged": 1, "notified": 3}
    assert done.body["waiting"] == 0
    for limit in ("1", "2", "100"):
        deaf = await walk(patient_hub, name, state="notified", limit=limit)
        assert sorted(session["user"] for session in deaf) == ["ada", "bob", "eve"]
        assert {session["device"] for session in deaf} == {
            "Phone of ada",
            "Phone of bob",
            "Phone of eve",
        }
    assert [one["user"] for one in await walk(patient_hub, name, state="acknowledged")] == ["gus"]
    assert await walk(patient_hub, name, state="cut") == []
    path = f"/logouts/{name}/sessions"
    assert (await patient_hub.call("GET", path, token("ada", "b"))).status == 403
    assert (await patient_hub.call("GET", "/logouts/none/sessions", ADMIN)).status == 404
    for query in ("state=deaf", "limit=0", "limit=1001", "limit=x", "after=x", "after=WzFd"):
        answer = await patient_hub.call("GET", f"{path}?{query}", ADMIN)
        assert answer.code == "invalid_request", query


async def test_the_sessions_of_several_users_are_listed(hub: Replica) -> None:
    """Whether they were online or not, in the same form."""
    for name, sid in (("ada", "a"), ("ada", "b"), ("bob", "c")):
        await hub.call("GET", "/session", token(name, sid))
    body = {"users": ["ada", "bob"], "reason": "policy"}
    answer = await hub.call("POST", "/admin/logout", ADMIN, json=body)
    listed = await walk(hub, answer.body["id"], state="offline", limit="2")
    assert sorted((one["user"], one["sid"]) for one in listed) == [
        ("ada", "a"),
        ("ada", "b"),
        ("bob", "c"),
    ]


async def test_the_total_is_known_from_the_start_on_two_replicas(redis_url: str) -> None:
    """Though telling takes a while; a session with sockets on both counts once."""
    given = settings(redis_url=redis_url, notice_grace=0.3)
    async with AsyncExitStack() as stack:
        hubs = [await stack.enter_async_context(running(given)) for _ in range(2)]
        for number in range(12):
            raw = await stack.enter_async_context(raw_socket(hubs[number % 2]))
            await raw.connect(token(f"u{number}", "s"))
        for hub in hubs:
            raw = await stack.enter_async_context(raw_socket(hub))
            await raw.connect(token("both", "s"))
        body = {"everyone": True, "reason": "policy", "spread_seconds": 5}
        answer = await hubs[0].call("POST", "/admin/logout", ADMIN, json=body)
        assert sum(answer.body["states"].values()) == 13
        assert answer.body["waiting"] > 0
        path = f"/logouts/{answer.body['id']}"
        while not answer.body["complete"]:
            await asyncio.sleep(0.3)
            answer = await hubs[1].call("GET", path, ADMIN)
            assert sum(answer.body["states"].values()) == 13
        assert answer.body["states"] == {"notified": 13}


@pytest.mark.parametrize("body", [{"everyone": True}, {"users": ["ada", "eve"]}, {"user": "ada"}])
async def test_the_log_says_when_a_logout_is_complete(
    patient_hub: Replica, body: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """Once, with how many sessions ended and what became of them."""
    async with raw_socket(patient_hub) as raw:
        await raw.connect(token("ada", "a"))
        await patient_hub.call("POST", "/admin/logout", ADMIN, json={**body, "reason": "policy"})
        await acknowledge(raw)
        out = ""
        async with asyncio.timeout(PATIENCE):
            while "logout complete" not in out:
                await asyncio.sleep(0.1)
                out += capsys.readouterr().out
    written, *_, complete = [line for line in out.splitlines() if " logout " in line]
    assert "sessions=1" in out
    assert out.count("logout complete") == 1
    assert "acknowledged=1" in complete
    assert "sessions=1" in complete
    assert "sessions=1" in written or "users" in body
