"""Redis behind Sentinels: a failover is followed, and what it loses is noticed."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from hub.core.model import SECOND, Identity, Logout, Reason, Receipt, Scope, user_key
from hub.core.revocation import judge
from hub.errors import Unavailable
from hub.store.names import Names
from hub.store.redis import RedisStore
from hub.store.values import Command, DataLoss, Registration
from tests.contract.listener import Listener, listening
from tests.patience import PATIENCE
from tests.redis_server import MASTER, Guarded, RedisServer, started, until

LIFETIME = 3600 * SECOND
HURRIED = 0.5
"""Seconds that a Sentinel has to answer, where a test stops some."""
SOON = 8.0
"""Seconds within which a store that is down is called so; the limit is one."""


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Guarded]:
    """Servers that a test may kill."""
    with started(Guarded(tmp_path)) as servers:
        yield servers


@pytest.fixture
async def store(guarded: Guarded) -> AsyncIterator[RedisStore]:
    """A store on them."""
    async with RedisStore(guarded.url, lifetime=LIFETIME) as made:
        yield made


def identity(number: int) -> Identity:
    """Return an identity of a user of its own."""
    issued = time.time_ns() // 1000
    user = user_key("", f"user-{number}")
    exp = issued + LIFETIME
    return Identity(user, "", "", f"sid-{number}", iat=issued, exp=exp, leeway=SECOND)


async def end(store: RedisStore, who: Identity) -> Receipt:
    """Log one user out."""
    logout = Logout(id=f"id-{who.sid}", user=who.user, scope=Scope.ALL, reason=Reason.USER)
    return await store.end(Command(logout))


async def patiently(store: RedisStore, who: Identity) -> bool:
    """Tell whether a token is alive, as soon as the store says so again."""
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                return judge(who, await store.look(who)) is None
            except Unavailable:
                await asyncio.sleep(0.05)


async def until_unavailable(store: RedisStore, who: Identity) -> None:
    """Return once the store says that it cannot be asked."""
    with contextlib.suppress(Unavailable):
        async with asyncio.timeout(PATIENCE):
            while True:
                await store.look(who)
                await asyncio.sleep(0.05)


def logged(server: RedisServer) -> set[str]:
    """Return the users of all logouts in a server's log."""
    with server.client() as client:
        rows = [fields for key in client.scan_iter("hub:*:log") for _, fields in client.xrange(key)]
    return {row[b"logout"].decode() for row in rows}


def is_logged(who: Identity, rows: set[str]) -> bool:
    """Tell whether a user's logout is among the entries of a log."""
    return any(f'"id-{who.sid}"' in row for row in rows)


def names_the_replica(guarded: Guarded) -> bool:
    """Tell whether all Sentinels that live say that the replica is the master now."""
    for sentinel in guarded.sentinels:
        with sentinel.client() as client:
            if client.sentinel_master(MASTER)["port"] != guarded.replica.port:
                return False
    return True


async def test_a_failover_is_followed_and_loses_nothing_that_was_replicated(
    store: RedisStore, guarded: Guarded
) -> None:
    """The master is killed amid logouts; the others fail as unavailable until a new one is up."""
    people = [identity(number) for number in range(5000)]
    answered, failures = [], list[Unavailable]()
    async with listening(store) as listener:
        replicated = people[:100]
        await asyncio.gather(*(end(store, who) for who in replicated))
        await asyncio.to_thread(until, lambda: len(logged(guarded.replica)) == 100)
        killed_at, back_at = 0.0, 0.0
        for number, who in enumerate(people[100:]):
            if number == 50:
                guarded.master.kill()
                killed_at = time.monotonic()
            try:
                await end(store, who)
                answered.append(who)
            except Unavailable as error:
                failures.append(error)
                await asyncio.sleep(0.02)
            else:
                if failures:
                    back_at = time.monotonic()
                    break
        assert back_at, "no logout was written within the test's time"
        assert failures
        rows = logged(guarded.replica)
        assert all(is_logged(who, rows) for who in replicated)
        lost = [who for who in answered if not is_logged(who, rows)]
        await mend(store, listener, lost)
        assert not any([await patiently(store, who) for who in [*replicated, *answered]])
        newcomer = identity(9999)
        assert await patiently(store, newcomer)
        await end(store, newcomer)
        heard = lambda: any(h.logout.user == newcomer.user for h in listener.heard)  # noqa: E731
        await listener.until(heard)
    told = f"{len(failures)} logouts refused, {len(lost)} of {len(answered)} answered ones lost"
    print(f"\nSentinel: {back_at - killed_at:.1f} s without a master, {told}")  # noqa: T201


async def mend(store: RedisStore, listener: Listener, lost: list[Identity]) -> None:
    """Make up for each loss that was noticed; every logout that was lost must be."""
    parts = {Names(who.user).partition for who in lost}

    def noticed() -> set[int]:
        return {event.partition for event in listener.events if isinstance(event, DataLoss)}

    await listener.until(lambda: parts <= noticed())
    assert noticed() == parts
    for loss in {
        event.partition: event for event in listener.events if isinstance(event, DataLoss)
    }.values():
        everyone = Logout(id="mend", user=None, scope=Scope.ALL, reason=Reason.POLICY)
        await store.recover(loss, everyone)


