"""What the OpenAPI document says of a body, against what the hub does with it."""

from __future__ import annotations

import itertools
import json
from typing import Any

import jsonschema_rs
import msgspec
import pytest

from hub.access.parameters import read_wait
from hub.access.requests import (
    AdminLogoutRequest,
    LogoutRequest,
    admin_logouts,
    check_named,
    name_user,
    own_logout,
    read_request,
)
from hub.api.openapi import describe
from hub.api.routes import ROUTES
from hub.core.model import Identity, user_key
from hub.core.signal import Target
from hub.errors import InvalidRequest

DOCUMENT = json.loads(describe(ROUTES))
CALLER = Identity(user=user_key("", "ada"), sub="ada", iss="", sid="s", iat=0, exp=1)
ABSENT = object()
ADA = Target(iss="", user=CALLER.user)

OWN: dict[str, list[Any]] = {
    "sid": [ABSENT, "s", None],
    "scope": [ABSENT, "session", "others", "all", None],
}
ADMIN: dict[str, list[Any]] = {
    **OWN,
    "user": [ABSENT, "ada", None],
    "sub_id": [ABSENT, {"format": "opaque", "id": "ada"}, None],
    "users": [ABSENT, ["ada", "bob"], None],
    "everyone": [ABSENT, True, False],
    "iss": [ABSENT, "https://id.example", None],
    "reason": ["admin"],
}


def bodies(members: dict[str, list[Any]]) -> list[dict[str, Any]]:
    """Return every body that these values of its members make."""
    return [
        {name: value for name, value in zip(members, values, strict=True) if value is not ABSENT}
        for values in itertools.product(*members.values())
    ]


def is_described(name: str, body: dict[str, Any]) -> bool:
    """Tell whether the document allows a body."""
    schema = {"$ref": f"#/components/schemas/{name}", "components": DOCUMENT["components"]}
    return jsonschema_rs.Draft202012Validator(schema).is_valid(body)


def is_taken(kind: Any, body: dict[str, Any]) -> bool:
    """Tell whether the hub makes logouts of a body."""
    try:
        request = read_request(kind, msgspec.json.encode(body))
        if isinstance(request, LogoutRequest):
            own_logout(CALLER, request)
        else:
            check_named(request)
            is_subject = isinstance(request.sub_id, dict)
            admin_logouts(name_user(request, ADA) if is_subject else request, "")
    except InvalidRequest:
        return False
    return True


@pytest.mark.parametrize(("kind", "members"), [(LogoutRequest, OWN), (AdminLogoutRequest, ADMIN)])
def test_the_document_allows_just_what_the_hub_takes(
    kind: Any, members: dict[str, list[Any]]
) -> None:
    """Which members of a logout go together is said by the schema as the hub decides it."""
    told_apart = [
        body
        for body in bodies(members)
        if is_described(kind.__name__, body) is not is_taken(kind, body)
    ]
    assert told_apart == []


@pytest.mark.parametrize(
    "text", ["", " ", "1_0", " 1", "\u0661", "nan", "inf", "1e999", "-1", "0x1"]
)
def test_a_wait_is_a_number_as_json_has_it(text: str) -> None:
    """What only Python takes for a number of seconds is refused."""
    with pytest.raises(InvalidRequest):
        read_wait(text)


@pytest.mark.parametrize(("text", "seconds"), [("0", 0.0), ("1.5", 1.5), ("1e-1", 0.1), ("99", 10)])
def test_a_wait_is_at_most_its_bound(text: str, seconds: float) -> None:
    """Seconds are read with fractions and exponents, and cut to the bound."""
    assert read_wait(text) == seconds
