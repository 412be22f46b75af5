"""Signals on several replicas, and when the store fails."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from hub.access.authority import Authority
from hub.core.model import SECOND, Identity, Logout, Reason, Scope, user_key
from hub.errors import TokenRevoked
from hub.store.names import partition_of
from tests.api.test_backchannel import once_available
from tests.api.test_events import push, subject
from tests.realtime.raw import eventually, raw_socket
from tests.redis_server import Clustered, RedisServer, started
from tests.signals_site import (
    LOGOUT_AUDIENCE,
    access_token,
    is_alive,
    issuer_settings,
    send_token,
)
from tests.signals_table import (
    CLIENT,
    ISSUER,
    SESSION_REVOKED,
    Case,
    Sender,
    event_token,
    logout_token,
)
from tests.site import ADMIN, Replica, running

SENDER = Sender()
TRANSMITTER = f"""[[transmitter]]
iss = "{ISSUER}"
aud = "{CLIENT}"
jwks_url = "{{jwks}}"
delivery = "push"
"""
NAMED: dict[str, dict[str, Any]] = {
    "sub": {"sub": "ada", "sid": ...},
    "sid": {"sub": ..., "sid": "s-1"},
    "sub and sid": {"sub": "ada", "sid": "s-1"},
}


@contextlib.asynccontextmanager
async def replicas(
    folder: Path, url: str, **changes: Any
) -> AsyncIterator[tuple[Replica, Replica]]:
    """Run two replicas on one store."""
    async with (
        issuer_settings(
            folder, SENDER, LOGOUT_AUDIENCE, TRANSMITTER, redis_url=url, **changes
        ) as given,
        running(given) as one,
        running(given) as other,
    ):
        yield one, other


def saying(named: str, **claims: Any) -> str:
    """Return a logout token with these claims."""
    return logout_token(Case("", None, claims=NAMED[named] | claims), SENDER, time.time())


def revoked(at: float) -> str:
    """Return the event that ada's sessions were revoked at a time."""
    claims = {"events": {SESSION_REVOKED: {"event_timestamp": at}}, "sub_id": subject("ada")}
    return event_token(Case("", None, claims=claims), SENDER, time.time())


def told(frames: list[str]) -> int:
    """Return how many notifications are among the frames of a socket."""
    return sum("logoutNotification" in frame for frame in frames)


async def logouts_of(hub: Replica) -> float:
    """Return how many logouts a replica has written."""
    text = (await hub.call("GET", "/metrics")).body
    rows = [row for row in text.splitlines() if row.startswith("hub_logouts_total{")]
    return sum(float(row.rsplit(" ", 1)[1]) for row in rows)


@pytest.mark.parametrize("named", NAMED)
async def test_a_signal_that_reaches_two_replicas_at_once_is_one_logout(
    tmp_path: Path, own_redis: RedisServer, named: str
) -> None:
    """Both answer with success, and the socket is notified once."""
    async with replicas(tmp_path, own_redis.url) as (one, other), raw_socket(one) as raw:
        await raw.connect(access_token(SENDER))
        token = saying(named)
        answers = await asyncio.gather(*(send_token(hub, token) for hub in (one, other) * 4))
        assert [answer.status for answer in answers] == [200] * 8
        assert told(await raw.receive_all()) == 1
        assert await logouts_of(one) + await logouts_of(other) == 1


@pytest.mark.parametrize("named", NAMED)
async def test_a_signal_that_comes_again_ends_no_newer_login(
    tmp_path: Path, own_redis: RedisServer, named: str
) -> None:
    """A repeated signal ends no newer login, on any replica, even for an unknown user."""
    now = int(time.time())
    old = access_token(SENDER, auth_time=now - 60)
    async with replicas(tmp_path, own_redis.url) as (one, other), raw_socket(one) as raw:
        token = saying(named, iat=now - 30)
        assert (await send_token(one, token)).status == 200
        assert not await is_alive(other, old)
        newer = int(time.time()) + 1
        await asyncio.sleep(newer - time.time())
        again = access_token(SENDER, iat=newer, auth_time=newer)
        assert str(await raw.connect(again)).startswith("40")
        assert (await send_token(other, token)).status == 200
        assert await is_alive(other, again)
        assert not await is_alive(one, old)
        await raw.send('420["nonsense"]')
        assert "not_found" in str(await raw.receive())


