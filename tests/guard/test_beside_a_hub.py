"""Guards beside real hubs: what a hub answers 200 to, a guard refuses."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from pydantic import SecretStr

from hub.core.feed import Revocation
from hub.errors import HubError, TokenInvalid, TokenRevoked, TokenTooOld, Unauthorized
from hub.guard import Guard
from tests.patience import PATIENCE
from tests.redis_server import RedisServer
from tests.site import ADMIN, SECRET, Replica, running, settings, token

GUARD = "a guard token for tests"

pytestmark = pytest.mark.asyncio(loop_scope="module")


def guard_of(*hubs: Replica, **arguments: Any) -> Guard:
    """Return a guard of these replicas."""
    given = {"secret": SECRET, "admin_token": ADMIN, "start_timeout": PATIENCE, **arguments}
    return Guard([hub.url for hub in hubs], token=GUARD, **given)


def hub_settings(**changes: Any) -> Any:
    """Return the settings of a hub with guards."""
    return settings(guard_token=SecretStr(GUARD), limit_admin=None, **changes)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hub() -> AsyncIterator[Replica]:
    """A hub on the embedded store; each test has users of its own."""
    async with running(hub_settings()) as made:
        yield made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def guard(hub: Replica) -> AsyncIterator[Guard]:
    """A guard of it."""
    async with guard_of(hub) as made:
        assert made.is_ready
        yield made


async def refusal(guard: Guard, given: str) -> HubError:
    """Wait until a guard refuses a token, and return why."""
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                await guard.check(given)
            except HubError as error:
                return error
            await asyncio.sleep(0.002)


async def end(hub: Replica, **order: Any) -> None:
    """Have an administrator log somebody out."""
    body = {"reason": "admin", **order}
    assert (await hub.call("POST", "/admin/logout", ADMIN, json=body)).status == 200


async def test_a_logout_reaches_the_guard(hub: Replica, guard: Guard) -> None:
    """By its user, with all that a refusal of the hub tells."""
    given, other = token("ada", "s1"), token("bob", "s1")
    assert await guard.check(given) == await guard.check(given)
    logout = await hub.call("POST", "/logout", given, json={"message": "bye"})
    error = await refusal(guard, given)
    assert type(error) is TokenRevoked
    assert error.logout is not None
    assert (error.logout.id, error.logout.message) == (logout.body["id"], "bye")
    assert (await guard.check(other)).sub == "bob"


@pytest.mark.parametrize("scope", ["all", "others", "session"])
async def test_guard_and_hub_agree_after_a_logout(hub: Replica, guard: Guard, scope: str) -> None:
    """On each session of the user, those that were registered and those that were not."""
    user = f"cleo-{scope}"
    tokens = [token(user, sid) for sid in ("s1", "s2", "s3")]
    for given in tokens[:2]:
        await hub.call("GET", "/session", given)
    await hub.call("POST", "/logout", tokens[0], json={"scope": scope})
    tokens += [token(user, "s1"), token(user, "s2"), token(user, "s4")]
    dead = tokens[1] if scope == "others" else tokens[0]
    await refusal(guard, dead)
    for given in tokens:
        answer = await hub.call("GET", "/verify", given)
        code = None
        try:
            await guard.check(given)
        except Unauthorized as error:
            code = error.code
        assert code == (None if answer.status == 204 else answer.code)


async def test_the_same_second_is_decided_by_the_registry(hub: Replica, guard: Guard) -> None:
    """Which only the hub has, so the guard asks it."""
    await end(hub, user="dora")
    second = int(time.time())
    old, new = (
        guard.mint_ticket("dora", sid, iat=second, exp=second + 600) for sid in ("s1", "s2")
    )
    error = await refusal(guard, old)
    answer = await hub.call("GET", "/verify", old)
    assert isinstance(error, TokenTooOld)
    assert answer.code == error.code
    assert (await hub.call("GET", "/verify", new)).code == "token_too_old"


async def test_an_apps_own_sessions_and_its_tickets(hub: Replica, guard: Guard) -> None:
    """A logout in the app ends the browser's ticket at the hub, and one at the hub the session."""
    login = guard.now()
    ticket = guard.mint_ticket("eve", "s1", login_time=login, name="Eve")
    assert (await hub.call("GET", "/session", ticket)).body["sid"] == "s1"
    assert (await guard.check_session("eve", "s1", login)).sid == "s1"
    async with guard.watch("eve", "s1", logged_in_at=login) as watch:
        await guard.end_session("eve", "s1", reason="idle")
        async with asyncio.timeout(PATIENCE):
            ended: Revocation = await watch.ended()
    assert (ended.sid, ended.reason.value) == ("s1", "idle")
    with pytest.raises(TokenRevoked):
        await guard.check_session("eve", "s1", login)
    assert (await hub.call("GET", "/session", ticket)).code == "token_revoked"
    await asyncio.sleep(ended.at - guard.now() + 0.002)  # a few milliseconds, if anything
    assert (await guard.check_session("eve", "s1", guard.now())).sid == "s1"


async def test_what_was_logged_out_before_a_guard_began_is_refused(hub: Replica) -> None:
    """It is in the snapshot."""
    tokens = [token("finn", "s1"), token("gus", "s1")]
    await hub.call("GET", "/session", tokens[1])
    await end(hub, user="finn")
    await end(hub, user="gus", sid="s1")
    async with guard_of(hub) as late:
        assert late.is_ready
        for given in tokens:
            with pytest.raises(TokenRevoked):
                await late.check(given)


async def test_a_guard_that_was_never_ready_asks(hub: Replica) -> None:
    """And gets the hub's own verdicts; here, since its own token is wrong."""
    given, dead = token("hal", "s1"), token("ivy", "s1")
    login = time.time()
    await end(hub, user="ivy")
    guard = Guard(hub.url, token="of another hub's", secret=SECRET)
    async with guard:
        assert not guard.is_ready
        assert (await guard.check(given)).sub == "hal"
        assert (await guard.check_session("hal", "s1", login)).sub == "hal"
        with pytest.raises(TokenRevoked):
            await guard.check(dead)
        with pytest.raises(TokenRevoked):
            await guard.check_session("ivy", "s1", login)
        with pytest.raises(TokenInvalid):
            await guard.check(given[:-4] + "AAAA")


async def test_a_guard_of_two_replicas_survives_one(redis_server: RedisServer) -> None:
    """It goes on at the other, and nothing that was logged out meanwhile is missed."""
    with redis_server.client() as client:
        client.flushall()
    first, second = token("ada", "s1"), token("bob", "s1")
    url = redis_server.url
    async with running(hub_settings(redis_url=url, replica="one")) as one:
        async with running(hub_settings(redis_url=url, replica="two")) as two:
            async with guard_of(one, two) as guard:
                await guard.check(first)
                await end(one, user="ada")
                assert isinstance(await refusal(guard, first), TokenRevoked)
                await end(two, user="bob")
                assert isinstance(await refusal(guard, second), TokenRevoked)
            guard = guard_of(two, one)
            await guard.start()
        await guard.check(third := token("cleo", "s1"))
        await end(one, user="cleo")
        assert isinstance(await refusal(guard, third), TokenRevoked)
        await guard.close()
