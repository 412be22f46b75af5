"""Subject identifiers: JSON in, whom it is about among the users of an issuer out."""

from __future__ import annotations

from typing import Any

import pytest

from hub.core.issuers import Entry
from hub.core.issuers_document import IssuersFile, read_document
from hub.core.model import user_key
from hub.core.refusal import Refusal, SignalRefused
from hub.core.signal import Target
from hub.core.subjects import (
    MEMBERS,
    Subject,
    choose_entry,
    read_subject,
    resolve_for,
    resolve_sub_id,
    resolve_subject,
)
from hub.errors import InvalidRequest

ISS = "https://id.example"
SSF = "https://ssf.example"
SUB = {"format": "iss_sub", "iss": ISS, "sub": "ada"}
FOREIGN = {"format": "iss_sub", "iss": "https://evil.example", "sub": "ada"}
EMAIL = {"format": "email", "email": "ada@x.example"}
SESSION = {"format": "opaque", "id": "s-1"}
ALL = {"format": "opaque", "id": "ALL"}
DEVICE = {"format": "opaque", "id": "d-1"}


def settings(user: str = "sub", *lines: str, more: str = "") -> IssuersFile:
    """Return an issuer whose users go by this claim, and a transmitter that belongs to it."""
    return read_document(
        "\n".join(
            (
                f'[[issuer]]\niss = "{ISS}"\naliases = ["id"]\naudience = "a"\nuser = "{user}"',
                more,
                f'[[transmitter]]\niss = "{SSF}"\naud = "hub"\ndelivery = "push"\nissuer = "{ISS}"',
                *lines,
            )
        ),
        max_lifetime=86400,
        leeway=0,
    )


def found(subject: Any, user: str = "sub", *lines: str) -> Target | None:
    """Return whom a transmitter means."""
    file = settings(user, *lines)
    return resolve_subject(read_subject(subject), file.transmitters[0], file.entries[0])


def ada(user: str | None = "ada", sid: str | None = None) -> Target:
    """Return a target of the issuer."""
    return Target(ISS, None if user is None else user_key(ISS, user), sid)


