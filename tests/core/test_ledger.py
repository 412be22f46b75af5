"""The ledger equals the applied revocations, in whatever order they were applied."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from hub.core.feed import Revocation, Snapshot, describe, micros
from hub.core.ledger import CHUNK, MAX_FORGOTTEN, Ledger
from hub.core.model import (
    SECOND,
    Identity,
    Logout,
    Micros,
    Origin,
    Reason,
    RevocationState,
    Scope,
    user_key,
)
from hub.core.revocation import judge, supersede

KEY = b"a key for tests"
LIFETIME = 100 * SECOND
ISSUER, USERS, SIDS = "https://id.example", ("ada", "bob"), ("a", "b", "c")
NOW = 50 * SECOND

times = st.integers(1, 12).map(lambda half: half / 2)
whole = st.none() | times
sids = st.sampled_from(SIDS)


@st.composite
def revocations(draw: st.DrawFn) -> Revocation:
    """A revocation of any kind, with times that often coincide."""
    kind = draw(st.sampled_from(["user", "everyone", "anybody"]))
    scope = draw(st.sampled_from(Scope)) if kind == "user" else Scope.ALL
    scope = Scope.SESSION if kind == "anybody" else scope
    return Revocation(
        scope=scope,
        reason=Reason.USER,
        at=draw(times),
        iss="" if kind == "everyone" else ISSUER,
        user=draw(st.sampled_from(USERS)) if kind == "user" else None,
        sid=None if scope is Scope.ALL else draw(sids),
        sessions=tuple(draw(st.lists(sids, max_size=2))) if kind == "user" else (),
        before=draw(whole),
        partition=draw(st.sampled_from([0, 1])) if kind == "everyone" else None,
    )


def ledger_of(given: list[Revocation]) -> Ledger:
    """Return a ledger to which these were applied."""
    ledger = Ledger(LIFETIME, KEY)
    for one in given:
        ledger.apply(one)
    return ledger


def in_force(ledger: Ledger) -> list[Revocation]:
    """Return what a guard gets in snapshots."""
    chunks = [msgspec.json.decode(text, type=Snapshot) for text in ledger.snapshots()]
    assert all(len(chunk.revocations) <= 2 * CHUNK for chunk in chunks)
    return [one for chunk in chunks for one in chunk.revocations]


def as_logout(one: Revocation) -> Logout:
    """Return the logout that a revocation describes."""
    before = None if one.before is None else micros(one.before)
    return Logout(
        "", one.user_key, one.scope, one.reason, one.sid, at=micros(one.at), before=before
    )


def state(given: list[Revocation], identity: Identity, user: str) -> RevocationState:
    """Return what revocations say of a session, by the rules of the store and without a ledger."""
    named = [
        one
        for one in given
        if (one.user == user or (one.user is None and one.iss == ISSUER))
        and identity.sid in (*one.sessions, *([one.sid] if one.scope is Scope.SESSION else []))
    ]
    cutoffs: tuple[Logout, ...] = ()
    for whose in (user, None):
        kept: tuple[Logout, ...] = ()
        for one in sorted(given, key=lambda one: one.at):
            is_its = one.user == whose and (whose is not None or one.partition == 1)
            if is_its and one.scope is not Scope.SESSION:
                kept = supersede(as_logout(one), kept)
        cutoffs += kept
    named.sort(key=lambda one: one.at)
    tombstone = max(map(as_logout, named), key=lambda one: one.horizon, default=None)
    return RevocationState(NOW, tombstone, None, cutoffs)


def verdict(given: list[Revocation], identity: Identity, user: str) -> str:
    """Return the code by which a token is refused."""
    found = judge(identity, state(given, identity, user))
    return "alive" if found is None else found.code


@given(st.lists(revocations(), max_size=12), st.randoms())
def test_order_and_repetition_make_no_difference(given: list[Revocation], chance: object) -> None:
    """Heard in another order, some of it twice, it is the same that is in force."""
    again = given + given[: len(given) // 2]
    chance.shuffle(again)  # type: ignore[attr-defined]
    first, second = in_force(ledger_of(given)), in_force(ledger_of(again))
    assert sorted(map(repr, first)) == sorted(map(repr, second))


@given(
    st.lists(revocations(), max_size=12),
    st.sampled_from(USERS),
    sids,
    times,
    whole,
)
def test_a_token_is_judged_as_by_all_revocations(
    given: list[Revocation], user: str, sid: str, iat: float, login_at: float | None
) -> None:
    """What was left out would have changed no verdict."""
    identity = Identity(
        user=user_key(ISSUER, user),
        sub=user,
        iss=ISSUER,
        sid=sid,
        iat=micros(iat),
        exp=NOW + SECOND,
        login_at=None if login_at is None else micros(login_at),
    )
    left = in_force(ledger_of(given))
    assert verdict(left, identity, user) == verdict(given, identity, user)


@given(st.lists(revocations(), max_size=12))
def test_what_is_known_already_is_no_news(given: list[Revocation]) -> None:
    """Whoever applies it again learns that nothing has changed."""
    ledger = ledger_of(given)
    assert not any(ledger.apply(one) for one in given)


def revocation(number: int, at: Micros = SECOND) -> Revocation:
    """Return a revocation of one session of one of many users."""
    return Revocation(
        scope=Scope.SESSION, reason=Reason.USER, at=at / SECOND, user=f"{number}", sid="s"
    )


def test_what_is_past_is_forgotten() -> None:
    """A logout is kept for the lifetime, and no longer."""
    ledger = ledger_of([revocation(number) for number in range(100)])
    ledger.forget(SECOND + LIFETIME - 1)
    assert len(ledger) == 100
    ledger.apply(revocation(1, 2 * SECOND))
    ledger.forget(SECOND + LIFETIME)
    assert [one.user for one in in_force(ledger)] == ["1"]


def test_forgetting_takes_several_calls_if_there_is_much() -> None:
    """Nothing else waits for long."""
    count = 100 * MAX_FORGOTTEN
    ledger = ledger_of([revocation(number) for number in range(count)])
    ledger.forget(SECOND + LIFETIME)
    assert 0 < len(ledger) < count


def test_a_snapshot_goes_on_while_the_ledger_changes() -> None:
    """What was there when it began is in it."""
    ledger = ledger_of([revocation(number) for number in range(2_000)])
    seen: set[str | None] = set()
    for number, text in enumerate(ledger.snapshots()):
        chunk = msgspec.json.decode(text, type=Snapshot)
        seen.update(one.user for one in chunk.revocations)
        ledger.apply(revocation(5_000 + number))
        ledger.apply(revocation(number, 3 * SECOND))
    assert seen >= {str(number) for number in range(2_000)}


def test_a_logout_is_described_for_guards() -> None:
    """With its sender, and whom it concerns: a user, everyone in a partition, or a session."""
    ada = Logout(
        "id",
        user_key(ISSUER, "ada"),
        Scope.OTHERS,
        Reason.POLICY,
        "kept",
        message="hello",
        at=1_500_000,
        before=SECOND,
        profile="full",
        origin=Origin("https://sender.example", "session-revoked"),
    )
    assert describe(ada, partition=3, sessions=("a",)) == Revocation(
        Scope.OTHERS,
        Reason.POLICY,
        1.5,
        ISSUER,
        "ada",
        "kept",
        ("a",),
        1.0,
        None,
        "id",
        "hello",
        "https://sender.example",
        "full",
    )
    everyone = Logout("id", None, Scope.ALL, Reason.ADMIN, at=SECOND)
    assert describe(everyone, partition=3).partition == 3
    named = msgspec.structs.replace(everyone, scope=Scope.SESSION, sid="s")
    refused = describe(named, partition=3, issuer=ISSUER)
    assert (refused.iss, refused.user, refused.partition) == (ISSUER, None, None)
