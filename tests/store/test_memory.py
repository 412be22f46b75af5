"""The embedded store forgets in time: never early, and never nothing."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from hub.core.model import SECOND, Identity, Logout, Micros, Reason, Scope, user_key
from hub.core.revocation import judge
from hub.errors import NotFound, TokenRevoked
from hub.store.base import KEY_LIFETIME, LEASE
from hub.store.memory import MemoryStore
from hub.store.values import Command, Departure, KeyReused, PositionLost, Presence, Registration
from tests.contract.listener import listening

T = 1_700_000_000 * SECOND
LIFETIME = 3600 * SECOND
ADA = user_key("", "ada")


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now: Micros = T

    def __call__(self) -> Micros:
        """Return the time."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    """The clock of the store."""
    return Clock()


@pytest.fixture
def store(clock: Clock) -> MemoryStore:
    """An empty store."""
    return MemoryStore(lifetime=LIFETIME, max_sessions=3, clock=clock)


def identity(
    sid: str = "a", user: str = ADA, iat: Micros = T - 10, life: Micros = 600 * SECOND
) -> Identity:
    """Return an identity from just before."""
    return Identity(user=user, sub="", iss="", sid=sid, iat=iat, exp=iat + life)


def logout(
    scope: Scope = Scope.ALL, sid: str | None = None, user: str | None = ADA, id_: str = "id"
) -> Logout:
    """Return a logout that is not yet written."""
    return Logout(id=id_, user=user, scope=scope, reason=Reason.USER, sid=sid)


async def test_the_stores_clock_stamps_everything(store: MemoryStore, clock: Clock) -> None:
    """Times are the store's, whatever the token says."""
    state = await store.register(Registration(identity(), "", ""))
    assert state.now == T
    assert state.session is not None
    assert state.session.created_at == state.session.registered_at == T
    assert (await store.end(Command(logout()))).logout.at == T


async def test_two_logouts_of_one_instant_follow_each_other(store: MemoryStore) -> None:
    """The later one is the newer one, though the clock did not move between them."""
    first = (await store.end(Command(logout()))).logout
    second = (await store.end(Command(logout(Scope.OTHERS, "keep")))).logout
    assert second.at > first.at
    assert max((await store.look(identity())).cutoffs, key=lambda cut: cut.at) == second


async def test_a_clock_that_steps_back_takes_no_cutoff_back(
    store: MemoryStore, clock: Clock
) -> None:
    """A cut-off is never replaced by an older one."""
    first = (await store.end(Command(logout()))).logout
    clock.now -= 60 * SECOND
    assert (await store.end(Command(logout()))).logout.at > first.at
    old = identity(iat=T - 1)
    assert isinstance(judge(old, await store.look(old)), TokenRevoked)


@pytest.mark.parametrize("scope", [Scope.ALL, Scope.OTHERS, Scope.SESSION])
async def test_tombstones_are_kept_for_the_longest_lifetime(
    store: MemoryStore, clock: Clock, scope: Scope
) -> None:
    """A session that was ended stays ended until the last token of it has expired."""
    await store.register(Registration(identity(), "", ""))
    sid = {Scope.ALL: None, Scope.OTHERS: "keep", Scope.SESSION: "a"}[scope]
    await store.end(Command(logout(scope, sid), also="a" if scope is Scope.SESSION else None))
    clock.now = T + LIFETIME - 1
    assert (await store.look(identity())).tombstone is not None
    clock.now = T + LIFETIME
    assert (await store.look(identity())).tombstone is None


@pytest.mark.parametrize("user", [ADA, None])
async def test_cutoffs_are_kept_for_the_longest_lifetime(
    store: MemoryStore, clock: Clock, user: str | None
) -> None:
    """A cut-off is in force until every token from before it has expired."""
    await store.end(Command(logout(user=user)))
    clock.now = T + LIFETIME - 1
    await store.renew("replica")
    assert len((await store.look(identity())).cutoffs) == 1
    clock.now = T + LIFETIME
    await store.renew("replica")
    assert (await store.look(identity())).cutoffs == ()


async def test_keys_are_kept_for_a_day(store: MemoryStore, clock: Clock) -> None:
    """A repeated logout is recognised for as long as promised, through any cleaning up."""
    first = await store.end(Command(logout(), key="k"))
    clock.now = T + KEY_LIFETIME - 1
    await store.renew("replica")
    assert (await store.end(Command(logout(id_="again"), key="k"))).logout == first.logout
    with pytest.raises(KeyReused):
        await store.end(Command(logout(Scope.OTHERS, "a"), key="k"))
    clock.now = T + KEY_LIFETIME
    await store.renew("replica")
    assert (await store.end(Command(logout(id_="new"), key="k"))).logout.id == "new"


