"""The guard says of every vector what the rules of the hub say."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
import pytest

from hub.core.feed import Revocation
from hub.core.issuers_table import read_entry
from hub.core.model import Identity, user_key
from hub.errors import LoginRequired, TokenInvalid, Unauthorized
from hub.guard.event_stream import EventStream
from hub.guard.feed_state import FeedState
from hub.guard.flights import Flights
from hub.guard.revocations import Names, Revocations
from hub.guard.steps import run
from hub.guard.verifier import Verifier
from tests.vectors.files import load

Vector = dict[str, Any]
LATER = 100.0
VERDICT = ("code", "logout_at", "retry_after", "max_age")


def vectors(name: str) -> Iterable[Any]:
    """Return the vectors of a file as parameters, each with what it is about."""
    return [pytest.param(one, id=f"{n}-{one['about']}") for n, one in enumerate(load(name))]


def identity_of(case: Vector) -> Identity:
    """Return the identity of a case."""
    times = ("iat", "exp", "nbf", "login_at", "leeway")
    return Identity(
        user=user_key(case["iss"], case["user"]),
        sub=case["user"],
        iss=case["iss"],
        sid=case["sid"],
        **{name: case[name] for name in times if name in case},
    )


def tell(refusal: Unauthorized | None) -> Vector:
    """Return what a vector says of a verdict."""
    if refusal is None:
        return {"code": None}
    told: Vector = {"code": refusal.code}
    if refusal.logout is not None:
        told["logout_at"] = refusal.logout.at / 1_000_000
    if refusal.retry_after is not None:
        told["retry_after"] = refusal.retry_after
    if isinstance(refusal, LoginRequired):
        told["max_age"] = refusal.max_age
    return told


def check(revocations: Revocations, case: Vector) -> None:
    """Compare the verdict on a case."""
    identity, now = identity_of(case), case["now"]
    expected = {name: case[name] for name in VERDICT if name in case}
    assert tell(revocations.judge(identity, now)) == expected
    if "logout_at" in expected:
        assert not revocations.surely_accept(Names(identity.user, identity.sid), identity.begun)


@pytest.mark.parametrize("vector", vectors("judge"))
def test_verdicts(vector: Vector) -> None:
    """From the same revocations follow the same verdicts, in whatever order and how often heard."""
    heard = [msgspec.convert(one, Revocation) for one in vector["revocations"]]
    shuffled = random.Random(1).sample(heard, len(heard))  # noqa: S311 - no secret
    for order in (heard, heard[::-1], [*shuffled, *heard]):
        revocations = Revocations()
        revocations.partitions = vector["partitions"]
        for one in order:
            revocations.apply(one)
        for case in vector["judged"]:
            check(revocations, case)


@pytest.mark.parametrize("vector", vectors("tokens"))
def test_tokens(vector: Vector) -> None:
    """Each token has the same identity, or is as invalid, as at the hub."""
    entries = [read_entry(table, max_lifetime=1, leeway=0) for table in vector["issuers"]]
    verifier, flights = Verifier(entries), Flights()
    for one in vector["tokens"]:
        if "identity" in one:
            identity = run(verifier.verifying(one["token"], flights))
            assert msgspec.convert(one["identity"], Identity) == identity
        else:
            with pytest.raises(TokenInvalid):
                run(verifier.verifying(one["token"], flights))


def cut(stream: bytes, cuts: list[int]) -> Iterator[bytes]:
    """Yield the pieces of a stream."""
    for begin, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        yield stream[begin:end]


@pytest.mark.parametrize("vector", vectors("feed"))
@pytest.mark.parametrize("way", ["whole", "cut", "byte by byte"])
def test_feeds(vector: Vector, way: str) -> None:
    """The same events are read however the bytes come, and the same is known then."""
    state = FeedState()
    for connection in vector["connections"]:
        stream = connection["stream"].encode()
        cuts = {"whole": [], "cut": connection["cuts"], "byte by byte": [*range(len(stream))]}[way]
        parser, plain = EventStream(state.begin(connection["asked_at"])), EventStream()
        events = []
        for piece in cut(stream, cuts):
            events += plain.feed(piece)
            for event in parser.feed(piece):
                if "known_until" in vector:
                    state.take(event, connection["asked_at"] + LATER)
        told = [{"event": e.kind, "id": e.id, "data": e.data.decode()} for e in events]
        assert told == connection["events"]
    if "known_until" in vector:
        conclude(state, vector)


def conclude(state: FeedState, vector: Vector) -> None:
    """Compare what is known in the end."""
    known = vector["known_until"]
    assert state.is_ready is (known is not None)
    if known is None:
        return
    freshness, facts = state.knowledge.freshness, state.knowledge.revocations
    assert [freshness.known_until(number) for number in range(vector["partitions"])] == known
    for case in vector["judged"]:
        check(facts, case)
    if "last_event_id" in vector:
        assert state.begin(1000.0) == vector["last_event_id"]