async def test_what_was_never_replicated_is_noticed(store: RedisStore, guarded: Guarded) -> None:
    """A logout that only the old master knew of is a loss; its token is never called alive."""
    victim, other = identity(1), identity(2)
    await store.register(Registration(victim, "", ""))
    async with listening(store) as listener:
        await end(store, other)
        await asyncio.to_thread(until, lambda: len(logged(guarded.replica)) == 1)
        guarded.replica.pause()
        await end(store, victim)
        assert not await patiently(store, victim)
        guarded.master.kill()
        # What it had received and not read goes with it.
        guarded.replica.kill()
        guarded.replica.start()
        refused, end_at = 0, time.monotonic() + PATIENCE
        while not listener.count(DataLoss) and time.monotonic() < end_at:
            try:
                assert judge(victim, await store.look(victim)) is not None
            except Unavailable:
                refused += 1
            await asyncio.sleep(0.02)
        assert refused
        assert not is_logged(victim, logged(guarded.replica))
        with pytest.raises(Unavailable):
            await store.look(victim)
        # Nothing is missing of who is in another partition.
        assert Names(other.user).partition != Names(victim.user).partition
        assert not await patiently(store, other)
        await mend(store, listener, [victim])
        assert not await patiently(store, victim)
        assert await patiently(store, identity(4))


async def test_a_master_that_hung_through_a_failover_is_left(
    store: RedisStore, guarded: Guarded
) -> None:
    """It wakes up and still takes writes; a logout over a connection of old does not go there."""
    first, second = identity(1), identity(2)
    await end(store, first)
    await asyncio.to_thread(until, lambda: len(logged(guarded.replica)) == 1)
    guarded.master.pause()
    await asyncio.to_thread(until, lambda: names_the_replica(guarded))
    # Meanwhile nothing is called: what is left, is left by itself.
    async with asyncio.timeout(PATIENCE):
        while store._logouts.generation(0) is not None:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    guarded.master.resume()
    await end(store, second)
    assert is_logged(second, logged(guarded.replica))
    assert is_logged(first, logged(guarded.replica))


async def test_sentinels_that_hang_hold_nobody(
    sentinel_url: str, guarded_servers: Guarded, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of three costs nothing but time; without a majority the store is unavailable."""
    monkeypatch.setattr("hub.store.sentinel.ASK_LIMIT", HURRIED)
    who = identity(1)
    one, two, _ = guarded_servers.sentinels
    with paused(one):
        async with RedisStore(sentinel_url, lifetime=LIFETIME) as store:
            assert await patiently(store, who)
            with paused(two):
                await until_unavailable(store, who)
                began = time.monotonic()
                with pytest.raises(Unavailable) as caught:
                    await store.look(who)
                assert time.monotonic() - began < SOON
                assert "127.0.0.1" not in str(caught.value)
            assert await patiently(store, who)


@contextlib.contextmanager
def paused(server: RedisServer) -> Iterator[None]:
    """Stop a server in its tracks for as long as the context lasts."""
    server.pause()
    try:
        yield
    finally:
        server.resume()


async def test_sentinels_and_servers_have_logins_of_their_own(
    sentinel_url: str, guarded_servers: Guarded
) -> None:
    """Each gets its own name and password, and a wrong one of either is refused."""
    logins = {"servers": "hub:sesame", "sentinels": "asker:open-sesame"}
    for server in guarded_servers.servers:
        kind = "sentinels" if server in guarded_servers.sentinels else "servers"
        name, _, word = logins[kind].partition(":")
        server.run("ACL", "SETUSER", name, "on", f">{word}", "~*", "&*", "+@all")
    options = "?sentinel_username=asker&sentinel_password=open-sesame"
    right = sentinel_url.replace("//", "//hub:sesame@") + options
    for url, is_right in {
        right: True,
        right.replace("hub:sesame", "hub:wrong"): False,
        right.replace("=asker", "=hub"): False,
    }.items():
        async with RedisStore(url, lifetime=LIFETIME) as store:
            if is_right:
                await end(store, identity(1))
            else:
                with pytest.raises(Unavailable):
                    await end(store, identity(1))
    with guarded_servers.master.client() as client:
        assert {row["user"] for row in client.client_list()} <= {"default", "hub"}


async def test_sentinels_that_know_no_such_master_say_so() -> None:
    """An address whose servers are not there is unavailable, within the limit."""
    url = f"redis+sentinel://:sesame@127.0.0.1:1,127.0.0.1:2/{MASTER}?sentinel_password=sesame"
    async with RedisStore(url, lifetime=LIFETIME) as store:
        with pytest.raises(Unavailable) as caught:
            await store.look(identity(1))
    assert "sesame" not in f"{caught.value!r} {caught.value.detail}"
