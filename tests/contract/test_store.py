"""One suite that every store passes."""

from __future__ import annotations

import asyncio
import time

import msgspec
import pytest

from hub.core.model import (
    SECOND,
    Identity,
    Logout,
    Micros,
    Outcome,
    Reason,
    Scope,
    State,
    user_key,
)
from hub.core.receipt import session_key
from hub.core.revocation import judge
from hub.errors import LoginRequired, NotFound, RateLimited, TokenRevoked
from hub.store.base import Store
from hub.store.values import (
    Claim,
    Command,
    Departure,
    Gap,
    KeyReused,
    LogoutEvent,
    Presence,
    Registration,
    Report,
    Unsure,
)
from tests.contract.listener import listening

LIFETIME = 3600 * SECOND
ADA = user_key("https://id.example", "ada")


def now() -> Micros:
    """Return the time: stores in tests run on this machine's clock."""
    return time.time_ns() // 1000


def identity(sid: str, user: str = ADA, iat: Micros | None = None, life: int = 600) -> Identity:
    """Return an identity that was issued just now."""
    issued = now() if iat is None else iat
    exp = issued + life * SECOND
    return Identity(user=user, sub="", iss="", sid=sid, iat=issued, exp=exp, leeway=SECOND)


def login(sid: str, at: Micros, iat: Micros | None = None) -> Registration:
    """Return a registration with a token that tells when its login began."""
    who = msgspec.structs.replace(identity(sid, iat=iat), login_at=at)
    return Registration(who, device=f"device of {sid}", ip="192.0.2.7")


def loose(
    sid: str, lease: str | None = None, sequence: int = 1, replaces: str | None = None
) -> Registration:
    """Return a registration whose token names no login, in the place of ``replaces`` if given."""
    made = registration(sid, lease=lease, sequence=sequence)
    who = msgspec.structs.replace(made.identity, per_token=True)
    return msgspec.structs.replace(made, identity=who, replaces=replaces)


def registration(
    sid: str, user: str = ADA, lease: str | None = None, sequence: int = 1
) -> Registration:
    """Return a registration of a session, over a socket of the replica ``lease`` when given."""
    presence = Presence(lease, sequence) if lease else None
    return Registration(
        identity(sid, user), device=f"device of {sid}", ip="192.0.2.7", presence=presence
    )


def logout(scope: Scope = Scope.ALL, sid: str | None = None, user: str | None = ADA) -> Logout:
    """Return a logout that is not yet written."""
    return Logout(id=f"id-{now()}", user=user, scope=scope, reason=Reason.USER, sid=sid)


async def alive(store: Store, who: Identity) -> bool:
    """Tell whether a token is alive, by the rule and what the store knows."""
    return judge(who, await store.look(who)) is None


async def is_unsure(store: Store, caller: Identity) -> bool:
    """Tell whether the store is unsure of a caller, and see that it wrote the logout otherwise."""
    asked = logout(Scope.SESSION, "other")
    answer = await store.end_own(Command(asked, also="other"), caller)
    assert (await store.receipt(asked.id, ADA) is None) is isinstance(answer, Unsure)
    return isinstance(answer, Unsure)


async def test_a_caller_that_is_surely_alive_is_obeyed(store: Store) -> None:
    """A logout of a caller whose token no logout can have ended is written at once."""
    assert not await is_unsure(store, identity("a"))
    await store.end(Command(logout(Scope.SESSION, "b"), also="b"))
    assert not await is_unsure(store, identity("a", iat=now() - 5 * SECOND))


@pytest.mark.parametrize("scope", [Scope.ALL, Scope.OTHERS])
async def test_the_store_is_unsure_of_a_caller_when_its_token_is_not_newer_than_a_logout(
    store: Store, scope: Scope
) -> None:
    """A token issued at the instant of a cut-off or before is to be judged, whoever it kept."""
    kept = "a" if scope is Scope.OTHERS else None
    cutoff = (await store.end(Command(logout(scope, kept)))).logout.at
    assert await is_unsure(store, identity("a", iat=cutoff - 1))
    assert await is_unsure(store, identity("a", iat=cutoff))
    assert not await is_unsure(store, identity("a", iat=cutoff + 1))


@pytest.mark.all_partitions
async def test_the_store_is_unsure_of_a_caller_after_a_logout_of_everyone(store: Store) -> None:
    """Everyone's cut-off counts like the user's own."""
    before = identity("a")
    await store.end(Command(logout(user=None)))
    assert await is_unsure(store, before)
    assert not await is_unsure(store, identity("a"))


async def test_the_store_is_unsure_of_a_caller_when_its_session_was_ended(store: Store) -> None:
    """A tombstone speaks against a token, however new that is, and a key does not help it."""
    await store.end(Command(logout(Scope.SESSION, "a"), also="a", key="k"))
    assert await is_unsure(store, identity("a"))
    assert not await is_unsure(store, identity("b"))
    assert await store.end_own(Command(logout(), key="k"), identity("a")) == Unsure()


