"""HTTP of every shape: bodies, cookies, headers, and what is no HTTP at all."""

from __future__ import annotations

import json
from urllib.parse import quote

from hypothesis import given
from hypothesis import strategies as st

from hub.api.routes import ROUTES
from tests.fuzz.examples import examples
from tests.fuzz.hub import APP, COOKIE, FuzzedHub
from tests.fuzz.oracle import Response, bearer, read_response, request
from tests.fuzz.payloads import documents
from tests.site import ADMIN, token

METHODS = st.sampled_from(
    ["GET", "POST", "DELETE", "HEAD", "OPTIONS", "PUT", "PATCH", "TRACE", "get"]
)
SEGMENTS = st.one_of(
    st.sampled_from(
        ["s1", "..", ".", "%00", "%ff", "%2e%2e", "a%2Fb", "x" * 300, "%ED%A0%80", "*"]
    ),
    st.text(max_size=10).map(lambda text: quote(text, errors="replace")),
)
OWNERS = st.sampled_from([token("ada", "s1", 3600), ADMIN, "forged.token.here", None])
HEADER_NAMES = st.sampled_from(
    [b"Cookie", b"Authorization", b"Origin", b"X-Forwarded-For", b"Idempotency-Key", b"User-Agent",
     b"If-None-Match", b"Content-Type", b"Content-Encoding", b"Accept-Encoding", b"Range",
     b"Expect", b"Sec-Fetch-Site", b"Access-Control-Request-Method", b"Upgrade",
     b"X-HTTP-Method-Override"]
)  # fmt: skip
# What HTTP lets stand in a header: visible characters, spaces, and bytes that nobody defined.
HEADER_TEXT = st.one_of(
    st.lists(st.integers(0x20, 0xFF).filter(lambda c: c != 0x7F), max_size=60).map(bytes),
    st.sampled_from(
        [b"", b"Bearer", b"Bearer ", b"bearer x", b"Basic eDp5", b"gzip", b"100-continue", b"null",
         APP.encode(), b"https://evil.example", b"127.0.0.1, ::1, nonsense", b"x" * 9000,
         b"same-origin", b"bytes=0-", b"*", b'W/"x"', b"application/json; charset=nonsense"]
    ),
)  # fmt: skip
COOKIE_NAMES = st.sampled_from(
    [COOKIE, COOKIE.upper(), f"__Host-{COOKIE}", "", "$Version", "a", "a b"]
)
COOKIE_VALUES = st.one_of(
    st.sampled_from(["", '"', '"quoted"', "\\073", "=", ";;", "x" * 5000]),
    st.text(
        st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f"),
        max_size=20,
    ),
)


@st.composite
def paths(draw: st.DrawFn) -> str:
    """Addresses of the hub's own routes, with parameters of every kind."""
    path = draw(st.sampled_from(sorted({route.path for route in ROUTES})))
    for name in ("{sid}", "{id}", "{user}"):
        path = path.replace(name, draw(SEGMENTS))
    query = draw(
        st.sampled_from(["", "?wait=", "?wait=nan", "?wait=0.01", "?wait=-1", "?wait=0&wait=1"])
    )
    return path + (query or draw(st.sampled_from(["", "?", "?%00", "?state=x&x[]=1", "?iss=%ff"])))


OTHER_ERRORS = ({"error", "error_description"}, {"err", "description"})
"""Members of an error as OAuth has it (RFC 6749), and as a transmitter expects it (RFC 8935)."""


def check(answer: Response, method: str) -> None:
    """Hold an answer to what every answer has: no 5xx, an error where it refuses, no-store."""
    assert answer.status < 500, answer
    if answer.status >= 400:
        media_type = answer.headers["content-type"]
        assert media_type in ("application/problem+json", "application/json"), answer
        if method != "HEAD":
            body = json.loads(answer.body)
            is_problem = media_type == "application/problem+json"
            assert body["status"] == answer.status if is_problem else set(body) in OTHER_ERRORS
    if answer.status not in (200, 304):
        assert answer.headers["cache-control"] == "no-store", answer


@examples(80)
@given(method=METHODS, path=paths(), owner=OWNERS, body=documents() | st.just(""))
def test_a_call_may_have_any_body(
    hub: FuzzedHub, method: str, path: str, owner: str | None, body: str
) -> None:
    """Whatever is sent to a route, by whomever, is done or refused for a reason."""
    headers = [] if owner is None else bearer(owner)
    sent = request(method, path, headers, body.encode("utf-8", "surrogatepass"))
    check(read_response(hub.exchange(sent)), method)
    hub.check()


@examples(80)
@given(
    method=METHODS,
    path=paths(),
    headers=st.lists(st.tuples(HEADER_NAMES, HEADER_TEXT), max_size=5),
)
def test_a_call_may_have_any_headers(
    hub: FuzzedHub, method: str, path: str, headers: list[tuple[bytes, bytes]]
) -> None:
    """Whatever the headers say, there is an answer that says what is wrong."""
    check(read_response(hub.exchange(request(method, path, headers))), method)
    hub.check()


@examples(60)
@given(
    cookies=st.lists(st.tuples(COOKIE_NAMES, COOKIE_VALUES), max_size=4),
    is_good=st.booleans(),
    glue=st.sampled_from(["; ", ";", ", ", "  "]),
)
def test_cookies_may_be_anything(
    hub: FuzzedHub, cookies: list[tuple[str, str]], is_good: bool, glue: str
) -> None:
    """Whatever stands beside the cookie, `/verify` and `/session` say the same of it."""
    if is_good:
        cookies = [*cookies, (COOKIE, token("ada", "s1", 3600))]
    text = glue.join(f"{name}={value}" for name, value in cookies).encode("latin-1")
    found = set()
    for path in ("/verify", "/session"):
        answer = read_response(hub.exchange(request("GET", path, [(b"Cookie", text)])))
        check(answer, "GET")
        found.add(answer.code)
    assert len(found) == 1, found
    hub.check()


PIECES = st.one_of(
    st.binary(max_size=60),
    st.sampled_from(
        [b"GET /verify HTTP/1.1\r\n", b"POST /logout HTTP/1.1\r\n", b"Host: hub\r\n", b"\r\n",
         b"\n", b"Content-Length: 5\r\n", b"Content-Length: -1\r\n",
         b"Transfer-Encoding: chunked\r\n",
         b"5\r\nhello\r\n", b"0\r\n\r\n", b"ffffffffffffffffff\r\n", b"GET / HTTP/9.9\r\n\r\n",
         b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\x16\x03\x01\x02\x00\x01", b" folded: x\r\n",
         b"Host: two\r\n", b"X: " + b"y" * 20000 + b"\r\n", b"Content-Encoding: gzip\r\n\r\n",
         b"GET http://other/verify HTTP/1.1\r\n", b"CONNECT hub:443 HTTP/1.1\r\n", bytes(300)]
    ),
)  # fmt: skip


@examples(80)
@given(pieces=st.lists(PIECES, min_size=1, max_size=8))
def test_what_is_no_http_is_refused(hub: FuzzedHub, pieces: list[bytes]) -> None:
    """Whatever bytes come, the connection ends, and no answer is a failure of the hub's."""
    heard = hub.exchange(b"".join(pieces), is_all=True)
    if heard:
        assert read_response(heard).status < 500
    hub.check()
