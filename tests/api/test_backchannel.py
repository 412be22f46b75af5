"""``POST /backchannel-logout``: what an identity provider ends, and what it is answered."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from hub.api.services import SERVICES
from hub.core.refusal import Refusal
from tests.patience import PATIENCE
from tests.redis_server import RedisServer
from tests.signals_site import (
    LOGOUT_AUDIENCE,
    access_token,
    is_alive,
    issuer_settings,
    send_logout,
    send_token,
)
from tests.signals_table import LOGOUT_TOKENS, Case, Sender, logout_token
from tests.site import ADMIN, Answer, Replica, running

SENDER = Sender()
WEB, PHONE, OTHERS = ("ada", "s-1"), ("ada", "s-2"), ("eve", "s-3")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hub(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Replica]:
    """A hub with its own store, which takes logout tokens of one issuer."""
    folder = tmp_path_factory.mktemp("hub")
    members = LOGOUT_AUDIENCE + 'title = "your company"\n'
    async with (
        issuer_settings(folder, SENDER, members, limit_refused=None) as given,
        running(given) as replica,
    ):
        yield replica


def tokens(prefix: str = "") -> dict[tuple[str, str], str]:
    """Return a token for each of three sessions, of users that only this test has."""
    return {
        (user, sid): access_token(SENDER, prefix + user, prefix + sid)
        for user, sid in (WEB, PHONE, OTHERS)
    }


async def alive(hub: Replica, of: dict[tuple[str, str], str]) -> set[tuple[str, str]]:
    """Return which of some sessions are alive."""
    return {who for who, token in of.items() if await is_alive(hub, token)}


def count(hub: Replica, name: str, **labels: str) -> float:
    """Return the value of a counter."""
    return hub.app[SERVICES].metrics.registry.get_sample_value(f"{name}_total", labels) or 0.0


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("case", LOGOUT_TOKENS, ids=str)
async def test_an_odd_logout_token_changes_nothing_and_its_twin_ends_one_session(
    hub: Replica, case: Case
) -> None:
    """What is refused is 400 with OAuth's error, what is odd but good ends what it names."""
    prefix = f"{ascii(case.name)[:99]} "
    user, sid, mine = prefix + "ada", prefix + "s-1", tokens(prefix)
    labels = {"channel": "backchannel", "reason": str(case.reason)}
    before = count(hub, "hub_signals_refused", **labels)
    changed = logout_token(case, SENDER, time.time(), sub=user, sid=sid)
    answer = await send_token(hub, changed)
    assert answer.headers["Cache-Control"] == "no-store"
    if case.reason is None:
        assert answer.status == 200, answer.body
        assert answer.body == ""
        return
    assert answer.status == 400, answer.body
    assert answer.body["error"] == "invalid_request"
    assert answer.body["error_description"]
    assert await alive(hub, mine) == {WEB, PHONE, OTHERS}
    assert count(hub, "hub_signals_refused", **labels) == before + bool(changed)
    assert (await send_logout(hub, SENDER, sub=user, sid=sid)).status == 200
    assert await alive(hub, mine) == {PHONE, OTHERS}


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("named", "left"),
    [
        ({"sub": "ada", "sid": "s-1"}, {PHONE, OTHERS}),
        ({"sub": ..., "sid": "s-1"}, {PHONE, OTHERS}),
        ({"sub": "ada", "sid": ...}, {OTHERS}),
    ],
)
@pytest.mark.parametrize("is_known", [True, False])
async def test_a_logout_token_ends_what_it_names_and_no_sibling(
    hub: Replica, named: dict[str, Any], left: set[tuple[str, str]], is_known: bool
) -> None:
    """Whether its session has shown itself or not; a token that is refreshed later is dead too."""
    prefix = f"{len(named)}{named} {is_known} "
    mine = tokens(prefix)
    if is_known:
        for token in mine.values():
            assert (await hub.call("GET", "/session", token)).status == 200
    claims = {name: value if value is ... else prefix + value for name, value in named.items()}
    answer = await send_logout(hub, SENDER, Case("", None, claims=claims))
    assert answer.status == 200, answer.body
    assert await alive(hub, mine) == left
    if named["sid"] is not ...:
        refreshed = access_token(SENDER, prefix + "ada", prefix + "s-1", iat=int(time.time()))
        assert not await is_alive(hub, refreshed)


@pytest.mark.asyncio(loop_scope="module")
async def test_a_dead_session_says_who_ended_it(hub: Replica) -> None:
    """The reason is the identity provider, and ``by`` its issuer."""
    token = access_token(SENDER, "grace", "said")
    await send_logout(hub, SENDER, sub="grace", sid="said")
    answer = await hub.call("GET", "/session", token)
    assert (answer.code, answer.body["reason"]) == ("token_revoked", "identity_provider")
    assert answer.body["by"] == SENDER.iss


