"""Whoever holds a token ends its session at ``/revoke``, as at ``/logout``."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import jwt
import pytest
import structlog

from hub.core.key_schedule import COOL_DOWN
from hub.core.rate import Rate
from tests.oauth import BANK, BANK_SECRET, CLIENTS, SHOP, basic, revoke
from tests.patience import PATIENCE
from tests.realtime.raw import raw_socket
from tests.redis_server import RedisServer
from tests.signals_site import access_token, issuer_settings
from tests.signals_table import Sender
from tests.site import ADMIN, SECRET, Answer, Replica, running, settings, token


@pytest.fixture
async def hub() -> AsyncIterator[Replica]:
    """A hub with two clients."""
    async with running(settings(clients=CLIENTS)) as replica:
        yield replica


async def is_alive(hub: Replica, given: str) -> bool:
    """Return what a proxy would be told of a token."""
    return (await hub.call("GET", "/verify", given)).status == 204


def check_done(answer: Answer) -> None:
    """Fail unless an answer is RFC 7009's success: 200 with an empty body."""
    assert (answer.status, answer.body) == (200, "")
    assert answer.headers["Cache-Control"] == "no-store"


def check_error(answer: Answer, status: int, error: str) -> None:
    """Fail unless an answer is an error as OAuth has it."""
    assert (answer.status, answer.body.get("error")) == (status, error)
    assert answer.headers["Content-Type"] == "application/json"
    assert set(answer.body) == {"error", "error_description"}


@pytest.mark.parametrize(
    "extra",
    [
        {},
        {"client_id": "a public client"},
        {"token_type_hint": "access_token"},
        {"token_type_hint": "refresh_token"},
        {"token_type_hint": "unheard of", "other": "parameter", "empty": ""},
    ],
)
async def test_the_holder_of_a_token_revokes_it(hub: Replica, extra: dict[str, str]) -> None:
    """The token proves who asks; hints, unknown parameters and a client's id change nothing."""
    mine, again = token("ada", "s1"), token("ada", "s1")
    other, stranger = token("ada", "s2"), token("grace", "s1")
    check_done(await hub.call("POST", "/revoke", data={"token": mine, **extra}))
    assert [await is_alive(hub, one) for one in (mine, again)] == [False, False]
    assert [await is_alive(hub, one) for one in (other, stranger)] == [True, True]
    check_done(await revoke(hub, mine))


async def test_everybody_who_holds_the_session_is_told(hub: Replica) -> None:
    """A socket of the session is notified with scope and reason, and cut; others' stay."""
    async with raw_socket(hub) as mine, raw_socket(hub) as other:
        await mine.connect(token("ada", "s1"))
        await other.connect(token("ada", "s2"))
        check_done(await revoke(hub, token("ada", "s1")))
        frames = "".join(await mine.receive_all())
        assert '"scope":"session"' in frames
        assert '"reason":"user"' in frames
        await other.send("42" + '1["logout",{}]')
        assert "ok" in str(await other.receive())


async def test_a_client_revokes_whatever_token_it_holds(hub: Replica) -> None:
    """Also one that was issued to another client: whoever holds it could leave its secret out."""
    claims = {"sub": "ada", "sid": "s1", "azp": SHOP, "iat": time.time(), "exp": time.time() + 60}
    mine = jwt.encode(claims, SECRET, "HS256")
    with structlog.testing.capture_logs() as lines:
        check_done(await revoke(hub, mine, headers=basic(BANK, BANK_SECRET)))
    assert not await is_alive(hub, mine)
    assert [line["by"] for line in lines if line["event"] == "logout"] == [f"client:{BANK}"]
    assert BANK_SECRET not in str(lines)


NOW = time.time()


