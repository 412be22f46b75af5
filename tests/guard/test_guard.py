"""The guard for event loops, beside a server that says what a test wants a hub to say."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hub.core.feed import Revocation
from hub.core.model import Reason, Scope
from hub.errors import (
    HubError,
    InvalidRequest,
    LoginRequired,
    TokenExpired,
    TokenInvalid,
    TokenNotYetValid,
    TokenRevoked,
    TokenTooOld,
    Unauthorized,
    Unavailable,
)
from hub.guard import Guard
from hub.guard import callbacks as callbacks_module
from hub.guard import core as core_module
from hub.guard import flights as flights_module
from hub.guard import verdicts as verdicts_module
from hub.guard.clock import clock
from hub.guard.cutting import watch_arguments
from hub.guard.options import OnStale
from tests.deploy.certificate import write_certificate
from tests.guard.feed_server import TOKEN, FeedServer, problem
from tests.patience import PATIENCE
from tests.site import SECRET, token


@pytest.fixture(scope="module")
def server() -> Iterator[FeedServer]:
    """One server for all tests of this module."""
    with FeedServer() as running:
        yield running


@pytest.fixture
def hub(server: FeedServer) -> FeedServer:
    """The server as it is at first."""
    server.snapshot, server.status, server.late, server.is_silent = [], 200, {}, False
    server.encoding, server.offset = "identity", 0.0
    server.judge = lambda token: (204, b"")
    server.requests.clear()
    server.orders.clear()
    server.asked.clear()
    return server


@contextlib.asynccontextmanager
async def guarding(hub: FeedServer, **arguments: Any) -> AsyncIterator[Guard]:
    """Run a guard of the hub."""
    given = {"token": TOKEN, "secret": SECRET, "start_timeout": PATIENCE, **arguments}
    async with Guard(hub.url, **given) as guard:
        yield guard


async def until(condition: Callable[[], bool]) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(PATIENCE):
        while True:
            if condition():
                return
            await asyncio.sleep(0.005)


async def heard(hub: FeedServer, guard: Guard, logout: Revocation, place: str = "") -> None:
    """Tell of a logout, and wait until the guard knows of it."""
    done = asyncio.Event()
    unsubscribe = guard.on_logout(lambda told: done.set() if told == logout else None)
    hub.logout(logout, place)
    async with asyncio.timeout(PATIENCE):
        await done.wait()
    unsubscribe()


def grow_stale(guard: Guard, monkeypatch: pytest.MonkeyPatch, by: float = 60.0) -> None:
    """Let time pass for a guard that hears nothing."""
    for module in (core_module, verdicts_module, flights_module):
        monkeypatch.setattr(module, "clock", lambda: clock() + by)
    assert guard.staleness > by / 2


def ends(user: str, hub: FeedServer, **members: Any) -> Revocation:
    """Return a logout of all sessions of a user, just now."""
    return Revocation(
        **{"scope": Scope.ALL, "reason": Reason.USER, "at": hub.now(), "user": user, **members}
    )


async def refused(answer: Any) -> HubError:
    """Return the error of a check."""
    with pytest.raises((Unauthorized, Unavailable)) as caught:
        await answer
    return caught.value


# ---- Verdicts ----


async def test_a_token_is_checked_and_refused_once_its_user_has_logged_out(hub: FeedServer) -> None:
    """The hub is asked nothing, and the refusal tells the logout."""
    async with guarding(hub) as guard:
        given = token("ada", "s1")
        assert (await guard.check(given)).sid == "s1"
        assert (await guard.check(given)).sub == "ada"
        await heard(hub, guard, ends("ada", hub, id="l1", message="bye"))
        error = await refused(guard.check(given))
        assert isinstance(error, TokenRevoked)
        assert error.logout is not None
        assert (error.logout.id, error.logout.message) == ("l1", "bye")
        assert hub.asked == []


async def test_what_was_in_force_before_counts(hub: FeedServer) -> None:
    """From the snapshot, in one that is compressed as well."""
    given, other = token("ada", "s1"), token("ada", "s2")
    hub.encoding = "gzip"
    hub.snapshot = [Revocation(Scope.SESSION, Reason.ADMIN, hub.now(), user="ada", sid="s1")]
    async with guarding(hub) as guard:
        assert isinstance(await refused(guard.check(given)), TokenRevoked)
        assert (await guard.check(other)).sid == "s2"
        assert hub.requests[0]["Accept-Encoding"] == "gzip"


async def test_tokens_are_verified_by_the_rules_of_the_hub(hub: FeedServer) -> None:
    """Forged, expired and early ones are refused with the hub's codes."""
    async with guarding(hub) as guard:
        cases = [
            (token("ada")[:-4] + "AAAA", TokenInvalid),
            ("no token", TokenInvalid),
            (token("ada", lifetime=0.001), TokenExpired),
            (guard.mint_ticket("ada", "s", nbf=time.time() + 20), TokenNotYetValid),
            (guard.mint_ticket("ada", "s", nbf=time.time() + 900), TokenInvalid),
        ]
        await asyncio.sleep(0.002)
        for given, kind in cases:
            assert type(await refused(guard.check(given))) is kind
        assert hub.asked == []


