"""The HTTP calls: what they answer, and how they refuse."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import jwt
import pytest
from pydantic import SecretStr

from hub.access.minting import mint_token
from tests.site import ADMIN, SECRET, Replica, running, settings, token

APP = "https://app.example"


@pytest.fixture
async def hub() -> AsyncIterator[Replica]:
    """One hub on the embedded store, with a cookie and an allowed origin."""
    given = settings(cookie_name="hub_token", allowed_origins=(APP,), max_sessions=3)
    async with running(given) as replica:
        yield replica


def signed(**claims: Any) -> str:
    """Return a token with just these claims."""
    return jwt.encode(claims, SECRET, algorithm="HS256")


async def test_session_tells_the_caller_who_it_is(hub: Replica) -> None:
    """A poll returns the caller's session, with times as in tokens."""
    answer = await hub.call(
        "GET", "/session", token("ada", "s1"), headers={"User-Agent": "Mozilla/5.0 Firefox/140.0"}
    )
    assert answer.status == 200
    assert answer.body["sid"] == "s1"
    assert answer.body["user"] == "ada"
    assert answer.body["device"].startswith("Firefox")
    assert answer.body["current"] is True
    assert answer.body["created_at"] <= answer.body["last_seen_at"] < answer.body["expires_at"]


async def test_session_is_not_sent_again_when_unchanged(hub: Replica) -> None:
    """A poll with the last ETag is answered 304, without a body, until something changes."""
    mine = token("ada", "s1")
    first = await hub.call("GET", "/session", mine)
    headers = {"If-None-Match": first.headers["ETag"]}
    again = await hub.call("GET", "/session", mine, headers=headers)
    assert (again.status, again.body) == (304, "")
    longer = token("ada", "s1", lifetime=700)
    assert (await hub.call("GET", "/session", longer, headers=headers)).status == 200


async def test_session_after_a_logout_says_why(hub: Replica) -> None:
    """A poll of an ended session is refused with the logout's reason, message and time."""
    mine = token("ada", "s1")
    body = {"reason": "password_changed", "message": "Changed from Berlin"}
    ended = await hub.call("POST", "/logout", mine, json=body)
    answer = await hub.call("GET", "/session", mine)
    assert (answer.status, answer.code) == (401, "token_revoked")
    assert answer.body["reason"] == "password_changed"
    assert answer.body["message"] == "Changed from Berlin"
    assert (answer.body["at"], answer.body["id"]) == (ended.body["at"], ended.body["id"])


async def test_sessions_lists_the_callers_only(hub: Replica) -> None:
    """Every session of the user is listed, the caller's marked, nobody else's shown."""
    for who, sid in (("ada", "s1"), ("ada", "s2"), ("grace", "s3")):
        await hub.call("GET", "/session", token(who, sid))
    answer = await hub.call("GET", "/sessions", token("ada", "s2"))
    assert [(s["sid"], s["current"]) for s in answer.body["sessions"]] == [
        ("s1", False),
        ("s2", True),
    ]


@pytest.mark.parametrize("sid", ["s9", "nobody", "a%2Fb", "x" * 300])
async def test_a_session_of_somebody_else_is_as_unknown_as_none(hub: Replica, sid: str) -> None:
    """Ending another user's session is not found, and it goes on."""
    await hub.call("GET", "/session", token("grace", "s9"))
    answer = await hub.call("DELETE", f"/sessions/{sid}", token("ada", "s1"))
    assert (answer.status, answer.code) == (404, "not_found")
    assert (await hub.call("GET", "/verify", token("grace", "s9"))).status == 204


async def test_logout_clears_the_browser_only_when_it_ends_the_caller(hub: Replica) -> None:
    """The cookie is deleted and site data cleared for the caller's own session only."""
    mine = token("ada", "s1")
    others = await hub.call("POST", "/logout", mine, json={"scope": "others"})
    assert others.status == 200
    assert "Clear-Site-Data" not in others.headers
    assert "Set-Cookie" not in others.headers
    ended = await hub.call("POST", "/logout", mine, json={"scope": "session"})
    assert ended.headers["Clear-Site-Data"] == '"storage"'
    cookie = ended.headers["Set-Cookie"]
    assert cookie.startswith('hub_token=""; ')
    assert "Max-Age=0" in cookie
    assert "HttpOnly" in cookie


