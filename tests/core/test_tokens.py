"""A token and a key in, an identity or `TokenInvalid` out."""

from __future__ import annotations

import hashlib
import hmac
import json
from base64 import urlsafe_b64encode
from typing import Any

import jwt
import msgspec
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from hypothesis import given
from hypothesis import strategies as st

from hub.core.claims import MAX_DATE, is_name
from hub.core.model import SECOND, Identity, user_key
from hub.core.tokens import MAX_TOKEN_BYTES, Rules, read_header, verify
from hub.errors import TokenInvalid
from tests.keys import RSA

SECRET = "a secret for tests, long enough for the longest hash: 64 bytes.." * 2
RULES = Rules(algorithms=("HS256",), max_lifetime=3600 * SECOND)
IAT = 1_700_000_000
CLAIMS: dict[str, Any] = {"sub": "ada", "iat": IAT, "exp": IAT + 600, "sid": "s-1"}


def encode(raw: str | bytes) -> str:
    """Return a part of a token."""
    data = raw.encode() if isinstance(raw, str) else raw
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def sign(payload: str | bytes, header: str | bytes = '{"alg":"HS256","typ":"JWT"}') -> str:
    """Return a token of these very texts, rightly signed by HS256."""
    signed = f"{encode(header)}.{encode(payload)}"
    mac = hmac.new(SECRET.encode(), signed.encode(), hashlib.sha256).digest()
    return f"{signed}.{encode(mac)}"


def signed(header: dict[str, Any] | None = None, **changes: Any) -> str:
    """Return a good token with some claims changed; one of ``...`` is left out."""
    claims = {name: value for name, value in {**CLAIMS, **changes}.items() if value is not ...}
    return sign(json.dumps(claims), json.dumps({"alg": "HS256", "typ": "JWT", **(header or {})}))


def with_raw(claim: str, raw: str) -> str:
    """Return a good token with one claim in the JSON text ``raw``."""
    others = {name: value for name, value in CLAIMS.items() if name != claim}
    return sign(json.dumps(others)[:-1] + f', "{claim}": {raw}}}')


def read(token: str, rules: Rules = RULES, key: Any = SECRET) -> Identity:
    """Take a token all the way, as the hub does."""
    if read_header(token).alg not in rules.algorithms:
        raise TokenInvalid("an algorithm that is not pinned")
    return verify(token, key, rules)


def refused(token: str, rules: Rules = RULES, key: Any = SECRET) -> str:
    """Return the detail of the refusal, which is one line that repeats nothing of the token."""
    with pytest.raises(TokenInvalid) as caught:
        read(token, rules, key)
    assert caught.value.detail
    assert "\n" not in caught.value.detail
    return caught.value.detail


def test_a_good_token_says_who_it_speaks_for() -> None:
    """Every claim that counts is found in the identity, with times in microseconds."""
    rich = signed(iss="https://id.example", nbf=IAT + 1, scope="openid  hub:admin", jti="j")
    assert read(rich) == Identity(
        user=user_key("", "ada"),
        sub="ada",
        iss="https://id.example",
        sid="s-1",
        iat=IAT * SECOND,
        exp=(IAT + 600) * SECOND,
        nbf=(IAT + 1) * SECOND,
        scopes=("openid", "hub:admin"),
    )


def test_a_fraction_of_a_second_is_kept_to_the_microsecond() -> None:
    """NumericDates may have fractions (RFC 7519 section 2); none is lost or gained."""
    for micros in (1, 123_456, 499_999, 999_999):
        found = read(with_raw("iat", f"{IAT}.{micros:06}"))
        assert found.iat == IAT * SECOND + micros


# Algorithms


def private_key(algorithm: str) -> Any:
    """Return a private key for an algorithm."""
    curves = {"ES256": ec.SECP256R1(), "ES384": ec.SECP384R1(), "ES512": ec.SECP521R1()}
    if algorithm in curves:
        return ec.generate_private_key(curves[algorithm])
    return ed25519.Ed25519PrivateKey.generate() if algorithm == "EdDSA" else RSA