@pytest.mark.asyncio(loop_scope="module")
async def test_the_receipt_says_whose_signal_it_was_to_administrators_only(hub: Replica) -> None:
    """With the time of the event."""
    token = access_token(SENDER, "hedy", "receipt")
    await hub.call("GET", "/session", token)
    claims = {"iat": int(time.time()) - 1}
    await send_logout(hub, SENDER, Case("", None, claims=claims), sub="hedy", sid="receipt")
    ended = await hub.call("GET", "/session", token)
    address = f"/logouts/{ended.body['id']}"
    receipt = (await hub.call("GET", address, ADMIN)).body
    assert receipt["origin"] == {
        "by": SENDER.iss, "event": "backchannel-logout", "event_timestamp": claims["iat"],
    }  # fmt: skip
    assert [one["sid"] for one in receipt["sessions"]] == ["receipt"]
    assert "origin" not in (await hub.call("GET", address, token)).body


@pytest.mark.asyncio(loop_scope="module")
async def test_a_login_after_the_logout_lives_although_the_token_came_late(hub: Replica) -> None:
    """A redirect may overtake the logout token, which counts as of when it was issued."""
    now = int(time.time())
    new = access_token(SENDER, "late", "new", iat=now)
    old = access_token(SENDER, "late", "old", iat=now - 60)
    for token in (new, old):
        assert (await hub.call("GET", "/session", token)).status == 200
    claims = {"sub": "late", "sid": ..., "iat": now - 30, "exp": now + 60}
    assert (await send_logout(hub, SENDER, Case("", None, claims=claims))).status == 200
    assert await is_alive(hub, new)
    assert not await is_alive(hub, old)


def verdicts(hub: Replica) -> list[float]:
    """Return how many signals ended something, and how many had come before."""
    labels = {"channel": "backchannel", "sender": SENDER.iss}
    return [
        count(hub, "hub_signals", **labels, verdict=verdict) for verdict in ("ended", "repeated")
    ]


@pytest.mark.asyncio(loop_scope="module")
async def test_the_same_token_again_is_answered_alike_and_does_nothing(hub: Replica) -> None:
    """Also when it comes many times at once."""
    known = access_token(SENDER, "twice", "once")
    await hub.call("GET", "/session", known)
    before = verdicts(hub)
    token = logout_token(Case("", None), SENDER, time.time(), sub="twice", sid="once")
    answers = await asyncio.gather(*(send_token(hub, token) for _ in range(5)))
    assert [answer.status for answer in answers] == [200] * 5
    assert [after - was for after, was in zip(verdicts(hub), before, strict=True)] == [1, 4]


@pytest.mark.asyncio(loop_scope="module")
async def test_what_else_is_in_the_form_is_ignored(hub: Replica) -> None:
    """Also if it is repeated, or no text (OpenID Connect Back-Channel Logout 1.0, section 2.5)."""
    known = access_token(SENDER, "formal", "form")
    await hub.call("GET", "/session", known)
    token = logout_token(Case("", None), SENDER, time.time(), sub="formal", sid="form")
    data = f"a=1&a=2&b=%ff&logout_token={token}&c".encode() + b"&d=\xff"
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = await hub.call("POST", "/backchannel-logout", data=data, headers=headers)
    assert answer.status == 200
    assert not await is_alive(hub, known)


class Rotating(Sender):
    """An issuer whose RS256 key gets another name."""

    kid = "RS256"

    def jwks(self) -> dict[str, Any]:
        """Return the key set to publish."""
        keys = super().jwks()["keys"]
        return {"keys": [key | {"kid": self.kid} if key["alg"] == "RS256" else key for key in keys]}


async def test_a_logout_token_signed_with_a_new_key_is_taken_at_once(tmp_path: Path) -> None:
    """The keys are fetched again for it, however lately they were for an access token."""
    sender = Rotating()
    async with issuer_settings(tmp_path, sender) as given, running(given) as hub:
        mine = access_token(sender, "ada", "s1")
        assert await is_alive(hub, mine)
        sender.kid = "a new one"
        case = Case("", None, header={"kid": sender.kid})
        token = logout_token(case, sender, time.time(), sub="ada", sid="s1")
        assert (await send_token(hub, token)).status == 200
        assert not await is_alive(hub, mine)


@pytest.mark.asyncio(loop_scope="module")
async def test_an_id_names_one_logout_only(hub: Replica) -> None:
    """Another logout with the same jti is refused, and ends nothing."""
    token = access_token(SENDER, "jti", "second")
    assert (await send_logout(hub, SENDER, sub="jti", sid="first", jti="used once")).status == 200
    answer = await send_logout(hub, SENDER, sub="jti", sid="second", jti="used once")
    assert (answer.status, answer.body["error"]) == (400, "invalid_request")
    assert "jti" in answer.body["error_description"]
    assert await is_alive(hub, token)