async def test_verify_names_the_caller_in_headers(hub: Replica) -> None:
    """Forward authentication hands user, session and issuer to the backend, as plain ASCII."""
    mine = signed(sub="Zoë 50%", iss="https://id.example", sid="s1", iat=2e9 - 3e8, exp=2e9)
    hub_time = await hub.call("GET", "/session", token("ada"))
    mine = signed(
        sub="Zoë 50%",
        iss="https://id.example",
        sid="s1",
        iat=hub_time.body["created_at"],
        exp=hub_time.body["created_at"] + 60,
    )
    answer = await hub.call("GET", "/verify", mine)
    assert (answer.status, answer.body) == (204, "")
    assert answer.headers["X-Auth-User"] == "Zo%C3%AB%2050%25"
    assert answer.headers["X-Auth-Session"] == "s1"
    assert answer.headers["X-Auth-Issuer"] == "https://id.example"


async def test_the_same_idempotency_key_gives_the_same_logout(hub: Replica) -> None:
    """A repeated request is answered like the first; another request with its key is refused."""
    await hub.call("GET", "/session", token("ada", "s2"))
    mine, headers = token("ada", "s1"), {"Idempotency-Key": "k1"}
    body = {"scope": "others"}
    first = await hub.call("POST", "/logout", mine, json=body, headers=headers)
    await hub.call("GET", "/session", token("ada", "s3"))
    again = await hub.call("POST", "/logout", mine, json=body, headers=headers)
    assert again.body == first.body
    assert (await hub.call("GET", "/verify", token("ada", "s3"))).status == 204
    other = await hub.call("POST", "/logout", mine, json={"scope": "all"}, headers=headers)
    assert (other.status, other.code) == (400, "invalid_request")
    assert (await hub.call("GET", "/verify", mine)).status == 204


async def test_a_lost_answer_can_be_asked_for_again(hub: Replica) -> None:
    """The same request with the same key is answered though the first one ended its session."""
    mine, headers = token("ada", "s1"), {"Idempotency-Key": "k1"}
    first = await hub.call("POST", "/logout", mine, headers=headers)
    again = await hub.call("POST", "/logout", mine, headers=headers)
    assert (again.status, again.body) == (200, first.body)
    assert again.headers["Clear-Site-Data"] == first.headers["Clear-Site-Data"]
    for headers in ({"Idempotency-Key": "k2"}, {}):
        other = await hub.call("POST", "/logout", mine, headers=headers)
        assert (other.status, other.code) == (401, "token_revoked")
    text = (await hub.call("GET", "/metrics")).body
    assert 'hub_logouts_total{reason="user",scope="all"} 1.0' in text


async def test_a_body_in_a_broken_encoding_is_refused(hub: Replica) -> None:
    """A body that is not what its Content-Encoding says is the client's fault."""
    mine = token("ada", "s1")
    for encoding in ("gzip", "deflate"):
        headers = {"Content-Encoding": encoding, "Content-Type": "application/json"}
        answer = await hub.call("POST", "/logout", mine, data=b"hello", headers=headers)
        assert (answer.status, answer.code) == (400, "invalid_request")
    assert (await hub.call("GET", "/verify", mine)).status == 204


async def test_bytes_that_are_no_text_are_refused_not_failed_upon(hub: Replica) -> None:
    """Headers and paths with stray bytes are answered like any other unknown thing."""
    mine = token("ada", "s1")
    for head, status in (
        (
            b"GET /session HTTP/1.1\r\nAuthorization: Bearer "
            + mine.encode()
            + b"\r\nUser-Agent: \xff",
            200,
        ),
        (b"GET /session HTTP/1.1\r\nAuthorization: Bearer \xff", 401),
        (b"GET /admin/users/ada/sessions HTTP/1.1\r\nAuthorization: Bearer \xff", 401),
        (
            b"GET /admin/users/%FF%00/sessions HTTP/1.1\r\nAuthorization: Bearer " + ADMIN.encode(),
            (200, 404),
        ),
        (b"DELETE /sessions/%FF HTTP/1.1\r\nAuthorization: Bearer " + mine.encode(), 404),
        (
            b"POST /logout HTTP/1.1\r\nContent-Length: 0\r\nIdempotency-Key: \xff\r\n"
            b"Authorization: Bearer " + mine.encode(),
            400,
        ),
    ):
        reader, writer = await asyncio.open_connection("127.0.0.1", hub.port)
        writer.write(head + b"\r\nHost: hub\r\nConnection: close\r\n\r\n")
        answered = int((await reader.readline()).split()[1])
        assert answered in (status if isinstance(status, tuple) else (status,)), head
        writer.close()
        await writer.wait_closed()


