"""Logout tokens: claims and rules in, whom to log out or a refusal out."""

from __future__ import annotations

from functools import cache
from typing import Any

import jwt
import pytest

from hub.core.issuers import Entry, KeySource, LogoutRules, Source
from hub.core.logout_tokens import read_logout_header, read_logout_token
from hub.core.model import SECOND, Origin, Reason, user_key
from hub.core.refusal import Refusal, SignalRefused, refusing
from hub.core.signal import Channel, Signal, Target
from hub.core.tokens import Rules, check_signature, read_claims
from tests.signals_table import (
    CLIENT,
    ISSUER,
    LOGOUT_TOKENS,
    TWIN,
    Case,
    Sender,
    logout_claims,
    logout_token,
)

NOW = 1_800_000_000.5
MICROS = 1_800_000_000_500_000
SENDER = Sender()


@cache
def jwks() -> jwt.PyJWKSet:
    """Return the sender's key set."""
    return jwt.PyJWKSet.from_dict(SENDER.jwks())


def entry(claim: str = "sub", *, leeway: int = 0, **logout: Any) -> Entry:
    """Return an entry that takes logout tokens."""
    rules = Rules(
        algorithms=("RS256", "ES256"),
        max_lifetime=86_400 * SECOND,
        issuer=ISSUER,
        audience=("api",),
        user=(claim, "sub"),
        leeway=leeway * SECOND,
    )
    accepted = LogoutRules(**{"audience": (CLIENT,), **logout})
    return Entry(rules, KeySource(Source.DISCOVERY, (ISSUER,)), None, accepted, "your sign-in")


ENTRY = entry()


def take(token: str, of: Entry = ENTRY) -> Signal:
    """Take a token all the way, as the hub does."""
    header = read_logout_header(token)
    with refusing(Refusal.MALFORMED):
        iss = read_claims(token).get("iss")
    if not of.rules.is_of(iss):
        raise SignalRefused(Refusal.ISSUER, "of another issuer (iss)")
    with refusing(Refusal.SIGNATURE):
        if header.alg not in of.rules.algorithms:
            raise SignalRefused(Refusal.SIGNATURE, "an algorithm that is not pinned")
        claims = check_signature(token, jwks()[header.alg], of.rules)
    return read_logout_token(claims, of, MICROS)


def signal(of: Entry = ENTRY, **claims: Any) -> Signal:
    """Return what a good token asks for, with some claims changed; one of ``...`` is left out."""
    return take(logout_token(Case("", None, claims=claims), SENDER, NOW), of)


def refused(of: Entry = ENTRY, **claims: Any) -> SignalRefused:
    """Return the refusal of a token with these claims."""
    with pytest.raises(SignalRefused) as caught:
        signal(of, **claims)
    return caught.value


@pytest.mark.parametrize("case", LOGOUT_TOKENS, ids=str)
def test_an_odd_logout_token_gets_its_answer_and_its_twin_ends_the_session(case: Case) -> None:
    """What is refused says why in one line, and differs from a good token in nothing else."""
    token = logout_token(case, SENDER, NOW)
    if case.reason is None:
        assert take(token).target.iss == ISSUER
    else:
        with pytest.raises(SignalRefused) as caught:
            take(token)
        assert caught.value.reason is case.reason, caught.value.detail
        assert caught.value.detail
        assert "\n" not in caught.value.detail
    twin = take(logout_token(TWIN, SENDER, NOW))
    assert twin.target == Target(ISSUER, user_key(ISSUER, "ada"), "s-1")


def test_a_logout_token_says_what_is_to_be_done() -> None:
    """Everything that the hub needs is in the signal, with times in microseconds."""
    assert signal(jti="j-1") == Signal(
        channel=Channel.BACKCHANNEL,
        id="j-1",
        target=Target(ISSUER, user_key(ISSUER, "ada"), "s-1"),
        origin=Origin(ISSUER, "backchannel-logout", "your sign-in", 1_800_000_000 * SECOND),
        reason=Reason.IDENTITY_PROVIDER,
        issued_at=1_800_000_000 * SECOND,
    )


def test_a_session_alone_is_ended_whoever_has_it() -> None:
    """Hydra's tokens name nobody."""
    assert signal(sub=...).target == Target(ISSUER, None, "s-1")


def test_a_user_alone_loses_the_logins_up_to_then() -> None:
    """A whole second counts as all of it, but never as more than now."""
    found = signal(sid=..., iat=1_799_999_990)
    assert found.target == Target(ISSUER, user_key(ISSUER, "ada"), None)
    assert found.before == 1_799_999_990 * SECOND + 999_999
    assert signal(sid=..., iat=1_800_000_000).before == MICROS
    assert signal(sid=..., iat=1_799_999_990.25).before == 1_799_999_990_250_000


