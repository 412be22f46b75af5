"""What a guard knows of logouts, and its verdicts, beside the rule that the hub judges by."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import tracemalloc
from zlib import crc32

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from hub.core.feed import Revocation
from hub.core.model import SECOND, Identity, Logout, Reason, RevocationState, Scope, user_key
from hub.core.revocation import judge, supersede
from hub.errors import TokenRevoked
from hub.guard import revocations as revocations_module
from hub.guard.revocations import MAX_DETAILS, Names, Revocations

ISS = "https://login.example/a|b"
PARTITIONS = 3
LIFETIME = 1000 * SECOND
BEGIN = 1_000_000
USERS = ("ada", "bob|c")
SIDS = ("s1", "s2", "s3")


class Reference:
    """The facts as a store keeps them, one logout after the other."""

    def __init__(self) -> None:
        self.tombstones: dict[tuple[str, str], Logout] = {}
        self.refused: dict[tuple[str, str], Logout] = {}
        self.cutoffs: dict[object, tuple[Logout, ...]] = {}

    def write(self, told: Revocation) -> None:
        """Write a logout."""
        logout = Logout(
            id=told.id,
            user=told.user_key,
            scope=told.scope,
            reason=told.reason,
            sid=told.sid,
            at=round(told.at * SECOND),
            before=None if told.before is None else round(told.before * SECOND),
        )
        named = (told.sid,) if told.scope is Scope.SESSION else ()
        if told.user is None and told.scope is Scope.SESSION:
            self._end(self.refused, (told.iss, told.sid or ""), logout)
            return
        for sid in (*named, *told.sessions):
            self._end(self.tombstones, (told.user_key or "", sid or ""), logout)
        if told.scope is not Scope.SESSION:
            whom = told.user_key or told.partition
            self.cutoffs[whom] = supersede(logout, self.cutoffs.get(whom, ()))

    def _end(
        self, tombstones: dict[tuple[str, str], Logout], name: tuple[str, str], logout: Logout
    ) -> None:
        if name not in tombstones or tombstones[name].horizon < logout.horizon:
            tombstones[name] = logout

    def state(self, identity: Identity, iss: str, now: int) -> RevocationState:
        """Return what a store would report."""
        partition = crc32(identity.user.encode()) % PARTITIONS
        found = [
            one
            for one in (
                self.tombstones.get((identity.user, identity.sid)),
                self.refused.get((iss, identity.sid)),
            )
            if one is not None
        ]
        return RevocationState(
            now=now,
            tombstone=max(found, key=lambda logout: logout.horizon, default=None),
            cutoffs=tuple(
                cutoff
                for whom in (identity.user, partition, None)
                for cutoff in self.cutoffs.get(whom, ())
            ),
        )


@st.composite
def logouts(draw: st.DrawFn) -> list[Revocation]:
    """Return logouts in the order in which they were written, at different times."""
    told, at = [], BEGIN
    for number in range(draw(st.integers(1, 7))):
        at += draw(st.sampled_from((1, 500_000, SECOND)))
        scope = draw(st.sampled_from(Scope))
        user = draw(st.sampled_from((*USERS, None)))
        if user is None and scope is Scope.OTHERS:
            scope = Scope.ALL
        sid = draw(st.sampled_from(SIDS)) if scope is not Scope.ALL else None
        before = draw(st.sampled_from((None, None, BEGIN, BEGIN + 2, at - 1)))
        told.append(
            Revocation(
                scope=scope,
                reason=draw(st.sampled_from(Reason)),
                at=at / SECOND,
                iss=ISS if user is not None or scope is Scope.SESSION else "",
                user=user,
                sid=sid,
                sessions=() if user is None else draw(st.sampled_from(((), ("s1",), ("s2", "s3")))),
                before=None if before is None else before / SECOND,
                partition=None
                if user is not None or scope is Scope.SESSION
                else draw(st.sampled_from((None, 0, 1, 2))),
                id=f"l{number}",
            )
        )
    return told


TIMES = st.integers(BEGIN - 2, BEGIN + 5 * SECOND) | st.sampled_from(
    (BEGIN, BEGIN + 1, BEGIN + SECOND, BEGIN + 2 * SECOND)
)


@st.composite
def identities(draw: st.DrawFn) -> Identity:
    """Return an identity of one of the users, with or without a login time."""
    begun = draw(TIMES)
    return Identity(
        user=user_key(ISS, draw(st.sampled_from(USERS))),
        sub="",
        iss=ISS,
        sid=draw(st.sampled_from(SIDS)),
        iat=draw(TIMES),
        exp=begun + draw(st.sampled_from((3 * SECOND, 600 * SECOND))),
        login_at=draw(st.sampled_from((None, begun))),
        leeway=draw(st.sampled_from((0, SECOND))),
    )


def known(told: list[Revocation]) -> Revocations:
    """Return what a guard knows after these logouts."""
    revocations = Revocations()
    revocations.partitions, revocations.lifetime = PARTITIONS, LIFETIME
    for one in told:
        revocations.apply(one)
    return revocations


@given(logouts(), identities(), TIMES)
def test_what_is_no_news_changes_no_verdict(
    told: list[Revocation], identity: Identity, now: int
) -> None:
    """And nothing is news twice."""
    revocations = known([])
    for one in told:
        before = revocations.judge(identity, now)
        if not revocations.apply(one):
            after = revocations.judge(identity, now)
            assert type(after) is type(before)
    assert not any(revocations.apply(one) for one in told)


def test_a_logout_is_no_news_in_the_form_of_a_snapshot() -> None:
    """Where its id and texts are left out, and the sessions that it ended stand by themselves."""
    told = [
        Revocation(Scope.ALL, Reason.ADMIN, 5.0, user="ada", sessions=("a", "b"), id="1"),
        Revocation(Scope.OTHERS, Reason.USER, 6.0, user="bob", sid="c", sessions=("d",), id="2"),
        Revocation(Scope.SESSION, Reason.USER, 7.0, iss=ISS, sid="e", id="3"),
        Revocation(Scope.ALL, Reason.POLICY, 8.0, partition=1, id="4"),
    ]
    revocations = known(told)
    for one in told:
        bare = msgspec.structs.replace(one, id="", sessions=())
        ended = [
            msgspec.structs.replace(bare, scope=Scope.SESSION, sid=sid) for sid in one.sessions
        ]
        assert not any(revocations.apply(row) for row in (bare, *ended))
    assert revocations.apply(Revocation(Scope.SESSION, Reason.USER, 7.0, user="ada", sid="a"))


@given(logouts(), identities(), TIMES, st.randoms(use_true_random=False))
def test_verdicts_are_those_of_the_rule(
    told: list[Revocation], identity: Identity, now: int, chance: random.Random
) -> None:
    """Whatever was logged out, applied in any order and repeatedly, the verdict is `judge`'s."""
    reference = Reference()
    for one in told:
        reference.write(one)
    shuffled = [*told, *chance.choices(told, k=len(told))]
    chance.shuffle(shuffled)
    revocations = known(shuffled)
    expected = judge(identity, reference.state(identity, ISS, now))
    found = revocations.judge(identity, now)
    assert type(found) is type(expected)
    if expected is None or found is None:
        return
    assert found.retry_after == expected.retry_after
    if expected.logout is not None:
        assert found.logout is not None
        assert found.logout.at == expected.logout.at
        assert found.logout.horizon == expected.logout.horizon
        assert found.logout.reason == expected.logout.reason