BAD_BODIES: list[tuple[bytes, str]] = [
    (b"{", "truncated"),
    (b"[]", "an array"),
    (b"null", "null"),
    (b'"all"', "a string"),
    (b"\xff\xfe", "no UTF-8"),
    (b'{"scope": "planet"}', "unknown scope"),
    (b'{"scope": ""}', "empty scope"),
    (b'{"scope": 1}', "scope is a number"),
    (b'{"scop": "session"}', "misspelled member"),
    (b'{"sid": 5}', "sid is a number"),
    (b'{"sid": ""}', "empty sid"),
    (b'{"scope": "session", "sid": ""}', "empty sid of a session"),
    (b'{"scope": "all", "sid": "s1"}', "all with a sid"),
    (b'{"scope": "others", "sid": "s2"}', "others with a sid"),
    (b'{"reason": "boredom"}', "unknown reason"),
    (b'{"message": ["a"]}', "message is an array"),
    (b'{"message": "' + b"x" * 501 + b'"}', "long message"),
    (b'{"idempotencyKey": ""}', "empty key"),
    (b"[" * 50_000, "deep nesting"),
]


@pytest.mark.parametrize(("body", "why"), BAD_BODIES, ids=[why for _, why in BAD_BODIES])
async def test_a_malformed_logout_is_refused_and_ends_nothing(
    hub: Replica, body: bytes, why: str
) -> None:
    """Whatever is wrong with the body, it is an invalid request, and nobody is logged out."""
    mine = token("ada", "s1")
    answer = await hub.call("POST", "/logout", mine, data=body)
    assert (answer.status, answer.code) == (400, "invalid_request")
    assert (await hub.call("GET", "/verify", mine)).status == 204


async def test_a_body_that_is_too_large_is_refused(hub: Replica) -> None:
    """More than the limit is payload_too_large, whether its length was announced or not."""
    mine = token("ada", "s1")
    body = json.dumps({"message": "x" * 70_000}).encode()

    async def pieces() -> AsyncIterator[bytes]:
        yield body

    for data in (body, pieces()):
        answer = await hub.call("POST", "/logout", mine, data=data)
        assert (answer.status, answer.code) == (413, "payload_too_large")
    assert (await hub.call("GET", "/verify", mine)).status == 204


BAD_TOKENS = [
    ("", "token_missing"),
    ("nonsense", "token_invalid"),
    ("a.b.c", "token_invalid"),
    ("x" * 9_000, "token_invalid"),
    ("x" * 20_000, None),
    (jwt.encode({"sub": "ada", "iat": 1, "exp": 60}, "another secret " * 4), "token_invalid"),
    (jwt.encode({"sub": "ada", "iat": 1, "exp": 60}, "", algorithm="none"), "token_invalid"),
    (signed(sub="ada", iat=1_000_000, exp=1_000_060), "token_expired"),
    (signed(sub="ada", exp=4_000_000_000), "token_invalid"),
    (signed(sub="", iat=1_000_000, exp=1_000_060), "token_invalid"),
    (signed(sub=["ada"], iat=1_000_000, exp=1_000_060), "token_invalid"),
    (signed(sub="ada", iat=True, exp=1_000_060), "token_invalid"),
    (signed(sub="ada", iat=4_000_000_000, exp=4_000_000_060), "token_invalid"),
]