async def test_the_store_is_unsure_of_a_caller_out_of_its_time(store: Store) -> None:
    """A token that has expired, or is for later, is to be judged."""
    assert await is_unsure(store, identity("a", iat=now() - 20 * SECOND, life=19))
    later = msgspec.structs.replace(identity("a"), nbf=now() + 20 * SECOND)
    assert await is_unsure(store, later)


async def test_an_unknown_session_is_alive_and_has_no_record(store: Store) -> None:
    """A store that knows nothing of a token says so, with its time."""
    state = await store.look(identity("a"))
    assert state.session is None
    assert state.tombstone is None
    assert state.cutoffs == ()
    assert abs(state.now - now()) < 5 * SECOND


async def test_register_keeps_what_the_session_showed(store: Store) -> None:
    """Device, address and times of a registered session can be read back."""
    shown = registration("a")
    await store.register(shown)
    (session,) = (await store.sessions(ADA)).sessions
    assert (session.sid, session.device, session.ip) == ("a", "device of a", "192.0.2.7")
    assert (session.begun, session.expires_at) == (shown.identity.iat, shown.identity.exp)
    assert session.created_at == session.last_seen_at == session.registered_at
    assert not session.online


async def test_a_newer_token_renews_a_session_and_an_older_one_does_not(store: Store) -> None:
    """The registry keeps the newest evidence and the latest expiry, whatever comes after."""
    first = registration("a")
    await store.register(first)
    newer = msgspec.structs.replace(
        first.identity, iat=first.identity.iat + 5, exp=first.identity.exp + SECOND
    )
    await store.register(msgspec.structs.replace(first, identity=newer))
    await store.register(first)
    (session,) = (await store.sessions(ADA)).sessions
    assert (session.begun, session.expires_at) == (newer.iat, newer.exp)
    assert session.created_at < session.registered_at < session.last_seen_at


async def test_an_expired_token_is_not_registered(store: Store) -> None:
    """A token past its exp leaves no trace in the registry."""
    old = identity("a", iat=now() - 100 * SECOND, life=50)
    await store.register(Registration(old, "", ""))
    assert (await store.sessions(ADA)).sessions == ()


async def test_a_session_leaves_the_registry_at_its_expiry(store: Store) -> None:
    """A session whose token expired is not listed and needs no logout."""
    short = identity("a", iat=now() - 9 * SECOND, life=10)
    await store.register(Registration(short, "", ""))
    listed = (await store.sessions(ADA)).sessions
    assert len(listed) == 1 or now() > short.exp  # a busy machine may have taken that second
    await asyncio.sleep(max(short.exp - now(), 0) / SECOND + 0.1)
    assert (await store.sessions(ADA)).sessions == ()
    assert (await store.end(Command(logout()))).sessions == ()


async def test_a_user_has_at_most_so_many_sessions(store: Store) -> None:
    """The limit refuses a new session, but renews a known one, and counts each user apart."""
    for number in range(5):
        await store.register(registration(str(number)))
    with pytest.raises(RateLimited):
        await store.register(registration("one more"))
    await store.register(registration("4"))
    await store.register(registration("one more", user=user_key("", "grace")))
    assert len((await store.sessions(ADA)).sessions) == 5


async def test_all_ends_registered_and_unknown_sessions_of_the_user_only(store: Store) -> None:
    """After a logout of all, every older token is dead, and nobody else's is."""
    bob = user_key("https://id.example", "bob")
    known, unknown, other = identity("a"), identity("never seen"), identity("a", user=bob)
    await store.register(Registration(known, "laptop", ""))
    await store.register(Registration(other, "", ""))
    receipt = await store.end(Command(logout()))
    assert [(o.sid, o.device, o.state) for o in receipt.sessions] == [
        ("a", "laptop", State.OFFLINE)
    ]
    assert not await alive(store, known)
    assert not await alive(store, unknown)
    assert await alive(store, other)
    assert (await store.sessions(ADA)).sessions == ()
    assert len((await store.sessions(bob)).sessions) == 1


async def test_the_same_subject_of_another_issuer_is_another_user(store: Store) -> None:
    """Two issuers, two users."""
    elsewhere = identity("a", user=user_key("https://other.example", "ada"))
    await store.end(Command(logout()))
    assert await alive(store, elsewhere)


async def test_others_keeps_the_caller_registered_or_not(store: Store) -> None:
    """The session that ends the others lives on, even when the store had never seen it."""
    keeper, other = identity("keep"), identity("other")
    await store.register(Registration(other, "", ""))
    receipt = await store.end(Command(logout(Scope.OTHERS, "keep")))
    assert [o.sid for o in receipt.sessions] == ["other"]
    assert await alive(store, keeper)
    assert not await alive(store, other)
    await store.end(Command(logout()))
    assert not await alive(store, keeper)


@pytest.mark.all_partitions
async def test_keeping_a_session_does_not_bring_it_back(store: Store) -> None:
    """Others, for a session that an earlier logout ended, leaves it dead; so does a second one."""
    for earlier in (logout(), logout(user=None)):
        unseen = identity("unseen")
        await store.end(Command(earlier))
        for _ in range(2):
            await store.end(Command(logout(Scope.OTHERS, "unseen")))
            assert not await alive(store, unseen)