@pytest.mark.asyncio(loop_scope="module")
async def test_an_id_names_one_logout_of_sessions_without_a_user_too(hub: Replica) -> None:
    """Whether anybody has the sessions or not; the first one comes again as often as it likes."""
    mine, other = (access_token(SENDER, user, "second", iat=time.time()) for user in ("kim", "lee"))
    await hub.call("GET", "/session", mine)
    for _ in range(2):
        first = await send_logout(hub, SENDER, sub=None, sid="first", jti="used twice")
        assert first.status == 200
    answer = await send_logout(hub, SENDER, sub=None, sid="second", jti="used twice")
    assert (answer.status, answer.body["error"]) == (400, "invalid_request")
    assert await is_alive(hub, mine)
    assert await is_alive(hub, other)


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("data", "headers"),
    [
        (b"", {}),
        (b"logout_token=", {"Content-Type": "application/x-www-form-urlencoded"}),
        (b"token=x", {"Content-Type": "application/x-www-form-urlencoded"}),
        (b"logout_token=a&logout_token=b", {"Content-Type": "application/x-www-form-urlencoded"}),
        (b'{"logout_token": "x"}', {"Content-Type": "application/json"}),
        (b"logout_token=%ff", {"Content-Type": "application/x-www-form-urlencoded"}),
    ],
)
async def test_anything_but_the_form_is_refused(
    hub: Replica, data: bytes, headers: dict[str, str]
) -> None:
    """With 400 and OAuth's error."""
    answer = await hub.call("POST", "/backchannel-logout", data=data, headers=headers)
    assert (answer.status, answer.body["error"]) == (400, "invalid_request")


@pytest.mark.asyncio(loop_scope="module")
async def test_other_fields_of_the_form_are_ignored(hub: Replica) -> None:
    """A sender may add some (section 2.5)."""
    token = logout_token(Case("", None), SENDER, time.time(), sub="form", sid="f")
    form = {"logout_token": token, "state": "x", "iss": "https://other.example"}
    assert (await hub.call("POST", "/backchannel-logout", data=form)).status == 200


@pytest.mark.asyncio(loop_scope="module")
async def test_a_logout_token_is_no_access_token(hub: Replica) -> None:
    """Nor does an access token log anybody out."""
    token = logout_token(Case("", None), SENDER, time.time(), sub="kind", sid="k")
    assert (await hub.call("GET", "/session", token)).status == 401
    answer = await send_token(hub, access_token(SENDER, "kind", "k"))
    assert answer.status == 400


async def test_an_entry_without_an_audience_for_it_takes_none(tmp_path: Path) -> None:
    """And says what is missing."""
    async with issuer_settings(tmp_path, SENDER, "") as given, running(given) as hub:
        answer = await send_logout(hub, SENDER)
        assert answer.status == 400
        assert "logout_audience" in answer.body["error_description"]


async def test_many_refused_tokens_of_one_address_are_limited(tmp_path: Path) -> None:
    """A good one is taken all the same."""
    case = next(case for case in LOGOUT_TOKENS if case.reason is Refusal.NONCE)
    limits = {"limit_refused": "1/3"}
    async with issuer_settings(tmp_path, SENDER, **limits) as given, running(given) as hub:
        answers = [await send_logout(hub, SENDER, case) for _ in range(6)]
        assert {answer.status for answer in answers} == {400, 429}
        assert answers[-1].headers["Retry-After"]
        assert (await send_logout(hub, SENDER)).status == 200


async def test_success_is_never_said_of_what_may_not_be_written(
    tmp_path: Path, own_redis: RedisServer
) -> None:
    """503 while the store is down; the same token then ends the session, once."""
    async with (
        issuer_settings(tmp_path, SENDER, redis_url=own_redis.url) as given,
        running(given) as hub,
    ):
        token = access_token(SENDER)
        assert (await hub.call("GET", "/session", token)).status == 200
        saying = [
            logout_token(Case("", None, claims=claims), SENDER, time.time())
            for claims in ({}, {"sub": ...}, {"sid": ...})
        ]
        own_redis.kill()
        for logout in saying:
            answer = await send_token(hub, logout)
            assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
            assert answer.body["error"] == "temporarily_unavailable"
        own_redis.start()
        for logout in saying:
            answer = await once_available(partial(send_token, hub, logout))
            assert answer.status == 200
        answer = await once_available(partial(hub.call, "GET", "/session", token))
        assert answer.code == "token_revoked"


async def once_available(ask: Callable[[], Awaitable[Answer]]) -> Answer:
    """Return the first answer that is not 503."""
    async with asyncio.timeout(PATIENCE):
        while True:
            answer = await ask()
            if answer.status != 503:
                return answer
            await asyncio.sleep(0.1)