@pytest.mark.parametrize(("bad", "code"), BAD_TOKENS, ids=range(len(BAD_TOKENS)))
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/session"),
        ("GET", "/sessions"),
        ("GET", "/verify"),
        ("POST", "/logout"),
        ("DELETE", "/sessions/s1"),
        ("POST", "/admin/logout"),
        ("GET", "/admin/users/ada/sessions"),
    ],
)
async def test_a_bad_token_is_refused_at_every_door(
    hub: Replica, method: str, path: str, bad: str, code: str | None
) -> None:
    """A bad token is refused with its code and a challenge, wherever it is shown."""
    answer = await hub.call(method, path, bad)
    if code is None:
        assert answer.status in (400, 401)  # too long even for a header
        return
    assert (answer.status, answer.code) == (401, code)
    assert answer.headers["WWW-Authenticate"].startswith("Bearer ")


async def test_a_token_in_the_query_string_is_refused(hub: Replica) -> None:
    """A token that would stand in logs is not taken, though it is good."""
    for name in ("token", "access_token"):
        answer = await hub.call("GET", f"/session?{name}={token('ada')}")
        assert (answer.status, answer.code) == (400, "invalid_request")


async def test_a_cookie_may_read_from_anywhere_and_change_from_its_site_only(hub: Replica) -> None:
    """With a cookie, unsafe methods need an allowed Origin or Sec-Fetch-Site: same-origin."""
    cookies = {"hub_token": token("ada", "s1")}
    assert (await hub.call("GET", "/session", cookies=cookies)).status == 200
    foreign: list[dict[str, str]] = [
        {},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": APP + ".evil.example"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site"},
    ]
    for headers in foreign:
        for method, path in (("POST", "/logout"), ("DELETE", "/sessions/s1")):
            answer = await hub.call(method, path, cookies=cookies, headers=headers)
            assert (answer.status, answer.code) == (403, "origin_not_allowed")
    own: list[dict[str, str]] = [{"Origin": APP}, {"Sec-Fetch-Site": "same-origin"}]
    for headers in own:
        body = {"scope": "others"}
        answer = await hub.call("POST", "/logout", cookies=cookies, headers=headers, json=body)
        assert answer.status == 200


async def test_allowed_origins_may_read_answers_and_others_may_not(hub: Replica) -> None:
    """CORS names an allowed origin with credentials, on answers, errors and preflights."""
    headers = {"Origin": APP, "Access-Control-Request-Method": "POST"}
    asked = {**headers, "Access-Control-Request-Headers": "authorization,x-device"}
    polling = await hub.call("OPTIONS", "/socket.io/?EIO=4&transport=polling", headers=asked)
    assert polling.status == 204
    assert polling.headers["Access-Control-Allow-Origin"] == APP
    assert "Authorization" in polling.headers["Access-Control-Allow-Headers"]
    assert polling.headers["Access-Control-Allow-Headers"].endswith("authorization,x-device")
    stranger = {**asked, "Origin": "https://evil.example"}
    refused = await hub.call("OPTIONS", "/socket.io/?EIO=4&transport=polling", headers=stranger)
    assert "Access-Control-Allow-Origin" not in refused.headers
    assert "x-device" not in str(refused.headers)
    preflight = await hub.call("OPTIONS", "/logout", headers=headers)
    assert preflight.status == 204
    assert preflight.headers["Access-Control-Allow-Origin"] == APP
    assert "Idempotency-Key" in preflight.headers["Access-Control-Allow-Headers"]
    refusal = await hub.call("GET", "/session", headers={"Origin": APP})
    assert refusal.headers["Access-Control-Allow-Credentials"] == "true"
    evil = await hub.call("GET", "/session", headers={"Origin": "https://evil.example"})
    assert "Access-Control-Allow-Origin" not in evil.headers


async def test_every_answer_forbids_storing(hub: Replica) -> None:
    """No answer, good or bad, may be kept by a cache."""
    for path in ("/session", "/healthz", "/nowhere", "/openapi.json", "/client.js", "/metrics"):
        answer = await hub.call("GET", path)
        assert answer.headers["Cache-Control"] == "no-store"


async def test_unknown_addresses_and_methods_are_problems_too(hub: Replica) -> None:
    """What the hub does not have is not found, and a wrong method is named with the right ones."""
    nowhere = await hub.call("GET", "/nowhere")
    assert (nowhere.status, nowhere.code) == (404, "not_found")
    wrong = await hub.call("PUT", "/logout")
    assert (wrong.status, wrong.code) == (405, "invalid_request")
    assert wrong.headers["Allow"] == "POST"