async def test_a_kept_session_stays_when_it_ends_the_others_again(store: Store) -> None:
    """A session may end the others as often as it likes, whatever came before its login."""
    await store.end(Command(logout()))
    keeper = identity("keep")
    for _ in range(3):
        await store.end(Command(logout(Scope.OTHERS, "keep")))
        assert await alive(store, keeper)
    await store.end(Command(logout(Scope.OTHERS, "another")))
    assert not await alive(store, keeper)


@pytest.mark.all_partitions
async def test_an_old_token_stays_dead_when_its_session_shows_a_new_one(store: Store) -> None:
    """A renewed token of a session does not revive the one that everyone's logout ended."""
    old = identity("a")
    await store.end(Command(logout(user=None)))
    new = identity("a")
    await store.register(Registration(new, "", ""))
    assert await alive(store, new)
    assert not await alive(store, old)


async def test_session_ends_one_by_name(store: Store) -> None:
    """A named session is dead for every token, also a newer one; its neighbours live."""
    await store.register(registration("a"))
    await store.register(registration("b"))
    ended = await store.end(Command(logout(Scope.SESSION, "a"), also="a"))
    assert [o.sid for o in ended.sessions] == ["a"]
    assert not await alive(store, identity("a"))
    assert await alive(store, identity("b"))
    assert [s.sid for s in (await store.sessions(ADA)).sessions] == ["b"]


async def test_a_tombstone_keeps_its_session_out_of_the_registry(store: Store) -> None:
    """A token that was ended by name does not come back by connecting."""
    await store.end(Command(logout(Scope.SESSION, "a"), also="a"))
    state = await store.register(registration("a"))
    assert state.tombstone is not None
    assert state.tombstone.scope is Scope.SESSION
    assert (await store.sessions(ADA)).sessions == ()


async def test_a_session_that_must_exist_and_does_not_changes_nothing(store: Store) -> None:
    """Ending a session that is not registered is not found, and writes no tombstone."""
    with pytest.raises(NotFound):
        await store.end(Command(logout(Scope.SESSION, "a"), also="a", must_exist=True))
    assert await alive(store, identity("a"))


async def test_the_logout_is_found_again_by_who_comes_back(store: Store) -> None:
    """What a refused token is told is the logout that ended it, word for word."""
    await store.register(registration("a"))
    written = msgspec.structs.replace(
        logout(), reason=Reason.PASSWORD_CHANGED, message="Your password – “changed” \n 密码"
    )
    receipt = await store.end(Command(written))
    state = await store.look(identity("a", iat=1))
    assert state.tombstone == receipt.logout
    assert state.cutoffs == (receipt.logout,)
    assert msgspec.structs.replace(receipt.logout, at=0) == written


async def test_a_login_after_a_logout_is_alive(store: Store) -> None:
    """A token with a fractional iat just after the logout works at once, and can be listed."""
    await store.end(Command(logout()))
    fresh = registration("fresh")
    assert judge(fresh.identity, await store.register(fresh)) is None
    assert [s.sid for s in (await store.sessions(ADA)).sessions] == ["fresh"]


async def test_a_login_after_a_logout_goes_on_under_the_same_session_id(store: Store) -> None:
    """A logout by name ends the logins up to it: a later one is entered again and listed."""
    began = now()
    first = login("a", began)
    await store.register(first)
    await store.end(Command(logout(Scope.SESSION, "a"), also="a"))
    refreshed = login("a", began)
    for dead in (first, refreshed):
        assert judge(dead.identity, await store.register(dead)) is not None
    assert (await store.sessions(ADA)).sessions == ()
    again = login("a", now())
    assert judge(again.identity, await store.register(again)) is None
    assert [s.sid for s in (await store.sessions(ADA)).sessions] == ["a"]
    for dead in (first, refreshed):
        assert not await alive(store, dead.identity)
    assert not await alive(store, identity("a"))


@pytest.mark.all_partitions
async def test_a_refresh_after_a_logout_needs_a_new_login(store: Store) -> None:
    """Who refreshes a login that was ended, by name or with all, is told to log in."""
    began = now() - 60 * SECOND
    for command in (
        Command(logout(Scope.SESSION, "a"), also="a"),
        Command(logout()),
        Command(logout(user=None)),
    ):
        receipt = await store.end(command)
        refreshed = login("a", began).identity
        refusal = judge(refreshed, await store.look(refreshed))
        assert isinstance(refusal, LoginRequired)
        assert refusal.logout is not None
        assert refusal.logout.id == receipt.logout.id
        began = now()


