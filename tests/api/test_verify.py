"""``/verify``, as reverse proxies ask: any method, any path, with what they add to a request."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from hub.api.verify import HEADERS
from tests.patience import PATIENCE
from tests.site import Replica, running, settings, token

pytestmark = pytest.mark.asyncio(loop_scope="module")

APP = "https://app.example"
LOGIN = "https://login.example/start?client=app"
PAGE = {"Sec-Fetch-Mode": "navigate", "Accept": "text/html"}
ASKED = {
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Host": "app.example",
    "X-Forwarded-Uri": "/orders?id=1&page=2",
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hub() -> AsyncIterator[Replica]:
    """A hub that knows a cookie, an origin and a login page, for the whole file."""
    given = settings(
        cookie_name="hub_token",
        allowed_origins=(APP,),
        verify_redirects=(f"web={LOGIN}",),
        verify_cache=5,
    )
    async with running(given) as replica:
        yield replica


METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "PURGE"]


@pytest.mark.parametrize("method", METHODS)
async def test_every_method_is_answered_alike(hub: Replica, method: str) -> None:
    """A proxy may ask with the method of the request: the token decides, and nothing else."""
    for path, accepted in (("/verify", 204), ("/verify/orders/1", 200)):
        good = await hub.call(method, path, token("ada", "s1"))
        assert (good.status, good.body) == (accepted, "")
        assert [good.headers[name] for name in HEADERS] == ["ada", "s1", ""]
        refused = await hub.call(method, path)
        assert refused.status == 401
        assert [refused.headers[name] for name in HEADERS] == ["", "", ""]


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/orders?access_token=x&redirect=nobody",
        "//a//",
        "/../healthz",
        "/%2e%2e/healthz",
        "/%C3%A9%",
    ],
)
async def test_what_follows_is_the_apps(hub: Replica, path: str) -> None:
    """A path behind `/verify` leads nowhere else, and its query is not read."""
    request = f"GET /verify{path} HTTP/1.1\r\nHost: hub\r\nConnection: close\r\n"
    assert (await exchange(hub, request + "\r\n")).startswith("HTTP/1.1 401 ")
    bearer = f"Authorization: Bearer {token('ada')}\r\n\r\n"
    assert (await exchange(hub, request + bearer)).startswith("HTTP/1.1 200 ")


async def exchange(hub: Replica, request: str) -> str:
    """Return all that a request is answered with until the hub closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", hub.port)
    writer.write(request.encode())
    async with asyncio.timeout(PATIENCE):
        heard = await reader.read()
    writer.close()
    return heard.decode()


@pytest.mark.parametrize("path", ["/verify", "/verify/orders"])
async def test_a_preflight_is_no_yes(hub: Replica, path: str) -> None:
    """What looks like a preflight is judged as well: a proxy would let it through to the app."""
    headers = {"Origin": APP, "Access-Control-Request-Method": "DELETE"}
    assert (await hub.call("OPTIONS", path, headers=headers)).code == "token_missing"


@pytest.mark.parametrize("origin", [{}, {"Origin": "https://evil.example"}])
async def test_where_a_cookie_comes_from_is_the_apps_to_judge(
    hub: Replica, origin: dict[str, str]
) -> None:
    """A proxy that asks with POST hears the same as one that asks with GET."""
    cookies = {"hub_token": token("ada", "s1")}
    for method in ("GET", "POST"):
        answer = await hub.call(method, "/verify", cookies=cookies, headers=origin)
        assert answer.status == 204


async def test_a_token_in_the_query_string_is_refused(hub: Replica) -> None:
    """A token that a proxy was told to ask with in the URL is not taken."""
    answer = await hub.call("GET", f"/verify?token={token('ada')}")
    assert (answer.status, answer.code) == (400, "invalid_request")
    assert [answer.headers[name] for name in HEADERS] == ["", "", ""]


# ---- How long a verdict may be kept ----


async def test_a_verdict_may_be_kept_as_long_as_is_set(hub: Replica) -> None:
    """A 204 says for how many seconds; a refusal is not kept."""
    long = await hub.call("GET", "/verify", token("ada", "s1"))
    assert long.headers["Cache-Control"] == "private, max-age=5"
    assert long.headers["X-Accel-Expires"] == "5"
    assert {"Authorization", "Cookie"} <= set(long.headers["Vary"].split(", "))
    for refused in (
        await hub.call("GET", "/verify"),
        await hub.call("GET", "/verify?redirect=web", headers=PAGE),
        await hub.call("GET", "/verify?redirect=nobody", token("ada", "s1")),
    ):
        assert refused.headers["Cache-Control"] == "no-store"
        assert "X-Accel-Expires" not in refused.headers


async def test_no_verdict_is_kept_beyond_the_tokens_end() -> None:
    """However long verdicts may be kept."""
    async with running(settings(verify_cache=60)) as hub:
        answer = await hub.call("GET", "/verify/orders", token("ada", "s1", lifetime=45))
    assert answer.headers["Cache-Control"] in {f"private, max-age={age}" for age in range(1, 45)}


async def test_nothing_is_kept_unless_it_is_set() -> None:
    """By default a 204 is asked for anew with each request."""
    async with running(settings()) as hub:
        answer = await hub.call("GET", "/verify", token("ada"))
    assert (answer.status, answer.headers["Cache-Control"]) == (204, "no-store")


# ---- Browsers are sent to a login page ----


