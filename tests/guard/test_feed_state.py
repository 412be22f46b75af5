"""What a guard makes of the events of the feed, and how fresh it says it is."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core.feed import Confirmation, Ready, Reset, Revocation, Snapshot
from hub.core.model import SECOND, Identity, Reason, Scope
from hub.guard import feed_state as feed_state_module
from hub.guard.event_stream import StreamEvent
from hub.guard.feed_state import FeedBroken, FeedState
from hub.guard.freshness import Freshness

ADA = Revocation(Scope.ALL, Reason.USER, at=1000.5, user="ada")
BOB = Revocation(Scope.ALL, Reason.USER, at=1000.5, user="bob")
READY = Ready(at=2000.0, elapsed=0.1, partitions=4, lifetime=9000)


def told(kind: str, value: Any, place: str = "") -> StreamEvent:
    """Return an event."""
    return StreamEvent(kind, msgspec.json.encode(value), place)


def is_revoked(state: FeedState, user: str) -> bool:
    """Tell whether a session of a user that began at 1000 is over."""
    identity = Identity(
        user=f"|{user}", sub="", iss="", sid="s", iat=1000 * SECOND - 1, exp=10000 * SECOND
    )
    return state.knowledge.revocations.judge(identity, 2000 * SECOND) is not None


def started(*events: StreamEvent) -> FeedState:
    """Return the state after a request at 50 and these events at 51."""
    state = FeedState()
    state.begin(50.0)
    state.answer(50.5)
    for event in events:
        state.take(event, 51.0)
    return state


def test_a_snapshot_is_gone_on_from_once_it_is_complete() -> None:
    """The feed is ready, and names the place; what a part of it revokes is revoked before."""
    state = started(told("snapshot", Snapshot((ADA,))))
    assert not state.is_ready
    assert is_revoked(state, "ada")
    assert state.begin(60.0) == ""
    state.take(told("snapshot", Snapshot((ADA,))), 99.0)
    state.take(told("ready", READY, "7-0"), 99.0)
    assert is_revoked(state, "ada")
    assert state.begin(70.0) == "7-0"


def test_a_long_snapshot_lets_checks_in_other_threads_go_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """After a few of its revocations each, which are all known then."""
    known: list[int] = []
    state = FeedState()
    monkeypatch.setattr(
        feed_state_module, "give_way", lambda: known.append(len(state.knowledge.revocations))
    )
    listed = tuple(msgspec.structs.replace(ADA, user=f"user-{n}") for n in range(250))
    state.take(told("snapshot", Snapshot(listed)), 50.0)
    assert known == [100, 200, 250]


@pytest.mark.parametrize("place", ["\u2603", "a b", "x" * 5000])
def test_a_place_that_no_header_can_name_is_none(place: str) -> None:
    """The guard could never ask again, not even another replica."""
    state = started(told("ready", READY, "7-0"), told("logout", ADA, place))
    assert state.begin(60.0) == "7-0"


def test_a_logout_counts_at_once_also_before_the_feed_is_ready() -> None:
    """But is no place to go on from, since the rest is missing."""
    state = started(told("logout", ADA, "8-0"))
    assert is_revoked(state, "ada")
    assert state.begin(60.0) == ""


def test_what_was_known_still_holds_after_a_reset() -> None:
    """The replica that sends the new snapshot may know less than the one before."""
    state = started(told("snapshot", Snapshot((ADA,))), told("ready", READY, "7-0"))
    state.take(told("reset", Reset("gap"), ""), 99.0)
    state.take(told("logout", BOB, "9-0"), 99.0)
    state.take(told("snapshot", Snapshot(())), 99.0)
    assert is_revoked(state, "ada")
    assert is_revoked(state, "bob")
    assert state.begin(53.0) == ""
    state.take(told("logout", BOB, "9-0"), 99.0)
    heard = state.take(told("ready", READY, "9-0"), 99.0)
    assert heard.is_anew
    assert is_revoked(state, "ada")
    assert is_revoked(state, "bob")


def test_what_was_missed_is_told_once() -> None:
    """After a reset, also by a snapshot of the next response if the first breaks off."""
    state = FeedState()
    assert state.take(told("snapshot", Snapshot((ADA,))), 50.0).missed == ()
    state.take(told("ready", READY, "7-0"), 51.0)
    state.take(told("reset", Reset("gap"), ""), 99.0)
    assert state.take(told("snapshot", Snapshot((ADA, BOB))), 99.0).missed == (BOB,)
    assert state.begin(53.0) == ""
    eve = msgspec.structs.replace(BOB, user="eve")
    assert state.take(told("snapshot", Snapshot((ADA, BOB, eve))), 99.0).missed == (eve,)


@pytest.mark.parametrize(("partitions", "is_everyones"), [(4, False), (8, True)])
def test_partitions_that_are_numbered_anew(partitions: int, is_everyones: bool) -> None:
    """A logout of everyone in one of them concerns everybody then: who was in it is not known."""
    for number in range(4):
        everyone = Revocation(Scope.ALL, Reason.ADMIN, at=1000.5, partition=number)
        state = started(told("snapshot", Snapshot((everyone,))), told("ready", READY, "7-0"))
        was_concerned = is_revoked(state, "ada")
        state.take(told("reset", Reset("gap"), ""), 99.0)
        state.take(told("ready", msgspec.structs.replace(READY, partitions=partitions)), 99.0)
        assert is_revoked(state, "ada") is (was_concerned or is_everyones)


def test_a_confirmation_within_a_snapshot_confirms_nothing() -> None:
    """What it is about is not complete yet."""
    state = started(told("confirmed", Confirmation(at=2000.0, elapsed=0.5)))
    assert state.knowledge.freshness.staleness(51.0) == float("inf")


def test_partitions_that_are_late_are_stale_alone() -> None:
    """And are as fresh as they once were."""
    state = started(told("ready", READY))
    state.take(told("confirmed", Confirmation(2005.0, 5.0, {2: -1.0})), 99.0)
    freshness = state.knowledge.freshness
    assert freshness.staleness(56.0, 1) == 1.0
    assert freshness.staleness(56.0, 2) == pytest.approx(5.9)
    assert freshness.staleness(56.0) == pytest.approx(5.9)
    state.take(told("confirmed", Confirmation(2006.0, 6.0)), 99.0)
    assert freshness.staleness(57.0) == 1.0


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0, 100), st.booleans()), max_size=8))
def test_knowledge_never_looks_newer_than_it_is(
    confirmations: list[tuple[float, float, bool]],
) -> None:
    """However long an event was on its way; and it never looks older than it did."""
    freshness, now, until = Freshness(), 10.0, float("-inf")
    for elapsed, delay, is_late in confirmations:
        late = {1: elapsed - 5} if is_late else {}
        freshness.confirm(
            Confirmation(1000 + elapsed, elapsed, late), 10.0, 10.5, 10 + elapsed + delay
        )
        now = max(now, 10 + elapsed + delay)
        until = max(until, 10 + elapsed)
        assert freshness.staleness(now) >= now - until
        assert freshness.known_until(1) <= freshness.known_until(0) == until


def test_nothing_is_known_of_the_future() -> None:
    """Even if the clock of the replica goes faster than that of the guard."""
    state = started(told("ready", msgspec.structs.replace(READY, elapsed=60.0)))
    assert state.knowledge.freshness.staleness(53.0) == 2.0


def test_what_was_late_is_only_as_fresh_as_was_said_of_it() -> None:
    """Not as the others, of which another replica had said more before."""
    state = started(told("ready", READY))
    state.take(told("confirmed", Confirmation(2010.0, 10.0, {2: 1.0})), 99.0)
    state.take(told("confirmed", Confirmation(2005.0, 5.0)), 99.0)
    freshness = state.knowledge.freshness
    assert [freshness.known_until(partition) for partition in (1, 2)] == [60.0, 55.0]
    state.take(told("confirmed", Confirmation(2011.0, 11.0)), 99.0)
    assert freshness.late == {}


def test_the_time_of_the_store_lies_between_two_bounds() -> None:
    """A delayed event does not let a token live longer, nor date a login later."""
    state = started(
        told("ready", READY)
    )  # asked at 50, answered at 50.5: the store's 2000 is at 50.1 to 50.6
    freshness = state.knowledge.freshness
    assert freshness.earliest is not None
    assert freshness.latest is not None
    assert 60.0 + freshness.earliest == pytest.approx(2009.4)
    assert 60.0 + freshness.latest == pytest.approx(2009.9)
    state.take(told("confirmed", Confirmation(2001.0, 1.1)), 51.2)  # so it was received by 50.1
    assert 60.0 + freshness.earliest == pytest.approx(2009.8)


def test_a_login_right_after_a_logout_is_dated_after_it() -> None:
    """Whoever hears of a logout knows how far the store's clock has come."""
    state = started(told("ready", READY), told("logout", ADA))
    freshness = state.knowledge.freshness
    assert 60.0 + (freshness.earliest or 0.0) == pytest.approx(2009.4)  # an old logout says less
    at = 2000.8
    state.take(told("logout", Revocation(Scope.ALL, Reason.USER, at=at, user="ada")), 51.0)
    assert 51.0 + (freshness.earliest or 0.0) >= at


