"""What callers ask for becomes a command, or ends nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.access.requests import (
    AdminLogoutRequest,
    LogoutRequest,
    admin_logouts,
    convert_request,
    new_id,
    own_logout,
    read_request,
)
from hub.core.model import Identity, Reason, Scope, user_key
from hub.core.revocation import ends
from hub.errors import InvalidRequest
from hub.store.values import Command

ADA = user_key("https://id.example", "ada")
CALLER = Identity(user=ADA, sub="ada", iss="https://id.example", sid="mine", iat=1, exp=2)


def own(body: dict[str, Any], key: str | None = None) -> Command:
    """Take a person's request all the way to its command."""
    return own_logout(CALLER, read_request(LogoutRequest, json.dumps(body).encode()), key)


def admin(body: dict[str, Any], key: str | None = None) -> list[Command]:
    """Take an administrator's request all the way to its commands."""
    asked = read_request(AdminLogoutRequest, json.dumps(body).encode())
    return admin_logouts(asked, "https://id.example", key)


@pytest.mark.parametrize(
    ("body", "scope", "sid", "also", "must_exist"),
    [
        ({}, Scope.ALL, None, "mine", False),
        ({"scope": "all"}, Scope.ALL, None, "mine", False),
        ({"scope": "others"}, Scope.OTHERS, "mine", None, False),
        ({"scope": "session"}, Scope.SESSION, "mine", "mine", False),
        ({"scope": "session", "sid": "mine"}, Scope.SESSION, "mine", "mine", False),
        ({"sid": "mine"}, Scope.SESSION, "mine", "mine", False),
        ({"sid": "other"}, Scope.SESSION, "other", "other", True),
        ({"scope": "session", "sid": "other"}, Scope.SESSION, "other", "other", True),
        ({"sid": "other", "message": None}, Scope.SESSION, "other", "other", True),
    ],
)
def test_a_persons_logout_ends_what_its_scope_says(
    body: dict[str, Any], scope: Scope, sid: str | None, also: str | None, must_exist: bool
) -> None:
    """Scope and session become the command, always for the caller and nobody else."""
    command = own(body)
    assert command.logout.user == ADA
    assert (command.logout.scope, command.logout.sid) == (scope, sid)
    assert (command.also, command.must_exist) == (also, must_exist)
    assert ends(command.logout, "mine") is (also == "mine")


def test_a_person_may_say_why() -> None:
    """Reason and message are carried; the reason is the user's own by default."""
    told = own({"reason": "suspicious", "message": "Lost my phone 📱"}).logout
    assert (told.reason, told.message) == (Reason.SUSPICIOUS, "Lost my phone 📱")
    assert own({}).logout.reason is Reason.USER
    assert own({}).logout.message is None


MALFORMED: list[Any] = [
    {"scope": "everything"},
    {"scope": ""},
    {"scope": "ALL"},
    {"scope": 1},
    {"scope": ["all"]},
    {"sid": ""},
    {"sid": "x" * 257},
    {"sid": 5},
    {"sid": ["mine"]},
    {"sid": {"$ne": None}},
    {"reason": "because"},
    {"reason": None},
    {"message": "x" * 501},
    {"message": 5},
    {"idempotencyKey": ""},
    {"idempotencyKey": "x" * 257},
    {"idempotencyKey": 5},
    {"idempotency_key": "k"},
    {"user": "grace"},
    {"Scope": "all"},
    {"everyone": True},
    [],
    [{}],
    "all",
    5,
    None,
    True,
]


@pytest.mark.parametrize("body", MALFORMED, ids=lambda body: json.dumps(body)[:32])
def test_a_malformed_request_ends_nothing(body: Any) -> None:
    """A wrong type, an unknown member or word, an empty or endless name: no command is made."""
    with pytest.raises(InvalidRequest) as read:
        read_request(LogoutRequest, json.dumps(body).encode())
    with pytest.raises(InvalidRequest) as converted:
        convert_request(LogoutRequest, body)
    assert read.value.detail
    assert converted.value.detail


