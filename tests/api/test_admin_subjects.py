"""``POST /admin/logout`` takes a subject of RFC 9493 in place of a user's name."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import jwt
import pytest

from tests.site import ADMIN, SECRET, Answer, Replica, running, settings, token

FIRST, SECOND = "https://one.test", "https://two.test"
ADA = {"format": "opaque", "id": "ada"}
OF_FIRST = {"format": "iss_sub", "iss": FIRST, "sub": "ada"}
SESSION = {"format": "opaque", "id": "s1"}


@pytest.fixture
async def hub() -> AsyncIterator[Replica]:
    """A hub with one issuer."""
    async with running(settings()) as replica:
        yield replica


@pytest.fixture
async def several(tmp_path: Path) -> AsyncIterator[Replica]:
    """A hub with two issuers, whose users go by ``sub`` and by ``email``."""
    file = tmp_path / "issuers.toml"
    file.write_text(
        f'[[issuer]]\niss = "{FIRST}"\nsecret = "{SECRET}"\n'
        f'[[issuer]]\niss = "{SECOND}"\nsecret = "{SECRET}"\nuser = "email"\n'
    )
    async with running(settings(jwt_secret=None, issuers=str(file))) as replica:
        yield replica


async def end(hub: Replica, subject: Any, **more: Any) -> Answer:
    """Log out whom a subject names."""
    body = {"sub_id": subject, "reason": "admin", **more}
    return await hub.call("POST", "/admin/logout", ADMIN, json=body)


async def test_a_subject_is_as_good_as_a_name(hub: Replica) -> None:
    """The answer has the same members and the same warnings."""
    await hub.call("GET", "/session", token("ada", "s1"))
    named = await hub.call("POST", "/admin/logout", ADMIN, json={"user": "x", "reason": "admin"})
    met, unmet = await end(hub, ADA), await end(hub, {"format": "opaque", "id": "x"})
    assert (met.status, met.body["warnings"]) == (200, [])
    assert [session["sid"] for session in met.body["sessions"]] == ["s1"]
    assert set(unmet.body) == set(named.body)
    assert unmet.body["warnings"] == named.body["warnings"] != []


async def test_a_complex_subject_names_a_session(hub: Replica) -> None:
    """That one ends, and no other of the user."""
    subject = {"format": "complex", "user": ADA, "session": SESSION}
    mine, other = token("ada", "s1"), token("ada", "s2")
    answer = await end(hub, subject)
    assert (answer.status, answer.body["scope"]) == (200, "session")
    assert (await hub.call("GET", "/verify", mine)).status == 401
    assert (await hub.call("GET", "/verify", other)).status == 204


@pytest.mark.parametrize(
    ("subject", "more", "ended"),
    [
        (OF_FIRST, {}, FIRST),
        (OF_FIRST, {"iss": FIRST}, FIRST),
        (ADA, {"iss": FIRST}, FIRST),
        ({"format": "email", "email": "ada"}, {"iss": SECOND}, SECOND),
    ],
)
async def test_the_issuer_is_the_subjects_or_the_one_that_is_named(
    several: Replica, subject: Any, more: dict[str, Any], ended: str
) -> None:
    """``iss_sub`` needs no ``iss`` beside it; other formats do, with several issuers."""
    tokens = {FIRST: token("ada", "s1", issuer=FIRST), SECOND: email_token("ada")}
    assert (await end(several, subject, **more)).status == 200
    statuses = {
        iss: (await several.call("GET", "/verify", one)).status for iss, one in tokens.items()
    }
    assert statuses == {iss: 401 if iss == ended else 204 for iss in tokens}


def email_token(email: str) -> str:
    """Return a token of the second issuer from before the logout."""
    now = time.time() - 2
    claims = {"iss": SECOND, "email": email, "sid": "s1", "iat": now, "exp": now + 600}
    return jwt.encode(claims, SECRET, "HS256")


@pytest.mark.parametrize(
    ("subject", "more", "status", "code"),
    [
        (
            {"format": "iss_sub", "iss": FIRST, "sub": "a"},
            {"iss": SECOND},
            422,
            "subject_unresolved",
        ),
        ({"format": "iss_sub", "iss": "https://x.test", "sub": "a"}, {}, 422, "subject_unresolved"),
        ({"format": "complex", "group": ADA}, {"iss": FIRST}, 422, "subject_unresolved"),
        ({"format": "jwt_id", "iss": FIRST, "jti": "j"}, {}, 422, "subject_unresolved"),
        (ADA, {}, 400, "invalid_request"),
        (ADA, {"iss": FIRST, "user": "ada"}, 400, "invalid_request"),
        (ADA, {"iss": FIRST, "users": ["ada"]}, 400, "invalid_request"),
        (ADA, {"everyone": True}, 400, "invalid_request"),
        (ADA, {"iss": FIRST, "scope": "session"}, 400, "invalid_request"),
        ({"format": "none", "id": "a"}, {"iss": FIRST}, 400, "invalid_request"),
        ({}, {"iss": FIRST}, 400, "invalid_request"),
        (None, {"iss": FIRST}, 400, "invalid_request"),
        ("ada", {"iss": FIRST}, 400, "invalid_request"),
        (
            {"format": "complex", "user": ADA, "session": SESSION},
            {"iss": FIRST, "sid": "s2"},
            400,
            "invalid_request",
        ),
        (
            {"format": "complex", "user": ADA, "session": SESSION},
            {"iss": FIRST, "scope": "all"},
            400,
            "invalid_request",
        ),
    ],
)
async def test_what_names_nobody_ends_nobody(
    several: Replica, subject: Any, more: dict[str, Any], status: int, code: str
) -> None:
    """Least of all everyone: each refusal says what is wrong."""
    answer = await end(several, subject, **more)
    assert (answer.status, answer.code) == (status, code)
    assert answer.body["detail"]
    for one in (token("ada", "s1", issuer=FIRST), email_token("a")):
        assert (await several.call("GET", "/verify", one)).status == 204


async def test_a_key_repeats_a_logout_by_subject(hub: Replica) -> None:
    """The same request with the same key is the same logout, and another request is refused."""
    key = {"Idempotency-Key": "k1"}
    body = {"sub_id": ADA, "reason": "admin"}
    first, again = [
        (await hub.call("POST", "/admin/logout", ADMIN, json=body, headers=key)).body["id"]
        for _ in range(2)
    ]
    assert first == again
    other = {**body, "sub_id": {"format": "opaque", "id": "bob"}}
    reused = await hub.call("POST", "/admin/logout", ADMIN, json=other, headers=key)
    assert reused.code == "invalid_request"


async def test_support_may_name_a_subject(hub: Replica) -> None:
    """It is one user, as with a name."""
    helper = token("eve", scope="hub:support")
    body = {"sub_id": ADA, "reason": "admin"}
    assert (await hub.call("POST", "/admin/logout", helper, json=body)).status == 200