def pem(private: Any) -> str:
    """Return the public key of a private one, in PEM."""
    public = private.public_key()
    text: bytes = public.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return text.decode()


ASYMMETRIC = (
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA",
)  # fmt: skip


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
def test_a_secret_verifies_what_it_signed(algorithm: str) -> None:
    """Each HMAC algorithm works when it is pinned, and does not know another secret."""
    rules = Rules(algorithms=(algorithm,), max_lifetime=3600 * SECOND)
    token = jwt.encode(CLAIMS, SECRET, algorithm=algorithm)
    assert read(token, rules).sub == "ada"
    assert "signature" in refused(token, rules, SECRET[::-1])


@pytest.mark.parametrize("algorithm", ASYMMETRIC)
def test_a_public_key_verifies_what_its_private_key_signed(algorithm: str) -> None:
    """Each asymmetric algorithm works when it is pinned, and another key's token is refused."""
    rules = Rules(algorithms=(algorithm,), max_lifetime=3600 * SECOND)
    private = private_key(algorithm)
    token = jwt.encode(CLAIMS, private, algorithm=algorithm)
    assert read(token, rules, pem(private)).sub == "ada"
    if private is not RSA:
        assert "signature" in refused(token, rules, pem(private_key(algorithm)))


@pytest.mark.parametrize("algorithm", ["RS384", "PS256", "HS256", "ES256", "EdDSA"])
def test_only_pinned_algorithms_are_taken(algorithm: str) -> None:
    """A token that is rightly signed by another algorithm than the pinned one is refused."""
    key = SECRET if algorithm == "HS256" else private_key(algorithm)
    token = jwt.encode(CLAIMS, key, algorithm=algorithm)
    rules = Rules(algorithms=("RS256",), max_lifetime=3600 * SECOND)
    assert "algorithm" in refused(token, rules, pem(RSA))


@pytest.mark.parametrize("name", ["none", "None", "NONE", "", "hs256", "HS512", None, 5, ["HS256"]])
def test_an_algorithm_that_is_not_pinned_is_refused_by_its_name(name: Any) -> None:
    """The names are compared letter by letter, whatever type they have."""
    assert "algorithm" in refused(signed({"alg": name}))


def test_a_token_without_a_signature_is_refused() -> None:
    """Neither alg none nor a missing signature passes, though the claims be right."""
    header, payload, _ = signed().split(".")
    unsigned = encode('{"alg":"none"}')
    assert refused(f"{unsigned}.{payload}.")
    assert "signature" in refused(f"{header}.{payload}.")


def test_a_public_key_is_no_secret() -> None:
    """A token signed by HMAC with the public key as its secret is refused (RFC 8725, 2.1)."""
    public = pem(RSA)
    signing = ".".join((encode('{"alg":"HS256"}'), encode(json.dumps(CLAIMS))))
    mac = hmac.new(public.encode(), signing.encode(), hashlib.sha256).digest()
    forged = f"{signing}.{encode(mac)}"
    assert refused(forged, Rules(("RS256",), 3600 * SECOND), public)
    assert refused(forged, Rules(("RS256", "HS256"), 3600 * SECOND), public)
    assert refused(forged, Rules(("HS256",), 3600 * SECOND), public)


def test_a_changed_claim_breaks_the_signature() -> None:
    """The payload of one token does not go with the signature of another."""
    header, _, signature = signed().split(".")
    payload = signed(sub="grace").split(".")[1]
    assert "signature" in refused(f"{header}.{payload}.{signature}")


# Form


@pytest.mark.parametrize(
    "token",
    [
        "",
        ".",
        "..",
        "...",
        "a.b.c",
        "e30.e30.",
        "e30.e30.e30",
        "!!!!.????.####",
        " . . ",
        "Bearer x.y.z",
    ],
)
def test_what_is_no_token_is_refused(token: str) -> None:
    """Fragments of tokens are no tokens."""
    assert refused(token)


