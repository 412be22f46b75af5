"""The feed: what is in force, then each logout, then up to when that is everything; and who may."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from hashlib import sha256
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import ClientTimeout
from pydantic import SecretStr

from hub.api.event_stream import takes_gzip
from hub.core.model import user_key
from hub.store.names import Names
from tests.feed_reader import GUARD, reading, revocations
from tests.patience import PATIENCE
from tests.redis_server import RedisServer
from tests.site import ADMIN, Replica, running, settings, token

READER, OTHER = "a credential that may read the feed", "a credential that may log out"
TOKENS = tuple(
    f"{name}:{sha256(secret.encode()).hexdigest()}:{right}"
    for name, secret, right in (("reader", READER, "feed"), ("other", OTHER, "logout"))
)


def hub_settings(**changes: Any) -> Any:
    """Return the settings of a hub with guards."""
    return settings(guard_token=SecretStr(GUARD), admin_tokens=TOKENS, limit_admin=None, **changes)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hub() -> AsyncIterator[Replica]:
    """A hub on the embedded store."""
    async with running(hub_settings()) as made:
        yield made


@contextlib.asynccontextmanager
async def two_on(redis: RedisServer, **changes: Any) -> AsyncIterator[tuple[Replica, Replica]]:
    """Run two replicas on a Redis."""
    async with (
        running(hub_settings(redis_url=redis.url, replica="one", **changes)) as one,
        running(hub_settings(redis_url=redis.url, replica="two", **changes)) as two,
    ):
        yield one, two


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pair(redis_server: RedisServer) -> AsyncIterator[tuple[Replica, Replica]]:
    """Two replicas on a real Redis."""
    with redis_server.client() as client:
        client.flushall()
    async with two_on(redis_server) as made:
        yield made


async def end(hub: Replica, user: str, **more: Any) -> dict[str, Any]:
    """Log a user out, and return the logout."""
    asked = {"user": user, "reason": "admin", **more}
    answer = await hub.call("POST", "/admin/logout", ADMIN, json=asked)
    assert answer.status == 200
    body: dict[str, Any] = answer.body
    return body


def users(events: list[Any], prefix: str) -> list[str]:
    """Return whose logouts are among some events, in order, of users with this prefix."""
    return [one["user"] for one in revocations(events) if one.get("user", "").startswith(prefix)]


pytestmark = pytest.mark.asyncio(loop_scope="module")


# ---- What it says ----


async def test_what_is_in_force_comes_first_and_then_each_logout(hub: Replica) -> None:
    """Then ``ready``; and the rest with all that the logout says, as it is heard."""
    await end(hub, "first")
    await hub.call("GET", "/session", token("first-2", "phone"))
    async with reading(hub) as guard:
        assert guard.status == 200
        assert guard.answer.headers["Content-Type"] == "text/event-stream"
        assert guard.answer.headers["Cache-Control"] == "no-store"
        assert guard.answer.headers["X-Accel-Buffering"] == "no"
        events = await guard.until("ready")
        assert {one.kind for one in events[:-1]} == {"snapshot"}
        assert users(events, "first") == ["first"]
        ready = events[-1]
        assert ready.id
        assert ready.data["partitions"] == 1
        assert ready.data["lifetime"] == 2592000
        written = await end(hub, "first-2", reason="policy", message="hello")
        *_, logout = await guard.until("logout", lambda data: data["user"] == "first-2")
        assert logout.data == {
            "scope": "all",
            "reason": "policy",
            "at": written["at"],
            "user": "first-2",
            "sessions": ["phone"],
            "id": written["id"],
            "message": "hello",
        }
        assert logout.id != ready.id


async def test_a_confirmation_comes_each_second_and_promises_no_more_than_is_true(
    hub: Replica,
) -> None:
    """Counted from the request, with the store's time then; silence would be noticed."""
    began = time.monotonic()
    async with reading(hub) as guard:
        await guard.until("ready")
        heard: list[tuple[float, Any]] = []
        for _ in range(4):
            *_, one = await guard.until("confirmed")
            heard.append((time.monotonic() - began, one.data))
    assert heard[-1][0] - heard[0][0] < PATIENCE / 4
    for passed, data in heard:
        assert data["elapsed"] <= passed
        ahead = data["at"] - (time.time() - (time.monotonic() - began) + data["elapsed"])
        assert abs(ahead) < PATIENCE / 4
    assert heard[-1][1]["elapsed"] > heard[0][1]["elapsed"]


async def test_a_logout_is_heard_before_it_is_confirmed(hub: Replica) -> None:
    """A confirmation of a time after its answer follows the logout itself."""
    began = time.monotonic()
    async with reading(hub) as guard:
        await guard.until("ready")
        await end(hub, "before")
        answered = time.monotonic() - began + 0.5  # the request took a part of that
        events = await guard.until("confirmed", lambda data: data["elapsed"] > answered)
        assert users(events, "before") == ["before"]


