"""What a replica does when the log, its connection or its own code fails."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from hub.api.services import SERVICES
from hub.core.audit import read_entry
from hub.core.model import SECOND, Logout, Reason, Scope, user_key
from hub.core.wire import encode_logout
from hub.realtime.delivery import Delivery
from hub.store.names import PARTITIONS, Names
from hub.store.redis import RedisStore
from hub.store.values import Command, LogoutEvent
from tests.patience import PATIENCE
from tests.realtime.raw import eventually, raw_socket
from tests.redis_server import RedisServer
from tests.site import ADMIN, Replica, running, settings, token

FENCE = 5.0
ONE = {"scope": "session"}
LOGOUT = Logout("x", user_key("", "ada"), Scope.ALL, Reason.POLICY)


@pytest.fixture
async def hub(own_redis: RedisServer) -> AsyncIterator[Replica]:
    """A replica on a Redis that may be killed."""
    given = settings(redis_url=own_redis.url, fence_seconds=FENCE, notice_grace=0.3)
    async with running(given) as replica:
        yield replica


async def metric(hub: Replica, line: str) -> float:
    """Return the value of a metric."""
    text: str = (await hub.call("GET", "/metrics")).body
    return next(float(row.rsplit(" ", 1)[1]) for row in text.splitlines() if row.startswith(line))


async def status(hub: Replica, path: str = "/readyz", who: str | None = None) -> int:
    """Return the status of a call."""
    return (await hub.call("GET", path, who)).status


async def opening_status(hub: Replica) -> int:
    """Return the status of the request that opens a polling transport."""
    return await status(hub, "/socket.io/?EIO=4&transport=polling")


async def test_a_fenced_replica_closes_its_sockets_and_takes_none(
    hub: Replica, own_redis: RedisServer
) -> None:
    """A fenced replica closes its sockets as a failing network would, and recovers."""
    async with raw_socket(hub) as raw:
        await raw.connect(token("ada", "s1"))
        began = time.monotonic()
        own_redis.pause()
        assert await raw.receive_all() == []
        assert raw.websocket.close_code == 1006
        assert FENCE - 1.5 < time.monotonic() - began < FENCE + 5
    assert await status(hub) == 503
    assert await opening_status(hub) == 503
    assert await status(hub, "/healthz") == 200
    assert await metric(hub, "hub_fences_total") == 1
    assert await metric(hub, "hub_following") == 0
    own_redis.resume()

    async def is_back() -> bool:
        return await status(hub) == 200 and await opening_status(hub) == 200

    await eventually(is_back)
    async with raw_socket(hub) as raw:
        assert str(await raw.connect(token("ada", "s1"))).startswith("40")

    async def is_young() -> bool:
        return await metric(hub, "hub_position_age_seconds") < FENCE

    await eventually(is_young)


async def test_fences_and_losses_are_in_the_audit_log(
    own_redis: RedisServer, tmp_path: Path
) -> None:
    """Each fence and each loss is recorded once, with its facts."""
    file = tmp_path / "audit.log"

    def noted() -> dict[str, dict[str, Any]]:
        found = [read_entry(line) for line in file.read_bytes().splitlines()]
        return {entry.event: entry.facts for entry in found if entry is not None}

    given = settings(redis_url=own_redis.url, fence_seconds=FENCE, audit_file=str(file))
    async with running(given) as hub:
        own_redis.pause()
        await eventually(lambda: "fence" in noted())
        own_redis.resume()
        await eventually(lambda: metric(hub, "hub_following"))
        assert (await hub.call("POST", "/logout", token("ada", "s1"))).status == 200
        with own_redis.client() as client:
            client.flushall()
        await eventually(lambda: "loss" in noted())
    assert noted()["fence"]["seconds"] >= FENCE
    assert noted()["loss"]["partitions"] == noted()["fence"]["partitions"] == [*range(PARTITIONS)]
    events = [json.loads(line)["event"] for line in file.read_bytes().splitlines()]
    assert (events.count("fence"), events.count("loss")) == (1, 1)


async def test_a_short_hang_fences_nobody(own_redis: RedisServer) -> None:
    """A hiccup shorter than the fence closes no socket."""
    given = settings(redis_url=own_redis.url, fence_seconds=PATIENCE)
    async with running(given) as hub, raw_socket(hub) as raw:
        await raw.connect(token("ada", "s1"))
        own_redis.pause()
        await asyncio.sleep(1.2)
        own_redis.resume()
        await eventually(lambda: status_is(hub, 200))
        await raw.send('420["nonsense"]')
        assert "not_found" in str(await raw.receive())
        assert await metric(hub, "hub_fences_total") == 0


async def status_is(hub: Replica, wanted: int) -> bool:
    """Tell whether /readyz has this status."""
    return await status(hub) == wanted


async def test_a_replica_that_never_reached_its_store_takes_no_sockets() -> None:
    """Without its store it is alive and not ready, and refuses as a failing network would."""
    async with running(settings(redis_url="redis://127.0.0.1:1/0")) as hub:
        assert await status(hub, "/healthz") == 200
        assert await status(hub) == 503
        assert await opening_status(hub) == 503


async def test_a_lost_message_still_cuts_every_socket(hub: Replica, own_redis: RedisServer) -> None:
    """Sockets are cut although each subscription is killed while the logout is published."""
    for number in range(5):
        async with raw_socket(hub) as raw:
            await raw.connect(token("ada", f"s{number}"))
            with own_redis.client() as client:
                client.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
                answer = await hub.call("POST", "/logout", token("ada", f"s{number}"))
                client.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
            assert answer.status == 200
            frames = await raw.receive_all()
            assert "logoutNotification" in frames[0]


async def test_a_logout_that_nobody_published_cuts_all_the_same(
    hub: Replica, own_redis: RedisServer
) -> None:
    """A logout that is in the log, but was never published, cuts the sockets."""
    async with raw_socket(hub) as raw:
        await raw.connect(token("ada", "s1"))
        record = f"{time.time_ns() // 1000} {encode_logout(LOGOUT).decode()}"
        with own_redis.client() as client:
            client.xadd(Names(LOGOUT.user).log, {"logout": record, "leases": "-"})
        assert '"reason":"policy"' in str(await raw.receive())
    assert await metric(hub, "hub_replayed_total") == 1


async def test_data_that_was_lost_ends_everything_where_that_is_asked_for(
    own_redis: RedisServer,
) -> None:
    """HUB_ON_DATA_LOSS=cut_off: all sockets are cut, old tokens are dead, new ones work."""
    given = settings(redis_url=own_redis.url, on_data_loss="cut_off", notice_grace=0.2)
    async with running(given) as hub, raw_socket(hub) as raw:
        old = token("ada", "s1")
        await raw.connect(old)
        assert (await hub.call("POST", "/logout", token("eve", "e1"))).status == 200
        dead = token("eve", "e1")
        with own_redis.client() as client:
            client.flushall()
        frames = await raw.receive_all()
        assert "policy" in frames[0]
        for who in (old, dead):
            await eventually(lambda who=who: is_refused(hub, who))
        await eventually(lambda: status_is(hub, 200))
        assert await status(hub, "/session", token("ada", "s2")) == 200
        assert await metric(hub, "hub_losses_total") == 1


async def is_refused(hub: Replica, who: str) -> bool:
    """Tell whether a token is refused as dead, and never accepted."""
    answer = await hub.call("GET", "/verify", who)
    assert answer.status in (401, 503), answer
    return answer.status == 401


async def test_data_that_was_lost_fails_closed_until_an_administrator_decides(
    hub: Replica, own_redis: RedisServer
) -> None:
    """By default nothing is accepted after a loss, until an administrator logs everyone out."""
    async with raw_socket(hub) as raw:
        mine = token("ada", "s1")
        await raw.connect(mine)
        with own_redis.client() as client:
            client.flushall()
        for path in ("/session", "/verify", "/sessions"):
            assert await status(hub, path, mine) == 503
        assert await raw.receive_all() == []
        assert raw.websocket.close_code == 1006
    assert await status(hub) == 503
    assert await opening_status(hub) == 503
    body = {"everyone": True, "reason": "policy"}
    assert (await hub.call("POST", "/admin/logout", ADMIN, json=body)).status == 200
    await eventually(lambda: status_is(hub, 200))
    assert (await hub.call("GET", "/verify", mine)).code == "token_revoked"
    assert await status(hub, "/session", token("ada", "s2")) == 200


async def test_a_socket_of_a_session_that_ended_unheard_may_not_act(
    hub: Replica, own_redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A socket whose logout has not arrived yet cannot end anything: the store is asked."""
    monkeypatch.setattr(Delivery, "deliver", lambda self, heard: 0)
    async with raw_socket(hub) as raw:
        await raw.connect(token("ada", "s1"))
        async with RedisStore(own_redis.url, lifetime=3600 * SECOND) as other:
            logout = Logout("x", user_key("", "ada"), Scope.SESSION, Reason.POLICY, sid="s1")
            await other.end(Command(logout, also="s1"))
        assert await status(hub, "/session", token("ada", "s2")) == 200
        await raw.send('420["logout"]')
        assert "token_revoked" in str(await raw.receive())
        assert await status(hub, "/session", token("ada", "s2")) == 200