def test_a_token_has_three_parts() -> None:
    """Two parts, four parts and an encrypted token's five are refused."""
    token = signed()
    for other in (token.rpartition(".")[0], token + ".", f"{token}.x"):
        assert "compact form" in refused(other)
    assert "JWE" in refused(f"{token}.x.y")
    assert "opaque" in refused("2YotnFZFEjr1zCsicMWpAA")


def test_a_token_is_ascii() -> None:
    """Characters that merely look like a token's, and lone surrogates, are refused."""
    for odd in ("é", "\u2024", "\uff0e", "\ud800", "\U0001d400"):
        assert "ASCII" in refused(signed() + odd)


def padded(length: int) -> str:
    """Return a rightly signed token of exactly this many bytes."""
    for spare in range(4):
        room = (length - len(signed(pad="", x="y" * spare))) * 3 // 4
        for more in range(-3, 4):
            token = signed(pad="p" * (room + more), x="y" * spare)
            if len(token) == length:
                return token
    raise AssertionError(f"no token of {length} bytes")


def test_a_token_is_at_most_8_kilobytes() -> None:
    """8192 bytes are read, one more is not, however good the token is."""
    assert MAX_TOKEN_BYTES == 8192
    assert read(padded(8192)).sub == "ada"
    for length in (8193, 8194, 8195, 8196):
        try:
            token = padded(length)
        except AssertionError:
            continue
        assert "8192" in refused(token)
        break
    else:
        pytest.fail("no token just over the limit")


@pytest.mark.parametrize(
    "text",
    [
        "null",
        "[]",
        '"text"',
        "5",
        "true",
        "{",
        "",
        "{}{}",
        '{"alg":"HS256"',
        "{'alg':'HS256'}",
        '{"alg":"HS256","x":NaN}',
        '{"alg":"HS256","x":Infinity}',
        '{"alg":"HS256","x":-Infinity}',
        '{"alg":"HS256","x":' + "1" * 4301 + "}",
        '{"alg":"HS256","x":' + "[" * 3000 + "]" * 3000 + "}",
        '{"alg":"HS256","x":' + '{"x":' * 1100 + "1" + "}" * 1100 + "}",
    ],
    ids=lambda text: text[:24],
)
def test_header_and_payload_are_json_objects(text: str) -> None:
    """What Python's parser would let pass, or choke on, is refused in either part."""
    assert refused(sign(json.dumps(CLAIMS), header=text))
    assert refused(sign(text))


def test_bytes_that_are_no_text_are_refused() -> None:
    """A part that is not UTF-8 is no JSON."""
    for raw in (b"\xff\xfe\x00", b'{"alg":"HS256\xff"}', b"\x00", bytes(range(256))):
        assert refused(sign(json.dumps(CLAIMS), header=raw))
        assert refused(sign(raw))


@pytest.mark.parametrize(
    "text",
    [
        '{"sub":"grace","sub":"ada","iat":%d,"exp":%d}',
        '{"sub":"ada","\\u0073ub":"grace","iat":%d,"exp":%d}',
        '{"sub":"ada","iat":%d,"exp":%d,"exp":99999999999}',
        '{"sub":"ada","iat":%d,"exp":%d,"x":[{"y":1,"y":2}]}',
        '{"sub":"ada","sid":"a","iat":%d,"exp":%d,"sid":"b"}',
    ],
)
def test_a_claim_is_not_repeated(text: str) -> None:
    """A repeated claim, even nested or written in escapes, is refused: readers would differ."""
    assert "repeated" in refused(sign(text % (IAT, IAT + 600)))


def test_a_header_member_is_not_repeated() -> None:
    """A repeated algorithm or key name is refused."""
    for header in ('{"alg":"none","alg":"HS256"}', '{"alg":"HS256","kid":"a","kid":"b"}'):
        assert "repeated" in refused(sign(json.dumps(CLAIMS), header=header))