# ---- Where it goes on ----


async def test_a_guard_goes_on_at_another_replica(pair: tuple[Replica, Replica]) -> None:
    """With what was written at either while it was away, in order, and nothing else."""
    one, two = pair
    await end(one, "old")
    async with reading(one) as guard:
        await guard.until("ready")
        await end(one, "away-0")
        # Not just any: that of "old" may be heard live as well.
        await guard.until("logout", lambda data: data["user"] == "away-0")
    for number in range(1, 40):
        await end((one, two)[number % 2], f"away-{number}", sid=f"s{number % 3}")
    await end(two, "away-1")
    async with reading(two, guard.id) as guard:
        events = await guard.until("confirmed")
        assert {one.kind for one in events} == {"logout", "confirmed"}
        # Once or, if it was heard live just now as well, twice.
        assert set(users(events, "")) == {f"away-{number}" for number in range(1, 40)}
        scopes = [one["scope"] for one in revocations(events) if one["user"] == "away-1"]
        assert scopes[:2] == ["session", "all"]
        await end(one, "away-99")
        await guard.until("logout", lambda data: data["user"] == "away-99")
    async with reading(one, guard.id) as guard:
        events = await guard.until("confirmed")
        assert {one.kind for one in events} <= {"logout", "confirmed"}


async def test_no_logout_is_missed_by_a_guard_that_is_always_moving(
    pair: tuple[Replica, Replica],
) -> None:
    """Logouts are written all the time while it goes from one replica to the other."""
    written, heard, stop = list[str](), list[str](), asyncio.Event()

    async def write() -> None:
        while not stop.is_set():
            written.append(f"moving-{len(written)}")
            await end(pair[len(written) % 2], written[-1])

    writing, last = asyncio.create_task(write()), None
    for move in range(8):
        async with reading(pair[move % 2], last) as guard:
            events = [*await guard.until("confirmed"), *await guard.until("logout")]
            assert move == 0 or not [one for one in events if one.kind == "reset"]
            heard += users(events, "moving-")
            last = guard.id
    stop.set()
    await writing
    async with reading(pair[0], last) as guard:
        heard += users(await guard.until("confirmed"), "moving-")
    assert set(heard) == set(written)


@pytest.mark.parametrize("last", ["x", "é" * 9, "A" * 2000, "AAAAAAAAAAAA", "0-0"])
async def test_an_unknown_position_begins_anew(hub: Replica, last: str) -> None:
    """With ``reset`` and all that is in force, never with an error."""
    await end(hub, "anew")
    async with reading(hub, last) as guard:
        events = await guard.until("ready")
        assert events[0].kind == "reset"
        assert events[0].data["reason"]
        assert users(events, "anew") == ["anew"]


async def test_another_store_begins_anew(hub: Replica, pair: tuple[Replica, Replica]) -> None:
    """As after a restart of the embedded store: its log is another one."""
    async with reading(hub) as guard:
        await guard.until("ready")
        last = guard.id
    async with running(hub_settings()) as restarted, reading(restarted, last) as guard:
        assert (await guard.until("ready"))[0].kind == "reset"


async def test_a_replica_that_was_restarted_goes_on(own_redis: RedisServer) -> None:
    """The log is in Redis: nothing is sent anew; and a replica that stops ends its responses."""
    given = hub_settings(redis_url=own_redis.url)
    async with contextlib.AsyncExitStack() as before:
        replica = await before.enter_async_context(running(given))
        guard = await before.enter_async_context(reading(replica))
        await guard.until("ready")
        await end(replica, "kept")
        await guard.until("logout")
        replica.app.freeze()
        stopping = asyncio.create_task(replica.app.shutdown())
        while (one := await guard.next()) is not None:
            assert one.kind == "confirmed"
        await stopping
        refused = await replica.call("GET", "/revocations", GUARD)
        assert (refused.status, refused.code) == (503, "unavailable")
        assert refused.headers["Retry-After"]
        last = guard.id
    async with running(given) as replica, reading(replica, last) as guard:
        await end(replica, "new")
        events = await guard.until("logout")
        assert users(events, "") == ["new"]
        assert "reset" not in {one.kind for one in events}


async def test_a_lost_partition_is_late_and_nobody_elses(own_redis: RedisServer) -> None:
    """Guards start without it; what is written there after the recovery is sent and confirmed."""
    bob, ada = (Names(user_key("", user)).partition for user in ("bob", "ada"))
    assert bob != ada
    async with two_on(own_redis, fence_seconds=300) as (one, _), reading(one) as guard:
        await guard.until("ready")
        with own_redis.client() as client:
            client.delete(Names(None, bob).epoch)
        await end(one, "ada")
        assert users(await guard.until("logout"), "ada") == ["ada"]
        is_late = await guard.until("confirmed", lambda data: str(bob) in data.get("late", {}))
        late = is_late[-1].data
        assert late["late"][str(bob)] < late["elapsed"]
        async with reading(one) as other:
            ready = (await other.until("ready"))[-1].data
            assert ready["late"][str(bob)] < ready["elapsed"]
        await one.call("POST", "/admin/logout", ADMIN, json={"everyone": True, "reason": "admin"})
        await guard.until("logout", lambda data: data.get("partition") == bob)
        await guard.until("confirmed", lambda data: "late" not in data)
        async with reading(one, guard.id) as other:
            assert [one.kind for one in await other.until("confirmed")] == ["confirmed"]


