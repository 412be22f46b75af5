"""The vectors of what claims may hold, and of what they may not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hub.core.claims import MAX_DATE
from hub.core.model import MAX_NAME_LENGTH
from tests.vectors.signed import IAT, OWN, token, vector

CLAIMS = ("sub", "exp", "iat", "sid", "jti", "iss", "nbf", "auth_time", "scope", "aud")


def vectors() -> Iterator[dict[str, Any]]:
    """Yield every vector, always the same."""
    yield vector("claims that are absent", [OWN], _with_absent_claims())
    yield vector("names", [OWN], _with_names())
    yield vector("sessions", [OWN], _with_sessions())
    yield vector("login times", [OWN], _with_login_times())
    yield vector("kinds of tokens", [OWN], _with_kinds())
    yield vector("scopes", [OWN], _with_scopes())


def _with_absent_claims() -> Iterator[str]:
    yield token()
    yield token(iss="https://id.example", nbf=IAT + 1, scope="openid  hub:admin", jti="j")
    for claim in CLAIMS:
        yield token(**{claim: None})
        yield token(**{claim: ...})
    yield token(iat=MAX_DATE - 1, exp=MAX_DATE)
    yield token(unused={"deep": [1.5, None, {"text": "\ud800 é 😀"}]})


def _with_scopes() -> Iterator[str]:
    scopes: tuple[Any, ...] = (
        "", " ", "a\tb\nc", [], ["a", "b c"], {"a": 1}, 5, True, ["a", 5], [["a"]],
    )  # fmt: skip
    for scope in scopes:
        yield token(scope=scope)
        yield token(scp=scope)
    yield token(scope="a", scp="b")


def _with_names() -> Iterator[str]:
    odd: tuple[Any, ...] = (
        "", 1.5, True, False, [], ["ada"], {}, {"a": "b"}, 0, 5, -7, 2**53 + 1, 2**63 - 1, 2**63,
        1 - 2**63, -(2**63), "x" * MAX_NAME_LENGTH, "x" * (MAX_NAME_LENGTH + 1),
        "😀" * MAX_NAME_LENGTH, "😀" * (MAX_NAME_LENGTH + 1), "a\n", "\x00", "a\x1b[31m", "a\x7f",
        "a\x85b", "\ud800", "\udc00\ud800", "\uffff", "\U0010ffff", "Ада", "密码", "a b",
        "a|b:c%20", "می\u200cخواهم", "a\u2028b", "\ue000", "é", "e\u0301", "\ufeffa", "\u00a0",
    )  # fmt: skip
    for value in odd:
        yield token(sub=value)
        yield token(sid=value)
    for value in odd[:24]:
        yield token(sid=..., jti=value)
        yield token(iss=value)


def _with_sessions() -> Iterator[str]:
    yield token(session_id="b", origin_jti="c", auth_time=IAT - 9)
    yield token(sid=None, session_id="b", origin_jti="c")
    yield token(sid=..., origin_jti="c", auth_time=IAT - 9)
    yield token(sid=..., auth_time=IAT - 9, jti="j")
    yield token(sid=..., auth_time=IAT - 9.75)
    yield token(sid=..., auth_time=IAT - 9.000001)
    yield token(sid=..., auth_time=0)
    yield token(sid=..., auth_time=0, jti="j")
    yield token(sid=..., jti="j")
    yield token(sid=..., other="makes another hash")


def _with_login_times() -> Iterator[str]:
    values: tuple[Any, ...] = (
        IAT - 60, IAT - 60.25, IAT + 5, 0, "2023-11-14T22:12:20Z", "2023-11-14t22:12:20z",
        "2023-11-14t23:12:20.123456789+01:00", "2023-11-14T17:42:20.5-04:30",
        "1969-12-31T23:59:59Z", "2024-02-29T12:00:00.000001Z", "2100-03-01T00:00:00Z",
        "2000-02-29T23:59:60Z",
        "2023-11-14T22:12:20", "2023-11-14 22:12:20Z", "2023-11-14T22:12:20.Z", "2023-11-14",
        "2023-11-14T22:12:20.1234567890Z", "2023-11-14T22:12:20Z\n", "２023-11-14T22:12:20Z",
        "", "yesterday", "1700000000", True, [], {}, -1, 1e300, MAX_DATE, MAX_DATE + 1,
    )  # fmt: skip
    for value in values:
        yield token(auth_time=value)
        yield token(auth_time=value, sid=...)


def _with_kinds() -> Iterator[str]:
    kinds: tuple[Any, ...] = (
        "Bearer", "access", "access_token", "refresh", "Refresh_Token", "Offline", "id", "ID_token",
        "other", "", 5, None,
    )  # fmt: skip
    for claim in ("token_type", "tokenType", "token_use", "typ"):
        for kind in kinds:
            yield token(**{claim: kind})
    yield token(token_type="access", typ="Bearer", token_use="id")
    yield token(token_type="access", typ="refresh")
    for claim in ("nonce", "at_hash", "c_hash", "s_hash"):
        yield token(**{claim: "x"})
        yield token(**{claim: None})
        yield token(**{claim: "x", "token_type": "Bearer"})
    markers: tuple[Any, ...] = ({}, {"https://schemas.example/logout": {}}, [], False, None)
    for events in markers:
        yield token(events=events)