@pytest.mark.parametrize("extension", ["crit", "b64"])
@pytest.mark.parametrize("value", [["exp"], ["b64"], [], None, True, False, "b64"])
def test_extensions_are_refused(extension: str, value: Any) -> None:
    """A token that changes the rules of reading it is refused, whatever it asks for."""
    assert "extensions" in refused(signed({extension: value}))


@pytest.mark.parametrize("kind", ["JWT", "jwt", "at+jwt", "AT+JWT", "application/at+jwt"])
def test_access_tokens_of_these_types_are_taken(kind: str) -> None:
    """RFC 7519 section 5.1 and RFC 9068 section 2.1, in any case."""
    assert read(signed({"typ": kind})).sub == "ada"


def test_a_token_without_a_type_is_taken() -> None:
    """The type is optional (RFC 7519 section 5.1)."""
    assert read(sign(json.dumps(CLAIMS), header='{"alg":"HS256"}')).sub == "ada"


@pytest.mark.parametrize(
    "kind",
    [
        "logout+jwt", "application/logout+jwt", "LOGOUT+JWT", "secevent+jwt", "dpop+jwt",
        "token-introspection+jwt", "JOSE", "JWE", "", " JWT", "application/", "jwt;x=y",
        "application/application/jwt", None, 5, True, ["JWT"], {"JWT": 1},
    ],
)  # fmt: skip
def test_tokens_of_other_kinds_are_refused(kind: Any) -> None:
    """A logout token or a proof of possession, though rightly signed, lets nobody in."""
    assert "another kind" in refused(signed({"typ": kind}))


@pytest.mark.parametrize("kid", [5, True, [], {}, "k" * 257])
def test_an_odd_key_name_is_refused(kid: Any) -> None:
    """The name of a key is a short string, since keys are looked up by it."""
    assert "kid" in refused(signed({"kid": kid}))


def test_the_header_tells_which_key_to_find() -> None:
    """Name and algorithm are read before any key is at hand."""
    assert read_header(signed({"kid": "k" * 256})).kid == "k" * 256
    assert read_header(signed()).kid is None
    assert read_header(signed()).alg == "HS256"


# Claims


@pytest.mark.parametrize("claim", ["sub", "exp", "iat"])
@pytest.mark.parametrize("value", [..., None])
def test_required_claims_are_required(claim: str, value: Any) -> None:
    """A token without its subject or its dates is refused, and told which."""
    assert claim in refused(signed(**{claim: value}))


@pytest.mark.parametrize("claim", ["exp", "iat", "nbf"])
@pytest.mark.parametrize(
    "raw",
    [
        "true", "false", '"1700000000"', '""', "[]", "{}", "[1700000000]",
        "NaN", "Infinity", "-Infinity", "1e999", "-1e999", "-1", "-0.000001", "1e300",
        "1" + "0" * 400, "1" * 5000, "253402300800",
    ],
)  # fmt: skip
def test_dates_are_numbers_that_are_dates(claim: str, raw: str) -> None:
    """Booleans, texts, what is not finite, and what no calendar knows are refused."""
    assert refused(with_raw(claim, raw))


@pytest.mark.parametrize("claim", ["sub", "sid", "jti", "iss"])
@pytest.mark.parametrize(
    "value",
    [
        "", 1.5, True, False, [], ["ada"], {}, {"a": "b"}, "x" * 257, 2**63,
        "a\n", "\x00", "a\x1b[31m", "a\x7f", "a\x85b", "\ud800", "a\u0378", "\U0010ffff",
    ],
)  # fmt: skip
def test_names_are_short_strings_without_controls(claim: str, value: Any) -> None:
    """Nothing that breaks a log line, a key or a comparison names a person or a session."""
    changes: dict[str, Any] = {"sid": ..., claim: value}
    assert claim in refused(signed(None, **changes))


@pytest.mark.parametrize("claim", ["jti", "iss"])
def test_only_users_and_sessions_may_be_numbers(claim: str) -> None:
    """Databases count their users; issuers and tokens have names."""
    changes: dict[str, Any] = {"sid": ..., claim: 5}
    assert claim in refused(signed(None, **changes))
    found = read(signed(sub=5, sid=-7))
    assert (found.sub, found.sid) == ("5", "-7")