def test_the_user_is_found_by_the_claim_that_the_entry_says() -> None:
    """``sub`` is another name of the person there, and is not taken for it."""
    by_mail = entry("email")
    assert signal(by_mail).target == Target(ISSUER, None, "s-1")
    assert "logout_user" in refused(by_mail, sid=...).detail
    named = entry("email", user="email")
    assert signal(named, email="ada@x.example").target.user == user_key(ISSUER, "ada@x.example")
    assert signal(named).target == Target(ISSUER, None, "s-1")
    assert refused(named, sid=...).reason is Refusal.SUBJECT


def test_a_whole_number_is_its_decimal_text() -> None:
    """As in access tokens."""
    assert signal(sub=42, sid=7).target == Target(ISSUER, user_key(ISSUER, "42"), "7")


def test_without_the_id_of_a_client_it_is_off() -> None:
    """The audience of an API is not taken for one."""
    refusal = refused(entry(audience=()), aud="api")
    assert refusal.reason is Refusal.OFF
    assert "logout_audience" in refusal.detail


@pytest.mark.parametrize(("age", "taken"), [(0, True), (120, True), (121, False), (3600, False)])
def test_a_token_that_may_lack_exp_is_at_most_two_minutes_old(age: int, taken: bool) -> None:
    """Hydra sends none, old versions of Keycloak and LemonLDAP do not either."""
    lenient = entry(require_exp=False)
    claims = {"exp": ..., "iat": NOW - age}
    if taken:
        assert signal(lenient, **claims).target.sid == "s-1"
    else:
        assert refused(lenient, **claims).reason is Refusal.EXPIRED
    assert signal(lenient).target.sid == "s-1"


def test_clocks_may_differ_by_the_leeway() -> None:
    """And by a second, since most issuers write whole ones."""
    assert signal(iat=NOW + 1).issued_at == MICROS + SECOND
    for ahead, wait in ((1.1, 0.1), (61, 60.0), (61.1, None)):
        for claim in ("iat", "nbf"):
            early: dict[str, Any] = {claim: NOW + ahead}
            refusal = refused(**early)
            assert refusal.reason is Refusal.FUTURE
            assert refusal.retryable is (wait is not None)
            assert refusal.retry_after == (None if wait is None else pytest.approx(wait))
    assert signal(entry(leeway=5), iat=NOW + 5).issued_at == MICROS + 5 * SECOND
    late: dict[str, Any] = {"iat": NOW - 60, "exp": NOW - 4}
    assert refused(**late).reason is Refusal.EXPIRED
    assert signal(entry(leeway=5), **late).target.sid == "s-1"


@pytest.mark.parametrize(
    ("leeway", "iat", "before"),
    [
        (0, 1_799_999_999, None),
        (0, 1_800_000_000, None),
        (0, 1_800_000_001, 1_800_000_001 * SECOND),
        (0, NOW + 0.75, MICROS + 750_000),
        (60, 1_799_999_999, None),
        (60, 1_800_000_000, 1_800_000_000 * SECOND + 999_999),
        (60, 1_800_000_030, 1_800_000_030 * SECOND + 999_999),
        (60, NOW + 61, MICROS + 61 * SECOND),
    ],
)
def test_logins_end_that_began_by_the_issuers_clock(
    leeway: int, iat: float, before: int | None
) -> None:
    """It may be ahead; those of later by that clock stay, and with both claims those of now end."""
    of, exp = entry(leeway=leeway), NOW + 200
    assert signal(of, iat=iat, exp=exp).before == before
    for claim in ("sub", "sid"):
        alone = signal(of, **{"iat": iat, "exp": exp, claim: ...}).before
        assert alone is not None
        assert before is None or alone == before
        assert iat * SECOND <= alone or leeway == 0
        assert before is not None or alone <= MICROS


def test_an_alias_is_the_same_issuer() -> None:
    """So one token under both names is one signal."""
    rules = Rules(
        algorithms=("RS256",), max_lifetime=86_400 * SECOND, issuer="first", aliases=(ISSUER,)
    )
    aliased = Entry(rules, ENTRY.keys, None, ENTRY.logout)
    found = signal(aliased)
    assert (found.origin.by, found.target.iss) == ("first", "first")


def test_the_table_has_what_it_should() -> None:
    """At least 60 odd tokens, each with a name of its own."""
    names = [case.name for case in LOGOUT_TOKENS]
    assert len(names) == len(set(names)) >= 60
    assert logout_claims(NOW)["aud"] == CLIENT