@pytest.mark.parametrize(
    "given",
    [
        "opaque",
        "a.b.c",
        "x" * 60_000,
        token("ada", "s1")[:-4] + "AAAA",
        token("ada", "s1", lifetime=-1),
        jwt.encode({"sub": "ada", "exp": NOW + 600}, SECRET, "HS256"),
        jwt.encode({"sub": "ada", "iat": NOW, "exp": NOW + 600, "typ": "Refresh"}, SECRET, "HS256"),
    ],
    ids=["opaque", "malformed", "long", "forged", "expired", "without iat", "refresh"],
)
async def test_what_nobody_accepts_is_revoked_already(hub: Replica, given: str) -> None:
    """An unknown, malformed or dead token gets the same 200, and ends nobody."""
    check_done(await revoke(hub, given))
    assert await is_alive(hub, token("ada", "s1"))


async def test_an_old_token_ends_no_session(hub: Replica) -> None:
    """An expired token, found in a log, is not enough to end the session that lives on."""
    old, new = token("ada", "s1", lifetime=0.001), token("ada", "s1")
    check_done(await revoke(hub, old))
    assert await is_alive(hub, new)


async def of_a_logouts_second(
    hub: Replica, *, lifetime: int = 600, is_dated: bool = False
) -> tuple[str, int]:
    """Return a token of ada's session s1 that may be older than a logout, and its second."""
    while True:
        second = int(time.time())
        claims = {"sub": "ada", "sid": "s1", "iat": second, "exp": second + lifetime}
        claims |= {"auth_time": second} if is_dated else {}
        given = jwt.encode(claims, SECRET, "HS256")
        asked = {"user": "ada", "reason": "admin"}
        assert (await hub.call("POST", "/admin/logout", ADMIN, json=asked)).status == 200
        if (await hub.call("GET", "/session", given)).code == "token_too_old":
            return given, second


async def test_a_token_of_a_logouts_second_never_comes_back(hub: Replica) -> None:
    """It would, once its session has presented a newer token; so the session is ended."""
    given, second = await of_a_logouts_second(hub)
    newer = jwt.encode(
        {"sub": "ada", "sid": "s1", "iat": second + 1, "exp": second + 600}, SECRET, "HS256"
    )
    check_done(await revoke(hub, given))
    assert (await hub.call("GET", "/session", newer)).code == "token_revoked"
    assert not await is_alive(hub, given)


@pytest.mark.parametrize("is_dated", [True, False], ids=["dated", "expired"])
async def test_a_token_of_a_logouts_second_that_is_dead_ends_no_session(
    hub: Replica, *, is_dated: bool
) -> None:
    """One that says when its login began, or has expired, is never accepted again anyway."""
    lifetime = 600 if is_dated else 2
    given, second = await of_a_logouts_second(hub, lifetime=lifetime, is_dated=is_dated)
    later = second + (1 if is_dated else lifetime)
    while time.time() < later:  # noqa: ASYNC110 - it has no event
        await asyncio.sleep(0.05)
    claims = {"sub": "ada", "sid": "s1", "iat": later, "exp": later + 600}
    claims |= {"auth_time": later} if is_dated else {}
    new = jwt.encode(claims, SECRET, "HS256")
    assert (await hub.call("GET", "/session", new)).status == 200
    check_done(await revoke(hub, given))
    assert await is_alive(hub, new)


@pytest.mark.parametrize("early", [30, 3000])
async def test_a_token_that_becomes_valid_later_is_not_called_revoked(
    hub: Replica, early: int
) -> None:
    """It would be accepted after an answer 200, so it gets 503 and the time to wait."""
    now = time.time()
    claims = {"sub": "ada", "sid": "s1", "iat": now, "nbf": now + early, "exp": now + 9000}
    answer = await revoke(hub, jwt.encode(claims, SECRET, "HS256"))
    check_error(answer, 503, "temporarily_unavailable")
    assert int(answer.headers["Retry-After"]) >= 1


@pytest.mark.parametrize(
    ("form", "kind"),
    [
        ("", "application/x-www-form-urlencoded"),
        ("token=", "application/x-www-form-urlencoded"),
        ("token_type_hint=access_token", "application/x-www-form-urlencoded"),
        ("token=a&token=b", "application/x-www-form-urlencoded"),
        ("token=%ff", "application/x-www-form-urlencoded"),
        ("token=x&" + "&".join(f"a{n}=1" for n in range(200)), "application/x-www-form-urlencoded"),
        ('{"token": "x"}', "application/json"),
        ("token=x", "text/plain"),
        ("token=x", "multipart/form-data; boundary=x"),
    ],
)
async def test_what_is_no_form_with_a_token_is_an_invalid_request(
    hub: Replica, form: str, kind: str
) -> None:
    """Nothing is guessed: neither JSON, nor which of two tokens was meant."""
    answer = await hub.call("POST", "/revoke", data=form, headers={"Content-Type": kind})
    check_error(answer, 400, "invalid_request")