@pytest.mark.parametrize("claim", ["sid", "jti", "iss", "nbf", "auth_time", "scope"])
def test_a_claim_of_null_counts_as_absent(claim: str) -> None:
    """Some issuers write null for what they have nothing to say of."""
    given: tuple[Any, ...] = (None, ...)
    found, absent = (read(signed(None, **{claim: value})) for value in given)
    assert msgspec.structs.replace(found, sid="") == msgspec.structs.replace(absent, sid="")


@pytest.mark.parametrize(
    "name",
    ["a", "x" * 256, "Ада", "密码", "a b", "a|b:c{d}", "😀", "می\u200cخواهم", "a\u2028b", "\ue000"],
)
def test_names_of_any_script_are_taken_as_they_are(name: str) -> None:
    """Up to 256 characters, unchanged, also those that join others and are not seen themselves."""
    found = read(signed(sub=name, sid=name))
    assert (found.sub, found.sid) == (name, name)


def test_two_spellings_of_a_name_are_two_names() -> None:
    """NFC and NFD stay apart: nothing is normalized."""
    assert read(signed(sub="\u00e9")).user != read(signed(sub="e\u0301")).user


@pytest.mark.parametrize(
    ("lifetime", "good"),
    [(1, True), (3600, True), (3600.000001, False), (3601, False), (0, False), (-1, False)],
)
def test_the_lifetime_is_capped(lifetime: float, good: bool) -> None:
    """A token lives for more than no time and for at most the longest lifetime, exactly."""
    token = with_raw("exp", f"{IAT + lifetime:.6f}")
    if good:
        assert read(token).exp == round((IAT + lifetime) * SECOND)
    else:
        assert "exp must follow iat" in refused(token)


def test_the_last_date_is_still_a_date() -> None:
    """The year 9999 ends the calendar."""
    token = signed(iat=MAX_DATE - 1, exp=MAX_DATE)
    assert read(token).exp == MAX_DATE * SECOND


@pytest.mark.parametrize("claim", ["scope", "scp"])
def test_scopes_are_a_text_or_a_list(claim: str) -> None:
    """Both forms are in use, under two names."""
    scopes: tuple[Any, ...] = ("a hub:admin", ["a", "hub:admin"])
    for scope in scopes:
        assert read(signed(None, **{claim: scope})).scopes == ("a", "hub:admin")


@pytest.mark.parametrize("scope", [{"hub:admin": 1}, 5, True, ["a", 5], [["hub:admin"]]])
def test_a_scope_of_another_type_is_refused(scope: Any) -> None:
    """It is not searched for what it might grant."""
    assert "scope" in refused(signed(scope=scope))


def test_scopes_are_whole_words() -> None:
    """A scope that holds another's name within it does not grant it."""
    assert read(signed(scope="xhub:admin hub:administrator")).scopes == (
        "xhub:admin",
        "hub:administrator",
    )


# The session of a token


def test_the_session_is_the_sid_else_the_jti() -> None:
    """The session's own name comes first, then the token's."""
    assert read(signed(sid="s", jti="j")).sid == "s"
    assert read(signed(sid=..., jti="j")).sid == "j"


def test_a_token_without_names_is_a_session_of_its_own() -> None:
    """The session is then made of what was signed: another token, another session."""
    one, two = signed(sid=...), signed(sid=..., x=1)
    assert read(one).sid == read(one).sid
    assert read(one).sid != read(two).sid
    assert read(one).sid not in one


