"""The vectors of verdicts: revocations that a guard has heard, and whom it refuses by them."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from random import Random
from typing import Any
from zlib import crc32

import msgspec

from hub.core.feed import Revocation, micros
from hub.core.model import SECOND, Identity, Micros, Reason, Scope, seconds, user_key
from hub.core.revocation import judge
from hub.errors import LoginRequired
from tests.vectors.facts import gather

T = 1_700_000_000 * SECOND
"""A whole second, around which everything happens."""

PARTITIONS = 16
ISS, OTHER_ISS = "https://id.example", "https://id.example/other"

ODD_NAMES = (
    "ada lovelace", "50%", "%41da", "a|b", "|", "Ada", "Zoë", "zoe\u0308", "王", "👩‍💻", 'say "hi"',
    "back\\slash", "it's", "(x)!*", "a+b@c.d", "/../", "?q=1&r#f", "~-._", "ß", "\u00a0", " a ",
)  # fmt: skip

STEPS = (-SECOND, -1, 0, 1, SECOND)

Case = dict[str, Any]
"""An identity, with times in microseconds, and when it is judged: a member of a vector."""


def revoked(at: Micros, *, before: Micros | None = None, **members: Any) -> Revocation:
    """Return a revocation of Ada, unless ``members`` name somebody else."""
    named = {"iss": ISS, "user": "ada", "scope": Scope.ALL, "reason": Reason.USER, **members}
    return Revocation(at=seconds(at), before=None if before is None else seconds(before), **named)


def everyone(partition: int, at: Micros, **members: Any) -> Revocation:
    """Return a logout of everyone in a partition."""
    return revoked(at, iss="", user=None, partition=partition, reason=Reason.POLICY, **members)


def partition_of(iss: str, user: str) -> int:
    """Return the partition of a user."""
    return crc32(user_key(iss, user).encode()) % PARTITIONS


def vectors() -> Iterator[dict[str, Any]]:
    """Yield every vector, always the same."""
    for about, revocations, sessions in _situations():
        yield _vector(about, revocations, _around(revocations, sessions))
    for name in ODD_NAMES:
        yield _vector("an odd name", *_odd_situation(name))
    random = Random(16)  # noqa: S311 - the same situations each time
    for _ in range(100):
        yield _vector("at random", *_random_situation(random))


def _vector(about: str, revocations: Sequence[Revocation], cases: Iterable[Case]) -> dict[str, Any]:
    forward = sorted(revocations, key=lambda one: one.at)
    judged = [
        {**case, **expected}
        for case in cases
        # Of two logouts with the same horizon, the rules do not say which is told.
        if (expected := expect(forward, case)) == expect(forward[::-1], case)
    ]
    return {
        "about": about,
        "partitions": PARTITIONS,
        "revocations": msgspec.to_builtins(revocations),
        "judged": judged,
    }


def expect(revocations: Sequence[Revocation], case: Case) -> dict[str, Any]:
    """Return what `judge` says of a case, as members of a vector."""
    names = {name: case[name] for name in ("iss", "user", "sid", "now")}
    state = gather(revocations, partitions=PARTITIONS, **names)
    given = {name: value for name, value in case.items() if name not in ("now", "user")}
    identity = Identity(user=user_key(case["iss"], case["user"]), sub=case["user"], **given)
    refusal = judge(identity, state)
    if refusal is None:
        return {"code": None}
    told: dict[str, Any] = {"code": refusal.code}
    if refusal.logout is not None:
        told["logout_at"] = seconds(refusal.logout.at)
    if refusal.retry_after is not None:
        told["retry_after"] = refusal.retry_after
    if isinstance(refusal, LoginRequired):
        told["max_age"] = refusal.max_age
    return told


# Situations that were thought of


def _situations() -> Iterator[tuple[str, list[Revocation], list[tuple[str, str, str]]]]:
    """Yield what happened, the revocations, and the sessions (iss, user, sid) to ask about."""
    half = T + SECOND // 2
    a, b = (ISS, "ada", "a"), (ISS, "ada", "b")
    here = partition_of(ISS, "ada")
    stranger = next(f"u{n}" for n in itertools.count() if partition_of(ISS, f"u{n}") != here)
    there = partition_of(ISS, stranger)
    others: dict[str, Any] = {"scope": Scope.OTHERS, "sid": "a"}
    session: dict[str, Any] = {"scope": Scope.SESSION, "sid": "a"}
    yield "nothing was revoked", [], [a]
    yield "all sessions", [revoked(half)], [a]
    yield "all sessions, at a whole second", [revoked(T)], [a]
    yield "all sessions, with those that were registered", [revoked(half, sessions=("a",))], [a, b]
    yield "one session", [revoked(half, **session)], [a, b]
    yield "one session, and another id of it", [revoked(half, sessions=("b",), **session)], [a, b]
    yield "the other sessions", [revoked(half, **others)], [a, b]
    yield (
        "the other sessions, with one that was registered",
        [revoked(half, sessions=("b",), **others)],
        [a, b],
    )
    yield (
        "a kept session that an earlier logout ended",
        [revoked(T - 9 * SECOND), revoked(half, **others)],
        [a, b],
    )
    yield (
        "a kept session that a later logout ended",
        [revoked(T - 9 * SECOND, **others), revoked(half)],
        [a, b],
    )
    yield (
        "each session kept once",
        [revoked(T - 9 * SECOND, **others), revoked(half, scope=Scope.OTHERS, sid="b")],
        [a, b],
    )
    yield (
        "the same session kept twice, and ended before",
        [revoked(T - 60 * SECOND), revoked(T - 9 * SECOND, **others), revoked(half, **others)],
        [a, b],
    )
    yield (
        "the kept session is ended by name",
        [revoked(half, **others), revoked(T + 5 * SECOND, **session)],
        [a, b],
    )
    yield "what happened earlier", [revoked(half, before=half - 30 * SECOND)], [a]
    yield (
        "what happened earlier, to one session",
        [revoked(half, before=half - 30 * SECOND, **session)],
        [a, b],
    )
    yield (
        "a later report of something earlier shortens nothing",
        [revoked(T), revoked(half, before=T - 30 * SECOND)],
        [a],
    )
    yield (
        "a later report of something earlier, about the session that was kept",
        [revoked(T, **others), revoked(half, before=T - 30 * SECOND)],
        [a, b],
    )
    yield (
        "a later tombstone of something earlier shortens nothing",
        [revoked(T, **session), revoked(half, before=T - 30 * SECOND, **session)],
        [a],
    )
    yield (
        "a session of an issuer, whoever its user is",
        [revoked(half, user=None, **session)],
        [a, b, (ISS, "bob", "a"), (OTHER_ISS, "ada", "a")],
    )
    yield (
        "a session of an issuer, and the same of its user",
        [revoked(half, user=None, **session), revoked(T - 9 * SECOND, **session)],
        [a],
    )
    yield "everyone in a partition", [everyone(here, half)], [a, (ISS, stranger, "a")]
    yield (
        "everyone, in each partition at another instant",
        [everyone(here, half), everyone(there, half + 7)],
        [a, (ISS, stranger, "a")],
    )
    yield (
        "everyone, and earlier the user",
        [revoked(T - 9 * SECOND), everyone(here, half)],
        [a],
    )
    yield "everyone, and later the user", [everyone(here, T - 9 * SECOND), revoked(half)], [a]
    yield (
        "everyone, and later a logout that keeps a session",
        [everyone(here, T - 9 * SECOND), revoked(half, **others)],
        [a, b],
    )
    yield (
        "a partition lost its data, and ended what began before",
        [revoked(T - 9 * SECOND, **session), everyone(there, T), everyone(there, half)],
        [a, (ISS, stranger, "a")],
    )
    yield (
        "everyone as of an earlier time",
        [everyone(here, half, before=half - 30 * SECOND)],
        [a, (ISS, stranger, "a")],
    )
    yield "a user of another issuer", [revoked(half, iss=OTHER_ISS)], [a, (OTHER_ISS, "ada", "a")]
    yield "a user of no named issuer", [revoked(half, iss="")], [a, ("", "ada", "a")]
    yield "the same thing heard twice", [revoked(half), revoked(half)], [a]
    yield (
        "an older thing heard later",
        [revoked(half), revoked(T - 9 * SECOND), everyone(here, T - 60 * SECOND)],
        [a],
    )


def _odd_situation(name: str) -> tuple[list[Revocation], list[Case]]:
    """Return what ends sessions of a user, of a partition and of an issuer that have this name."""
    half = T + SECOND // 2
    revocations = [
        revoked(T, iss=name, user=name),
        everyone(partition_of(name, name), half),
        revoked(half, iss=name, user="ada", scope=Scope.SESSION, sid=name),
        revoked(half + 9, iss=name, user=None, scope=Scope.SESSION, sid=f"{name}2"),
    ]
    who = {"now": T + SECOND, "iss": name, "exp": T + 3600 * SECOND}
    cases = [{**who, "user": name, "sid": "a", "iat": iat} for iat in (T - 1, half, half + 1)]
    for sid in (name, f"{name}2", "a"):
        cases.append({**who, "user": "ada", "sid": sid, "iat": T + SECOND})
    return revocations, cases


def _around(
    revocations: Sequence[Revocation], sessions: Sequence[tuple[str, str, str]]
) -> Iterator[Case]:
    """Yield identities that began around the instants of the revocations."""
    latest = max((micros(one.at) for one in revocations), default=T)
    horizons = sorted({one.horizon for one in revocations}) or [T]
    for (iss, user, sid), horizon in itertools.product(sessions, horizons):
        who = {"now": latest + 5 * SECOND, "iss": iss, "user": user, "sid": sid}
        whole = horizon - horizon % SECOND
        for iat in sorted({horizon + step for step in STEPS} | {whole, whole + SECOND}):
            yield {**who, "iat": iat, "exp": iat + 3600 * SECOND}
        for login_at in sorted({horizon - 1, horizon, horizon + 1, whole}):
            yield {**who, "iat": login_at, "exp": horizon + 3600 * SECOND, "login_at": login_at}
        later = latest + 2 * SECOND
        for login_at in (horizon, horizon + 1):
            yield {**who, "iat": later, "exp": later + 3600 * SECOND, "login_at": login_at}


# Situations at random


def _random_situation(random: Random) -> tuple[list[Revocation], list[Case]]:
    people = [
        (random.choice((ISS, OTHER_ISS, "")), random.choice(("ada", "bob", *ODD_NAMES)))
        for _ in range(2)
    ]
    revocations = [_random_revocation(random, people) for _ in range(random.randint(1, 6))]
    instants = [micros(one.at) for one in revocations] + [one.horizon for one in revocations]
    return revocations, [_random_case(random, people, instants) for _ in range(6)]


def _random_time(random: Random) -> Micros:
    return T + random.choice((0, 1, 5, SECOND // 2, SECOND - 1, SECOND)) * random.choice((1, 1, 9))


def _random_revocation(random: Random, people: Sequence[tuple[str, str]]) -> Revocation:
    at = _random_time(random)
    before = random.choice((None, None, None, at, at - 1, at - 7 * SECOND, at - at % SECOND))
    iss, user = random.choice(people)
    kind = random.randrange(10)
    if kind == 0:
        return everyone(partition_of(iss, user), at, before=before)
    if kind == 1:
        return revoked(
            at, before=before, iss=iss, user=None, scope=Scope.SESSION, sid=random.choice("ab")
        )
    scope = random.choice(list(Scope))
    sid = None if scope is Scope.ALL else random.choice("ab")
    ended = tuple(one for one in "abc" if random.random() < 0.15 and one != sid)
    return revoked(at, before=before, iss=iss, user=user, scope=scope, sid=sid, sessions=ended)


def _random_case(
    random: Random, people: Sequence[tuple[str, str]], instants: Sequence[Micros]
) -> Case:
    iss, user = random.choice(people)
    now = max(instants) + random.choice((0, 1, SECOND // 3, SECOND, 30 * SECOND))
    near = random.choice((0, 0, 1, -1, SECOND, -SECOND, 9 * SECOND, 70 * SECOND))
    iat = random.choice(instants) + near
    iat -= random.choice((0, iat % SECOND))
    case: Case = {"now": now, "iss": iss, "user": user, "sid": random.choice("abc"), "iat": iat}
    lives = random.choice((3600 * SECOND, 3600 * SECOND, 10 * SECOND, now - iat, now - iat + 1))
    case["exp"] = iat + max(1, lives)
    if random.random() < 0.4:
        case["login_at"] = random.choice((*instants, iat)) + random.choice((0, 1, -1, -SECOND))
    if random.random() < 0.2:
        case["nbf"] = now + random.choice((-1, 0, 1, SECOND, SECOND + 1, 61 * SECOND, 62 * SECOND))
    if random.random() < 0.3:
        case["leeway"] = random.choice((1, SECOND, 30 * SECOND))
    return case