async def test_a_socket_that_another_logout_has_ended_by_then_is_told_of_that(
    tmp_path: Path, own_redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the store names a newer logout, the socket is notified of that one."""
    now = time.time()
    newer = Logout("newer", user_key(ISSUER, "ada"), Scope.ALL, Reason.USER, at=int(now * SECOND))

    async def find_refusal(self: Authority, identity: Identity) -> TokenRevoked:
        return TokenRevoked(logout=newer)

    async with replicas(tmp_path, own_redis.url) as (hub, other), raw_socket(hub) as raw:
        await raw.connect(access_token(SENDER, iat=now - 5))
        monkeypatch.setattr(Authority, "find_refusal", find_refusal)
        assert (await push(other, revoked(now - 10))).status == 202
        (frame, *_) = await raw.receive_all()
        assert '"id":"newer"' in frame
        assert '"reason":"user"' in frame


async def test_events_that_overtake_each_other_end_what_the_newest_ends(
    tmp_path: Path, own_redis: RedisServer
) -> None:
    """Events end the same logins in any order, on any replica; a newer login lives."""
    now = time.time()
    times = [now - 60, now - 10, now - 40]
    old, middle, new = (access_token(SENDER, sid=f"{ago}", iat=now - ago) for ago in (70, 20, 5))
    async with replicas(tmp_path, own_redis.url) as hubs:
        sent = zip((*hubs, hubs[0]), times, strict=True)
        answers = await asyncio.gather(*(push(hub, revoked(at)) for hub, at in sent))
        assert [answer.status for answer in answers] == [202] * 3
        assert [await is_alive(hubs[1], one) for one in (old, middle, new)] == [False, False, True]


@pytest.mark.parametrize("wrong", [-86400, 86400])
async def test_a_replica_whose_clock_is_wrong_takes_signals_as_the_others_do(
    tmp_path: Path, own_redis: RedisServer, monkeypatch: pytest.MonkeyPatch, wrong: int
) -> None:
    """A wrong clock refuses no signal, since most senders do not retry after a refusal."""
    right = time.time_ns
    async with replicas(tmp_path, own_redis.url) as (hub, _):
        monkeypatch.setattr(time, "time_ns", lambda: right() + wrong * 1_000_000_000)
        assert (await send_token(hub, saying("sub"))).status == 200
        answer = await push(hub, revoked(time.time()))
        assert answer.status == 202, answer.body
        assert not await is_alive(hub, access_token(SENDER))


async def test_a_signal_is_written_to_a_store_that_has_lost_what_it_knew(
    tmp_path: Path, own_redis: RedisServer
) -> None:
    """A signal answered after a data loss still counts once the loss was recovered from."""
    given = {"on_data_loss": "fail_closed", "notice_grace": 0.2}
    async with replicas(tmp_path, own_redis.url, **given) as (one, other):
        token = access_token(SENDER)
        assert (await one.call("GET", "/session", token)).status == 200
        signal = saying("sid")
        assert (await send_token(one, signal)).status == 200
        own_redis.run("FLUSHALL")
        await eventually(lambda: is_unsure(other, access_token(SENDER)))
        assert (await once_available(lambda: send_token(other, signal))).status == 200
        body = {"everyone": True, "reason": "policy"}
        answer = await once_available(lambda: other.call("POST", "/admin/logout", ADMIN, json=body))
        assert answer.status == 200
        later = int(time.time()) + 1
        await asyncio.sleep(later - time.time())
        refreshed = access_token(SENDER, iat=later)
        refusal = await once_available(lambda: one.call("GET", "/session", refreshed))
        assert refusal.code == "token_revoked"
        sibling = access_token(SENDER, sid="s-2", iat=later)
        assert (await once_available(lambda: one.call("GET", "/verify", sibling))).status == 204


async def is_unsure(hub: Replica, token: str) -> bool:
    """Tell whether a replica answers that it does not know whether a token is alive."""
    return (await hub.call("GET", "/verify", token)).status == 503


async def test_a_dead_node_keeps_signals_about_its_own_users_from_being_written(
    tmp_path: Path,
) -> None:
    """Signals for other nodes are written; one without a user needs every node, so it is not."""
    with started(Clustered(tmp_path)) as cluster:
        gone = cluster.partitions_of(1)
        lost, other = first_users(gone)
        async with replicas(tmp_path, cluster.url, fence_seconds=3) as (hub, _):
            mine, theirs = access_token(SENDER, lost, "m"), access_token(SENDER, other, "t")
            for token in (mine, theirs):
                assert (await hub.call("GET", "/session", token)).status == 200
            about = [saying("sub", sub=lost), saying("sid", sid="t")]
            cluster.masters[1].pause()
            try:
                assert (await send_token(hub, saying("sub", sub=other))).status == 200
                assert not await is_alive(hub, theirs)
                for token in about:
                    answer = await send_token(hub, token)
                    assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
            finally:
                cluster.masters[1].resume()
                await asyncio.to_thread(cluster.wait)
            for token in about:
                assert (await once_available(partial(send_token, hub, token))).status == 200
            answer = await once_available(lambda: hub.call("GET", "/session", mine))
            assert answer.code == "token_revoked"


def first_users(gone: set[int]) -> tuple[str, str]:
    """Return a user of these partitions, and one of the others."""
    names = [f"user-{number}" for number in range(200)]
    is_gone = {name: partition_of(user_key(ISSUER, name)) in gone for name in names}
    return (
        next(name for name in names if is_gone[name]),
        next(name for name in names if not is_gone[name]),
    )