async def test_a_form_has_its_limit(hub: Replica) -> None:
    """More than 64 KiB are not read."""
    check_error(await revoke(hub, "x" * 70_000), 413, "invalid_request")


async def test_other_methods_are_answered_in_the_same_form(hub: Replica) -> None:
    """GET would put the token in logs; what is not served says so."""
    assert (await hub.call("GET", "/revoke?token=x")).status == 405


@pytest.mark.parametrize("headers", [basic(BANK, "wrong"), {"Authorization": "Bearer x"}])
async def test_a_client_that_is_not_known_revokes_nothing(
    hub: Replica, headers: dict[str, str]
) -> None:
    """401 with the scheme to use, as RFC 6749 section 5.2 says."""
    mine = token("ada", "s1")
    answer = await revoke(hub, mine, headers=headers)
    check_error(answer, 401, "invalid_client")
    assert answer.headers["WWW-Authenticate"].startswith("Basic ")
    assert await is_alive(hub, mine)


async def test_a_store_that_is_down_gets_no_success(own_redis: RedisServer) -> None:
    """503 with the time to wait, then the same request revokes."""
    async with running(settings(redis_url=own_redis.url)) as hub:
        mine = token("ada", "s1")
        assert await is_alive(hub, mine)
        own_redis.pause()
        try:
            answer = await revoke(hub, mine)
        finally:
            own_redis.resume()
        check_error(answer, 503, "temporarily_unavailable")
        assert int(answer.headers["Retry-After"]) >= 1
        until = time.monotonic() + PATIENCE
        while (await revoke(hub, mine)).status != 200:
            assert time.monotonic() < until
        assert not await is_alive(hub, mine)


async def test_a_session_and_a_client_have_limits_of_their_own() -> None:
    """A session's calls and a client's are limited, each on its own."""
    few = Rate(0.01, 3)
    async with running(settings(limit_calls=few, limit_clients=few, clients=CLIENTS)) as hub:
        mine = token("ada", "s1")
        assert [(await revoke(hub, mine)).status for _ in range(4)] == [200, 200, 200, 429]
        bank = basic(BANK, BANK_SECRET)
        assert [(await revoke(hub, "x", headers=bank)).status for _ in range(4)][2:] == [200, 429]
        limited = await revoke(hub, mine)
        check_error(limited, 429, "temporarily_unavailable")
        assert int(limited.headers["Retry-After"]) > 1
        assert (await revoke(hub, token("grace", "s1"))).status == 200


async def test_a_token_whose_key_may_be_new_is_not_called_revoked(tmp_path: Path) -> None:
    """The hub will accept it once it has fetched the key, so success would be a lie."""
    sender, next_one = Sender(), Sender()
    claims = {"iss": sender.iss, "aud": "api", "sub": "ada", "sid": "s1", "iat": time.time() - 2}
    claims["exp"] = time.time() + 60
    given = jwt.encode(claims, next_one.keys["ES256"], "ES256", {"kid": "a new one"})
    async with issuer_settings(tmp_path, sender) as it, running(it) as hub:
        assert await is_alive(hub, access_token(sender, "ada", "s2")), "keys are fetched"
        made_up = jwt.encode(claims, next_one.keys["ES256"], "ES256", {"kid": "made up"})
        check_done(await revoke(hub, made_up))  # they were fetched for it, in vain
        answer = await revoke(hub, given)
        check_error(answer, 503, "temporarily_unavailable")
        assert 0 < int(answer.headers["Retry-After"]) <= COOL_DOWN
        forged = jwt.encode(claims, next_one.keys["ES256"], "ES256", {"kid": "ES256"})
        check_done(await revoke(hub, forged))