@pytest.mark.parametrize(
    ("subject", "target"),
    [
        (SUB, ada()),
        (SUB | {"iss": "id"}, ada()),
        (SUB | {"iss": SSF}, ada()),
        (FOREIGN, None),
        ({"format": "opaque", "id": "ada"}, ada()),
        (EMAIL, None),
        ({"format": "did", "url": "did:example:ada"}, None),
        ({"format": "jwt_id", "iss": ISS, "jti": "t-1"}, ada(None, "t-1")),
        ({"format": "jwt_id", "iss": "https://evil.example", "jti": "t-1"}, None),
        ({"format": "saml_assertion_id", "issuer": ISS, "assertion_id": "_8"}, None),
        ({"format": "ip-addresses", "ip-addresses": ["10.0.0.1"]}, None),
        ({"format": "urn:ours", "x": 1}, None),
        ({"format": "opaque", "id": "x" * 257}, None),
        ({"format": "aliases", "identifiers": [EMAIL, FOREIGN, SUB]}, ada()),
        ({"format": "aliases", "identifiers": [EMAIL, {"format": "urn:ours"}]}, None),
        ({"format": "complex", "user": SUB}, ada()),
        ({"format": "complex", "user": SUB, "session": SESSION}, ada("ada", "s-1")),
        ({"format": "complex", "user": SUB, "session": ALL}, ada()),
        ({"format": "complex", "user": SUB, "session": ALL | {"id": "all"}}, ada("ada", "all")),
        ({"format": "complex", "user": SUB, "session": SUB | {"sub": "ALL"}}, ada("ada", "ALL")),
        ({"format": "complex", "user": EMAIL, "session": ALL}, ada(None, "ALL")),
        ({"format": "complex", "user": FOREIGN, "session": ALL}, None),
        ({"format": "complex", "session": ALL}, ada(None, "ALL")),
        ({"format": "complex", "session": SESSION}, ada(None, "s-1")),
        ({"format": "complex", "session": SUB | {"sub": "s-1"}}, ada(None, "s-1")),
        ({"format": "complex", "session": FOREIGN}, None),
        ({"format": "complex", "user": EMAIL, "session": SESSION}, ada(None, "s-1")),
        ({"format": "complex", "user": FOREIGN, "session": SESSION}, None),
        ({"format": "complex", "user": SUB, "session": {"format": "urn:ours"}}, None),
        ({"format": "complex", "user": SUB, "device": DEVICE, "tenant": DEVICE}, ada()),
        ({"format": "complex", "user": SUB, "device": {"id": "d"}, "tenant": 5}, ada()),
        ({"format": "complex", "user": SUB, "session": None, "device": None}, ada()),
        ({"format": "complex", "user": None, "session": SESSION, "group": None}, ada(None, "s-1")),
        ({"user": SUB, "format": None, "session": None}, ada()),
        ({"format": None, "subject_type": "iss-sub", "iss": ISS, "sub": "ada"}, ada()),
        (SUB | {"subject_type": None, "x": None}, ada()),
        ({"format": "complex", "device": DEVICE}, None),
        ({"format": "complex", "tenant": SUB}, None),
        ({"format": "complex", "printer": 5}, None),
        ({"format": "complex", "user": {"format": "aliases", "identifiers": [EMAIL, SUB]}}, ada()),
        # Forms of drafts
        ({"user": SUB, "device": DEVICE}, ada()),
        ({"subject_type": "iss-sub", "iss": ISS, "sub": "ada"}, ada()),
        ({"subject_type": "iss_sub", "iss": ISS, "sub": "ada"}, ada()),
        ({"subject_type": "id_token_claims", "iss": ISS, "sub": "ada", "email": "a@b"}, ada()),
        ({"subject_type": "oauth_token", "token": "x"}, None),
    ],
)
def test_a_subject_is_looked_for_among_the_users_of_the_issuer(
    subject: Any, target: Target | None
) -> None:
    """Foreign and ambiguous subjects resolve to nobody; a session does not stand for its user."""
    assert found(subject) == target


@pytest.mark.parametrize(
    ("user", "subject", "name"),
    [
        ("email", EMAIL, "ada@x.example"),
        ("email", SUB, None),
        ("email", {"subject_type": "id-token-claims", "email": "ada@x.example"}, "ada@x.example"),
        (
            "phone_number",
            {"format": "phone_number", "phone_number": "+12065550123"},
            "+12065550123",
        ),
        ("phone_number", {"subject_type": "phone", "phone": "+12065550123"}, "+12065550123"),
        ("phone_number", SUB, None),
        ("uid", SUB, "ada"),
    ],
)
def test_the_users_claim_says_which_formats_name_a_user(
    user: str, subject: Any, name: str | None
) -> None:
    """An email address is no ``sub``, and the other way round."""
    assert found(subject, user) == (None if name is None else ada(name))


@pytest.mark.parametrize(
    ("kind", "subject", "name"),
    [
        ("account", {"format": "account", "uri": "acct:ada@x.example"}, "ada@x.example"),
        ("did", {"format": "did", "url": "did:example:ada"}, "did:example:ada"),
        ("uri", {"format": "uri", "uri": "https://x.example/ada"}, "https://x.example/ada"),
        ("email", EMAIL, "ada@x.example"),
    ],
)
def test_the_settings_may_name_other_formats(kind: str, subject: Any, name: str) -> None:
    """Then their id is the user's name at the issuer."""
    assert found(subject, "sub", f'subjects = "{kind}"') == ada(name)
    assert found(SUB, "sub", f'subjects = "{kind}"') is None