def test_twins_of_a_token_are_the_same_session_or_refused() -> None:
    """No other spelling of the signature makes a new session of a token that was logged out."""
    token = signed(sid=...)
    head, _, signature = token.rpartition(".")
    last = signature[-1]
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    twins = [
        f"{head}.{other}"
        for other in (
            signature + "=",
            signature + "==",
            signature + "====",
            signature[:-1] + alphabet[alphabet.index(last) ^ 1],
            signature[:-1] + alphabet[alphabet.index(last) ^ 2],
            signature[:8] + "\n" + signature[8:],
            signature[:8] + "!" + signature[8:],
            signature.replace("-", "+").replace("_", "/"),
            signature + "!",
        )
    ]
    accepted = 0
    for twin in twins:
        try:
            found = read(twin)
        except TokenInvalid:
            continue
        accepted += 1
        assert found.sid == read(token).sid
    assert accepted, "the alphabet's spare bits give at least one twin that verifies"


def test_another_signature_of_the_same_claims_is_the_same_session() -> None:
    """ECDSA signs differently each time; the session stays."""
    private = ec.generate_private_key(ec.SECP256R1())
    nameless = {name: value for name, value in CLAIMS.items() if name != "sid"}
    one, two = (jwt.encode(nameless, private, algorithm="ES256") for _ in range(2))
    rules = Rules(algorithms=("ES256",), max_lifetime=3600 * SECOND)
    assert one != two
    assert read(one, rules, pem(private)).sid == read(two, rules, pem(private)).sid


@pytest.mark.parametrize("part", [0, 1])
def test_another_spelling_of_the_signed_part_breaks_the_signature(part: int) -> None:
    """Padding or junk in header or payload is not what was signed."""
    for odd in ("=", "==", "!", "\n", " "):
        parts = signed(sid=...).split(".")
        parts[part] += odd
        assert refused(".".join(parts))


# Issuer and audience

ISSUED = Rules(("HS256",), 3600 * SECOND, issuer="https://id.example")
AIMED = Rules(("HS256",), 3600 * SECOND, audience=("hub",))


def test_the_issuer_must_be_the_one_that_is_set() -> None:
    """Letter by letter; a token of another issuer, or of none, is refused."""
    assert read(signed(iss="https://id.example"), ISSUED).iss == "https://id.example"
    for iss in ("https://id.example/", "https://ID.example", "https://id", ["https://id.example"]):
        assert "issuer" in refused(signed(iss=iss), ISSUED)
    assert "iss" in refused(signed(), ISSUED)


def test_any_issuer_is_taken_when_none_is_set() -> None:
    """A user belongs to the entry of the settings, whatever the token's iss says."""
    one, two = read(signed(iss="https://a.example")), read(signed())
    assert one.user == two.user
    assert (one.iss, two.iss) == ("https://a.example", "")


def test_an_alias_is_the_same_issuer() -> None:
    """Users of an issuer that is written in two ways are the same users."""
    rules = msgspec.structs.replace(ISSUED, aliases=("https://login.example",))
    one = read(signed(iss="https://id.example"), rules)
    assert read(signed(iss="https://login.example"), rules) == one
    assert "issuer" in refused(signed(iss="https://login.example/"), rules)


def test_the_audience_must_hold_the_one_that_is_set() -> None:
    """A string or one of a list; another, an odd one, or none is refused."""
    assert read(signed(aud="hub"), AIMED).sub == "ada"
    assert read(signed(aud=["other", "hub"]), AIMED).sub == "ada"
    for aud in ("Hub", "hub ", "hubs", "", [], ["other"], [["hub"]], {"hub": 1}, 5, [5, "hub"]):
        assert "aud" in refused(signed(aud=aud), AIMED)
    assert "aud" in refused(signed(), AIMED)


def test_an_audience_is_no_matter_when_none_is_set() -> None:
    """Who set no audience gets tokens of any."""
    assert read(signed(aud="other")).sub == "ada"


def test_the_audience_may_stand_in_another_claim() -> None:
    """Where access tokens have no aud, the client that they were issued to is the audience."""
    rules = msgspec.structs.replace(AIMED, audience_claims=("aud", "client_id"))
    assert read(signed(client_id="hub"), rules).sub == "ada"
    assert read(signed(client_id="other", aud="hub"), rules).sub == "ada"
    assert "client_id" in refused(signed(client_id="other", aud=["another"]), rules)