async def test_admin_calls_need_an_administrator(hub: Replica) -> None:
    """The admin token or a JWT with the scope hub:admin lets through; other callers are not."""
    body = {"user": "ada", "reason": "admin"}
    user = await hub.call("POST", "/admin/logout", token("ada"), json=body)
    assert (user.status, user.code) == (403, "forbidden")
    wrong = await hub.call("POST", "/admin/logout", ADMIN + "x", json=body)
    assert (wrong.status, wrong.code) == (401, "token_invalid")
    chief = token("root", scope="profile hub:admin")
    assert (await hub.call("POST", "/admin/logout", chief, json=body)).status == 200
    assert (await hub.call("GET", "/admin/users/ada/sessions", ADMIN)).body == {"sessions": []}


async def test_an_administrators_token_can_be_logged_out(hub: Replica) -> None:
    """Being an administrator outlives no logout."""
    chief = token("root", scope="hub:admin")
    await hub.call("POST", "/logout", chief)
    answer = await hub.call("GET", "/admin/users/ada/sessions", chief)
    assert (answer.status, answer.code) == (401, "token_revoked")


BAD_ADMIN_BODIES: list[Any] = [
    {},
    {"reason": "admin"},
    {"user": "ada"},
    {"user": "", "reason": "admin"},
    {"user": None, "reason": "admin"},
    {"users": [], "reason": "admin"},
    {"users": ["ada", 5], "reason": "admin"},
    {"users": "ada", "reason": "admin"},
    {"everyone": False, "reason": "admin"},
    {"everyone": "yes", "reason": "admin"},
    {"everyone": True, "user": "ada", "reason": "admin"},
    {"user": "ada", "users": ["ada"], "reason": "admin"},
    {"user": "ada", "scope": "session", "reason": "admin"},
    {"user": "ada", "scope": "others", "reason": "admin"},
    {"user": "ada", "scope": "all", "sid": "s1", "reason": "admin"},
    {"users": ["ada"], "sid": "s1", "reason": "admin"},
    {"everyone": True, "scope": "session", "sid": "s1", "reason": "admin"},
    {"everyone": True, "iss": "https://id.example", "reason": "admin"},
    {"user": "ada", "reason": "whim"},
]


@pytest.mark.parametrize("body", BAD_ADMIN_BODIES, ids=json.dumps)
async def test_a_malformed_admin_logout_ends_nothing(hub: Replica, body: Any) -> None:
    """An administrator must name exactly whom to log out and why; else nothing happens."""
    mine = token("ada", "s1")
    await hub.call("GET", "/session", mine)
    answer = await hub.call("POST", "/admin/logout", ADMIN, json=body)
    assert (answer.status, answer.code) == (400, "invalid_request")
    assert (await hub.call("GET", "/verify", mine)).status == 204


async def test_an_administrator_ends_one_session_known_or_not(hub: Replica) -> None:
    """A named session is ended even if the hub had never seen it, and only that one."""
    for sid in ("seen", "unseen"):
        if sid == "seen":
            await hub.call("GET", "/session", token("ada", sid))
        body = {"user": "ada", "sid": sid, "reason": "admin"}
        answer = await hub.call("POST", "/admin/logout", ADMIN, json=body)
        assert answer.body["scope"] == "session"
        assert [s["sid"] for s in answer.body["sessions"]] == [sid]
        assert (await hub.call("GET", "/verify", token("ada", sid))).code == "token_revoked"
    assert (await hub.call("GET", "/verify", token("ada", "else"))).status == 204


async def test_an_administrator_ends_several_users_at_once(hub: Replica) -> None:
    """A thousand users are revoked by one call, under one id, and nobody else is."""
    names = [f"user-{number}" for number in range(1000)]
    tokens = {name: token(name) for name in ("user-0", "user-999", "grace")}
    body = {"users": names, "reason": "policy"}
    answer = await hub.call("POST", "/admin/logout", ADMIN, json=body)
    assert (answer.body["users"], answer.body["everyone"]) == (1000, False)
    for name in ("user-0", "user-999"):
        refusal = await hub.call("GET", "/verify", tokens[name])
        assert (refusal.code, refusal.body["id"]) == ("token_revoked", answer.body["id"])
    assert (await hub.call("GET", "/verify", tokens["grace"])).status == 204


