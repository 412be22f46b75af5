"""A changed password ends all others, and the one who changed it goes on at once."""

from __future__ import annotations

import asyncio
import json
import shlex

import pytest

from tests.realtime.raw import raw_socket
from tests.recipes.pages import blocks, run_python
from tests.site import ADMIN, SECRET, Replica, running, settings, token

PAGE = "how-to/password-change.md"


@pytest.fixture(params=["header", "cookie"])
def carried(request: pytest.FixtureRequest) -> str:
    """How the token comes."""
    return str(request.param)


async def session(hub: Replica, mine: str, carried: str = "header") -> int:
    """Return the status of a session's question."""
    if carried == "header":
        return (await hub.call("GET", "/session", mine)).status
    return (await hub.call("GET", "/session", cookies={"login": mine})).status


async def test_the_new_token_lives_though_it_is_of_the_same_second(carried: str) -> None:
    """At any moment of a second, for JWT and cookie alike; the old ones are dead."""
    async with running(
        settings(cookie_name="login", allowed_origins=("https://app.example",))
    ) as hub:
        recipe = run_python(PAGE, HUB=hub.url)
        for _ in range(5):
            old = token("ada", "old")
            new = await recipe["change_password"]("ada", ADMIN, SECRET)
            assert await session(hub, new, carried) == 200
            assert await session(hub, old, carried) == 401
            await asyncio.sleep(0.17)


async def test_who_waits_for_the_next_second_may_write_whole_ones() -> None:
    """And a token of the second itself is told how long to wait, over HTTP and on a socket."""
    async with running(settings()) as hub:
        recipe = run_python(PAGE, HUB=hub.url)
        at = await recipe["end_all_sessions"]("ada", ADMIN)
        early = recipe["mint_after"](int(at) - 0.001, "ada", SECRET)
        same = recipe["jwt"].decode(early, SECRET, ["HS256"]) | {"iat": int(at), "sid": "new"}
        same = recipe["jwt"].encode(same, SECRET, "HS256")
        refused = await hub.call("GET", "/session", same)
        assert (refused.code, refused.headers["Retry-After"]) == ("token_too_old", "1")
        async with raw_socket(hub) as raw:
            refusal = json.loads(str(await raw.connect(same))[2:])
        assert refusal["data"]["code"] == "token_too_old"
        assert 0 <= refusal["data"]["retry_after"] <= 1
        await recipe["wait_for_the_next_second"](at)
        claims = recipe["jwt"].decode(same, SECRET, ["HS256"])
        later = {**claims, "iat": int(recipe["time"].time()), "sid": "newer"}
        assert await session(hub, recipe["jwt"].encode(later, SECRET, "HS256")) == 200
        assert await session(hub, same) == 401


async def test_others_keeps_the_token_that_asks() -> None:
    """The command of the page ends the others and no more."""
    async with running(settings()) as hub:
        mine, other = token("ada", "mine"), token("ada", "other")
        assert [await session(hub, one) for one in (mine, other)] == [200, 200]
        (line,) = blocks(PAGE, "sh")
        body = json.loads(shlex.split(line)[shlex.split(line).index("-d") + 1])
        assert (await hub.call("POST", "/logout", mine, json=body)).status == 200
        assert [await session(hub, one) for one in (mine, other)] == [200, 401]
