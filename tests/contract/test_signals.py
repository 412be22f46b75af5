"""How a store handles logouts that are reported late, or without a user."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from hub.core.model import SECOND, Logout, Micros, Origin, Reason, Scope, user_key
from hub.core.revocation import judge
from hub.core.signal import Channel, SignalRecord, Verdict
from hub.store.base import SIGNALS_KEPT, SIGNALS_PAGE, Store
from hub.store.values import Command, Registration
from tests.contract.conftest import BRIEF
from tests.contract.test_store import ADA, alive, identity, login, logout, now, registration

EVE = user_key("https://id.example", "eve")
OTHER = user_key("https://other.example", "ada")
ISS = "https://id.example"


def reported(at: Micros, scope: Scope = Scope.ALL, sid: str | None = None) -> Logout:
    """Return a logout because of something that happened at a time."""
    return msgspec.structs.replace(logout(scope, sid), before=at)


def refusal(sid: str, at: Micros) -> Logout:
    """Return a logout of a session, for any user."""
    return msgspec.structs.replace(logout(Scope.SESSION, sid, None), before=at)


async def test_the_time_is_that_of_logouts(store: Store) -> None:
    """So what is compared with it is compared by one clock."""
    before = await store.now()
    receipt = await store.end(Command(logout()))
    assert before <= receipt.logout.at <= await store.now()


async def test_a_late_logout_ends_the_logins_of_before_only(store: Store) -> None:
    """A login that began since what it reports lives on; each that began by then is dead."""
    happened = now() - 60 * SECOND
    await store.register(login("old", happened - SECOND))
    await store.register(login("same", happened))
    await store.register(login("new", happened + SECOND))
    receipt = await store.end(Command(reported(happened)))
    assert {one.sid for one in receipt.sessions} == {"old", "same"}
    assert not await alive(store, login("old", happened - SECOND).identity)
    assert not await alive(store, login("unseen", happened - SECOND).identity)
    assert await alive(store, login("new", happened + SECOND).identity)
    assert await alive(store, identity("unseen, new", iat=happened + SECOND))


@pytest.mark.parametrize("scope", [Scope.ALL, Scope.SESSION])
async def test_a_logout_may_reach_ahead_of_the_clock(store: Store, scope: Scope) -> None:
    """As far as it says, since that of logins may be; a later logout does not shorten it."""
    sid = "a" if scope is Scope.SESSION else None
    ahead = now() + 30 * SECOND
    await store.register(login("a", ahead))
    receipt = await store.end(Command(reported(ahead, scope, sid), also=sid))
    assert [one.sid for one in receipt.sessions] == ["a"]
    assert not await alive(store, login("a", ahead, ahead).identity)
    await store.register(login("a", ahead))
    assert (await store.sessions(login("a", ahead).identity.user)).sessions == ()
    await store.end(Command(logout(scope, sid), also=sid))
    for at, is_alive in ((ahead, False), (ahead + 1, True)):
        who = msgspec.structs.replace(login("a", at).identity, leeway=60 * SECOND)
        assert await alive(store, who) is is_alive


@pytest.mark.all_partitions
async def test_a_refusal_may_reach_ahead_of_the_clock(store: Store) -> None:
    """As other logouts that signals ask for."""
    ahead = now() + 30 * SECOND
    await store.refuse_session(ISS, refusal("a", ahead))
    for at, is_alive in ((ahead, False), (ahead + 1, True)):
        who = msgspec.structs.replace(login("a", at).identity, leeway=60 * SECOND)
        assert await alive(store, who) is is_alive


async def test_a_session_that_was_refreshed_since_is_as_old_as_when_it_was_first_seen(
    store: Store,
) -> None:
    """Where tokens do not tell when the login began, the registry does."""
    first = identity("refreshed", iat=now() - 2 * SECOND)
    await store.register(Registration(first, "device", ""))
    happened = now()
    newer = identity("refreshed", iat=happened + SECOND // 2)
    await store.register(Registration(newer, "device", ""))
    receipt = await store.end(Command(reported(happened)))
    assert [one.sid for one in receipt.sessions] == ["refreshed"]
    assert not await alive(store, newer)


async def test_a_login_time_that_was_stated_once_is_kept(store: Store) -> None:
    """A later token of the session that does not state it does not make the login any younger."""
    began = now() - 600 * SECOND
    await store.register(login("a", began, iat=now() - 60 * SECOND))
    newer = identity("a", iat=now() - 10 * SECOND)
    await store.register(Registration(newer, "device", ""))
    # By the registry alone, the session began when it was first seen: just now.
    receipt = await store.end(Command(reported(began + SECOND)))
    assert [one.sid for one in receipt.sessions] == ["a"]
    assert not await alive(store, newer)


async def test_a_late_logout_never_shortens_a_newer_one(store: Store) -> None:
    """Neither a cut-off nor a tombstone is replaced by one that reaches less far."""
    await store.end(Command(logout()))
    await store.end(Command(logout(Scope.SESSION, "a"), also="a"))
    happened = now() - 60 * SECOND
    await store.end(Command(reported(happened)))
    await store.end(Command(reported(happened, Scope.SESSION, "a"), also="a"))
    assert not await alive(store, identity("b", iat=happened + SECOND))
    assert not await alive(store, login("a", happened + SECOND).identity)


async def test_a_late_logout_ends_what_a_newer_one_kept(store: Store) -> None:
    """A session that ended the others is dead all the same when it began before."""
    happened = now() - 60 * SECOND
    kept = identity("kept", iat=happened - SECOND)
    await store.end(Command(logout(Scope.OTHERS, "kept")))
    assert await alive(store, kept)
    await store.end(Command(reported(happened)))
    assert not await alive(store, kept)
    assert await alive(store, identity("kept", iat=happened + SECOND))


async def test_a_late_logout_of_a_session_spares_a_later_login_under_its_id(store: Store) -> None:
    """Where tokens tell when the login began; otherwise the id is dead for good."""
    happened = now() - 60 * SECOND
    later = login("a", happened + SECOND)
    await store.register(later)
    receipt = await store.end(Command(reported(happened, Scope.SESSION, "a"), also="a"))
    assert await alive(store, later.identity)
    assert [one.sid for one in receipt.sessions] == ["a"]
    assert len((await store.sessions(later.identity.user)).sessions) == 1
    assert not await alive(store, login("a", happened).identity)
    assert not await alive(store, identity("a", iat=happened + SECOND))


async def test_what_a_logout_came_from_is_kept(store: Store) -> None:
    """The origin, profile and message are in the answer, and in what a dead token is told."""
    origin = Origin(ISS, "session-revoked", "your company", 5, "policy", 'said "before":1')
    asked = msgspec.structs.replace(
        reported(now(), Scope.SESSION, "a"), origin=origin, profile="lost", message="hello"
    )
    receipt = await store.end(Command(asked, also="a"))
    assert receipt.logout.origin == origin
    verdict = judge(identity("a"), await store.look(identity("a")))
    assert verdict is not None
    assert verdict.logout == msgspec.structs.replace(asked, at=receipt.logout.at)


@pytest.mark.all_partitions
async def test_a_refused_session_is_dead_whoever_its_user_is(store: Store) -> None:
    """Of that issuer; and it cannot be registered."""
    assert await store.refuse_session(ISS, refusal("a", now())) == ()
    for user in (registration("a").identity.user, EVE):
        who = identity("a", user)
        assert not await alive(store, who)
        await store.register(Registration(who, "device", ""))
        assert (await store.sessions(user)).sessions == ()
    assert await alive(store, identity("b"))
    assert await alive(store, identity("a", OTHER))


@pytest.mark.all_partitions
async def test_who_has_registered_a_refused_session_is_told(store: Store) -> None:
    """Each user of that issuer with a session of that name, and nobody else."""
    await store.register(registration("a"))
    await store.register(registration("a", EVE))
    await store.register(registration("a", OTHER))
    await store.register(registration("b"))
    found = await store.refuse_session(ISS, refusal("a", now()))
    assert found == (registration("a").identity.user, EVE)


@pytest.mark.all_partitions
async def test_who_has_renewed_a_refused_session_is_told(brief_store: Store) -> None:
    """However long ago its first token expired: each registration counts like the first one."""
    began = now()
    while now() < began + BRIEF + SECOND // 2:
        who = msgspec.structs.replace(identity("a"), exp=now() + BRIEF)
        await brief_store.register(Registration(who, "device", ""))
        await asyncio.sleep(0.2)
    assert await brief_store.refuse_session(ISS, refusal("a", now())) == (ADA,)


@pytest.mark.all_partitions
async def test_who_had_a_refused_session_is_told_again(store: Store) -> None:
    """Though it has been ended since: a signal that is repeated is known to be."""
    await store.register(registration("a"))
    named = refusal("a", now())
    for is_repeated in (False, True):
        (user,) = await store.refuse_session(ISS, named)
        mine = msgspec.structs.replace(named, user=user)
        receipt = await store.end(Command(mine, also="a", key="the signal"))
        assert (user, receipt.repeated) == (ADA, is_repeated)


@pytest.mark.all_partitions
async def test_a_refusal_spares_later_logins_and_is_never_shortened(store: Store) -> None:
    """By the login time, as a tombstone does."""
    happened = now() - 60 * SECOND
    await store.refuse_session(ISS, refusal("a", happened))
    await store.refuse_session(ISS, refusal("a", happened - 60 * SECOND))
    assert not await alive(store, login("a", happened).identity)
    assert await alive(store, login("a", happened + SECOND).identity)
    await store.refuse_session(ISS, refusal("a", happened + 2 * SECOND))
    assert not await alive(store, login("a", happened + SECOND).identity)


@pytest.mark.all_partitions
async def test_the_store_is_unsure_of_a_caller_whose_session_is_refused(store: Store) -> None:
    """So it does not write that caller's logout."""
    await store.refuse_session(ISS, refusal("a", now()))
    asked = logout(Scope.SESSION, "a")
    caller = identity("a", iat=now() - 5 * SECOND)
    assert type(await store.end_own(Command(asked, also="a"), caller)).__name__ == "Unsure"
    assert Reason.USER is asked.reason