@pytest.mark.parametrize(
    "subject",
    [
        None,
        "ada",
        [],
        [SUB],
        {},
        {"sub": "ada"},
        {"format": None},
        {"format": 5, "id": "x"},
        {"format": ""},
        *({"format": kind} for kind in MEMBERS),
        *({"format": kind, **dict.fromkeys(names, 5)} for kind, names in MEMBERS.items()),
        *({"format": kind, **dict.fromkeys(names, "")} for kind, names in MEMBERS.items()),
        {"format": "iss_sub", "sub": "ada"},
        {"format": "iss_sub", "iss": ISS, "sub": None},
        {"format": "opaque", "id": "a\n"},
        {"format": "opaque", "id": "a\ud800"},
        {"format": "opaque", "id": "x" * 2049},
        {"format": "account", "uri": "ada@x.example"},
        {"format": "did", "url": "https://x.example"},
        {"format": "aliases"},
        {"format": "aliases", "identifiers": []},
        {"format": "aliases", "identifiers": {"0": SUB}},
        {"format": "aliases", "identifiers": [SUB] * 21},
        {"format": "aliases", "identifiers": ["ada"]},
        {"format": "aliases", "identifiers": [{"format": "aliases", "identifiers": [SUB]}]},
        {"format": "aliases", "identifiers": [{"format": "complex", "user": SUB}]},
        {"format": "complex"},
        {"format": "complex", "user": "ada"},
        {"format": "complex", "user": None},
        {"format": "complex", "user": {"format": "complex", "user": SUB}},
        {"format": "complex", "session": []},
        {"format": "complex", "user": None, "session": None, "device": None},
        {"format": "complex", "user": SUB, "session": {"format": "opaque", "id": None}},
        {"subject_type": "id_token_claims"},
        {"subject_type": "iss-sub", "sub": "ada"},
    ],
)
def test_what_is_no_subject_is_refused(subject: Any) -> None:
    """A required member that is missing, empty, or of another type."""
    with pytest.raises(SignalRefused) as caught:
        read_subject(subject)
    assert caught.value.reason is Refusal.SUBJECT
    assert caught.value.detail


def test_forms_of_drafts_are_told() -> None:
    """So that the log can say that a transmitter still uses one."""
    old: list[Any] = [{"user": SUB}, {"subject_type": "email", "email": "a@b"}]
    assert all(read_subject(one).old for one in old)
    assert read_subject(
        {"format": "complex", "user": {"subject_type": "email", "email": "a@b"}}
    ).old
    new: list[Any] = [SUB, {"format": "complex", "user": SUB}]
    assert not any(read_subject(one).old for one in new)


# What administrators name


def entries(more: str = "") -> tuple[Entry, ...]:
    """Return an issuer, and perhaps more."""
    return settings(more=more).entries


TWO = '[[issuer]]\niss = "https://b.example"\naudience = "b"\nuser = "email"'


def test_a_subject_names_its_issuer_or_the_caller_does() -> None:
    """With one issuer neither needs to."""
    assert resolve_sub_id(SUB, entries(TWO)) == ada()
    assert resolve_sub_id({"format": "opaque", "id": "ada"}, entries()) == ada()
    assert resolve_sub_id(EMAIL, entries(TWO), "https://b.example") == Target(
        "https://b.example", user_key("https://b.example", "ada@x.example")
    )
    with pytest.raises(InvalidRequest, match="several"):
        resolve_sub_id(EMAIL, entries(TWO))


def test_an_administrator_may_name_a_user_in_any_format() -> None:
    """What the issuer's users go by is preferred, wherever it stands."""
    assert resolve_sub_id(EMAIL, entries()) == ada("ada@x.example")
    aliases = {"format": "aliases", "identifiers": [EMAIL, SUB]}
    assert resolve_sub_id(aliases, entries()) == ada()
    session = {"format": "complex", "user": SUB, "session": SESSION}
    assert resolve_sub_id(session, entries()) == ada("ada", "s-1")


def test_a_user_of_somebody_else_is_nobody() -> None:
    """Whether the subject or the caller says so."""
    assert resolve_sub_id(FOREIGN, entries()) is None
    assert resolve_sub_id(SUB, entries(), "https://c.example") is None
    assert resolve_sub_id(SUB, entries(TWO), "https://b.example") is None
    assert choose_entry(Subject(), entries()) is not None
    assert resolve_for(Subject(), entries()[0]) is None
