"""Tokens of every shape: all ways in say the same of each."""

from __future__ import annotations

import base64
import json
import time
from typing import Any

import jwt
from hypothesis import example, given
from hypothesis import strategies as st

from tests.fuzz.examples import examples
from tests.fuzz.hub import FuzzedHub
from tests.fuzz.oracle import check_same
from tests.site import SECRET

VISIBLE = st.characters(min_codepoint=0x21, max_codepoint=0x7E)
NOW = int(time.time())
GOOD = {"sub": "ada", "sid": "s1", "iat": NOW - 10, "exp": NOW + 600}
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.sampled_from(
        [NOW, NOW + 60, 0, -1, 0.5, 1e30, "", "ada", " ada", "\x00", "\u202e", "ä" * 300]
    ),
    st.text(max_size=20),
    st.lists(st.text(max_size=3), max_size=3),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)
CLAIMS = [
    "sub",
    "sid",
    "iat",
    "exp",
    "nbf",
    "iss",
    "aud",
    "jti",
    "scope",
    "events",
    "auth_time",
    "azp",
]
HEADERS = ["alg", "typ", "kid", "crit", "b64", "cty", "jku", "x5u", "zip"]
HEADER_VALUES = st.one_of(
    VALUES, st.sampled_from(["none", "HS256", "hs256", "RS256", "JWT", "at+jwt", "logout+jwt"])
)


def encode(part: bytes) -> str:
    """Return a part of a token."""
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()


def sign(header: Any, claims: Any) -> str:
    """Return a token that is signed by the hub's secret, whatever it says."""
    head = f"{encode(json.dumps(header).encode())}.{encode(json.dumps(claims).encode())}"
    algorithm = jwt.get_algorithm_by_name("HS256")
    signature = algorithm.sign(head.encode(), algorithm.prepare_key(SECRET))
    return f"{head}.{encode(signature)}"


@st.composite
def signed_tokens(draw: st.DrawFn) -> str:
    """Tokens of the issuer's, with claims and headers left out, added and changed."""
    claims = {**GOOD, **draw(st.dictionaries(st.sampled_from(CLAIMS), VALUES, max_size=3))}
    for name in draw(st.lists(st.sampled_from(CLAIMS), max_size=2)):
        claims.pop(name, None)
    header = {"alg": "HS256", "typ": "JWT"}
    header |= draw(st.dictionaries(st.sampled_from(HEADERS), HEADER_VALUES, max_size=2))
    return sign(header, claims)


@st.composite
def damaged_tokens(draw: st.DrawFn) -> str:
    """Good tokens in which some characters were changed, cut out or repeated."""
    text = sign({"alg": "HS256", "typ": "JWT"}, GOOD)
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, len(text)))
        length = draw(st.integers(0, 5))
        text = text[:place] + draw(st.text(VISIBLE, max_size=5)) + text[place + length :]
    return text


TOKENS = st.one_of(
    signed_tokens(),
    damaged_tokens(),
    st.text(VISIBLE, min_size=1, max_size=200),
    st.integers(0, 9000).map(lambda size: "x" * size + "." * 2),
    st.integers(1, 11000).map(
        lambda size: sign({"alg": "HS256", "typ": "JWT", "p": "x" * size}, {})
    ),
)


@examples(60)
@given(text=TOKENS)
@example(text=sign({"alg": "HS256"}, []))
@example(text=sign({"alg": "HS256"}, {"sub": "ada", "iat": float("inf"), "exp": float("nan")}))
@example(text=sign({"alg": "HS256"}, {"sub": "\ud800", "iat": NOW, "exp": NOW + 60}))
def test_all_ways_in_say_the_same_of_a_token(hub: FuzzedHub, text: str) -> None:
    """Whatever a token is, `/verify`, `/session` and CONNECT come to one verdict."""
    check_same(hub, text)
    hub.check()