def test_what_a_logout_proves_of_the_clock_is_not_forgotten() -> None:
    """A login right after it is dated after it, whatever is confirmed in between."""
    state = started(told("ready", READY))
    at = 2000.8
    state.take(told("logout", Revocation(Scope.ALL, Reason.USER, at=at, user="ada")), 51.0)
    state.take(told("confirmed", Confirmation(2000.75, 0.85)), 51.01)
    assert 51.02 + (state.knowledge.freshness.earliest or 0.0) >= at


@pytest.mark.parametrize("ahead", [3.0, 3600.0])
def test_a_clock_that_is_ahead_dates_no_login_later(ahead: float) -> None:
    """A logout by such a clock, as of one node of a cluster, proves nothing of the others."""
    state = started(told("ready", READY))
    at = 2001.0 + ahead
    state.take(told("logout", Revocation(Scope.ALL, Reason.USER, at=at, user="ada")), 51.0)
    freshness = state.knowledge.freshness
    assert (freshness.earliest or 0.0) <= (freshness.latest or 0.0)
    state.take(told("confirmed", Confirmation(2002.0, 2.1)), 52.2)
    assert (freshness.earliest or 0.0) <= (freshness.latest or 0.0)


def test_a_reason_that_a_newer_hub_knows_is_understood() -> None:
    """So that an update of the hub stops no guard."""
    new = {"scope": "all", "reason": "of_the_future", "at": 1000.5, "user": "ada"}
    state = started(told("logout", new), told("snapshot", {"revocations": [new]}))
    assert is_revoked(state, "ada")


@pytest.mark.parametrize(
    "event",
    [
        StreamEvent("logout", b"{", ""),
        StreamEvent("logout", b"\xff", ""),
        StreamEvent("logout", b"[]", ""),
        told("snapshot", {"revocations": [1]}),
        told("logout", {"scope": "of_the_future", "reason": "user", "at": 1.0}),
        told("ready", {"at": 1.0}),
        told("ready", msgspec.structs.replace(READY, partitions=0)),
        told("ready", msgspec.structs.replace(READY, lifetime=10**400)),
        told("ready", msgspec.structs.replace(READY, at=1e300)),
        told("ready", msgspec.structs.replace(READY, elapsed=-1e308)),
        told("ready", msgspec.structs.replace(READY, late={1: -1e308})),
    ],
)
def test_what_is_not_understood_is_not_passed_over(event: StreamEvent) -> None:
    """The guard would miss a logout."""
    with pytest.raises(FeedBroken):
        started(event)


def test_events_of_other_kinds_are_passed_over() -> None:
    """A newer hub may say more."""
    assert started(told("weather", "fine"), told("ready", READY)).is_ready