async def test_a_whole_second_token_of_the_very_second_is_too_old(hub: Replica) -> None:
    """A fresh login whose iat has no fraction is told to get a fresh token; one later works."""
    await hub.call("GET", "/session", token("ada"))
    at = (await hub.call("POST", "/admin/logout", ADMIN, json={"user": "ada", "reason": "admin"})).body["at"]  # fmt: skip  # noqa: E501
    same = signed(sub="ada", iat=int(at), exp=int(at) + 60)
    answer = await hub.call("GET", "/session", same)
    assert (answer.status, answer.code) == (401, "token_too_old")
    await asyncio.sleep(int(at) + 1 - at)
    later = signed(sub="ada", iat=int(at) + 1, exp=int(at) + 60)
    assert (await hub.call("GET", "/session", later)).status == 200


async def test_a_user_with_too_many_sessions_is_told_so(hub: Replica) -> None:
    """The limit of sessions refuses one more, with a hint when to try again."""
    for number in range(3):
        await hub.call("GET", "/session", token("ada", str(number)))
    answer = await hub.call("GET", "/session", token("ada", "one more"))
    assert (answer.status, answer.code) == (429, "rate_limited")
    assert answer.headers["Retry-After"] == "1"


async def test_the_api_describes_itself(hub: Replica) -> None:
    """The OpenAPI document names every route and resolves its own references."""
    from hub.api.openapi import METHODS
    from hub.api.routes import ROUTES

    document = (await hub.call("GET", "/openapi.json")).body
    named = {p["name"] for p in document["paths"]["/admin/logout"]["post"]["parameters"]}
    assert named == {"wait", "Idempotency-Key"}
    described = {(m.upper(), path) for path, item in document["paths"].items() for m in item}
    assert described == {
        (method, route.path)
        for route in ROUTES
        for method in (METHODS if route.any_method else (route.method,))
    }
    schemas = document["components"]["schemas"]
    references = {part.split('"')[0] for part in json.dumps(document).split("#/components/schemas/")[1:]}  # fmt: skip  # noqa: E501
    assert references
    assert references <= set(schemas)


async def test_the_client_is_served_to_any_origin(hub: Replica) -> None:
    """The browser client is a module that pages of other origins may import."""
    answer = await hub.call("GET", "/client.js")
    assert answer.headers["Content-Type"] == "text/javascript; charset=utf-8"
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert "export function createLogoutHub" in answer.body


async def test_health_and_metrics_speak_of_what_happened(hub: Replica) -> None:
    """Liveness and readiness are ok, and requests, logouts and following are counted."""
    assert (await hub.call("GET", "/healthz")).body == {"status": "ok"}
    assert (await hub.call("GET", "/readyz")).body == {"status": "ready"}
    await hub.call("POST", "/logout", token("ada"))
    text = (await hub.call("GET", "/metrics")).body
    assert 'hub_logouts_total{reason="user",scope="all"} 1.0' in text
    assert 'hub_requests_total{method="POST",route="/logout",status="200"} 1.0' in text
    assert "hub_following 1.0" in text


async def test_two_secrets_verify_while_one_replaces_the_other() -> None:
    """Tokens of both are taken, and those of no other."""
    old, other = "the secret before, long enough to be one", "another secret that is long enough"
    async with running(settings(jwt_secret_previous=SecretStr(old))) as hub:
        for secret, status in ((SECRET, 204), (old, 204), (other, 401)):
            mine = mint_token(secret, "ada", lifetime=60)
            assert (await hub.call("GET", "/verify", mine)).status == status


async def test_there_is_no_demo_unless_asked_for(hub: Replica) -> None:
    """A hub without --demo mints no tokens and serves no page."""
    assert (await hub.call("GET", "/")).status == 404
    assert (await hub.call("POST", "/demo/token", json={"user": "ada"})).status == 404