async def test_a_refused_logout_does_not_use_up_its_key(store: MemoryStore) -> None:
    """What changed nothing may be asked for again when it can be done."""
    command = Command(logout(Scope.SESSION, "a"), also="a", must_exist=True, key="k")
    with pytest.raises(NotFound):
        await store.end(command)
    await store.register(Registration(identity(), "", ""))
    assert [outcome.sid for outcome in (await store.end(command)).sessions] == ["a"]


async def test_a_replica_that_fell_silent_holds_nothing(store: MemoryStore, clock: Clock) -> None:
    """A session is online until the lease runs out, and again when it is renewed."""
    await store.renew("replica")
    await store.register(Registration(identity(), "", "", Presence("replica", 1)))

    async def online() -> list[bool]:
        return [session.online for session in (await store.sessions(ADA)).sessions]

    clock.now = T + LEASE - 1
    assert await online() == [True]
    clock.now = T + LEASE
    assert await online() == [False]
    await store.renew("replica")
    assert await online() == [True]


async def test_last_seen_follows_the_lease_and_the_departure(
    store: MemoryStore, clock: Clock
) -> None:
    """A session with an open socket is seen whenever its replica says so."""
    await store.register(Registration(identity(), "", "", Presence("replica", 1)))

    async def seen() -> list[Micros]:
        return [session.last_seen_at for session in (await store.sessions(ADA)).sessions]

    assert await seen() == [T]
    clock.now = T + 5 * SECOND
    await store.renew("replica")
    clock.now = T + 9 * SECOND
    assert await seen() == [T + 5 * SECOND]
    await store.renew("replica", [Departure(ADA, "a", 1)])
    clock.now = T + 14 * SECOND
    await store.renew("replica")
    assert await seen() == [T + 9 * SECOND]


async def test_a_departure_of_what_is_gone_changes_nothing(
    store: MemoryStore, clock: Clock
) -> None:
    """A socket may leave after its session was ended or had expired."""
    await store.register(Registration(identity(), "", "", Presence("replica", 1)))
    await store.end(Command(logout()))
    await store.renew("replica", [Departure(ADA, "a", 1), Departure("nobody", "x", 1)])
    short = identity("b", iat=T + 1, life=SECOND)
    await store.register(Registration(short, "", "", Presence("replica", 2)))
    clock.now = T + 2 * SECOND
    await store.renew("replica", [Departure(ADA, "b", 2)])
    assert (await store.sessions(ADA)).sessions == ()


async def test_an_expired_session_makes_room(store: MemoryStore, clock: Clock) -> None:
    """The limit on sessions counts those that have not expired."""
    for sid in ("a", "b", "c"):
        await store.register(Registration(identity(sid, life=10 * SECOND), "", ""))
    clock.now = T + 10 * SECOND
    await store.register(Registration(identity("d", iat=clock.now), "", ""))
    assert [s.sid for s in (await store.sessions(ADA)).sessions] == ["d"]


def size_of(thing: Any, seen: set[int] | None = None) -> int:
    """Return how many entries the containers within an object of the hub's hold in all."""
    seen = set() if seen is None else seen
    if id(thing) in seen:
        return 0
    seen.add(id(thing))
    if isinstance(thing, dict):
        return len(thing) + sum(size_of(value, seen) for value in thing.values())
    if isinstance(thing, list | tuple | set):
        return len(thing) + sum(size_of(value, seen) for value in thing)
    if isinstance(thing, asyncio.Queue):
        return thing.qsize()
    if type(thing).__module__.startswith("hub.store.memory"):
        slots = getattr(type(thing), "__slots__", ())
        values = [getattr(thing, slot) for slot in slots] or list(vars(thing).values())
        return sum(size_of(value, seen) for value in values)
    return 0