# The session and the login behind it


@pytest.mark.parametrize(
    ("claims", "sid"),
    [
        ({"sid": "a", "session_id": "b", "origin_jti": "c", "auth_time": IAT - 9}, "a"),
        ({"sid": None, "session_id": "b", "origin_jti": "c"}, "b"),
        ({"sid": ..., "origin_jti": "c", "auth_time": IAT - 9}, "c"),
        ({"sid": ..., "auth_time": IAT - 9, "jti": "j"}, f"t-{IAT - 9}"),
        ({"sid": ..., "auth_time": IAT - 9.75}, f"t-{IAT - 10}.25"),
    ],
)
def test_the_first_claim_that_is_there_names_the_login(claims: dict[str, Any], sid: str) -> None:
    """And it names the same one in every token of the login."""
    first = read(signed(**claims))
    refreshed = read(signed(**{**claims, "iat": IAT + 300, "exp": IAT + 900, "jti": "k"}))
    assert first.sid == refreshed.sid == sid
    assert not first.per_token


@pytest.mark.parametrize("claims", [{"jti": "j"}, {}, {"auth_time": 0}])
def test_without_such_a_claim_each_token_is_a_session(claims: dict[str, Any]) -> None:
    """The id of the token serves, or a hash of it, and the identity says so."""
    found = read(signed(sid=..., **claims))
    assert found.sid == "j" if "jti" in claims else found.sid.startswith("h-")
    assert found.per_token
    assert found.login_at is None