@pytest.mark.parametrize("scope", ["all", "others"])
@pytest.mark.parametrize("sid", ["mine", "other"])
def test_a_session_goes_with_no_wider_scope(scope: str, sid: str) -> None:
    """Who names a session and asks for more is asked again, rather than guessed at."""
    with pytest.raises(InvalidRequest, match="sid"):
        own({"scope": scope, "sid": sid})


@pytest.mark.parametrize(
    "body",
    [
        b"{", b"}", b"{}{}", b" ", b"\x00", b"\xff", b"nul", b"{'scope': 'all'}", b"scope=all",
        b'{"scope":"all",}', b'{"message":"\\ud800"}', b"[" * 100_000, b'{"sid":' * 5_000,
    ],
    ids=lambda body: repr(body[:16]),
)  # fmt: skip
def test_a_body_that_is_no_json_ends_nothing(body: bytes) -> None:
    """Broken, truncated and bottomless texts are refused in one way."""
    with pytest.raises(InvalidRequest):
        read_request(LogoutRequest, body)


def test_no_body_is_an_empty_object() -> None:
    """A bare POST is a logout of all, as documented."""
    assert read_request(LogoutRequest, b"") == LogoutRequest()
    with pytest.raises(InvalidRequest):
        read_request(AdminLogoutRequest, b"")


@given(st.binary(max_size=60))
def test_any_bytes_are_a_request_or_refused(body: bytes) -> None:
    """No body raises anything but the documented error."""
    try:
        request = read_request(LogoutRequest, body)
    except InvalidRequest:
        return
    assert own_logout(CALLER, request).logout.user == ADA


anything: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
members = st.sampled_from(["scope", "sid", "reason", "message", "idempotencyKey"])


@given(anything | st.dictionaries(members, anything | st.sampled_from(["all", "user", "mine"])))
def test_any_event_is_a_request_or_refused(value: Any) -> None:
    """No argument of a socket's event raises anything but the documented error."""
    try:
        request = convert_request(LogoutRequest, value)
        command = own_logout(CALLER, request)
    except InvalidRequest:
        return
    assert command.logout.user == ADA
    assert command.logout.scope is Scope.ALL or command.logout.sid


def test_the_key_may_stand_in_the_header_or_in_the_body() -> None:
    """Either place counts; two different keys are refused."""
    assert own({}).key is None
    assert own({}, "k").key == "own:k"
    assert own({"idempotencyKey": "k"}).key == "own:k"
    assert own({"idempotencyKey": "k"}, "k").key == "own:k"
    with pytest.raises(InvalidRequest):
        own({"idempotencyKey": "k"}, "other")


def test_no_person_can_use_a_key_of_an_administrator() -> None:
    """Whatever key a person chooses, an administrator's request is not taken for its repetition."""
    administrators = admin({"user": "ada", "reason": "admin"}, key="k")[0].key
    for chosen in ("k", "admin:k", "own:k", str(administrators)):
        assert own({}, chosen).key != administrators


def test_ids_of_logouts_cannot_be_guessed() -> None:
    """Each logout has an id of its own, long enough to be a secret."""
    ids = {own({}).logout.id for _ in range(100)} | {new_id()}
    assert len(ids) == 101
    assert all(len(i) >= 22 for i in ids)