async def crowd(store: MemoryStore, clock: Clock) -> None:
    """Let many users come, be looked at, be listed, log out and be logged out."""
    for number in range(300):
        user = user_key("", f"user-{number}-{clock.now}")
        who = identity(f"sid-{number}", user, iat=clock.now)
        await store.look(identity("stranger", user_key("", f"stranger-{number}-{clock.now}")))
        await store.sessions(user_key("", f"listed-{number}-{clock.now}"))
        await store.register(Registration(who, "", "", Presence(f"lease-{number}-{clock.now}", 1)))
        await store.renew(f"lease-{number}-{clock.now}")
        if number % 2:
            await store.end(Command(logout(user=user), key=f"key-{number}"))
        with pytest.raises(NotFound):
            await store.end(Command(logout(Scope.SESSION, "x", user), also="x", must_exist=True))


async def test_memory_does_not_grow_for_ever(store: MemoryStore, clock: Clock) -> None:
    """What is over leaves nothing behind: no user, no lease, no key, no tombstone."""
    await crowd(store, clock)
    assert size_of(store) > 300
    clock.now += max(KEY_LIFETIME, LIFETIME) + SECOND
    await store.renew("replica")
    assert size_of(store) <= 5


async def test_the_log_is_kept_for_as_long_as_logouts(store: MemoryStore, clock: Clock) -> None:
    """Then its entries are dropped, and a position that was at one of them is lost."""
    await store.end(Command(logout()))
    first = (await store.history(0)).position
    clock.now += LIFETIME
    await store.renew("replica")
    assert len((await store.history(0)).events) == 1
    await store.end(Command(logout(id_="second")))
    clock.now += SECOND
    await store.renew("replica")
    assert [one.logout.id for one in (await store.history(0)).events] == ["second"]
    with pytest.raises(PositionLost):
        await store.history(0, first)


async def test_ids_in_the_log_grow_although_the_clock_goes_back(
    store: MemoryStore, clock: Clock
) -> None:
    """So a position always says what came after it."""
    await store.end(Command(logout()))
    place = (await store.history(0)).position
    clock.now -= 60 * SECOND
    await store.end(Command(logout(id_="second")))
    assert [one.logout.id for one in (await store.history(0, place)).events] == ["second"]


async def test_a_position_of_an_earlier_process_is_lost(store: MemoryStore) -> None:
    """Memory remembers nothing of it, though the ids may look alike."""
    await store.end(Command(logout()))
    place = (await store.history(0)).position
    async with MemoryStore(lifetime=LIFETIME, clock=lambda: T) as other:
        await other.end(Command(logout()))
        with pytest.raises(PositionLost):
            await other.history(0, place)


async def test_looking_leaves_nothing_behind(store: MemoryStore) -> None:
    """Strangers who are looked at are forgotten when the lease is next renewed."""
    for number in range(1000):
        await store.look(identity("a", user_key("", str(number))))
    await store.renew("replica")
    assert size_of(store) <= 5


async def test_a_follower_that_left_is_not_told(store: MemoryStore) -> None:
    """Nothing piles up for who has stopped listening, and others still hear."""
    async with listening(store) as staying:
        async with listening(store):
            assert len(store._followers) == 2
        assert len(store._followers) == 1
        for _ in range(100):
            await store.end(Command(logout()))
        assert len(await staying.hear(100)) == 100
    assert not store._followers


async def test_a_repeated_key_is_not_told_twice(store: MemoryStore) -> None:
    """Followers hear a logout once, however often it was asked for."""
    async with listening(store) as listener:
        for _ in range(3):
            await store.end(Command(logout(), key="k"))
        await store.end(Command(logout(id_="last")))
        await listener.confirmed()
        assert len(listener.heard) == 2


async def test_forgetting_costs_nothing_while_nothing_expires(
    store: MemoryStore, clock: Clock
) -> None:
    """However much is kept of a user, a call looks at none of it that is not past its time."""
    for number in range(2000):
        ended = logout(Scope.SESSION, f"s{number}", id_=f"id{number}")
        await store.end(Command(ended, f"s{number}", key=f"k{number}"))
    assert len(store._state._expiries) == 3 * 2000
    untouched = list(store._state._expiries)
    for number in range(50):
        await store.look(identity(f"s{number}"))
        await store.renew("lease")
    assert store._state._expiries == untouched
    clock.now += 25 * 3600 * SECOND
    await store.renew("lease")
    assert (store._state._expiries, store._state.users) == ([], {})


async def test_who_only_asks_leaves_nothing_behind(store: MemoryStore) -> None:
    """Questions about strangers, and refused logouts of theirs, are not kept."""
    await store.look(identity("s"))
    await store.sessions(ADA)
    with pytest.raises(NotFound):
        await store.end(Command(logout(Scope.SESSION, "s"), "s", must_exist=True))
    assert store._state.users == {}