ENDED = SignalRecord(
    Channel.PUSH, Verdict.ENDED, "https://tr.example", "session-revoked", "jti-1", "logout-1"
)
REFUSED = SignalRecord(Channel.BACKCHANNEL, error="für niemanden (aud)", times=3)


async def test_records_of_signals_are_read_on_from_a_place(store: Store) -> None:
    """In their order, with the store's time; without a place there are none but those to come."""
    assert (await store.signals())[1] == ()
    await store.add_signals([ENDED])
    place, records = await store.signals()
    assert records == ()
    await store.add_signals([REFUSED, ENDED])
    await store.add_signals([REFUSED])
    after, records = await store.signals(place)
    assert [msgspec.structs.replace(one, at=0) for one in records] == [REFUSED, ENDED, REFUSED]
    assert all(abs(one.at - now()) < 60 * SECOND for one in records)
    assert await store.signals(after) == (after, [])
    await store.add_signals([ENDED])
    assert [one.logout for one in (await store.signals(after))[1]] == ["logout-1"]


async def test_a_place_before_all_records_yields_all(store: Store) -> None:
    """Whoever began while there were none yet misses nothing."""
    place, _ = await store.signals()
    await store.add_signals([ENDED])
    assert len((await store.signals(place))[1]) == 1


async def test_many_records_of_signals_are_read_in_pages(store: Store) -> None:
    """Each of them once."""
    place, _ = await store.signals()
    await store.add_signals([SignalRecord(Channel.POLL, times=n) for n in range(SIGNALS_PAGE + 1)])
    found: list[int] = []
    for _ in range(3):
        place, records = await store.signals(place)
        assert len(records) <= SIGNALS_PAGE
        found += [one.times for one in records]
    assert found == [*range(SIGNALS_PAGE + 1)]


async def test_only_the_newest_records_of_signals_are_kept(store: Store) -> None:
    """A flood uses bounded memory; a late reader continues with the records that are left."""
    place, _ = await store.signals()
    for start in range(0, SIGNALS_KEPT + 2000, 1000):
        await store.add_signals(
            [SignalRecord(Channel.POLL, times=n) for n in range(start, start + 1000)]
        )
    _, (oldest, *_) = await store.signals(place)
    assert 1000 < oldest.times <= 2000
