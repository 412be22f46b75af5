"""Who may ask for global token revocation, and whom a request names: texts in, values out."""

from __future__ import annotations

import json
import time
from typing import Any

import jwt
import msgspec
import pytest

from hub.core.global_revocation import (
    read_assertion,
    read_assertion_header,
    read_revocation_request,
)
from hub.core.issuers import Entry, KeySource, RevocationRules, Source
from hub.core.model import SECOND
from hub.core.refusal import SignalRefused
from hub.core.tokens import Rules
from hub.errors import InvalidRequest

NOW = int(time.time())
ISS, HUB = "https://acme.okta.test", "https://hub.test/global-token-revocation"
RULES = Rules(algorithms=("ES256",), max_lifetime=SECOND, issuer=ISS, leeway=2 * SECOND)
ENTRY = Entry(
    RULES, KeySource(Source.JWKS_URL, ("https://x.test",)), revocation=RevocationRules((HUB,))
)

# What Okta signs, by its documentation: five minutes, not before five minutes ago.
GOOD: dict[str, Any] = {
    "jti": "ul.1", "iss": ISS, "sub": "0oa1", "aud": HUB,
    "iat": NOW, "nbf": NOW - 300, "exp": NOW + 300,
}  # fmt: skip


def read(claims: dict[str, Any], entry: Entry = ENTRY) -> Any:
    """Return the assertion with these claims; None leaves one out."""
    present = {name: value for name, value in claims.items() if value is not None}
    return read_assertion(present, entry, NOW * SECOND)


def test_an_assertion_says_who_calls_and_when() -> None:
    """Its id, its issuer and its time; ``sub`` is the caller's own business."""
    read_it = msgspec.structs.asdict(read(GOOD))
    before = NOW * SECOND + SECOND - 1  # within the leeway of two seconds
    assert read_it == {"id": "ul.1", "iss": ISS, "issued_at": NOW * SECOND, "before": before}


def test_what_is_not_ahead_ends_what_there_is_now() -> None:
    """Only a clock that may be ahead puts the end of logins at another time."""
    assert read({**GOOD, "iat": NOW - 1}).before is None
    assert read({**GOOD, "iat": NOW - 0.5}).before is None
    assert read({**GOOD, "iat": NOW + 2}).before == (NOW + 2) * SECOND


@pytest.mark.parametrize(
    "changes",
    [
        {"sub": None},
        {"nbf": None},
        {"aud": [HUB, "other"]},
        {"exp": NOW + 3600},
        {"iat": NOW - 200, "exp": NOW - 1},
        {"iat": NOW + 2, "nbf": NOW + 2},
        {"unknown": "claim"},
    ],
)
def test_what_else_is_taken(changes: dict[str, Any]) -> None:
    """Claims that nobody needs may be missing, and clocks may differ by the leeway."""
    assert read({**GOOD, **changes}).id == "ul.1"


@pytest.mark.parametrize(
    ("changes", "detail"),
    [
        ({"iss": None}, "iss"),
        ({"iss": "https://other.test"}, "iss"),
        ({"aud": None}, "aud"),
        ({"aud": "https://other.test"}, "aud"),
        ({"aud": []}, "aud"),
        ({"aud": {HUB: 1}}, "aud"),
        ({"jti": None}, "jti"),
        ({"jti": ""}, "jti"),
        ({"jti": 1}, "jti"),
        ({"iat": None}, "iat"),
        ({"iat": "now"}, "iat"),
        ({"iat": NOW + 60}, "iat"),
        ({"nbf": NOW + 60}, "nbf"),
        ({"exp": None}, "exp"),
        ({"exp": NOW - 60}, "exp"),
        ({"exp": NOW + 3700}, "exp"),
        ({"iat": NOW, "exp": NOW}, "exp"),
        ({"exp": True}, "exp"),
    ],
)
def test_an_assertion_that_is_not_for_this_hub_now_is_refused(
    changes: dict[str, Any], detail: str
) -> None:
    """By the claim that the refusal names."""
    with pytest.raises(SignalRefused, match=detail):
        read({**GOOD, **changes})


def test_an_issuer_may_ask_only_where_the_settings_say_so() -> None:
    """Without an audience nobody can have been told to send anything here."""
    silent = msgspec.structs.replace(ENTRY, revocation=RevocationRules())
    with pytest.raises(SignalRefused, match="revocation_audience"):
        read(GOOD, silent)


@pytest.mark.parametrize(
    ("typ", "good"),
    [
        ("global-token-revocation+jwt", True),
        ("application/global-token-revocation+jwt", True),
        ("Global-Token-Revocation+JWT", True),
        ("JWT", False),
        ("at+jwt", False),
        ("logout+jwt", False),
        ("secevent+jwt", False),
        (None, False),
    ],
)
def test_an_assertion_has_a_type_of_its_own(typ: str | None, good: bool) -> None:
    """No access token, logout token or security event of the same keys passes for one."""
    headers = {} if typ is None else {"typ": typ}
    token = jwt.encode(GOOD, "a secret that is as long as it has to be", "HS256", headers=headers)
    if typ is None:
        parts = token.split(".")
        parts[0] = jwt.utils.base64url_encode(b'{"alg":"HS256"}').decode()
        token = ".".join(parts)
    if good:
        assert read_assertion_header(token).alg == "HS256"
    else:
        with pytest.raises(SignalRefused):
            read_assertion_header(token)


SUBJECT = {"format": "opaque", "id": "ada"}


@pytest.mark.parametrize(
    "body",
    [
        {"sub_id": SUBJECT},
        {"subject": SUBJECT},
        {"sub_id": SUBJECT, "reason": "a member that nobody has heard of"},
    ],
)
def test_a_request_names_the_user_as_the_draft_or_as_auth0(body: dict[str, Any]) -> None:
    """By ``sub_id``, or ``subject``; other members are ignored."""
    assert read_revocation_request(json.dumps(body).encode()) == SUBJECT


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b'"ada"',
        b"sub_id=ada",
        b'{"sub_id": {}, "subject": {}}',
        b'{"sub_id": {}, "sub_id": {}}',
        b'{"sub_id": {"format": "opaque", "id": "ada", "id": "bob"}}',
        b"\xff",
        b"[" * 60_000,
    ],
)
def test_a_body_of_another_form_names_nobody(body: bytes) -> None:
    """Nothing is guessed, least of all which of two users was meant."""
    with pytest.raises(InvalidRequest):
        read_revocation_request(body)