async def test_a_second_logout_ends_the_session_id_again(store: Store) -> None:
    """Each logout of one id has a later instant, and ends the logins up to that one."""
    stamps = []
    for _ in range(3):
        mine = login("a", now())
        assert judge(mine.identity, await store.register(mine)) is None
        receipt = await store.end(Command(logout(Scope.SESSION, "a"), also="a"))
        assert [o.sid for o in receipt.sessions] == ["a"]
        state = await store.look(mine.identity)
        assert state.tombstone == receipt.logout
        assert judge(mine.identity, state) is not None
        assert (await store.sessions(ADA)).sessions == ()
        stamps.append(receipt.logout.at)
    assert stamps == sorted(set(stamps))


async def test_all_ends_a_login_that_came_after_a_logout_by_name(store: Store) -> None:
    """The later login of an id stands in the registry, so that `all` ends and names it."""
    await store.end(Command(logout(Scope.SESSION, "a"), also="a"))
    again = login("a", now())
    await store.register(again)
    receipt = await store.end(Command(logout()))
    assert [(o.sid, o.device) for o in receipt.sessions] == [("a", "device of a")]
    assert not await alive(store, again.identity)


async def test_a_login_of_before_is_not_entered_however_new_its_token(store: Store) -> None:
    """After `all`, the refresh of an older login stays out of the registry."""
    began = now()
    await store.end(Command(logout()))
    await store.register(login("a", began))
    assert (await store.sessions(ADA)).sessions == ()


async def test_sessions_per_token_are_shown_as_such(store: Store) -> None:
    """The list says of which rows the session is only as long as a token."""
    await store.register(loose("t"))
    await store.register(registration("a"))
    await store.register(loose("t"))
    listed = (await store.sessions(ADA)).sessions
    assert {s.sid: s.per_token for s in listed} == {"t": True, "a": False}


async def test_sessions_per_token_give_way_oldest_first(store: Store) -> None:
    """One too many takes the place of the one that was seen longest ago, and nobody is refused."""
    for number in range(5):
        await store.register(loose(f"t{number}"))
    await store.register(loose("t0"))  # seen again
    for made in (loose("new"), registration("named")):
        assert judge(made.identity, await store.register(made)) is None
    listed = {s.sid for s in (await store.sessions(ADA)).sessions}
    assert listed == {"t0", "t3", "t4", "new", "named"}
    # A row that gave way is no logout.
    assert await alive(store, identity("t1"))


async def test_only_sessions_per_token_that_nobody_holds_give_way(store: Store) -> None:
    """Who is connected keeps the place while the replica lives, and so do named logins."""
    await store.renew("replica-1")
    await store.register(loose("held 1", lease="replica-1"))
    await store.register(loose("held 2", lease="replica-1", sequence=2))
    await store.register(registration("named 1"))
    await store.register(registration("named 2"))
    await store.register(loose("lost", lease="replica that was killed"))
    await store.register(loose("held 3", lease="replica-1", sequence=3))
    kept = {"held 1", "held 2", "held 3", "named 1", "named 2"}
    assert {s.sid for s in (await store.sessions(ADA)).sessions} == kept
    for made in (loose("new"), registration("named 3")):
        with pytest.raises(RateLimited):
            await store.register(made)
    assert {s.sid for s in (await store.sessions(ADA)).sessions} == kept
    await store.renew("replica-1", [Departure(ADA, "held 1", 1)])
    await store.register(registration("named 3"))
    assert {s.sid for s in (await store.sessions(ADA)).sessions} == (kept - {"held 1"}) | {
        "named 3"
    }


async def test_the_row_of_a_device_moves_to_its_next_token(store: Store) -> None:
    """What was known of the device stays: since when, and its name; the old row is gone."""
    await store.renew("replica-1")
    await store.register(
        msgspec.structs.replace(loose("t1", lease="replica-1"), device="Ada's phone")
    )
    (before,) = (await store.sessions(ADA)).sessions
    await store.register(loose("t2", lease="replica-1", sequence=2, replaces="t1"))
    (after,) = (await store.sessions(ADA)).sessions
    assert (after.sid, after.device, after.online) == ("t2", "Ada's phone", True)
    assert after.created_at == before.created_at
    assert after.per_token
    # The departure from the old session takes nothing from the new one.
    await store.renew("replica-1", [Departure(ADA, "t1", 3)])
    (after,) = (await store.sessions(ADA)).sessions
    assert (after.sid, after.online) == ("t2", True)
    receipt = await store.end(Command(logout()))
    assert [o.sid for o in receipt.sessions] == ["t2"]


async def test_a_row_moves_when_there_is_no_room_for_another(store: Store) -> None:
    """Going on with another token takes no more room than before."""
    await store.renew("replica-1")
    for number in range(5):
        await store.register(loose(f"t{number}", lease="replica-1", sequence=number + 1))
    await store.register(loose("new", lease="replica-1", sequence=6, replaces="t2"))
    listed = {s.sid for s in (await store.sessions(ADA)).sessions}
    assert listed == {"t0", "t1", "t3", "t4", "new"}