# ---- How it is sent ----


async def test_a_client_may_ask_for_gzip(hub: Replica) -> None:
    """A real one reads it as it comes, whenever it began to."""
    await end(hub, "packed")
    async with (
        reading(hub, **{"Accept-Encoding": "gzip"}) as guard,
        aiohttp.ClientSession(timeout=ClientTimeout(total=PATIENCE)) as http,
        http.get(hub.url + "/revocations", headers={"Authorization": f"Bearer {GUARD}"}) as real,
    ):
        assert real.headers["Content-Encoding"] == "gzip"
        assert guard.answer.headers["Content-Encoding"] == "gzip"
        assert "Accept-Encoding" in guard.answer.headers["Vary"]
        assert users(await guard.until("ready"), "packed") == ["packed"]
        await end(hub, "packed-2", message="long " * 90)
        await guard.until("logout", lambda data: data["user"] == "packed-2")
        text = b""
        while b"packed-2" not in text:
            text += await real.content.readany()


async def test_gzip_is_sent_to_those_who_take_it() -> None:
    """As their header says (RFC 9110 section 12.5.3)."""
    taken = ["gzip", "deflate, GZIP;q=0.5", "x-gzip", "br,gzip ; q=1.0"]
    assert all(takes_gzip([line]) for line in taken)
    others = ["", "identity", "br", "gzip;q=0", "gzip; q=0.000", "*"]
    assert not any(takes_gzip([line]) for line in others)
    assert takes_gzip(["br", "gzip"])


async def test_old_clients_are_sent_no_chunks(hub: Replica) -> None:
    """HTTP/1.0, which proxies speak by default: the response ends with the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", hub.port)
    head = f"GET /revocations HTTP/1.0\r\nHost: hub\r\nAuthorization: Bearer {GUARD}\r\n\r\n"
    writer.write(head.encode())
    async with asyncio.timeout(PATIENCE):
        headers = (await reader.readuntil(b"\r\n\r\n")).lower()
        assert b"transfer-encoding" not in headers
        assert await reader.readuntil(b"\n\n") == b"retry: 1000\n\n"
    writer.transport.abort()


async def test_head_is_answered(hub: Replica) -> None:
    """With the headers alone, at once."""
    answer = await hub.call("HEAD", "/revocations", GUARD)
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "text/event-stream"


# ---- Who may read it ----


@pytest.mark.parametrize(
    ("given", "status", "code"),
    [
        (None, 401, "token_missing"),
        ("wrong", 401, "token_invalid"),
        (token("ada", "s", scope="hub:admin"), 401, "token_invalid"),
        (OTHER, 403, "forbidden"),
    ],
)
async def test_strangers_are_refused(
    hub: Replica, given: str | None, status: int, code: str
) -> None:
    """It names all who log out: no token of a user opens it, and not every administrator's."""
    answer = await hub.call("GET", "/revocations", given)
    assert (answer.status, answer.code) == (status, code)


@pytest.mark.parametrize("given", [GUARD, ADMIN, READER])
async def test_guards_and_administrators_are_admitted(hub: Replica, given: str) -> None:
    """The administrator with every right, and one with this."""
    async with reading(hub, token=given) as guard:
        await guard.until("ready")


async def test_a_guard_may_read_the_feed_and_nothing_else(hub: Replica) -> None:
    """Its token ends no session, and lists none."""
    ended = await hub.call("POST", "/admin/logout", GUARD, json={"user": "ada"})
    listed = await hub.call("GET", "/admin/users/ada/sessions", GUARD)
    assert (ended.status, listed.status) == (403, 403)
    assert (await hub.call("GET", "/session", GUARD)).status == 401


async def test_guards_are_counted(hub: Replica) -> None:
    """In a gauge, and how long it took to send them what is in force."""
    async with reading(hub) as guard:
        await guard.until("ready")
        metrics = (await hub.call("GET", "/metrics")).body
        assert "hub_guards 0" not in metrics
        assert "hub_guard_snapshot_seconds_count" in metrics


async def test_a_snapshot_is_json_of_its_own(hub: Replica) -> None:
    """Data is one line, whatever characters it has: lines end with LF, CR or both."""
    user = "line\u2028end"
    await end(hub, user)
    async with reading(hub) as guard:
        events = await guard.until("ready")
        assert user in users(events, "line")