@given(logouts(), identities(), TIMES)
def test_what_is_surely_spared_is_accepted(
    told: list[Revocation], identity: Identity, now: int
) -> None:
    """The quick look never spares what the rule would refuse for a logout."""
    revocations = known(told)
    names = Names(identity.user, identity.sid)
    if revocations.surely_accept(names, identity.begun):
        refusal = revocations.judge(identity, now)
        assert refusal is None or refusal.logout is None


def test_a_logout_is_forgotten_after_the_lifetime() -> None:
    """And takes no memory any more, whether it ended a session, a user or everyone."""
    cases = [
        Revocation(Scope.SESSION, Reason.USER, at=1.0, user="ada", sid="s1", id="a"),
        Revocation(Scope.SESSION, Reason.USER, at=1.0, sid="s1"),
        Revocation(Scope.ALL, Reason.USER, at=1.0, user="ada"),
        Revocation(Scope.ALL, Reason.USER, at=1.0, partition=1),
    ]
    revocations = known(cases)
    assert len(revocations) == 4
    revocations.forget(LIFETIME)
    assert len(revocations) == 4
    identity = Identity(user="|ada", sub="", iss="", sid="s1", iat=0, exp=LIFETIME * 2)
    assert isinstance(revocations.judge(identity, LIFETIME + SECOND - 1), TokenRevoked)
    assert revocations.judge(identity, LIFETIME + SECOND) is None
    revocations.forget(2 * LIFETIME)
    assert len(revocations) == 0


def test_texts_are_kept_for_the_newest_logouts_only() -> None:
    """A refusal tells the message of a recent logout; old ones keep their time and reason."""
    revocations = known(
        [
            Revocation(Scope.ALL, Reason.IDLE, at=1.0 + n, user=f"u{n}", id=f"l{n}", message="bye")
            for n in range(MAX_DETAILS + 1)
        ]
    )
    told = []
    for user in ("u0", f"u{MAX_DETAILS}"):
        identity = Identity(user=f"|{user}", sub="", iss="", sid="s", iat=0, exp=SECOND)
        refusal = revocations.judge(identity, 0)
        assert refusal is not None
        assert refusal.logout is not None
        told.append((refusal.logout.reason, refusal.logout.id, refusal.logout.message))
    assert told == [(Reason.IDLE, "", None), (Reason.IDLE, f"l{MAX_DETAILS}", "bye")]


def test_a_revocation_in_force_takes_little_memory() -> None:
    """At most 250 bytes, however many there are, where half end sessions and half users."""
    count = 20_000
    tracemalloc.start()
    try:
        revocations = Revocations()
        for n in range(count):
            scope = (Scope.SESSION, Scope.ALL, Scope.SESSION, Scope.OTHERS)[n % 4]
            sid = None if scope is Scope.ALL else f"sid-{n}"
            revocations.apply(
                Revocation(scope, Reason.USER, at=1.7e9 + n / 7, user=f"u{n}", sid=sid)
            )
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(revocations) == count
    assert taken / count <= 250


def test_keys_are_secret_also_where_hashes_of_texts_are_predictable() -> None:
    """With a fixed seed, keys are made in another way, by a secret of the process."""
    code = "from hub.guard import revocations as r; print(r.name('a', 'b'))"
    environ = {**os.environ, "PYTHONHASHSEED": "7"}
    told = {
        subprocess.check_output([sys.executable, "-c", code], env=environ, text=True)
        for _ in range(2)
    }
    assert len(told) == 2


def test_digests_of_different_names_differ() -> None:
    """Also where the parts of two names are the same text when they are joined."""
    digest = revocations_module._digest
    assert digest("ab", "c") != digest("a", "bc")
    assert digest("a") == digest("a")