def way_back(location: str) -> list[str] | None:
    """Return where the login page leads back to; it must be the one that was set."""
    parts = urlsplit(location)
    query = parse_qs(parts.query)
    assert f"{parts.scheme}://{parts.netloc}{parts.path}" == "https://login.example/start"
    assert query.pop("client") == ["app"]
    back = query.pop("next", None)
    assert not query
    return back


@pytest.mark.parametrize("given", [None, "nonsense", token("ada", lifetime=-60)])
async def test_a_browser_is_sent_to_log_in(hub: Replica, given: str | None) -> None:
    """A page that would be refused becomes a redirect to the login page, and leads back after."""
    answer = await hub.call("GET", "/verify?redirect=web", given, headers=PAGE | ASKED)
    assert (answer.status, answer.body) == (303, "")
    assert way_back(answer.headers["Location"]) == [f"{APP}/orders?id=1&page=2"]
    assert [answer.headers[name] for name in HEADERS] == ["", "", ""]


async def test_a_living_session_is_let_through_in_redirect_mode(hub: Replica) -> None:
    """With a good token the answer is a yes, which Envoy takes as well."""
    answer = await hub.call("GET", "/verify?redirect=web", token("ada", "s1"), headers=PAGE)
    assert (answer.status, answer.headers["X-Auth-User"]) == (200, "ada")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Accept": "application/json"},
        {"Accept": "text/html", "Sec-Fetch-Mode": "cors"},
        {"Accept": "text/html", "X-Requested-With": "XMLHttpRequest"},
    ],
)
async def test_a_program_hears_401(hub: Replica, headers: dict[str, str]) -> None:
    """Whoever cannot show a login page gets the refusal itself."""
    answer = await hub.call("GET", "/verify?redirect=web", headers=headers | ASKED)
    assert (answer.status, answer.code) == (401, "token_missing")
    assert "Location" not in answer.headers


async def test_an_old_browser_is_known_by_what_it_accepts(hub: Replica) -> None:
    """Without Sec-Fetch-Mode, whoever accepts HTML is a browser."""
    headers = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    assert (await hub.call("GET", "/verify?redirect=web", headers=headers)).status == 303


@pytest.mark.parametrize(
    ("headers", "back"),
    [
        ({}, None),
        (ASKED | {"X-Forwarded-Host": "evil.example"}, None),
        (ASKED | {"X-Forwarded-Host": "app.example, evil.example"}, None),
        (ASKED | {"X-Forwarded-Host": "app.example@evil.example"}, None),
        (ASKED | {"X-Forwarded-Host": "app.example:444"}, None),
        (ASKED | {"X-Forwarded-Proto": "http"}, None),
        (ASKED | {"X-Forwarded-Uri": "@evil.example/"}, None),
        (ASKED | {"X-Forwarded-Uri": ".evil.example/"}, None),
        (ASKED | {"X-Forwarded-Uri": "/\\evil.example"}, None),
        (ASKED | {"X-Forwarded-Uri": "/" + "a" * 3000}, None),
        (ASKED | {"X-Forwarded-Uri": "//evil.example"}, f"{APP}//evil.example"),
        (ASKED | {"X-Forwarded-Host": "APP.example"}, f"{APP}/orders?id=1&page=2"),
        ({"X-Original-URL": f"{APP}/a?b=c"}, f"{APP}/a?b=c"),
        ({"X-Original-URL": "https://app.example.evil.example/a"}, None),
        ({"X-Original-URL": "https://app.example?/a"}, None),
        ({"Host": "app.example", "X-Forwarded-Proto": "https", "X-Original-URI": "/a"}, f"{APP}/a"),
    ],
)
async def test_the_way_back_leads_to_an_allowed_origin(
    hub: Replica, headers: dict[str, str], back: str | None
) -> None:
    """Whatever a client makes of the headers, the login page never leads to a foreign site."""
    answer = await hub.call("GET", "/verify?redirect=web", headers=PAGE | headers)
    assert answer.status == 303
    assert way_back(answer.headers["Location"]) == (back and [back])


@pytest.mark.parametrize("query", ["nobody", "", LOGIN, "web&redirect=web", "https://evil.example"])
async def test_only_a_login_page_on_the_list_is_redirected_to(hub: Replica, query: str) -> None:
    """Any other is an error, also for a good token, so that an operator notices it at once."""
    for given in (None, token("ada", "s1")):
        answer = await hub.call("GET", f"/verify?redirect={query}", given, headers=PAGE)
        assert (answer.status, answer.code) == (400, "invalid_request")
        assert "Location" not in answer.headers


# ---- What the log says ----


async def test_a_refusal_is_logged_once_a_minute_without_secrets() -> None:
    """One refusal of each code is shown with the method and path that the proxy named."""
    named: dict[str, Any] = {
        "X-Forwarded-Method": "PUT",
        "X-Forwarded-Uri": "/reset\u202e/" + "a" * 500 + "?access_token=secret",
    }
    async with running(settings()) as hub:
        with capture_logs() as lines:
            for _ in range(3):
                await hub.call("GET", "/verify", headers=named)
            await hub.call("POST", "/verify/b?c=secret", "nonsense")
    shown = [line for line in lines if line["event"] == "refused at /verify"]
    assert [line["code"] for line in shown] == ["token_missing", "token_invalid"]
    assert (shown[0]["method"], shown[0]["path"][:8]) == ("PUT", "/reset?/")
    assert (shown[1]["method"], shown[1]["path"]) == ("POST", "/b")
    assert len(shown[0]["path"]) == 256
    assert "secret" not in str(shown)