@pytest.mark.parametrize(
    ("value", "at"),
    [
        (IAT - 60, (IAT - 60) * SECOND),
        (IAT - 60.25, (IAT - 60) * SECOND - SECOND // 4),
        ("2023-11-14T22:12:20Z", (IAT - 60) * SECOND),
        ("2023-11-14t23:12:20.123456789+01:00", (IAT - 60) * SECOND + 123_456),
        ("2023-11-14T17:42:20.5-04:30", (IAT - 60) * SECOND + SECOND // 2),
        (IAT + 5, (IAT + 5) * SECOND),
    ],
)
def test_a_login_time_is_a_number_or_a_timestamp(value: Any, at: int) -> None:
    """In either form to the microsecond, also after an ``iat`` that was dated back."""
    assert read(signed(auth_time=value)).login_at == at


@pytest.mark.parametrize("value", [True, "", "yesterday", "2023-11-14", [], {}, -1, 1e300])
def test_a_login_time_that_is_none_is_refused(value: Any) -> None:
    """Who could not tell when a login began could not end it either."""
    assert "auth_time" in refused(signed(auth_time=value))


def test_claims_are_found_by_name_or_along_a_path() -> None:
    """A name that holds dots is a name first, and a path where there is none of that name."""
    rules = msgspec.structs.replace(
        RULES,
        user=("user.id", "sub"),
        session=("https://app.example/sid", "ext.sid"),
        login_time=("amr.0.timestamp",),
    )
    found = read(
        signed(
            sid=...,
            user={"id": 7},
            ext={"sid": "inner"},
            amr=[{"method": "password", "timestamp": IAT - 3}],
        ),
        rules,
    )
    assert (found.sub, found.sid, found.login_at) == ("7", "inner", (IAT - 3) * SECOND)
    both: dict[str, Any] = {"https://app.example/sid": "named", "ext": {"sid": "inner"}}
    named = read(signed(None, **both), rules)
    assert (named.sub, named.sid, named.login_at) == ("ada", "named", None)


def test_a_name_with_dots_may_be_a_step_of_a_path() -> None:
    """Names that are addresses are in use for objects as well."""
    rules = msgspec.structs.replace(RULES, session=("https://app.example/session.id",))
    claims: dict[str, Any] = {"https://app.example/session": {"id": "inner"}}
    assert read(signed(None, sid=..., **claims), rules).sid == "inner"


@pytest.mark.parametrize(
    "claims",
    [
        {"token_type": "refresh"},
        {"typ": "Refresh"},
        {"typ": "Offline"},
        {"tokenType": "refresh_token"},
    ],
)
def test_a_refresh_token_is_no_access_token(claims: dict[str, Any]) -> None:
    """Though it is signed with the same key."""
    assert "refresh token" in refused(signed(None, **claims))
    assert read(signed(token_type="access", typ="Bearer", token_use="id")).sub == "ada"


@pytest.mark.parametrize("amr", [[], ["pwd"], "pwd", {"1": {"timestamp": 5}}, None, [{}], 5])
def test_a_path_that_leads_nowhere_finds_nothing(amr: Any) -> None:
    """Whatever stands there instead, it is as good as absent."""
    rules = msgspec.structs.replace(RULES, login_time=("amr.0.timestamp",))
    assert read(signed(amr=amr), rules).login_at is None


def test_a_long_life_is_refused_by_the_name_of_the_setting() -> None:
    """Whoever reads the refusal knows what to change, at the issuer or here."""
    assert "HUB_TOKEN_MAX_LIFETIME" in refused(signed(exp=IAT + 3601))
    rules = msgspec.structs.replace(RULES, lifetime_setting="max_lifetime")
    assert "(max_lifetime)" in refused(signed(exp=IAT + 3601), rules)


# Anything at all

json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
claims = st.fixed_dictionaries(
    {},
    optional={
        name: json_values | st.sampled_from([good, "x", 1_700_000_000, 1_700_000_600.5])
        for name, good in {
            **CLAIMS,
            "jti": "j",
            "iss": "i",
            "nbf": IAT,
            "scope": "a b",
            "auth_time": IAT - 5,
        }.items()
    },
)
headers = st.fixed_dictionaries(
    {},
    optional={
        "alg": json_values | st.just("HS256"),
        "typ": json_values | st.just("JWT"),
        "kid": json_values,
        "crit": json_values,
    },
)


def assert_sound(token: str, rules: Rules = RULES) -> None:
    """Read a token; it is refused as invalid, or its identity keeps every promise."""
    try:
        found = read(token, rules)
    except TokenInvalid:
        return
    assert 0 < found.exp - found.iat <= rules.max_lifetime
    assert found.user == user_key(rules.issuer or "", found.sub)
    assert is_name(found.sub)
    assert is_name(found.sid)


@given(st.text())
def test_any_text_is_refused(text: str) -> None:
    """Text that nobody signed is never anything but an invalid token."""
    assert refused(text)
    with pytest.raises(TokenInvalid):
        verify(text, SECRET, RULES)


@given(st.lists(st.binary(max_size=40), min_size=3, max_size=3))
def test_any_three_parts_are_refused(parts: list[bytes]) -> None:
    """Bytes in the form of a token are refused, and never crash a parser."""
    assert refused(".".join(encode(part) for part in parts))


@given(json_values | claims)
def test_any_payload_is_sound_or_refused(payload: Any) -> None:
    """Whatever an issuer may sign, it does not get past the rules, and raises nothing else."""
    assert_sound(sign(json.dumps(payload)))


@given(json_values | headers)
def test_any_header_is_sound_or_refused(header: Any) -> None:
    """Whatever stands in a header, only the rules of the hub count."""
    assert_sound(sign(json.dumps(CLAIMS), header=json.dumps(header)))


@given(st.binary(max_size=200))
def test_any_signed_bytes_are_refused(payload: bytes) -> None:
    """Bytes that are no claims are no claims for being signed."""
    assert_sound(sign(payload))


@given(claims)
def test_the_same_token_is_always_the_same_identity(payload: Any) -> None:
    """Reading depends on nothing but the token and the rules."""
    token = sign(json.dumps(payload))
    found = []
    for _ in range(2):
        try:
            found.append(read(token))
        except TokenInvalid as error:
            found.append(error.detail)  # type: ignore[arg-type]
    assert found[0] == found[1]
