"""Whom middleware lets through unasked, and where it sends the others."""

from __future__ import annotations

from urllib.parse import parse_qs, urljoin, urlsplit

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core.model import Logout, Reason, Scope
from hub.errors import (
    LoginRequired,
    OriginNotAllowed,
    TokenInvalid,
    TokenMissing,
    TokenRevoked,
    Unavailable,
)
from hub.guard.refusals import Gate, RequestSummary, explain, own_address

PAGE = RequestSummary(method="GET", path="/orders", query="page=2", fetch_mode="navigate")


@pytest.mark.parametrize(
    ("path", "passes"),
    [
        ("/health", True),
        ("/health/", False),
        ("/healthy", False),
        ("/static/app.js", True),
        ("/static", False),
        ("/static/../admin", False),
        ("/static//admin", False),
        ("/static/..\\admin", False),
        ("/login", True),
        ("/", False),
    ],
)
def test_exempt_paths_are_exact_or_begin_so(path: str, passes: bool) -> None:
    """The page for the login is one of them, and none that may be read as another path."""
    gate = Gate(exempt=("/health", "/static/*"), login_url="/login?from=app")
    assert gate.is_exempt(path) is passes


def test_an_exempt_path_without_a_slash_is_a_mistake() -> None:
    """It would never be met."""
    with pytest.raises(ValueError, match="'health'"):
        Gate(exempt=["health"])


@pytest.mark.parametrize(
    ("authorization", "cookies", "found"),
    [
        ("Bearer abc", [], ("abc", False)),
        ("bearer  abc ", ["s=xyz"], ("abc", False)),
        ("Basic abc", ["s=xyz"], ("", False)),
        ("", ["a=1; s=xyz; b=2"], ("xyz", True)),
        ("", ["t=xyz"], ("", True)),
        ("", [], ("", True)),
    ],
)
def test_a_token_is_in_the_header_or_in_the_cookie(
    authorization: str, cookies: list[str], found: tuple[str, bool]
) -> None:
    """As at the hub itself, the header counts, whatever the cookie says."""
    assert Gate(cookie="s").find_token([authorization], cookies) == found


def test_two_cookies_of_one_name_are_nobodys() -> None:
    """One may be of a sibling subdomain."""
    with pytest.raises(TokenInvalid):
        Gate(cookie="s").find_token([], ["s=a; s=b"])


@pytest.mark.parametrize(
    ("summary", "is_own"),
    [
        (RequestSummary("POST", "/", origin="https://app.example", host="app.example"), True),
        (RequestSummary("POST", "/", origin="https://app.example", host="127.0.0.1:8000"), False),
        (RequestSummary("POST", "/", origin="https://www.example", host="app.example"), True),
        (RequestSummary("POST", "/", origin="https://evil.example", host="app.example"), False),
        (RequestSummary("POST", "/", origin="null", host="app.example"), False),
        (RequestSummary("POST", "/", origin="null"), False),
        (RequestSummary("POST", "/", origin="http://[", host="app.example"), False),
        (RequestSummary("POST", "/", origin="https://x", host="y", fetch_site="same-origin"), True),
        (RequestSummary("POST", "/"), True),
    ],
)
def test_a_cookie_counts_from_the_apps_own_pages(summary: RequestSummary, is_own: bool) -> None:
    """And from origins that are listed; what sends no Origin is no page of another site."""
    gate = Gate(cookie="s", origins=["https://WWW.example"])
    if is_own:
        gate.check_origin(summary)
    else:
        with pytest.raises(OriginNotAllowed):
            gate.check_origin(summary)


def test_an_origin_that_no_browser_sends_is_refused_at_once() -> None:
    """It would match nothing, and the operator would look for the mistake elsewhere."""
    with pytest.raises(ValueError, match=r"write https://app\.example$"):
        Gate(cookie="s", origins=["https://app.example:443"])


def test_a_refusal_is_the_hubs_own() -> None:
    """Problem details with the code, the logout, and the challenge of RFC 6750 or RFC 9470."""
    logout = Logout("l-1", "|ada", Scope.ALL, Reason.PASSWORD_CHANGED, message="Hi.", at=10**6)
    answer = explain(TokenRevoked(logout=logout))
    body = msgspec.json.decode(answer.body)
    assert answer.status == body["status"] == 401
    assert (body["code"], body["reason"], body["at"]) == ("token_revoked", "password_changed", 1)
    assert answer.headers == {
        "WWW-Authenticate": 'Bearer realm="logout-hub", error="invalid_token"',
        "Cache-Control": "no-store",
        "Content-Type": "application/problem+json",
    }
    assert "max_age" in explain(LoginRequired(max_age=3)).headers["WWW-Authenticate"]


def test_who_cannot_be_judged_is_told_to_come_back() -> None:
    """503 with Retry-After, also for a page: the login would not help."""
    answer = Gate(login_url="/login").refuse(Unavailable(), PAGE)
    assert (answer.status, answer.headers["Retry-After"]) == (503, "1")


@pytest.mark.parametrize(
    ("summary", "location"),
    [
        (PAGE, "/login?next=%2Forders%3Fpage%3D2"),
        (RequestSummary("GET", "/", accept="text/html,*/*"), "/login?next=%2F"),
        (RequestSummary("POST", "/pay", fetch_mode="navigate"), "/login"),
        (RequestSummary("GET", "/", accept="text/html", fetch_mode="cors"), None),
        (RequestSummary("POST", "/pay", accept="text/html"), None),
        (RequestSummary("GET", "/data", accept="application/json"), None),
        (RequestSummary("", "/chat", fetch_mode="websocket"), None),
    ],
)
def test_only_who_waits_for_a_page_is_sent_to_the_login(
    summary: RequestSummary, location: str | None
) -> None:
    """With the address that they wanted, unless that was to send something."""
    answer = Gate(login_url="/login").refuse(TokenMissing(), summary)
    assert answer.headers.get("Location") == location
    assert answer.status == (401 if location is None else 303)


def test_a_login_url_may_have_a_query_of_its_own() -> None:
    """``next`` is added to it."""
    answer = Gate(login_url="https://sso.example/?app=1").refuse(TokenMissing(), PAGE)
    assert answer.headers["Location"] == "https://sso.example/?app=1&next=%2Forders%3Fpage%3D2"


@given(path=st.text(max_size=12), query=st.text(max_size=8))
def test_next_never_leads_to_another_host(path: str, query: str) -> None:
    """Whatever a client asks for, also after the app has decoded it once."""
    answer = Gate(login_url="/login").refuse(
        TokenMissing(), RequestSummary("GET", f"/{path}", query, fetch_mode="navigate")
    )
    (way,) = parse_qs(urlsplit(answer.headers["Location"]).query)["next"]
    assert way == own_address(f"/{path}", query)
    assert way.startswith("/")
    assert not way.startswith("//")
    assert way.isascii()
    assert way.isprintable()
    assert "\\" not in way
    assert urlsplit(urljoin("https://app.example/login", way)).netloc == "app.example"