@pytest.mark.parametrize("why", ["held by another", "named", "unknown"])
async def test_a_row_stays_where_it_is_not_the_devices_alone(store: Store, why: str) -> None:
    """Neither a row that another replica holds moves, nor that of a login with a name."""
    for lease in ("replica-1", "replica-2"):
        await store.renew(lease)
    old = (
        registration("old", lease="replica-1")
        if why == "named"
        else loose("old", lease="replica-1")
    )
    if why != "unknown":
        await store.register(old)
    if why == "held by another":
        await store.register(loose("old", lease="replica-2"))
    await store.register(loose("new", lease="replica-1", sequence=2, replaces="old"))
    listed = {s.sid: s.device for s in (await store.sessions(ADA)).sessions}
    expected = {"new": "device of new"}
    assert listed == (expected if why == "unknown" else {"old": "device of old", **expected})


@pytest.mark.all_partitions
async def test_everyone_ends_all_users(store: Store) -> None:
    """A logout of everyone needs no list of users, and who logs in afterwards is in."""
    users = [user_key("", str(number)) for number in range(40)]
    for user in users:
        await store.register(registration("a", user=user))
    tokens = [identity("a", user=user) for user in users]
    receipt = await store.end(Command(logout(user=None)))
    assert receipt.logout.user is None
    assert not any([await alive(store, token) for token in tokens])
    assert all([await alive(store, identity("b", user=user)) for user in users])


@pytest.mark.all_partitions
async def test_a_logout_of_everyone_leaves_room_and_no_traces(store: Store) -> None:
    """Sessions that it ended take nobody's place and are not ended once more."""
    for number in range(5):
        await store.register(registration(f"old {number}"))
    await store.end(Command(logout(user=None)))
    for number in range(5):
        await store.register(registration(f"new {number}"))
    receipt = await store.end(Command(logout()))
    assert {outcome.sid for outcome in receipt.sessions} == {f"new {n}" for n in range(5)}


@pytest.mark.all_partitions
async def test_what_everyones_logout_ended_is_not_ended_again(store: Store) -> None:
    """The receipt of a later logout names the sessions that were alive."""
    await store.register(registration("old"))
    await store.end(Command(logout(user=None)))
    await store.register(registration("new"))
    receipt = await store.end(Command(logout()))
    assert [outcome.sid for outcome in receipt.sessions] == ["new"]


async def test_registering_a_dead_session_does_not_revive_it(store: Store) -> None:
    """A token from before a cut-off stays dead, however often it is shown."""
    old = identity("old")
    await store.end(Command(logout()))
    for _ in range(2):
        verdict = judge(old, await store.register(Registration(old, "", "")))
        assert isinstance(verdict, TokenRevoked)
    assert (await store.sessions(ADA)).sessions == ()
    assert (await store.end(Command(logout()))).sessions == ()


async def test_the_same_key_gives_the_same_logout_once(store: Store) -> None:
    """A repeated request gets the first answer, and does not end what came in between."""
    await store.register(registration("a"))
    command = Command(logout(), key="key-1")
    first = await store.end(command)
    await store.register(registration("b"))
    again = await store.end(
        msgspec.structs.replace(command, logout=msgspec.structs.replace(command.logout, id="x"))
    )
    assert (again.logout, again.sessions) == (first.logout, first.sessions)
    assert (first.repeated, again.repeated) == (False, True)
    assert await alive(store, (registration("b")).identity)
    assert [s.sid for s in (await store.sessions(ADA)).sessions] == ["b"]


async def test_an_earlier_answer_is_recalled_by_its_key(store: Store) -> None:
    """Recalling gives the first receipt, or none, and changes nothing."""
    await store.register(registration("a"))
    asked = Command(logout(), key="key-1")
    assert await store.recall(asked) is None
    assert await alive(store, identity("a", iat=now() - SECOND))
    first = await store.end(asked)
    again = await store.recall(asked)
    assert again == msgspec.structs.replace(first, repeated=True)
    with pytest.raises(KeyReused):
        await store.recall(Command(logout(Scope.OTHERS, "a"), key="key-1"))
    assert await store.recall(Command(logout(user=user_key("", "grace")), key="key-1")) is None


async def test_a_key_serves_one_request_of_one_user(store: Store) -> None:
    """Another logout under the same key is refused; another user may use the same key."""
    await store.end(Command(logout(), key="key-1"))
    with pytest.raises(KeyReused):
        await store.end(Command(logout(Scope.SESSION, "a"), also="a", key="key-1"))
    assert await alive(store, identity("a"))
    await store.end(Command(logout(user=user_key("", "grace")), key="key-1"))


async def test_online_is_what_a_replica_holds(store: Store) -> None:
    """A session is online while a replica with a lease holds a socket of it."""
    await store.renew("replica-1")
    await store.register(registration("a", lease="replica-1"))
    await store.register(registration("b"))
    await store.register(registration("c", lease="replica that was killed"))
    listed = {s.sid: s.online for s in (await store.sessions(ADA)).sessions}
    assert listed == {"a": True, "b": False, "c": False}
    receipt = await store.end(Command(logout()))
    assert {o.sid: o.state for o in receipt.sessions} == {
        "a": State.NOTIFIED,
        "b": State.OFFLINE,
        "c": State.OFFLINE,
    }


