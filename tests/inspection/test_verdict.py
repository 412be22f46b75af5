"""What `inspect` says of a token: the hub's own verdict, every check, and what to change."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.access.issuers import Issuers, make_keys
from hub.core.issuers import Entry
from hub.core.issuers_document import read_entries
from hub.core.model import SECOND
from hub.core.presets import PRESETS
from hub.errors import HubError, TokenInvalid, Unavailable
from hub.inspection.recognition import recognize
from hub.inspection.subject import Check
from hub.inspection.verdict import Inspection, choose, inspect
from tests.core.test_tokens import CLAIMS, IAT, encode, sign
from tests.keys import RSA

SECRET = "a secret for tests, long enough for the longest hash: 64 bytes.." * 2
"""The one that `sign` signs with."""

OTHER_SECRET = "another secret for tests, which is as long as it has to be"
PUBLIC = RSA.public_key().public_bytes(
    serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
).decode()  # fmt: skip
NOW = (IAT + 60) * SECOND

TWO = f"""
[[issuer]]
iss = "https://id.example/"
aliases = ["https://old.example"]
secret = ["{OTHER_SECRET}", "{SECRET}"]
audience = "app"
audience_claims = ["aud", "client_id"]
max_lifetime = 3600

[[issuer]]
iss = "https://keys.example/realms/shop"
public_key = '''{PUBLIC}'''
user = ["uid", "sub"]
session = ["ext.sid", "auth_time"]
leeway = 10
"""
FETCHED = """
[[issuer]]
iss = "https://login.example/realms/shop"
audience = "shop"
"""


def entries_of(text: str = TWO) -> tuple[Entry, ...]:
    """Return the entries of a file."""
    return read_entries(text, max_lifetime=86_400, leeway=0)


def token(**changes: Any) -> str:
    """Return a token of the first entry with some claims changed; one of ``...`` is left out."""
    usual = {**CLAIMS, "iss": "https://id.example/", "aud": "app", "auth_time": IAT - 5}
    header = {"alg": "HS256", "typ": "JWT", **changes.pop("header", {})}
    claims = {name: value for name, value in {**usual, **changes}.items() if value is not ...}
    return sign(json.dumps(claims), json.dumps(header))


def by_key(header: dict[str, Any] | None = None, **changes: Any) -> str:
    """Return a token of the second entry with some claims changed."""
    usual = {**CLAIMS, "iss": "https://keys.example/realms/shop"}
    return jwt.encode({**usual, **changes}, RSA, "RS256", headers=header)


VECTORS = {
    "good": token(),
    "an alias": token(iss="https://old.example"),
    "another issuer": token(iss="https://c.example"),
    "an issuer without its slash": token(iss="https://id.example"),
    "no issuer": token(iss=...),
    "an issuer that is a number": token(iss=5),
    "an issuer that is a list": token(iss=["https://id.example/"]),
    "no audience": token(aud=...),
    "another audience": token(aud=["a", "b"]),
    "an audience in another claim": token(aud=..., client_id="app"),
    "a broken audience": token(aud={"app": True}),
    "no user": token(sub=...),
    "a user that is null": token(sub=None),
    "a user that is a number": token(sub=17),
    "a user that is a list": token(sub=["ada"]),
    "a user with a control": token(sub="a\x07"),
    "a long user": token(sub="a" * 257),
    "no session": token(sid=..., auth_time=...),
    "a broken session": token(sid={"a": 1}),
    "a broken login time": token(auth_time="yesterday"),
    "a broken jti": token(sid=..., auth_time=..., jti=[]),
    "a session by its login time": token(sid=...),
    "no exp": token(exp=...),
    "no iat": token(iat=...),
    "exp that is text": token(exp="later"),
    "exp before iat": token(exp=IAT - 1),
    "an exp beyond all dates": token(exp=10**30),
    "a long life": token(exp=IAT + 3601),
    "expired": token(iat=IAT - 900, exp=IAT - 1),
    "not begun": token(iat=IAT + 100, exp=IAT + 600),
    "not begun for long": token(nbf=IAT + 590),
    "a broken nbf": token(nbf="soon"),
    "scopes in a list": token(scope=["a", "b"]),
    "broken scopes": token(scope=5),
    "another secret": jwt.encode({**CLAIMS, "iss": "https://id.example/", "aud": "app"}, "x" * 64),
    "cut short": token()[:-5],
    "changed": token().replace(".ey", ".eya", 1),
    "without signature": token().rpartition(".")[0] + ".",
    "unsigned": f"{encode(json.dumps({'alg': 'none'}))}.{encode(json.dumps(CLAIMS))}.",
    "another algorithm": token(header={"alg": "HS512"}),
    "an algorithm that nobody knows": token(header={"alg": "ROT13"}),
    "an algorithm that is a list": token(header={"alg": ["HS256"]}),
    "the other entry's algorithm": token(header={"alg": "RS256"}),
    "at+jwt": token(header={"typ": "application/at+jwt"}),
    "a logout token": token(header={"typ": "logout+jwt"}, events={}),
    "typ that is a number": token(header={"typ": 5}),
    "an extension": token(header={"crit": ["b64"], "b64": False}),
    "a kid": token(header={"kid": "k1"}),
    "a kid that is a number": token(header={"kid": 1}),
    "a claim twice": sign('{"sub": "ada", "sub": "eve"}'),
    "a header member twice": sign("{}", '{"alg": "HS256", "alg": "none"}'),
    "claims that are a list": sign("[]"),
    "claims that are no JSON": sign("{"),
    "NaN": sign('{"sub": "ada", "iat": NaN}'),
    "a header that is text": sign("{}", '"HS256"'),
    "no base64": "a.b.c",
    "empty": "",
    "opaque": "2YotnFZFEjr1zCsicMWpAA",
    "encrypted": "a.b.c.d.e",
    "two parts": "a.b",
    "not ASCII": token() + "é",
    "too long": token(groups=["x" * 90] * 100),
    "by the key": by_key(),
    "by the key, with a path": by_key(ext={"sid": "s-2"}, uid=7),
    "by the key, with its leeway": by_key(iat=IAT - 900, exp=IAT + 55),
    "by the key, of the first issuer": by_key(iss="https://id.example/"),
    "by the key, signed as by a secret": jwt.encode(
        {**CLAIMS, "iss": "https://keys.example/realms/shop"}, "x" * 64
    ),
}  # fmt: skip


async def look(text: str, entries: tuple[Entry, ...], *, in_file: bool = True) -> Inspection:
    """Return what the command would say, with keys that need no network."""
    found: Any = None
    if (chosen := choose(text, entries)) is not None:
        header, entry = chosen
        found = () if entry.keys.is_fetched else await make_keys(entry.keys).find(header)
    return inspect(text, entries, found or None, NOW, in_file=in_file)


def named(inspection: Inspection) -> dict[str, Check]:
    """Return the checks by their names, which are distinct."""
    checks = {check.name: check for check in inspection.checks}
    assert len(checks) == len(inspection.checks)
    return checks


async def agree(text: str, entries: tuple[Entry, ...]) -> Inspection:
    """Hold what `inspect` says against what the hub does; return it."""
    told = await look(text, entries)
    refusal: HubError | None = None
    try:
        identity = await Issuers(entries).verify(text)
    except TokenInvalid as error:
        refusal = error
    if refusal is not None:
        assert told.taken is False
        assert told.refusal is not None
        assert (told.refusal.code, told.refusal.detail) == (refusal.code, refusal.detail)
    else:
        assert told.reading is not None
        assert (told.reading.identity.sub, told.reading.identity.sid) == (
            identity.sub,
            identity.sid,
        )
        assert (
            told.refusal is None
            or told.refusal.code != "token_invalid"
            or ("not valid yet" in told.refusal.detail)
        )
    bad = [check for check in told.checks if check.verdict == "bad"]
    assert bool(bad) == (told.taken is False)
    assert all(check.advice for check in bad if check.name != "rules")
    return told


@pytest.mark.parametrize("text", VECTORS.values(), ids=VECTORS)
async def test_what_is_said_is_what_the_hub_does(text: str) -> None:
    """The same user and session, or the same words of refusal, and then a check that is bad."""
    told = await agree(text, entries_of())
    assert not any(check.name == "rules" for check in told.checks)


JSON_VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=20),
    st.lists(st.text(max_size=5), max_size=3), st.just({"sid": "x"}), st.just("app"),
    st.integers(IAT - 4000, IAT + 4000),
)  # fmt: skip


@settings(deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(
            ["sub", "iss", "aud", "exp", "iat", "nbf", "sid", "auth_time", "jti", "scope", "scp",
             "client_id", "typ", "amr", "azp"]
        ),
        JSON_VALUES,
        max_size=4,
    )
)  # fmt: skip
def test_no_claim_makes_them_disagree(changes: dict[str, Any]) -> None:
    """Whatever stands in a token, `inspect` says what the hub does, and fails at nothing."""
    told = asyncio.run(agree(token(**changes), entries_of()))
    json.dumps(told.describe())


@settings(deadline=None)
@given(
    st.sampled_from(sorted(set(VECTORS.values()))),
    st.lists(st.tuples(st.integers(0, 300), st.integers(0, 2), st.text(max_size=2)), max_size=4),
)
def test_no_change_of_the_text_makes_them_disagree(
    text: str, edits: list[tuple[int, int, str]]
) -> None:
    """Whatever is cut out of a token or put into it, `inspect` says what the hub does."""
    for place, cut, more in edits:
        text = text[:place] + more + text[place + cut :]
    json.dumps(asyncio.run(agree(text, entries_of())).describe())


@pytest.mark.parametrize("text", VECTORS.values(), ids=VECTORS)
async def test_no_signature_is_told(text: str) -> None:
    """Neither the signature nor the token stands in what programs and people read."""
    told = json.dumps((await look(text, entries_of())).describe(), ensure_ascii=False)
    _, _, signature = text.rpartition(".")
    assert len(signature) < 10 or signature not in told
    assert len(text) < 30 or text not in told


async def test_a_good_token_is_told_whole() -> None:
    """The entry, the user, the session and the login time with their claims, and its end."""
    told = (await look(token(scope="a b"), entries_of())).describe()
    assert told.pop("checks")
    assert told == {
        "taken": True,
        "refusal": None,
        "issuer": "https://id.example/",
        "preset": None,
        "user": {"value": "ada", "claim": "sub"},
        "session": {"value": "s-1", "claim": "sid", "per_token": False},
        "login_time": {"value": IAT - 5, "claim": "auth_time"},
        "issued_at": IAT,
        "expires_at": IAT + 600,
        "lives_until": IAT + 600,
        "scopes": ["a", "b"],
    }


async def test_the_leeway_is_in_the_end() -> None:
    """A token lives until its exp and the leeway of its entry."""
    told = (await look(by_key(), entries_of())).describe()
    assert told["lives_until"] == told["expires_at"] + 10


@pytest.mark.parametrize(
    ("text", "check", "parts"),
    [
        (VECTORS["opaque"], "form", ["opaque", "audience"]),
        (VECTORS["encrypted"], "form", ["encrypted"]),
        (VECTORS["too long"], "form", ["8192", "fewer claims"]),
        (VECTORS["a logout token"], "kind", ["logout+jwt", "logout token", "access token"]),
        (VECTORS["an issuer without its slash"], "issuer", ["letter by letter", "aliases"]),
        (token(iss="https://x.auth0.com/"), "issuer", ['iss = "https://x.', 'preset = "auth0"']),
        (VECTORS["another algorithm"], "algorithm", ["HS512", "secret"]),
        (VECTORS["the other entry's algorithm"], "algorithm", ["RS256", "algorithms"]),
        (VECTORS["another secret"], "signature", ["does not verify", "secret"]),
        (VECTORS["another audience"], "audience", ["a, b (aud)", "app in aud", 'audience = "a"']),
        (VECTORS["no user"], "user", ["sub is missing"]),
        (token(sub=..., user_id="ada"), "user", ['user = "user_id"']),
        (VECTORS["a long life"], "lifetime", ["1 h 1 s", "1 h is", "max_lifetime = 3601"]),
        (VECTORS["expired"], "times", ["expired", "1 min 1 s ago", "newer"]),
        (VECTORS["not begun"], "times", ["begins", "40 s from now", "leeway"]),
        (VECTORS["no exp"], "times", ["exp is missing"]),
        (VECTORS["a broken session"], "claims", ["sid"]),
    ],
)  # fmt: skip
async def test_what_is_wrong_comes_with_what_to_change(
    text: str, check: str, parts: list[str]
) -> None:
    """The setting or the thing at the issuer, by its name."""
    found = named(await look(text, entries_of()))[check]
    line = f"{found.detail} | {found.advice}"
    assert found.verdict == "bad", line
    assert all(part in line for part in parts), line


async def test_every_fault_is_told_at_once() -> None:
    """Who mends one does not have to come back for the next."""
    text = token(iss="https://c.example", aud="x", sub=..., exp=IAT + 99_999)
    only = entries_of(TWO.partition('[[issuer]]\niss = "https://keys')[0])
    checks = named(await look(text, only))
    bad = {name for name, check in checks.items() if check.verdict == "bad"}
    assert bad == {"issuer", "audience", "user", "lifetime"}


async def test_variables_are_named_where_there_is_no_file() -> None:
    """Advice speaks of what the operator has set."""
    checks = named(await look(token(aud="x", exp=IAT + 9999), entries_of(), in_file=False))
    assert "HUB_JWT_AUDIENCE=x" in checks["audience"].advice
    assert "HUB_TOKEN_MAX_LIFETIME=9999" in checks["lifetime"].advice
    checks = named(await look(token(iss="https://id.example"), entries_of(), in_file=False))
    assert "HUB_JWT_ISSUER=https://id.example;" in checks["issuer"].advice


@pytest.mark.parametrize(
    ("claims", "advice"),
    [
        ({}, "have the issuer write"),
        ({"session_state": "x"}, 'session = "session_state"'),
        ({"https://app.example/sid": "x"}, 'session = "https://app.example/sid"'),
        ({"ext": {"sid": "x"}}, 'session = "ext.sid"'),
    ],
)
async def test_a_token_that_names_no_login_is_pointed_out(
    claims: dict[str, Any], advice: str
) -> None:
    """It is taken, and the person learns what a refresh does, and which claim would do."""
    told = await look(token(sid=..., auth_time=..., **claims), entries_of())
    check = named(told)["session"]
    assert (told.taken, check.verdict) == (True, "fair")
    assert "per token" in check.detail
    assert advice in check.advice
    assert named(told)["login time"].verdict == "fair"


async def test_keys_that_were_not_looked_for_leave_it_open() -> None:
    """All else may be right; nothing is said to be taken."""
    entries = entries_of(FETCHED)
    text = by_key({"kid": "k1"}, iss="https://login.example/realms/shop", aud="shop")
    told = inspect(text, entries, None, NOW, in_file=True)
    assert told.taken is None
    assert named(told)["signature"].verdict == "unchecked"
    assert "k1" in named(told)["signature"].detail
    assert inspect(text, entries, (RSA.public_key(),), NOW, in_file=True).taken is True


@pytest.mark.parametrize(
    ("error", "code"),
    [(Unavailable("no keys"), "unavailable"), (TokenInvalid("no such key"), "token_invalid")],
)
async def test_keys_that_were_not_found_are_told(error: HubError, code: str) -> None:
    """Whether they could not be fetched or there is none of that name."""
    text = by_key({"kid": "k1"}, iss="https://login.example/realms/shop", aud="shop")
    told = inspect(text, entries_of(FETCHED), error, NOW, in_file=True)
    assert told.refusal is not None
    assert (told.taken, told.refusal.code) == (False, code)
    assert error.detail in named(told)["signature"].detail


async def test_an_audience_that_nobody_checks_is_pointed_out() -> None:
    """With the issuer's published keys its other apps' tokens act here."""
    entries = entries_of(FETCHED.replace('"shop"', '"*"'))
    text = by_key(iss="https://login.example/realms/shop", aud="account", azp="shop")
    told = inspect(text, entries, (RSA.public_key(),), NOW, in_file=True)
    assert (told.taken, named(told)["audience"].verdict) == (True, "fair")


async def test_the_audience_of_keycloak_is_explained() -> None:
    """The app stands in azp, and there are two ways to mend it; the preset is named."""
    text = by_key(iss="https://login.example/realms/shop", aud="account", azp="shop")
    told = inspect(text, entries_of(FETCHED), (RSA.public_key(),), NOW, in_file=True)
    assert 'audience_claims = ["aud", "azp"]' in named(told)["audience"].advice
    assert 'preset = "keycloak"' in named(told)["issuer"].advice


async def test_an_id_token_is_pointed_out() -> None:
    """It is taken, since nothing tells it for sure, but it is for somebody else."""
    told = await look(token(at_hash="x"), entries_of())
    assert (told.taken, named(told)["kind"].verdict) == (True, "fair")
    assert "ID token" in named(told)["kind"].detail


async def test_what_is_shown_does_a_terminal_no_harm() -> None:
    """Controls from a token are escaped, and long values cut."""
    for bad in ("\x1b[31m", "\x9b31m", "\u202e", "\ud800", "x" * 999):
        for iss in (f"https://id.example/{bad}", "https://id.example/"):
            text = token(iss=iss, sub=bad, aud=[bad], sid=bad, kid=bad)
            for check in (await look(text, entries_of())).checks:
                assert check.detail.isprintable()
                assert check.advice.isprintable()
                assert len(check.detail + check.advice) < 1000


@pytest.mark.parametrize(
    ("iss", "preset"),
    [
        ("https://login.example/realms/shop", "keycloak"),
        ("https://shop.eu.auth0.com/", "auth0"),
        ("https://shop.okta.com/oauth2/default", "okta"),
        ("https://login.microsoftonline.com/0f0f/v2.0", "entra"),
        ("https://sts.windows.net/0f0f/", "entra"),
        ("https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_x", "cognito"),
        ("https://securetoken.google.com/shop", "firebase"),
        ("https://abc.supabase.co/auth/v1", "supabase"),
        ("https://shop-1.clerk.accounts.dev", "clerk"),
        ("https://shop.zitadel.cloud", "zitadel"),
        ("https://auth.example/application/o/shop/", "authentik"),
        ("https://shop.projects.oryapis.com", "hydra"),
        ("https://notauth0.com/", None),
        ("https://id.example", None),
        ("https://[", None),
        ("", None),
        (5, None),
        (None, None),
    ],
)
def test_a_known_provider_is_recognized_by_its_name(iss: object, preset: str | None) -> None:
    """By the domain or the path, whole words only."""
    assert recognize(iss, {}) == preset
    assert preset is None or preset in PRESETS