@pytest.mark.parametrize(
    ("body", "users", "scope", "sid", "also"),
    [
        ({"user": "ada"}, [ADA], Scope.ALL, None, None),
        ({"user": "ada", "scope": "all"}, [ADA], Scope.ALL, None, None),
        ({"user": "ada", "sid": "s"}, [ADA], Scope.SESSION, "s", "s"),
        ({"user": "ada", "sid": "s", "scope": "session"}, [ADA], Scope.SESSION, "s", "s"),
        ({"user": "ada", "sid": "s", "scope": "others"}, [ADA], Scope.OTHERS, "s", None),
        ({"user": "ada", "everyone": False}, [ADA], Scope.ALL, None, None),
        ({"users": ["ada"]}, [ADA], Scope.ALL, None, None),
        (
            {"users": ["ada", "grace", "ada"]},
            [ADA, user_key("https://id.example", "grace")],
            Scope.ALL,
            None,
            None,
        ),
        ({"everyone": True}, [None], Scope.ALL, None, None),
        ({"everyone": True, "scope": "all"}, [None], Scope.ALL, None, None),
    ],
)
def test_an_administrators_logout_names_whom_it_ends(
    body: dict[str, Any],
    users: list[str | None],
    scope: Scope,
    sid: str | None,
    also: str | None,
) -> None:
    """One command a user, each user once, all with one id, reason and message."""
    commands = admin({"reason": "policy", "message": "Sorry", **body})
    assert [command.logout.user for command in commands] == users
    assert len({command.logout.id for command in commands}) == 1
    for command in commands:
        assert (command.logout.scope, command.logout.sid) == (scope, sid)
        assert (command.also, command.must_exist) == (also, False)
        assert (command.logout.reason, command.logout.message) == (Reason.POLICY, "Sorry")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"reason": "admin"},
        {"user": "ada"},
        {"everyone": True},
        {"reason": "admin", "everyone": False},
        {"reason": "admin", "everyone": None},
        {"reason": "admin", "everyone": "true"},
        {"reason": "admin", "everyone": 1},
        {"reason": "admin", "user": ""},
        {"reason": "admin", "user": None},
        {"reason": "admin", "user": ["ada"]},
        {"reason": "admin", "user": "x" * 257},
        {"reason": "admin", "users": []},
        {"reason": "admin", "users": None},
        {"reason": "admin", "users": "ada"},
        {"reason": "admin", "users": ["ada", ""]},
        {"reason": "admin", "users": ["ada", None]},
        {"reason": "admin", "users": ["x"] * 10_001},
        {"reason": "admin", "user": "ada", "users": ["grace"]},
        {"reason": "admin", "user": "ada", "everyone": True},
        {"reason": "admin", "users": ["ada"], "everyone": True},
        {"reason": "admin", "user": "ada", "users": ["grace"], "everyone": True},
        {"reason": "admin", "user": "ada", "sid": ""},
        {"reason": "admin", "user": "ada", "scope": "session"},
        {"reason": "admin", "user": "ada", "scope": "others"},
        {"reason": "admin", "user": "ada", "scope": "all", "sid": "s"},
        {"reason": "admin", "user": "ada", "scope": "none"},
        {"reason": "admin", "users": ["ada"], "sid": "s"},
        {"reason": "admin", "users": ["ada"], "scope": "session", "sid": "s"},
        {"reason": "admin", "users": ["ada"], "scope": "others"},
        {"reason": "admin", "everyone": True, "sid": "s"},
        {"reason": "admin", "everyone": True, "scope": "session"},
        {"reason": "admin", "everyone": True, "scope": "others"},
        {"reason": "admin", "everyone": True, "scope": "others", "sid": "s"},
        {"reason": "admin", "everyone": True, "iss": "https://id.example"},
        {"reason": "admin", "everyone": True, "iss": ""},
        {"reason": "admin", "user": "ada", "iss": 5},
        {"reason": "admin", "user": "ada", "iss": "x" * 257},
        {"reason": "admin", "user": "ada", "message": "x" * 501},
        {"reason": "admin", "user": "ada", "typo": 1},
        {"reason": "because", "user": "ada"},
    ],
    ids=lambda body: json.dumps(body)[:48],
)
def test_an_unclear_logout_by_an_administrator_ends_nothing(body: dict[str, Any]) -> None:
    """Nobody, or more than was meant, is not what anybody asked for."""
    with pytest.raises(InvalidRequest):
        admin(body)


def test_an_administrators_keys_are_not_the_users_own() -> None:
    """A user who repeats a key that an administrator used does not get the other's logout."""
    (command,) = admin({"reason": "admin", "user": "ada"}, "k")
    assert command.key is not None
    assert command.key != own({}, "k").key
    assert admin({"reason": "admin", "user": "ada"})[0].key is None
