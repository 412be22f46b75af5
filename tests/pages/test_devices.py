"""The page of devices, as far as the server makes it."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator

import jwt
import pytest

from tests.redis_server import RedisServer
from tests.site import ADMIN, SECRET, Answer, Replica, running, settings, token

COOKIE = "hub_token"
BY_COOKIE = {"cookie_name": COOKIE, "allowed_origins": ("https://app.example",)}


@pytest.fixture
async def hub() -> AsyncIterator[Replica]:
    """A hub with login by cookie."""
    async with running(settings(**BY_COOKIE, login_url="https://app.example/in")) as replica:
        yield replica


async def open_page(hub: Replica, cookie: str | None = None) -> Answer:
    """Open the page with a cookie."""
    return await hub.call("GET", "/devices", cookies={COOKIE: cookie} if cookie else None)


def is_list(answer: Answer) -> bool:
    """Tell whether the page is the one with the list."""
    return "<session-list>" in answer.body


async def test_who_is_logged_in_gets_the_list(hub: Replica) -> None:
    """With a living cookie the page has the two elements, and nothing of the person in it."""
    answer = await open_page(hub, token("ada", "s1"))
    assert answer.status == 200
    assert is_list(answer)
    assert "<logout-button>" in answer.body
    assert "ada" not in re.sub(r"<head>.*</head>", "", answer.body, flags=re.DOTALL).lower()


@pytest.mark.parametrize("cookie", [None, "nonsense", "a.b.c"])
async def test_who_is_not_is_told_so(hub: Replica, cookie: str | None) -> None:
    """Without a good cookie the page says that nobody is logged in, and where to log in."""
    answer = await open_page(hub, cookie)
    assert answer.status == 200
    assert "Nobody is logged in here" in answer.body
    assert '<a class="main" href="https://app.example/in">' in answer.body
    assert not is_list(answer)


async def test_no_link_is_made_up(hub: Replica) -> None:
    """Without HUB_LOGIN_URL the page still says that nobody is logged in, and links nowhere."""
    async with running(settings(**BY_COOKIE)) as other:
        answer = await open_page(other)
        assert "Nobody is logged in here" in answer.body
        assert 'class="main"' not in answer.body


async def test_whose_session_is_over_is_told_why(hub: Replica) -> None:
    """A cookie that a logout ended, or that has expired, leads to the page that explains it."""
    mine = token("ada", "s1")
    body = {"user": "ada", "reason": "suspicious"}
    assert (await hub.call("POST", "/admin/logout", ADMIN, json=body)).status == 200
    answer = await open_page(hub, mine)
    assert (answer.status, answer.headers["Location"]) == (303, "/signed-out?reason=suspicious")
    old = {"sub": "eve", "sid": "s2", "iat": time.time() - 60, "exp": time.time() - 30}
    answer = await open_page(hub, jwt.encode(old, SECRET, algorithm="HS256"))
    assert (answer.status, answer.headers["Location"]) == (303, "/signed-out?reason=expired")


@pytest.mark.parametrize("lang", ["de", "DE-ch"])
async def test_whose_session_is_over_is_told_in_his_language(hub: Replica, lang: str) -> None:
    """The language that was asked for goes along to the page that explains the end."""
    mine = token("ada", "s1")
    assert (await hub.call("POST", "/logout", mine)).status == 200
    answer = await hub.call("GET", f"/devices?lang={lang}", cookies={COOKIE: mine})
    assert answer.status == 303
    page = await hub.call("GET", answer.headers["Location"])
    assert '<html lang="de"' in page.body


async def test_a_store_that_is_down_is_no_logout(own_redis: RedisServer) -> None:
    """When the store cannot be asked, the page says so with 503 and shows no list."""
    async with running(settings(**BY_COOKIE, redis_url=own_redis.url)) as hub:
        mine = token("ada", "s1")
        assert is_list(await open_page(hub, mine))
        own_redis.kill()
        answer = await open_page(hub, mine)
        assert answer.status == 503
        assert answer.headers["Retry-After"] == "1"
        assert "cannot be told right now" in answer.body
        assert not is_list(answer)


async def test_it_is_for_login_by_cookie_only() -> None:
    """Without HUB_COOKIE_NAME there is no such page, and the answer says what to set."""
    async with running(settings()) as hub:
        answer = await open_page(hub)
        assert (answer.status, answer.code) == (404, "not_found")
        assert "HUB_COOKIE_NAME" in answer.body["detail"]


async def test_a_bearer_token_opens_no_page(hub: Replica) -> None:
    """Only the cookie counts: the page's script has nothing else to ask with."""
    assert not is_list(await hub.call("GET", "/devices", token("ada", "s1")))


@pytest.mark.parametrize("path", ["/devices", "/devices.js", "/signed-out", "/pages.css"])
async def test_pages_keep_to_themselves(hub: Replica, path: str) -> None:
    """No page is stored, framed, sniffed, or told of elsewhere, and none loads foreign things."""
    answer = await hub.call("GET", path, cookies={COOKIE: token("ada", "s1")})
    assert answer.status == 200
    headers = answer.headers
    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    policy = dict(
        part.strip().split(" ", 1) for part in headers["Content-Security-Policy"].split(";")
    )
    assert policy == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "connect-src": "'self'",
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
        "require-trusted-types-for": "'script'",
        "trusted-types": "'none'",
    }
    assert "http:" not in answer.body.replace("http://www.w3.org/2000/svg", "")