async def test_a_refusal_of_a_session_is_no_logout_of_everyone(hub: Replica) -> None:
    """The end of a session of unknown user, in every partition's log, ends no other socket."""
    refused = Logout("r", None, Scope.SESSION, Reason.POLICY, sid="s1", before=1)
    async with raw_socket(hub) as raw, raw_socket(hub) as marker:
        await raw.connect(token("ada", "s1"))
        await marker.connect(token("ada", "s2"))
        await hub.app[SERVICES].store.refuse_session("", refused)
        # What follows in the log of this user has arrived, so that has too.
        assert (await hub.call("POST", "/logout", token("ada", "s2"), json=ONE)).status == 200
        assert "logoutNotification" in str(await marker.receive())
        await raw.send('420["nonsense"]')
        assert "not_found" in str(await raw.receive())
    assert await metric(hub, "hub_received_total") == 1


async def test_what_was_not_delivered_is_found_by_a_sweep(
    hub: Replica, own_redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An exception while handling a logout is logged, and every socket is checked."""

    def broken(self: Delivery, heard: LogoutEvent) -> int:
        raise RuntimeError("a bug")

    async with raw_socket(hub) as raw:
        await raw.connect(token("ada", "s1"))
        monkeypatch.setattr(Delivery, "deliver", broken)
        assert (await hub.call("POST", "/logout", token("ada", "s1"))).status == 200
        assert "logoutNotification" in str(await raw.receive())
    assert await metric(hub, 'hub_swept_total{cause="gap"}') == 1


async def test_following_is_zero_while_the_store_is_not_believed(own_redis: RedisServer) -> None:
    """The gauge hub_following agrees with /readyz."""
    async with running(settings(redis_url=own_redis.url, fence_seconds=3)) as hub:
        with own_redis.client() as client:
            client.flushall()

        async def is_unready() -> bool:
            return (await hub.call("GET", "/readyz")).status == 503

        await eventually(is_unready)
        text: str = (await hub.call("GET", "/metrics")).body
        assert "\nhub_following 0.0" in text


async def test_eviction_that_is_switched_on_later_is_noticed(
    hub: Replica, own_redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store that may evict keys is not followed until its policy is changed back."""
    await eventually(lambda: status_is(hub, 200))
    monkeypatch.setattr("hub.store.reader.POLICY_INTERVAL", 0.2)
    # Only what begins now looks so often.
    own_redis.run("CLIENT", "KILL", "TYPE", "pubsub")
    await asyncio.sleep(0.5)
    await eventually(lambda: status_is(hub, 200))
    own_redis.run("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    await eventually(lambda: status_is(hub, 503))
    own_redis.run("CONFIG", "SET", "maxmemory-policy", "noeviction")
    await eventually(lambda: status_is(hub, 200))