async def test_a_departure_takes_a_session_offline_unless_it_came_back(store: Store) -> None:
    """A departure counts up to its sequence: a late one does not undo a quick reconnect."""
    await store.renew("replica-1")
    await store.register(registration("a", lease="replica-1", sequence=1))
    await store.register(registration("a", lease="replica-1", sequence=2))
    await store.renew("replica-1", [Departure(ADA, "a", 1)])
    assert [s.online for s in (await store.sessions(ADA)).sessions] == [True]
    await store.renew("replica-1", [Departure(ADA, "a", 2), Departure(ADA, "unknown", 1)])
    (session,) = (await store.sessions(ADA)).sessions
    assert not session.online
    assert session.last_seen_at > session.registered_at


async def test_a_session_on_two_replicas_is_online_until_both_let_go(store: Store) -> None:
    """Each replica counts for itself."""
    for lease in ("replica-1", "replica-2"):
        await store.renew(lease)
        await store.register(registration("a", lease=lease))
    await store.renew("replica-1", [Departure(ADA, "a", 1)])
    assert [s.online for s in (await store.sessions(ADA)).sessions] == [True]


async def test_followers_hear_every_logout_in_order(store: Store) -> None:
    """A follower hears each logout once, as it was written."""
    async with listening(store) as listener:
        receipts = [await store.end(Command(logout(user=ADA))) for _ in range(3)]
        heard = await listener.hear(3)
        await listener.confirmed()
        assert [one.logout for one in listener.heard] == [one.logout for one in receipts]
        assert all(one.concerns(ADA) for one in heard)
        assert not any(one.concerns(user_key("", "grace")) for one in heard)


async def test_following_begins_with_a_gap_and_is_confirmed_again_and_again(store: Store) -> None:
    """Who begins to follow cannot know what was before, and then keeps being told that all is."""
    await store.end(Command(logout(user=ADA)))
    async with listening(store) as listener:
        await listener.confirmed()
        assert isinstance(listener.events[0], Gap)
        assert set(listener.gaps.values()) == {1}  # a node that answers later has a gap of its own
        assert listener.heard == []


@pytest.mark.all_partitions
async def test_a_logout_of_everyone_is_heard_by_every_user(store: Store) -> None:
    """Together, the events of a logout of everyone concern each user exactly once."""
    users = [user_key("", str(number)) for number in range(100)]
    async with listening(store) as listener:
        await store.end(Command(logout(user=None)))
        await listener.confirmed()
        await listener.confirmed()
        concerned = [user for heard in listener.heard for user in users if heard.concerns(user)]
        assert sorted(concerned) == sorted(users)


async def test_the_longest_names_and_words_are_kept(store: Store) -> None:
    """What the edges let through, the store can write, publish and read again."""
    widest = "\U0010fffd" * 256
    user = user_key(widest, widest)
    async with listening(store) as listener:
        written = logout(Scope.OTHERS, widest, user=user)
        written = msgspec.structs.replace(written, message="\x01" * 500)
        receipt = await store.end(Command(written))
        assert msgspec.structs.replace(receipt.logout, at=0) == written
        (heard,) = await listener.hear(1)
        assert heard.logout == receipt.logout
        assert not await alive(store, identity("a", user=user, iat=1))


# Receipts


async def report(
    store: Store, heard: LogoutEvent, lease: str, *, done: bool = True, **states: State
) -> None:
    """Report what became of sessions on a replica."""
    await store.report(Report(lease, heard, sessions=states, done=done))


async def read_states(store: Store, logout_id: str) -> tuple[dict[str, str], bool]:
    """Return each session's state in a receipt, and whether it is complete."""
    receipt = await store.receipt(logout_id, ADA)
    assert receipt is not None
    return {one.sid: one.state.value for one in receipt.sessions}, receipt.complete


async def test_a_receipt_is_complete_once_every_holder_has_reported(store: Store) -> None:
    """Sessions without a socket are offline at once; the others wait for their replicas."""
    for lease, sid in (("r1", "a"), ("r2", "b"), ("r1", "c"), ("r2", "c")):
        await store.renew(lease)
        await store.register(registration(sid, lease=lease))
    await store.register(registration("d"))
    async with listening(store) as listener:
        written = await store.end(Command(logout(user=ADA)))
        (heard,) = await listener.hear(1)
    assert heard.leases == {"r1", "r2"}
    name = written.logout.id
    told = {"a": "notified", "b": "notified", "c": "notified"}
    assert await read_states(store, name) == ({**told, "d": "offline"}, False)
    await report(store, heard, "r1", a=State.ACKNOWLEDGED, c=State.ACKNOWLEDGED)
    states, complete = await read_states(store, name)
    assert (states["a"], states["b"], complete) == ("acknowledged", "notified", False)
    await report(store, heard, "r2", c=State.CUT)
    done = {"a": "acknowledged", "b": "offline", "c": "cut", "d": "offline"}
    assert await read_states(store, name) == (done, True)
    await report(store, heard, "r2", c=State.CUT)
    await report(store, heard, "r1", a=State.OFFLINE)
    assert await read_states(store, name) == (done, True)


