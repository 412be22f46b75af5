"""The guard for threads, also in processes that fork."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from hub.core.feed import Revocation
from hub.core.model import Reason, Scope
from hub.errors import TokenInvalid, TokenRevoked
from hub.guard import SyncGuard
from tests.guard.feed_server import TOKEN, FeedServer
from tests.patience import PATIENCE
from tests.site import SECRET, token


@pytest.fixture(scope="module")
def hub() -> Iterator[FeedServer]:
    """One server for all tests of this module; each test has users of its own."""
    with FeedServer() as running:
        yield running


@pytest.fixture(scope="module")
def guard(hub: FeedServer) -> Iterator[SyncGuard]:
    """One guard for all tests of this module."""
    with SyncGuard(hub.url, token=TOKEN, secret=SECRET, start_timeout=PATIENCE) as running:
        yield running


def log_out(hub: FeedServer, guard: SyncGuard, user: str) -> Revocation:
    """Log a user out, and return once the guard knows."""
    logout = Revocation(Scope.ALL, Reason.USER, at=hub.now(), user=user)
    done = threading.Event()
    unsubscribe = guard.on_logout(lambda told: done.set() if told == logout else None)
    hub.logout(logout)
    assert done.wait(PATIENCE)
    unsubscribe()
    return logout


def test_a_token_is_checked_and_refused_once_its_user_has_logged_out(
    hub: FeedServer, guard: SyncGuard
) -> None:
    """As in an event loop."""
    given = token("ada", "s1")
    assert guard.check(given).sid == "s1"
    assert guard.check(given).sub == "ada"
    log_out(hub, guard, "ada")
    with pytest.raises(TokenRevoked):
        guard.check(given)
    with pytest.raises(TokenInvalid):
        guard.check("no token")


def test_an_apps_own_session_is_checked(hub: FeedServer, guard: SyncGuard) -> None:
    """By the time of its login."""
    login = guard.now()
    assert guard.check_session("bob", "s1", login).sid == "s1"
    log_out(hub, guard, "bob")
    with pytest.raises(TokenRevoked):
        guard.check_session("bob", "s1", login)


def test_a_watch_tells_the_end_of_a_session(hub: FeedServer, guard: SyncGuard) -> None:
    """To the thread that waits, and to callbacks, in the thread of the guard."""
    told: list[str] = []
    with guard.watch("cleo", "s1", logged_in_at=guard.now()) as watch:
        watch.on_end(lambda _: told.append(threading.current_thread().name))
        with pytest.raises(TimeoutError):
            watch.ended(0)
        logout = log_out(hub, guard, "cleo")
        assert watch.ended(PATIENCE) == logout
    assert told == ["logout-hub-feed"]


def test_what_an_app_does_when_told_keeps_nobody_else_from_being_told(
    hub: FeedServer, guard: SyncGuard
) -> None:
    """Neither an exit, nor a watch that was entered twice and cannot end twice."""
    twice = guard.watch("gus", "s1", logged_in_at=guard.now())
    others = [guard.watch("gus", f"s{number}", logged_in_at=guard.now()) for number in range(20)]
    unsubscribe = guard.on_logout(lambda _: sys.exit("a test"))
    with twice, twice, contextlib.ExitStack() as entered:
        for other in others:
            entered.enter_context(other)
        hub.logout(Revocation(Scope.ALL, Reason.USER, at=hub.now(), user="gus"))
        assert {other.ended(PATIENCE).user for other in others} == {"gus"}
    unsubscribe()
    log_out(hub, guard, "hal")


def test_an_asynchronous_function_is_not_passed_over_in_silence(
    hub: FeedServer, guard: SyncGuard, caplog: pytest.LogCaptureFixture
) -> None:
    """There is no event loop to await it on."""

    async def note(told: Revocation) -> None:
        raise AssertionError(told)

    unsubscribe = guard.on_logout(note)
    log_out(hub, guard, "ivy")
    unsubscribe()
    assert "there is no event loop" in caplog.text


def test_within_the_second_of_a_logout_the_hub_is_asked(hub: FeedServer, guard: SyncGuard) -> None:
    """Not by each of the threads that check the same token."""
    second = int(time.time()) + 1
    given = guard.mint_ticket("dora", "s1", iat=second, exp=second + 600)
    logout = Revocation(Scope.ALL, Reason.USER, at=second + 0.5, user="dora")
    done = threading.Event()
    guard.on_logout(lambda told: done.set() if told == logout else None)
    hub.logout(logout)
    assert done.wait(PATIENCE)
    threads = [threading.Thread(target=guard.check, args=(given,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert guard.check(given).sid == "s1"
    assert set(hub.asked) == {given}
    assert len(hub.asked) < 8


def test_a_forked_process_has_a_guard_of_its_own(hub: FeedServer, guard: SyncGuard) -> None:
    """With a thread and a connection of its own, which does not disturb the parent's."""
    given, dead = token("eve", "s1"), token("finn", "s1")
    guard.check(given)
    hub.snapshot = [Revocation(Scope.ALL, Reason.USER, at=hub.now(), user="finn")]
    connections = len(hub.requests)
    reader = guard._core._reader
    assert reader is not None
    assert reader._socket is not None
    inherited = reader._socket.fileno()
    connection = os.fstat(inherited).st_ino
    child = os.fork()
    if child == 0:  # pragma: no cover - another process
        code = 1
        try:
            guard.check(given)
            try:
                guard.check(dead)
            except TokenRevoked:
                code = 0 if guard.is_ready else 2
                with contextlib.suppress(OSError):  # it is closed, or another one by now
                    code = code or 3 * (os.fstat(inherited).st_ino == connection)
            guard.close()
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert len(hub.requests) == connections + 1
    log_out(hub, guard, "eve")
    with pytest.raises(TokenRevoked):
        guard.check(given)


def test_all_threads_wait_for_a_guard_that_begins(hub: FeedServer) -> None:
    """Not only the one whose check has started it, so none is refused for want of the feed."""
    with SyncGuard(hub.url, token=TOKEN, on_stale="refuse", start_timeout=PATIENCE) as first:
        login = first.now()
    late = SyncGuard(hub.url, token=TOKEN, on_stale="refuse", start_timeout=PATIENCE)
    with ThreadPoolExecutor(8) as pool:
        checks = [pool.submit(late.check_session, "hal", "s1", login) for _ in range(8)]
        assert {check.result().sid for check in checks} == {"s1"}
    late.close()


def test_a_program_that_closes_nothing_ends_all_the_same(hub: FeedServer) -> None:
    """At once, and without a word on its way out."""
    code = f"""
import hub.guard
guard = hub.guard.SyncGuard({hub.url!r}, token={TOKEN!r}, secret={SECRET!r})
guard.start()
guard.check_session("gus", "s1", guard.now())
watch = guard.watch("gus", "s1").__enter__()
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE
    )
    assert (done.returncode, done.stderr) == (0, "")