async def test_a_known_token_expires(hub: FeedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the time of the store, whatever the clock of this machine says."""
    hub.offset = 3600.0
    async with guarding(hub, max_staleness=1000.0) as guard:
        given = guard.mint_ticket("ada", "s1", lifetime=20)
        assert guard.now() == pytest.approx(hub.now(), abs=5)
        await guard.check(given)
        grow_stale(guard, monkeypatch, 30.0)
        assert isinstance(await refused(guard.check(given)), TokenExpired)


async def test_an_apps_own_session_is_checked_without_a_token(hub: FeedServer) -> None:
    """By user, session and the time of its login."""
    async with guarding(hub) as guard:
        before = guard.now()
        identity = await guard.check_session("ada", "s1", before)
        assert (identity.user, identity.sid, identity.sub) == ("|ada", "s1", "ada")
        await heard(hub, guard, ends("ada", hub, scope=Scope.OTHERS, sid="s2"))
        assert isinstance(await refused(guard.check_session("ada", "s1", before)), TokenRevoked)
        assert (await guard.check_session("ada", "s2", before)).sid == "s2"
        assert (await guard.check_session("ada", "s1", guard.now())).sid == "s1"
        assert hub.asked == []


async def test_a_session_is_refused_that_is_older_than_anybody_remembers(hub: FeedServer) -> None:
    """Since its logout may have been forgotten; and so are what can be no sessions."""
    async with guarding(hub) as guard:
        old = guard.now() - 31 * 86400
        assert isinstance(await refused(guard.check_session("ada", "s1", old)), TokenExpired)
        early = await refused(guard.check_session("ada", "s1", guard.now() + 20))
        assert isinstance(early, TokenNotYetValid)
        for user, sid, at in (("", "s", 1.0), ("ada", "a\0", 1.0), ("ada", "s", float("nan"))):
            with pytest.raises(InvalidRequest):
                await guard.check_session(user, sid, at)


# ---- The same second ----


async def test_within_the_second_of_a_logout_the_hub_is_asked_once(hub: FeedServer) -> None:
    """And its answer holds until the next logout."""
    second = int(time.time())
    async with guarding(hub) as guard:
        given = guard.mint_ticket("ada", "s1", iat=second, exp=second + 600)
        await heard(hub, guard, ends("ada", hub, at=second + 0.5))
        assert (await guard.check(given)).sid == "s1"
        assert (await guard.check(given)).sid == "s1"
        assert hub.asked == [given]
        hub.judge = lambda token: problem(401, "token_revoked", at=hub.now(), reason="user")
        await heard(hub, guard, ends("ada", hub, at=second + 0.6))
        assert isinstance(await refused(guard.check(given)), TokenRevoked)
        assert len(hub.asked) == 2


async def test_a_guard_that_may_not_ask_refuses_within_the_second(hub: FeedServer) -> None:
    """With the code that tells the client to get a newer token."""
    second = int(time.time())
    async with guarding(hub, on_stale="refuse") as guard:
        given = guard.mint_ticket("ada", "s1", iat=second, exp=second + 600)
        await heard(hub, guard, ends("ada", hub, at=second + 0.5))
        assert isinstance(await refused(guard.check(given)), TokenTooOld)
        assert hub.asked == []


async def test_an_answer_from_before_a_logout_does_not_outlive_it(hub: FeedServer) -> None:
    """A logout that is heard while the hub is asked refuses at once, whatever the hub says."""
    second = int(time.time())
    is_asked, may_answer = threading.Event(), threading.Event()

    def judge(token: str) -> tuple[int, bytes]:
        is_asked.set()
        may_answer.wait(PATIENCE)
        return 204, b""

    async with guarding(hub) as guard:
        given = guard.mint_ticket("ada", "s1", iat=second, exp=second + 600)
        await heard(hub, guard, ends("ada", hub, at=second + 0.5))
        hub.judge = judge
        check = asyncio.create_task(guard.check(given))
        await asyncio.to_thread(is_asked.wait, PATIENCE)
        await heard(hub, guard, ends("ada", hub, at=second + 2.0))
        may_answer.set()
        assert isinstance(await refused(check), TokenRevoked)
        assert isinstance(await refused(guard.check(given)), TokenRevoked)


async def test_an_answer_that_comes_too_late_is_none(
    hub: FeedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Since a logout may have been answered meanwhile."""
    async with guarding(hub) as guard:
        grow_stale(guard, monkeypatch)
        monkeypatch.setattr(flights_module, "clock", lambda: clock() + 40.0)
        assert isinstance(await refused(guard.check(token("ada", "s1"))), Unavailable)


async def test_a_question_from_before_a_logout_is_not_joined_after_it(hub: FeedServer) -> None:
    """Its answer would hold for the new logout, which the hub did not know of when it was asked."""
    second = int(time.time())
    is_asked, may_answer = threading.Event(), threading.Event()

    def judge(token: str) -> tuple[int, bytes]:
        if not is_asked.is_set():
            is_asked.set()
            may_answer.wait(PATIENCE)
            return 204, b""
        return problem(401, "token_revoked", at=second + 0.6, reason="user")

    async with guarding(hub) as guard:
        given = guard.mint_ticket("ada", "s1", iat=second, exp=second + 600)
        await heard(hub, guard, ends("ada", hub, at=second + 0.5))
        hub.judge = judge
        first = asyncio.create_task(guard.check(given))
        await asyncio.to_thread(is_asked.wait, PATIENCE)
        await heard(hub, guard, ends("ada", hub, at=second + 0.6))
        second_check = asyncio.create_task(guard.check(given))
        await asyncio.sleep(0.05)
        may_answer.set()
        assert isinstance(await refused(first), TokenRevoked)
        assert isinstance(await refused(second_check), TokenRevoked)
        assert isinstance(await refused(guard.check(given)), TokenRevoked)


async def test_a_token_is_asked_about_once_at_a_time(hub: FeedServer) -> None:
    """However many requests have it."""
    second = int(time.time())
    async with guarding(hub) as guard:
        given = guard.mint_ticket("ada", "s1", iat=second, exp=second + 600)
        await heard(hub, guard, ends("ada", hub, at=second + 0.5))
        may_answer = threading.Event()
        hub.judge = lambda token: (204 if may_answer.wait(PATIENCE) else 500, b"")
        checks = [asyncio.create_task(guard.check(given)) for _ in range(20)]
        await until(lambda: bool(hub.asked))
        may_answer.set()
        await asyncio.gather(*checks)
        assert hub.asked == [given]


# ---- Staleness ----


async def test_a_stale_guard_asks_the_hub(hub: FeedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """About each token, and about sessions with a ticket; what it knows to be over stays so."""
    async with guarding(hub) as guard:
        given, dead = token("ada", "s1"), token("bob", "s1")
        await guard.check(given)
        await heard(hub, guard, ends("bob", hub))
        grow_stale(guard, monkeypatch)
        assert (await guard.check(given)).sid == "s1"
        assert (await guard.check_session("ada", "s1", time.time())).sid == "s1"
        assert len(hub.asked) == 2
        assert isinstance(await refused(guard.check(dead)), TokenRevoked)
        assert len(hub.asked) == 2


async def test_a_guard_that_was_never_told_how_long_is_remembered_vouches_for_no_old_session(
    hub: FeedServer,
) -> None:
    """The hub may have forgotten its logout, and says nothing against a ticket of it."""
    hub.status = 401
    async with guarding(hub, start_timeout=0.0) as guard:
        old, young = time.time() - 31 * 86400, time.time() - 29 * 86400
        assert isinstance(await refused(guard.check_session("ada", "s1", old)), Unavailable)
        assert hub.asked == []
        assert (await guard.check_session("ada", "s1", young)).sid == "s1"


@pytest.mark.parametrize("on_stale", ["ask", "refuse"])
async def test_no_login_is_dated_by_the_clock_of_this_machine(
    hub: FeedServer, on_stale: OnStale
) -> None:
    """If that is ahead, the login would outlive its logout."""
    hub.status = 401
    async with guarding(hub, start_timeout=0.0, on_stale=on_stale) as guard:
        with pytest.raises(Unavailable):
            guard.now()
    async with guarding(hub, start_timeout=0.0, on_stale="allow") as guard:
        assert guard.now() == pytest.approx(time.time(), abs=60)


ANSWERS: dict[str, tuple[tuple[int, bytes], type[HubError]]] = {
    "revoked": (problem(401, "token_revoked", at=1.5, reason="admin", id="l"), TokenRevoked),
    "a new login": (problem(401, "login_required", at=1.5, reason="admin"), LoginRequired),
    "expired": (problem(401, "token_expired"), TokenExpired),
    "another status": (problem(403, "forbidden"), Unavailable),
    "an unknown code": (problem(401, "of_the_future"), Unavailable),
    "a broken hub": (problem(503, "unavailable"), Unavailable),
    "no problem": ((200, b"hello"), Unavailable),
    "not JSON": ((401, b"{"), Unavailable),
}


@pytest.mark.parametrize("answer", ANSWERS)
async def test_the_answer_of_the_hub_is_the_guards(
    hub: FeedServer, monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    """With the hub's code; and whatever is no clear answer refuses."""
    said, kind = ANSWERS[answer]
    async with guarding(hub) as guard:
        grow_stale(guard, monkeypatch)
        hub.judge = lambda token: said
        error = await refused(guard.check(token("ada", "s1")))
        assert type(error) is kind
        if kind is TokenRevoked:
            assert error.logout is not None
            assert (error.logout.id, error.logout.reason) == ("l", Reason.ADMIN)


async def test_a_stale_guard_may_refuse_or_allow(
    hub: FeedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it is told; a logout that it knows of refuses in any case, and so does the end of life."""
    given, dead = token("ada", "s1"), token("bob", "s1")
    async with guarding(hub, on_stale="refuse") as strict, guarding(hub, on_stale="allow") as lax:
        await strict.check(given)
        await heard(hub, lax, ends("bob", hub))
        brief = lax.mint_ticket("ada", "s1", lifetime=20)
        grow_stale(lax, monkeypatch)
        assert isinstance(await refused(strict.check(given)), Unavailable)
        assert (await lax.check(given)).sid == "s1"
        assert isinstance(await refused(lax.check(dead)), TokenRevoked)
        assert isinstance(await refused(lax.check(brief)), TokenExpired)
        assert hub.asked == []


async def test_partitions_that_are_late_are_asked_about(hub: FeedServer) -> None:
    """And the others are not: a dead node of the store concerns its own users."""
    hub.partitions, hub.late = 2, {1: -60.0}
    async with guarding(hub) as guard:
        for user in ("ada", "bob", "cleo", "dora", "eve", "finn"):
            await guard.check(token(user, "s"))
        assert 0 < len(hub.asked) < 6
        assert guard.staleness > 50


async def test_a_guard_without_a_hub_says_so_and_fails_closed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Nothing is accepted, whoever may not be asked."""
    caplog.set_level(logging.INFO, "logout_hub.guard")
    guard = Guard("http://127.0.0.1:9", token=TOKEN, secret=SECRET, start_timeout=0.05)
    async with guard:
        assert not guard.is_ready
        assert guard.staleness == float("inf")
        assert isinstance(await refused(guard.check(token("ada"))), Unavailable)
        assert isinstance(await refused(guard.check_session("ada", "s", 1.0)), Unavailable)
    assert "the guard is not ready" in caplog.text
    assert "on_stale='ask' applies" in caplog.text
    assert "http://127.0.0.1:9" in caplog.text


@pytest.mark.parametrize(("status", "said"), [(401, "HUB_GUARD_TOKEN"), (404, "no feed")])
async def test_a_refusal_of_the_feed_is_said_as_what_it_is(
    hub: FeedServer, caplog: pytest.LogCaptureFixture, status: int, said: str
) -> None:
    """At once, and no secret is logged."""
    hub.status = status
    async with guarding(hub) as guard:
        assert not guard.is_ready
    assert said in caplog.text
    assert TOKEN not in caplog.text


async def test_who_allows_everything_still_ends_tokens_by_time() -> None:
    """Without any time of the store, by that of this machine."""
    guard = Guard(
        "http://127.0.0.1:9", token=TOKEN, secret=SECRET, start_timeout=0.0, on_stale="allow"
    )
    async with guard:
        assert (await guard.check(token("ada", "s1"))).sid == "s1"
        given = token("ada", lifetime=0.001)
        await asyncio.sleep(0.002)
        assert isinstance(await refused(guard.check(given)), TokenExpired)


# ---- Following ----


async def test_a_guard_goes_on_where_it_was(hub: FeedServer) -> None:
    """After its connection has ended, with the id of the last event."""
    async with guarding(hub) as guard:
        await heard(hub, guard, ends("bob", hub), "7-0")
        hub.cut()
        await until(lambda: len(hub.requests) == 2 and bool(hub._open()))
        assert hub.requests[1]["Last-Event-ID"] == "7-0"
        given = token("ada", "s1")
        await heard(hub, guard, ends("ada", hub))
        assert isinstance(await refused(guard.check(given)), TokenRevoked)


async def test_a_guard_uses_whichever_address_answers(hub: FeedServer) -> None:
    """For the feed, and for questions."""
    second = int(time.time())
    guard = Guard(["http://127.0.0.1:9", hub.url], token=TOKEN, secret=SECRET)
    async with guard:
        assert guard.is_ready
        given = guard.mint_ticket("ada", "s1", iat=second, exp=second + 600)
        await heard(hub, guard, ends("ada", hub, at=second + 0.5))
        assert (await guard.check(given)).sid == "s1"


async def test_the_certificate_of_the_hub_is_verified(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """By the authorities of this machine, or by those that the app names."""
    write_certificate(tmp_path)
    own = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    own.load_cert_chain(tmp_path / "site.crt", tmp_path / "site.key")
    trusting = ssl.create_default_context(cafile=tmp_path / "site.crt")
    with FeedServer(own) as hub:
        async with guarding(hub, start_timeout=0.0) as guard:
            await until(lambda: "CERTIFICATE_VERIFY_FAILED" in caplog.text)
            assert not guard.is_ready
            assert isinstance(await refused(guard.check(token("ada"))), Unavailable)
        assert not hub.requests
        assert not hub.asked
        caplog.clear()
        async with guarding(hub, tls=trusting) as guard:
            grown = token("ada", "s1")
            await guard.check(grown)
            await heard(hub, guard, ends("ada", hub))
            assert isinstance(await refused(guard.check(grown)), TokenRevoked)
        assert "Traceback" not in caplog.text


async def test_a_feed_that_ends_at_once_is_not_asked_for_at_once(
    hub: FeedServer, caplog: pytest.LogCaptureFixture
) -> None:
    """A guard makes pauses, and says what is wrong."""
    hub.is_silent = True
    async with guarding(hub, start_timeout=0.0) as guard:
        await until(lambda: len(hub.requests) >= 2)
        assert not guard.is_ready
    assert len(hub.requests) < 6
    assert "ended before it had confirmed" in caplog.text


async def test_a_silent_connection_is_given_up(
    hub: FeedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Since the hub confirms once a second."""
    monkeypatch.setattr("hub.guard.feed_reader.SILENCE", 0.02)
    async with guarding(hub) as guard:
        await until(lambda: len(hub.requests) >= 2)
        assert guard.is_ready


async def test_a_feed_that_is_not_understood_is_read_anew(
    hub: FeedServer, caplog: pytest.LogCaptureFixture
) -> None:
    """And the guard says so."""
    async with guarding(hub):
        hub.say("logout", {"scope": "nobody knows"})
        await until(lambda: len(hub.requests) >= 2)
    assert "no feed of revocations" in caplog.text


async def test_no_thread_is_left(hub: FeedServer) -> None:
    """Once the guard is closed, or nobody has it any more; a closed one checks nothing."""

    def threads() -> list[str]:
        return [one.name for one in threading.enumerate() if one.name.startswith("logout-hub")]

    async with guarding(hub) as guard:
        assert threads()
    assert threads() == []
    assert isinstance(await refused(guard.check(token("ada"))), Unavailable)
    forgotten = Guard(hub.url, token=TOKEN)
    forgotten.on_logout(print)
    await forgotten.start()
    del forgotten
    await until(lambda: threads() == [])


# ---- Watching ----


async def test_a_watch_tells_the_logout_that_ended_its_session(hub: FeedServer) -> None:
    """To who waits and to callbacks, on the event loop; others are not told."""
    async with guarding(hub) as guard:
        login, told = guard.now(), []
        async with (
            guard.watch("ada", "s1", logged_in_at=login) as one,
            guard.watch("ada", "s2", logged_in_at=login) as other,
            guard.watch("bob", "s1") as another,
        ):
            one.on_end(lambda revocation: told.append(threading.current_thread()))
            logout = ends("ada", hub, scope=Scope.SESSION, sid="s1", id="l1")
            await heard(hub, guard, logout)
            assert await one.ended() == logout
            one.on_end(lambda revocation: told.append(threading.current_thread()))
            await asyncio.sleep(0)
            assert told == [threading.main_thread()] * 2
            everyone = Revocation(Scope.ALL, Reason.POLICY, hub.now())
            waiting = [asyncio.create_task(watch.ended()) for watch in (other, another)]
            await asyncio.sleep(0)
            assert not any(task.done() for task in waiting)
            await heard(hub, guard, everyone)
            assert await asyncio.gather(*waiting) == [everyone, everyone]


async def test_a_watch_over_a_session_that_is_over_ends_at_once(hub: FeedServer) -> None:
    """So nothing is missed between a check and the watch."""
    async with guarding(hub) as guard:
        login = guard.now()
        await heard(hub, guard, ends("ada", hub, id="l1"))
        async with guard.watch("ada", "s1", logged_in_at=login) as watch:
            assert (await watch.ended()).id == "l1"
        async with guard.watch("ada", "s1", logged_in_at=guard.now()) as newer:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(newer.ended(), 0.01)


async def test_nothing_is_missed_between_a_check_and_its_watch_within_a_second(
    hub: FeedServer,
) -> None:
    """What was heard in between ends the session, unless the hub has accepted it since."""
    second = int(time.time())
    async with guarding(hub) as guard:
        given = guard.mint_ticket("ada", "s1", iat=second, exp=second + 600)
        login = watch_arguments(await guard.check(given))
        await heard(hub, guard, ends("ada", hub, at=second + 0.5, id="l1"))
        async with guard.watch(*login) as watch, asyncio.timeout(PATIENCE):
            assert (await watch.ended()).id == "l1"
        assert watch_arguments(await guard.check(given)) == login
        async with guard.watch(*login) as watch:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(watch.ended(), 0.05)
            await heard(hub, guard, ends("ada", hub, at=second + 0.6, id="l2"))
            async with asyncio.timeout(PATIENCE):
                assert (await watch.ended()).id == "l2"


@pytest.mark.parametrize("is_missed", [False, True])
@pytest.mark.parametrize("ended", [{"scope": Scope.SESSION, "sid": "s1"}, {"sessions": ("s1",)}])
async def test_a_watch_ends_by_what_was_reported_late_if_its_login_may_be_older(
    hub: FeedServer, ended: dict[str, Any], is_missed: bool
) -> None:
    """A token that was renewed says nothing of its login; one that states its login may go on."""
    issued = int(time.time()) - 60
    async with guarding(hub) as guard:
        claims: dict[str, Any] = {"iat": issued, "exp": issued + 600}
        renewed = guard.mint_ticket("ada", "s1", **claims)
        stated = guard.mint_ticket("ada", "s1", login_time=float(issued), **claims)
        logins = [watch_arguments(await guard.check(one)) for one in (renewed, stated)]
        logout = ends("ada", hub, id="l1", before=issued - 30.0, **ended)
        if is_missed:
            await heard(hub, guard, logout)
        async with guard.watch(*logins[0]) as watch, guard.watch(*logins[1]) as newer:
            if not is_missed:
                await heard(hub, guard, logout)
            async with asyncio.timeout(PATIENCE):
                assert (await watch.ended()).id == "l1"
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(newer.ended(), 0.05)
        assert isinstance(await refused(guard.check(renewed)), TokenRevoked)
        assert (await guard.check(stated)).sid == "s1"


async def test_a_watch_ends_by_a_logout_that_was_missed(hub: FeedServer) -> None:
    """And is told by the snapshot after a reset."""
    async with guarding(hub) as guard:
        login = guard.now()
        async with guard.watch("ada", "s1", logged_in_at=login) as watch:
            hub.snapshot = [ends("ada", hub, id="l1")]
            hub.reset()
            async with asyncio.timeout(PATIENCE):
                assert (await watch.ended()).id == "l1"


async def test_a_logout_that_was_missed_is_told(hub: FeedServer) -> None:
    """By the snapshot after a reset; what was told before is not told again."""
    hub.snapshot = [ends("eve", hub)]
    async with guarding(hub) as guard:
        users: list[str | None] = []
        guard.on_logout(lambda logout: users.append(logout.user))
        known = ends("ada", hub, id="l1", sessions=("s1",))
        await heard(hub, guard, known)
        hub.snapshot += [msgspec.structs.replace(known, id="", sessions=()), ends("bob", hub)]
        hub.reset()
        await heard(hub, guard, ends("carol", hub))
        assert users == ["ada", "bob", "carol"]


async def test_however_many_logouts_were_missed_the_event_loop_does_other_work_meanwhile(
    hub: FeedServer,
) -> None:
    """An app that takes its time over each of them still answers requests."""
    hub.snapshot = []
    async with guarding(hub) as guard:
        users: list[str | None] = []

        def note(logout: Revocation) -> None:
            users.append(logout.user)
            time.sleep(0.001)

        guard.on_logout(note)
        hub.snapshot = [ends(f"u{number}", hub) for number in range(500)]
        hub.reset()
        most = before = 0
        while len(users) < 500:
            await asyncio.sleep(0)
            most, before = max(most, len(users) - before), len(users)
        assert most <= 40
        assert users == [one.user for one in hub.snapshot]


async def test_however_many_logouts_were_missed_an_asynchronous_callback_has_few_calls_at_once(
    hub: FeedServer,
) -> None:
    """The others wait for their turn, in little memory, and each is told, in order."""
    hub.snapshot = []
    async with guarding(hub) as guard:
        users: list[str | None] = []
        most = running = 0
        go_on = asyncio.Event()

        async def note(logout: Revocation) -> None:
            nonlocal most, running
            running += 1
            most = max(most, running)
            users.append(logout.user)
            await go_on.wait()
            await asyncio.sleep(0)
            running -= 1

        guard.on_logout(note)
        hub.snapshot = [ends(f"u{number}", hub) for number in range(2500)]
        hub.reset()
        await until(lambda: running == callbacks_module.MAX_UNFINISHED)
        await heard(hub, guard, ends("last", hub))
        assert running == callbacks_module.MAX_UNFINISHED
        go_on.set()
        await until(lambda: len(users) == 2501)
        assert most == callbacks_module.MAX_UNFINISHED
        assert users == [*(one.user for one in hub.snapshot), "last"]


async def test_what_waits_for_a_callback_that_has_unsubscribed_is_told_no_more(
    hub: FeedServer,
) -> None:
    """Others are still told all of it."""
    async with guarding(hub) as guard:
        go_on, told, others = asyncio.Event(), [], []

        async def wait(logout: Revocation) -> None:
            told.append(logout.user)
            await go_on.wait()

        unsubscribe = guard.on_logout(wait)
        guard.on_logout(lambda logout: others.append(logout.user))
        count = callbacks_module.MAX_UNFINISHED + 10
        for number in range(count):
            hub.logout(ends(f"u{number}", hub))
        await until(lambda: len(others) == count)
        await until(lambda: len(told) == callbacks_module.MAX_UNFINISHED)
        unsubscribe()
        go_on.set()
        await heard(hub, guard, ends("last", hub))
        await until(lambda: len(others) == count + 1)
        assert len(told) == callbacks_module.MAX_UNFINISHED


async def test_a_callback_that_is_too_slow_is_reported_once(
    hub: FeedServer, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that whoever runs the app learns why logouts are late there."""
    async with guarding(hub) as guard:
        go_on, begun, users = asyncio.Event(), 0, []

        async def wait(logout: Revocation) -> None:
            nonlocal begun
            begun += 1
            await go_on.wait()
            users.append(logout.user)

        guard.on_logout(wait)
        for number in range(callbacks_module.MAX_UNFINISHED):
            hub.logout(ends(f"u{number}", hub))
        await until(lambda: begun == callbacks_module.MAX_UNFINISHED)
        monkeypatch.setattr(callbacks_module, "MANY_WAITING", 10)
        for number in range(20):  # one by one, so that nothing waits for other callbacks
            await heard(hub, guard, ends(f"late{number}", hub))
        assert "calls are due" in caplog.text
        go_on.set()
        await until(lambda: len(users) == callbacks_module.MAX_UNFINISHED + 20)
    assert caplog.text.count("10 calls are due") == 1


async def test_a_cancelled_watch_tells_nothing(hub: FeedServer) -> None:
    """As one whose context has ended."""
    told: list[Revocation] = []
    async with guarding(hub) as guard:
        async with guard.watch("ada", "s1") as watch:
            watch.on_end(told.append)
            watch.cancel()
            await heard(hub, guard, ends("ada", hub))
        assert told == []


async def test_callbacks_that_fail_harm_nothing(
    hub: FeedServer, caplog: pytest.LogCaptureFixture
) -> None:
    """They are logged, and the others are called."""

    def fail(*_: object) -> None:
        raise RuntimeError("of the app")

    async with guarding(hub, on_metric=fail) as guard:
        guard.on_logout(fail)
        guard.on_stale(fail)
        await heard(hub, guard, ends("ada", hub))
        assert guard.is_ready
    assert "of the app" in caplog.text


async def test_callbacks_may_be_asynchronous(
    hub: FeedServer, caplog: pytest.LogCaptureFixture
) -> None:
    """They are awaited on the event loop, and what they raise is logged."""
    done: list[str] = []

    async def note(told: Revocation) -> None:
        await asyncio.sleep(0)
        done.append(str(told.user))
        raise RuntimeError("of the app")

    async with guarding(hub) as guard, guard.watch("ada", "s1") as watch:
        guard.on_logout(note)
        watch.on_end(note)
        hub.logout(ends("ada", hub))
        await watch.ended()
        watch.on_end(note)
        await until(lambda: len(done) == 3 and caplog.text.count("RuntimeError: of the app") == 3)


async def test_who_subscribes_twice_is_told_twice_until_both_are_over(hub: FeedServer) -> None:
    """To end one of them twice does not end the other."""
    told: list[Revocation] = []
    async with guarding(hub) as guard:
        ends_one = guard.on_logout(told.append)
        guard.on_logout(told.append)
        ends_one()
        ends_one()
        await heard(hub, guard, ends("ada", hub))
        await until(lambda: len(told) == 1)


async def test_a_closed_guard_can_be_started_again(hub: FeedServer) -> None:
    """As apps do whose lifespan is run several times, with what it knew and whom it watches for."""
    async with guarding(hub) as guard:
        await heard(hub, guard, ends("ada", hub))
        watch = guard.watch("bob", "s1")
        async with watch:
            await guard.close()
            with pytest.raises(Unavailable):
                await guard.check(token("carl", "s1"))
            await guard.start()
            with pytest.raises(TokenRevoked):
                await guard.check_session("ada", "s1", guard.now() - 60)
            hub.logout(ends("bob", hub))
            async with asyncio.timeout(PATIENCE):
                await watch.ended()
        assert guard.staleness < PATIENCE


async def test_an_address_at_which_there_is_no_hub_is_passed_over(hub: FeedServer) -> None:
    """When the hub is asked: some other server answers there."""
    with FeedServer() as other:
        other.judge = lambda token: (404, b"not here")
        other.status = hub.status = 401
        given, urls = token("ada", "s1"), [other.url, hub.url]
        async with Guard(urls, token=TOKEN, secret=SECRET, start_timeout=0.01) as guard:
            assert (await guard.check(given)).sid == "s1"
        assert other.asked == hub.asked == [given]


async def test_an_app_is_told_when_the_guard_turns_stale_and_fresh(
    hub: FeedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each time once."""
    told: list[bool] = []
    async with guarding(hub) as guard:
        guard.on_stale(told.append)
        with monkeypatch.context() as patch:
            grow_stale(guard, patch)
            hub.say("weather", "fine")
            await until(lambda: told == [True])
        hub.confirm()
        await until(lambda: told == [True, False])


async def test_metrics_have_the_documented_names(
    hub: FeedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And all of them are measured."""
    measured: dict[str, float] = {}
    hub.snapshot = [ends("ada", hub)]
    async with guarding(hub, on_metric=measured.__setitem__) as guard:
        hub.reset()
        await until(lambda: "resets" in measured)
        grow_stale(guard, monkeypatch)
        await guard.check(token("bob"))
        hub.judge = lambda token: (500, b"")
        assert isinstance(await refused(guard.check(token("bob"))), Unavailable)
    assert set(measured) == set(core_module.METRICS)
    assert measured["revocations"] == 1


# ---- Orders ----


async def test_a_session_is_ended_at_the_hub(hub: FeedServer) -> None:
    """By an administrator's logout of it alone."""
    async with guarding(hub, admin_token="an admin token for tests") as guard:
        await guard.end_session("ada", "s1", reason="idle")
    assert hub.orders == [{"user": "ada", "sid": "s1", "scope": "session", "reason": "idle"}]


async def test_what_a_guard_was_not_given_it_cannot_do(hub: FeedServer) -> None:
    """It says what is missing."""
    async with guarding(hub, secret=None) as guard:
        with pytest.raises(Unavailable, match="admin_token"):
            await guard.end_session("ada", "s1")
        with pytest.raises(Unavailable, match="secret"):
            guard.mint_ticket("ada", "s1")
        with pytest.raises(InvalidRequest, match="issuers"):
            await guard.check(token("ada"))