async def test_a_receipt_names_what_clients_could_not_clear(store: Store) -> None:
    """The names of all replicas are united, and a report that comes again adds nothing."""
    for lease, sid in (("r1", "a:b|c"), ("r2", "a:b|c"), ("r1", "d")):
        await store.renew(lease)
        await store.register(registration(sid, lease=lease))
    async with listening(store) as listener:
        written = await store.end(Command(logout(user=ADA)))
        (heard,) = await listener.hear(1)
    for lease, names in (("r1", ("push",)), ("r2", ("caches", "push")), ("r1", ("push",))):
        states = {"a:b|c": State.ACKNOWLEDGED, "d": State.ACKNOWLEDGED}
        await store.report(Report(lease, heard, sessions=states, failures={"a:b|c": names}))
    receipt = await store.receipt(written.logout.id, ADA)
    assert receipt is not None
    failed = {one.sid: one.failed for one in receipt.sessions}
    assert failed == {"a:b|c": ("caches", "push"), "d": ()}


async def test_a_receipt_without_sockets_is_complete_at_once(store: Store) -> None:
    """No report is pending when nobody was online."""
    await store.register(registration("a"))
    written = await store.end(Command(logout(user=ADA)))
    receipt = await store.receipt(written.logout.id, ADA)
    assert receipt is not None
    assert receipt.complete
    assert [(one.sid, one.device) for one in receipt.sessions] == [("a", "device of a")]
    assert receipt.logout == written.logout


@pytest.mark.all_partitions
async def test_a_receipt_is_for_its_user_and_for_who_may_see_all(store: Store) -> None:
    """Another user's receipt is as none; without a user the whole logout is read."""
    grace = user_key("", "grace")
    shared = logout(user=ADA)
    for user in (ADA, grace):
        await store.register(registration("s", user=user))
        await store.end(Command(msgspec.structs.replace(shared, user=user)))
    for user in (ADA, grace):
        mine = await store.receipt(shared.id, user)
        assert mine is not None
        assert len(mine.sessions) == 1
    both = await store.receipt(shared.id, None)
    assert both is not None
    assert {one.user for one in both.sessions} == {ADA, grace}
    assert await store.receipt(shared.id, user_key("", "eve")) is None
    assert await store.receipt("never", None) is None


@pytest.mark.all_partitions
async def test_a_receipt_of_everyone_counts_sessions_and_names_them(store: Store) -> None:
    """Each replica says at once what it holds; a session on two counts once, by the worse end."""
    for lease in ("r1", "r2"):
        await store.renew(lease)
    async with listening(store) as listener:
        written = await store.end(Command(logout(user=None)))
        await listener.confirmed()
        await listener.confirmed()
        everyones = listener.heard
    name = written.logout.id

    async def counts() -> tuple[dict[State, int], int, bool, bool]:
        receipt = await store.receipt(name, None)
        assert receipt is not None
        seen = {state: count for state, count in receipt.counts.items() if count}
        return seen, receipt.waiting, receipt.counted, receipt.complete

    assert await counts() == ({}, 0, False, False)
    a, b, c = (session_key(ADA, sid) for sid in ("a b", "b", "c"))
    first = everyones[0]
    for _ in range(2):
        for lease in ("r1", "r2"):
            for heard in everyones:
                held = {a: "Phone", b: "", c: ""} if heard is first else {}
                held = {key: held[key] for key in held if lease == "r1" or key == a}
                await store.report(Report(lease, heard, listed=held, done=False))
    assert await counts() == ({State.NOTIFIED: 3}, 3, True, False)
    told = Report("r1", first, sessions={a: State.ACKNOWLEDGED}, done=False)
    await store.report(told)
    assert await counts() == ({State.NOTIFIED: 3}, 3, True, False)
    ends = {b: State.ACKNOWLEDGED, c: State.OFFLINE}
    part = Report("r1", first, sessions=ends, failures={b: ("push", "app")}, done=False)
    for _ in range(2):
        await store.report(part)
    now = {State.NOTIFIED: 1, State.ACKNOWLEDGED: 1, State.OFFLINE: 1}
    assert await counts() == (now, 1, True, False)
    (waiting,) = [one for one in await all_outcomes(store, name) if one.waiting]
    assert (waiting.user, waiting.sid, waiting.device) == (ADA, "a b", "Phone")
    await store.report(Report("r2", first, sessions={a: State.CUT}, done=False))
    for lease in ("r1", "r2"):
        for heard in everyones:
            await store.report(Report(lease, heard))
    counted, waits, _, complete = await counts()
    assert (counted, waits, complete) == (
        {State.CUT: 1, State.ACKNOWLEDGED: 1, State.OFFLINE: 1},
        0,
        True,
    )
    rows = [(one.sid, one.state.value, one.failed) for one in await all_outcomes(store, name)]
    assert rows == [
        ("a b", "cut", ()),
        ("b", "acknowledged", ("app", "push")),
        ("c", "offline", ()),
    ]


async def all_outcomes(store: Store, logout_id: str) -> list[Outcome]:
    """Return the sessions of a logout, part after part."""
    parts = [await store.outcomes(logout_id, part) for part in range(store.partition_count)]
    return [outcome for part in parts for outcome in part]


@pytest.mark.all_partitions
async def test_the_sessions_of_a_logout_are_listed_by_user(store: Store) -> None:
    """Those of all users, part after part, and of none when there is no such logout."""
    users = [user_key("", name) for name in ("ada", "bob", "eve")]
    shared = logout(user=ADA)
    for user in users:
        for sid in ("b", "a"):
            await store.register(registration(sid, user=user))
        await store.end(Command(msgspec.structs.replace(shared, user=user)))
    listed = await all_outcomes(store, shared.id)
    assert sorted((one.user, one.sid) for one in listed) == [
        (user, sid) for user in users for sid in ("a", "b")
    ]
    for user in users:
        assert [one.sid for one in listed if one.user == user] == ["a", "b"]
    assert not await all_outcomes(store, "never")


async def test_a_report_of_an_unknown_logout_changes_nothing(store: Store) -> None:
    """There is nothing to enter it in."""
    await report(store, LogoutEvent(logout(user=ADA), lambda user: True), "r1", a=State.CUT)
    assert await store.receipt("id", ADA) is None


@pytest.mark.all_partitions
async def test_a_claimed_key_is_for_one_request(store: Store) -> None:
    """Claiming ends nothing; the same claim again is fine, and another one is refused."""
    await store.register(registration("a"))
    assert await store.claim(Claim("k", "a list", "first id")) == "first id"
    assert await store.claim(Claim("k", "a list", "second id")) == "first id"
    with pytest.raises(KeyReused):
        await store.claim(Claim("k", "another list", "third id"))
    assert await store.claim(Claim("another key", "another list", "third id")) == "third id"
    assert len((await store.sessions(ADA)).sessions) == 1
    assert not (await store.end(Command(logout(), key="k"))).repeated


@pytest.mark.all_partitions
async def test_many_calls_at_once_are_all_answered(store: Store) -> None:
    """Calls made together share their way to the store and get each its own answer."""
    users = [user_key("", str(number)) for number in range(500)]
    await asyncio.gather(*(store.register(registration(f"s-{user}", user=user)) for user in users))
    registries = await asyncio.gather(*(store.sessions(user) for user in users))
    assert [r.sessions[0].sid for r in registries] == [f"s-{user}" for user in users]


async def test_odd_session_ids_stay_apart(store: Store) -> None:
    """Session ids may hold separators, spaces and any script."""
    names = ["a:b", "a|b", "a b", "ключ", "@replica-1"]
    for name in names:
        await store.register(registration(name))
    await store.end(Command(logout(Scope.SESSION, "a:b"), also="a:b", must_exist=True))
    assert [s.sid for s in (await store.sessions(ADA)).sessions] == names[1:]


@pytest.mark.all_partitions
async def test_one_holder_at_a_time_has_a_hold(store: Store) -> None:
    """Who has it may renew it; others get it once it is released, and only its holder may do so."""
    assert await store.hold("poll https://tr.example/a b", "one", 60)
    assert await store.hold("poll https://tr.example/a b", "one", 60)
    assert not await store.hold("poll https://tr.example/a b", "two", 60)
    assert await store.hold("another", "two", 60)
    await store.release("poll https://tr.example/a b", "two")
    assert not await store.hold("poll https://tr.example/a b", "two", 60)
    await store.release("poll https://tr.example/a b", "one")
    assert await store.hold("poll https://tr.example/a b", "two", 60)
    assert not await store.hold("poll https://tr.example/a b", "one", 60)


@pytest.mark.all_partitions
async def test_a_hold_lapses_unless_it_is_renewed(store: Store) -> None:
    """When a hold lapses, another holder gets it."""
    assert await store.hold("h", "one", 0.2)
    await asyncio.sleep(0.5)
    assert await store.hold("h", "two", 60)
    assert not await store.hold("h", "one", 60)


@pytest.mark.all_partitions
async def test_the_newest_note_of_each_kind_is_kept_and_counted(store: Store) -> None:
    """Notes about one thing are apart from those about another, and timed by the store."""
    assert await store.notes("https://tr.example") == {}
    await store.note("https://tr.example", "heard", "0.1")
    await store.note("https://tr.example", "heard", "0.2", times=3)
    await store.note("https://tr.example", "status", "paused: für heute")
    await store.note("https://other.example", "heard", "9")
    notes = await store.notes("https://tr.example")
    assert {kind: (note.text, note.times) for kind, note in notes.items()} == {
        "heard": ("0.2", 4),
        "status": ("paused: für heute", 1),
    }
    assert all(abs(note.at - now()) < 60 * SECOND for note in notes.values())
