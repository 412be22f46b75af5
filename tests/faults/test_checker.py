"""The checker on histories written by hand: good ones pass, and each kind of bad one is found."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest

from tests.faults.checker import Checker, Limits
from tests.faults.history import (
    NEVER,
    Attempt,
    Call,
    Check,
    Fault,
    History,
    Logout,
    Notice,
    Socket,
    Token,
)
from tests.faults.stalls import STALL

EPOCH = 1_000_000.0
LIMITS = Limits(cut=5, cut_in_trouble=10, fence=3, margin=2, answer=5, recovery=6, unsettled=30)
ADA = Token("ada", "a1", EPOCH + 1.5)
"""Issued half a second into the second 1 of the history."""
PHONE = Token("ada", "a2", EPOCH + 1.6)
BOB = Token("bob", "b1", EPOCH + 1.5)
REFRESHED = Token("ada", "a1", EPOCH + 20, EPOCH + 1.5)
"""Of the same login as `ADA`, which it tells."""
AGAIN = Token("ada", "a1", EPOCH + 20.5, EPOCH + 20.5)
"""Another login in the same session of the provider."""


def logout(
    scope: str = "all",
    sid: str | None = None,
    users: tuple[str, ...] | None = ("ada",),
    start: float = 10.0,
    end: float = 10.1,
    outcome: str = "ok",
) -> Logout:
    """Return a logout with one attempt, written in the middle of it."""
    made = Logout("key", "http", users, scope, sid)
    made.attempts.append(attempt(start, end, outcome))
    return made


def attempt(start: float, end: float, outcome: str = "ok", id_: str = "id") -> Attempt:
    """Return an attempt; when it is ok, it was written in the middle."""
    made = Attempt("r0", start, end, outcome)
    if outcome == "ok":
        made.id, made.at = id_, EPOCH + (start + end) / 2
    return made


def check(token: Token, start: float, result: str = "accepted", kind: str = "verify") -> Check:
    """Return a check that took a hundredth of a second."""
    return Check(kind, token, "r1", start, start + 0.01, result)


def notice(
    time: float = 10.1, scope: str = "all", sid: str | None = None, id_: str = "id"
) -> Notice:
    """Return a notice of the logout."""
    return Notice(time, id_, "user", scope, sid, EPOCH + 10.05)


def socket(
    token: Token = ADA, closed: float = 10.2, by: str = "hub", manner: str = "prompt"
) -> Socket:
    """Return a socket accepted at 2, then notified, and cut when the hub closed it."""
    made = Socket(0, token, "r0", manner, 2.0, closed=closed, closed_by=by)
    if by == "hub":
        made.notices.append(notice())
        made.cut = 10.15
    return made


def broken(limits: Limits = LIMITS, **records: Sequence[object]) -> list[str]:
    """Return which promises a history breaks."""
    history = msgspec.structs.replace(History(EPOCH, ended=100.0), **records)
    return [violation.promise for violation in Checker(history, limits).check()]


def test_a_good_history_passes() -> None:
    """The sockets are notified, cut and refused everywhere, and all others are left alone."""
    assert not broken(
        logouts=[logout()],
        sockets=[socket(), socket(PHONE), socket(BOB, NEVER, "")],
        checks=[
            check(ADA, 5),
            check(ADA, 10.2, "token_revoked"),
            check(BOB, 11),
            check(Token("ada", "a3", EPOCH + 10.5), 10.6),
        ],
    )


# ---- P1 ----


@pytest.mark.parametrize(
    ("made", "token"),
    [
        (logout(), ADA),
        (logout(users=("cleo", "ada")), ADA),
        (logout(users=None), BOB),
        (logout("others", "a2"), ADA),
        (logout("session", "a1"), ADA),
        (logout("session", "a1"), Token("ada", "a1", EPOCH + 20)),
        (logout(), Token("ada", "twin", EPOCH + 10.05)),
        (logout(), Token("ada", "whole", EPOCH + 8)),
        (logout(), REFRESHED),
        (logout(users=None), REFRESHED),
        (logout("session", "a1"), REFRESHED),
        (logout(), Token("ada", "a3", EPOCH + 20, EPOCH + 8)),
    ],
    ids=[
        "own",
        "several",
        "everyone",
        "others",
        "session",
        "named-again",
        "same-instant",
        "whole-second",
        "refreshed",
        "everyone-refreshed",
        "session-refreshed",
        "whole-second-refreshed",
    ],
)
def test_a_dead_token_that_is_accepted_is_found(made: Logout, token: Token) -> None:
    """A check that starts after the answer with a token in scope must not be accepted."""
    assert broken(logouts=[made], checks=[check(token, 30)]) == ["P1"]


@pytest.mark.parametrize("kind", ["session", "connect", "refresh"])
def test_every_way_to_show_a_token_counts(kind: str) -> None:
    """A connect and a refresh are judged like a call."""
    assert broken(logouts=[logout()], checks=[check(ADA, 11, kind=kind)]) == ["P1"]


@pytest.mark.parametrize(
    ("made", "token", "start"),
    [
        (logout(), ADA, 10.05),
        (logout(outcome="unknown"), ADA, 11),
        (logout(outcome="refused"), ADA, 11),
        (logout("others", "a1"), ADA, 11),
        (logout("session", "a2"), ADA, 11),
        (logout(), BOB, 11),
        (logout(), Token("ada", "new", EPOCH + 10.050001), 11),
        (logout(users=("ada", "bob")), Token("ada", "new", EPOCH + 10.02), 11),
        (logout(), Token("ada", "whole", EPOCH + 10), 11),
        (logout("session", "a1"), AGAIN, 21),
        (logout("others", "a1"), REFRESHED, 21),
        (logout(), Token("ada", "a1", EPOCH + 20, EPOCH + 10), 21),
    ],
    ids=[
        "concurrent",
        "unknown",
        "refused",
        "kept",
        "other-session",
        "other-user",
        "an-instant-later",
        "issued-meanwhile",
        "same-second",
        "login-again",
        "kept-refreshed",
        "login-in-the-same-second",
    ],
)
def test_a_token_that_may_live_may_be_accepted(made: Logout, token: Token, start: float) -> None:
    """A logout that is unanswered, of unknown outcome or out of scope proves nothing."""
    assert not broken(logouts=[made], checks=[check(token, start)])


def test_a_notice_proves_the_logout() -> None:
    """A notified socket proves that the logout was written, even before it was answered."""
    told = socket(closed=10.3)
    made = logout(outcome="unknown", end=14.0)
    assert broken(logouts=[made], sockets=[told], checks=[check(ADA, 10.2)]) == ["P1"]


# ---- P2 ----


def test_a_socket_that_stays_open_is_found() -> None:
    """A socket in scope must be closed within T."""
    assert broken(logouts=[logout()], sockets=[socket(closed=NEVER, by="")]) == ["P2"]


def test_a_socket_that_is_told_late_is_found() -> None:
    """A socket that reads must be notified within a bound of its own."""
    late = socket(closed=14.0)
    late.notices = [notice(13.5)]
    assert broken(logouts=[logout()], sockets=[late]) == ["P2"]
    assert not broken(logouts=[logout()], sockets=[msgspec.structs.replace(late, manner="sleepy")])


@pytest.mark.parametrize("manner", ["mute", "unread", "sleepy"])
def test_manners_are_no_excuse(manner: str) -> None:
    """A socket that does not read or acknowledge must be closed too."""
    late = socket(closed=16.0, manner=manner)
    assert broken(logouts=[logout()], sockets=[late]) == ["P2"]


def test_a_fault_gives_more_time_but_not_for_ever() -> None:
    """Near a fault the larger bound counts; a stopped replica has it from when it goes on."""
    hole = Fault("link_hole", "r0", 9.0, 11.0)
    stop = Fault("replica_stop", "r0", 9.0, 30.0)
    assert not broken(logouts=[logout()], sockets=[socket(closed=19.0)], faults=[hole])
    assert broken(logouts=[logout()], sockets=[socket(closed=21.0)], faults=[hole]) == ["P2"]
    assert not broken(logouts=[logout()], sockets=[socket(closed=39.0)], faults=[stop])
    assert broken(logouts=[logout()], sockets=[socket(closed=41.0)], faults=[stop]) == ["P2"]


def test_a_fault_elsewhere_is_no_excuse() -> None:
    """The bound of a calm time holds for a replica that no fault touches."""
    elsewhere = Fault("link_hole", "r2", 9.0, 11.0)
    assert broken(logouts=[logout()], sockets=[socket(closed=19.0)], faults=[elsewhere]) == ["P2"]


def test_a_socket_that_was_connecting_is_no_exception() -> None:
    """A connect begun before the answer and accepted after it must be notified and closed."""
    late = socket(closed=NEVER, by="")
    late.accepted = 10.3
    connect = check(ADA, 9.9, kind="connect")
    assert broken(logouts=[logout()], sockets=[late], checks=[connect]) == ["P2"]


def test_a_refreshed_socket_may_stay() -> None:
    """A newer token that was accepted meanwhile may have saved a session without a tombstone."""
    stays = socket(closed=NEVER, by="")
    stays.refreshes.append(check(Token("ada", "a1", EPOCH + 10.2), 10.2, kind="refresh"))
    assert not broken(logouts=[logout(users=None)], sockets=[stays])


def test_t_is_measured() -> None:
    """T is from the answer to the notice and to the close, apart for calm times and others."""
    history = History(EPOCH, [logout()], sockets=[socket(closed=10.4)], ended=100.0)
    checker = Checker(history, LIMITS)
    checker.check()
    assert checker.measured["calm"].told == [0.0]
    assert checker.measured["calm"].closed == [pytest.approx(0.3)]
    assert checker.measured["in trouble"].closed == []


# ---- P3 ----


@pytest.mark.parametrize(
    ("made", "told"),
    [
        (logout(), socket(BOB)),
        (logout("others", "a1"), socket(ADA)),
        (logout("session", "a2"), socket(ADA)),
        (logout(outcome="refused"), socket(ADA)),
        (logout(start=20, end=20.1), socket(ADA)),
    ],
    ids=[
        "other-user",
        "kept",
        "other-session",
        "not-written",
        "not-yet",
    ],
)
def test_a_socket_that_is_told_for_nothing_is_found(made: Logout, told: Socket) -> None:
    """Only sockets in the scope of a logout may be notified."""
    if made.scope != "all":
        told.notices = [notice(scope=made.scope, sid=made.sid)]
    assert "P3" in broken(logouts=[made], sockets=[told])


def test_a_second_logout_under_one_key_is_found_by_its_id() -> None:
    """A notification with an id that is not the answer's means that it was written twice."""
    made = logout()
    made.attempts.insert(0, attempt(9.0, 9.5, "unknown"))
    told = socket()
    told.notices = [notice(id_="another")]
    assert "P3" in broken(logouts=[made], sockets=[told])


def test_an_unknown_outcome_may_show_itself() -> None:
    """A logout without an answer may notify sockets, soon or when the fault is over."""
    made = logout(outcome="unknown", end=22.0)
    assert not broken(logouts=[made], sockets=[socket()])


def test_a_repetition_that_is_refused_says_that_nothing_was_written() -> None:
    """Who repeats a logout that was written must be answered with it, not refused."""
    made = logout(outcome="unknown", end=10.5)
    made.attempts.append(attempt(11.0, 11.1, "refused"))
    assert broken(logouts=[made], sockets=[socket()]) == ["P3"]


def test_a_cut_without_a_notice_is_found() -> None:
    """No socket may be disconnected for good without a notification."""
    silent = socket()
    silent.notices = []
    assert "P3" in broken(logouts=[logout()], sockets=[silent])


def test_a_notice_that_comes_twice_is_found() -> None:
    """A socket is notified once."""
    twice = socket()
    twice.notices.append(notice(10.12))
    assert broken(logouts=[logout()], sockets=[twice]) == ["P3"]


def test_a_close_needs_a_fault() -> None:
    """A transport that closes by itself is explained by a fault near it, and by nothing else."""
    closed = socket(BOB, closed=20.0)
    closed.notices, closed.cut = [], None
    assert broken(sockets=[closed]) == ["P3"]
    assert broken(sockets=[closed], faults=[Fault("clock", "r0", 19.0, 21.0)]) == ["P3"]
    assert broken(sockets=[closed], faults=[Fault("link_cut", "r1", 19.0, 21.0)]) == ["P3"]
    assert not broken(sockets=[closed], faults=[Fault("link_cut", "r0", 19.0, 21.0)])
    assert not broken(sockets=[closed], faults=[Fault("redis_kill", None, 17.0, 18.0)])


@pytest.mark.parametrize("code", ["token_revoked", "token_too_old", "token_expired"])
def test_a_refusal_needs_a_logout(code: str) -> None:
    """A token that no logout is about is not refused."""
    assert broken(logouts=[logout()], checks=[check(BOB, 11, code)]) == ["P3"]


@pytest.mark.parametrize(
    ("made", "token", "start"),
    [
        (logout(), ADA, 10.02),
        (logout(outcome="unknown", end=22.0), ADA, 40),
        (logout("session", "a1"), Token("ada", "a1", EPOCH + 20), 21),
        (logout(), Token("ada", "whole", EPOCH + 10), 11),
    ],
    ids=["concurrent", "unknown", "named-again", "same-second"],
)
def test_a_refusal_that_a_logout_may_explain_passes(
    made: Logout, token: Token, start: float
) -> None:
    """A refusal is right when a logout may have ended the token."""
    assert not broken(logouts=[made], checks=[check(token, start, "token_revoked")])


def test_a_login_an_instant_after_a_logout_must_live() -> None:
    """A token that is newer than the logout's own time is not refused."""
    fresh = Token("ada", "new", EPOCH + 10.050001)
    assert broken(logouts=[logout()], checks=[check(fresh, 11, "token_revoked")]) == ["P3"]


@pytest.mark.parametrize("code", ["token_revoked", "token_too_old", "login_required"])
@pytest.mark.parametrize("made", [logout("session", "a1"), logout()], ids=["session", "all"])
def test_a_login_again_under_the_same_id_must_live(made: Logout, code: str) -> None:
    """A logout ends the logins up to it, not the id: neither it nor they explain a refusal."""
    checks = [check(ADA, 5), check(REFRESHED, 21, "login_required"), check(AGAIN, 22, code)]
    assert broken(logouts=[made], checks=checks) == ["P3"]
    assert not broken(logouts=[made], checks=checks[:2])


# ---- P4 ----


@pytest.mark.parametrize(
    ("status", "retry_after", "took"),
    [(500, False, 0.1), (503, False, 0.1), (400, False, 0.1), (None, False, 0.1), (200, False, 6)],
)
def test_a_bad_answer_is_found(status: int | None, retry_after: bool, took: float) -> None:
    """A failure is 503 with Retry-After, and comes in time."""
    call = Call("POST /logout", "r0", 10, 10 + took, status, retry_after)
    assert broken(calls=[call]) == ["P4"]


def test_good_answers_pass() -> None:
    """A success, a refusal, and an honest failure; and silence of a replica that was killed."""
    calls = [Call("POST /logout", "r0", 10, 11, status, True) for status in (200, 401, 404, 503)]
    calls.append(Call("POST /logout", "r1", 10, 11, None))
    assert not broken(calls=calls, faults=[Fault("replica_kill", "r1", 10.5, 12)])


def test_one_key_is_one_logout() -> None:
    """The same key must not bring two ids."""
    made = logout()
    made.attempts.append(attempt(11, 11.1, id_="another"))
    assert "P4" in broken(logouts=[made])


def test_a_logout_says_when_it_was() -> None:
    """Its time lies between the request and the answer."""
    made = logout()
    made.attempts[0].at = EPOCH + 12
    assert broken(logouts=[made]) == ["P4"]


# ---- Signals ----


def signal(
    scope: str = "all",
    sid: str | None = None,
    happened: float | None = EPOCH + 8.5,
    how: str = "signal user event",
    outcome: str = "ok",
) -> Logout:
    """Return a signal that came at 10; it is answered without an id or a time."""
    made = Logout("jti", how, ("ada",), scope, sid, happened=happened)
    made.attempts.append(Attempt("r0", 10.0, 10.1, outcome))
    return made


OLD = Token("ada", "old", EPOCH + 8.4)
SAME_SECOND = Token("ada", "same", EPOCH + 8, EPOCH + 8)


@pytest.mark.parametrize(
    ("made", "token"),
    [
        (signal(), OLD),
        (signal(), Token("ada", "last", EPOCH + 8.5, EPOCH + 8.5)),
        (signal(happened=EPOCH + 8), Token("ada", "last", EPOCH + 8.99)),
        (signal(happened=EPOCH + 8), SAME_SECOND),
        (signal("session", "a1"), ADA),
        (signal("session", "a1"), REFRESHED),
        (signal("session", "a1"), Token("ada", "a1", EPOCH + 20)),
        (signal("session", "a1", None, "signal sub and sid"), REFRESHED),
    ],
    ids=[
        "before", "the-very-instant", "the-second", "both-whole", "session", "refreshed",
        "named-again", "no-time",
    ],
)  # fmt: skip
def test_a_token_that_a_signal_ended_is_not_accepted(made: Logout, token: Token) -> None:
    """Once it was answered, what had begun by the time that it states is dead."""
    assert broken(logouts=[made], checks=[check(token, 30)]) == ["P1"]
    assert not broken(logouts=[made], checks=[check(token, 30, "token_revoked")])


@pytest.mark.parametrize(
    ("made", "token"),
    [
        (signal(), Token("ada", "later", EPOCH + 8.500001)),
        (signal(happened=EPOCH + 8), Token("ada", "later", EPOCH + 9, EPOCH + 9)),
        (signal("session", "a1"), Token("ada", "a1", EPOCH + 9.5, EPOCH + 9.5)),
        (signal("session", "a1"), PHONE),
        (signal(), Token("bob", "b", EPOCH + 2.5)),
    ],
    ids=["login", "the-next-second", "login-again", "sibling", "other-user"],
)
def test_who_a_signal_is_not_about_lives_on(made: Logout, token: Token) -> None:
    """A login begun after the reported event, other sessions and other users stay alive."""
    assert not broken(logouts=[made], checks=[check(token, 30)])
    assert broken(logouts=[made], checks=[check(token, 30, "token_revoked")]) == ["P3"]


@pytest.mark.parametrize(
    ("made", "token"),
    [
        (signal(outcome="unknown"), OLD),
        (signal(), Token("ada", "whole", EPOCH + 8)),
        (signal(happened=EPOCH + 10), Token("ada", "meanwhile", EPOCH + 10.05)),
    ],
    ids=["unknown", "begun-in-the-same-second", "the-second-it-came-in"],
)
def test_what_a_signal_leaves_open_may_be_either(made: Logout, token: Token) -> None:
    """What is not known, or within the second."""
    assert not broken(logouts=[made], checks=[check(token, 30)])
    assert not broken(logouts=[made], checks=[check(token, 10.3, "token_revoked")])


def test_a_signal_that_comes_again_ends_no_newer_login() -> None:
    """The first answer is the last instant at which it may have ended anything."""
    made = signal("session", "a1", None, "signal sub and sid")
    made.attempts.append(Attempt("r1", 25.0, 25.1, "ok"))
    assert broken(logouts=[made], checks=[check(AGAIN, 26, "token_revoked")]) == ["P3"]


def told_by_signal(token: Token = OLD, id_: str = "id") -> Socket:
    """Return a socket that was notified of a signal, and cut."""
    made = socket(token)
    made.notices = [Notice(10.1, id_, "identity_provider", "all", None, EPOCH + 10.05)]
    return made


def test_a_socket_is_told_of_a_signal_once_and_by_one_id() -> None:
    """A notification names no signal, so a second id means that it was written twice."""
    assert not broken(logouts=[signal()], sockets=[told_by_signal(), told_by_signal(ADA)])
    twice = [told_by_signal(), told_by_signal(ADA, "another")]
    assert broken(logouts=[signal()], sockets=twice) == ["P4"]
    later = told_by_signal(Token("ada", "later", EPOCH + 9))
    assert broken(logouts=[signal()], sockets=[later]) == ["P3"]
    assert broken(logouts=[logout()], sockets=[told_by_signal()]) == ["P3"]


def test_a_notice_of_a_signal_proves_what_the_signal_states() -> None:
    """Not what had begun by the time at which it was written."""
    made, told = [signal(outcome="unknown")], [told_by_signal()]
    later = Token("ada", "later", EPOCH + 9)
    assert broken(logouts=made, sockets=told, checks=[check(ADA, 10.5)]) == ["P1"]
    assert not broken(logouts=made, sockets=told, checks=[check(later, 10.5)])


def test_a_signal_is_refused_by_a_fault_of_the_hub_only() -> None:
    """What the issuer has signed is good, so 400 is never right."""
    assert broken(calls=[Call("POST /events", "r0", 10, 10.1, 400)]) == ["P4"]
    assert not broken(calls=[Call("POST /events", "r0", 10, 10.1, 202)])


# ---- P5 ----

HOLE = Fault("link_hole", "r0", 10.0, 18.0)


def test_a_replica_that_is_cut_off_must_say_so() -> None:
    """Once the fence and the margin are over, it is not ready, and its sockets are closed."""
    ready = Call("GET /readyz", "r0", 16.0, 16.1, 200)
    assert broken(calls=[ready], faults=[HOLE]) == ["P5"]
    assert broken(sockets=[socket(BOB, 17.0, "us")], faults=[HOLE]) == ["P5"]


def test_a_replica_that_withdraws_in_time_passes() -> None:
    """Before the fence it may be ready; after it, others may."""
    calls = [
        Call("GET /readyz", "r0", 12.0, 12.1, 200),
        Call("GET /readyz", "r1", 16.0, 16.1, 200),
        Call("GET /readyz", "r0", 16.0, 16.1, 503, True),
    ]
    closed = socket(BOB, closed=13.5)
    closed.notices, closed.cut = [], None
    assert not broken(calls=calls, sockets=[closed], faults=[HOLE])


def test_a_replica_that_does_not_come_back_is_found() -> None:
    """A replica ends when it is asked to, and is ready when it was started again."""
    stuck = Fault("replica_term", "r0", 10.0, 40.0, failure="was not ready again")
    assert broken(faults=[stuck]) == ["P5"]


def test_a_replica_without_trouble_is_ready() -> None:
    """A replica that no fault has touched lately is ready."""
    unready = Call("GET /readyz", "r0", 30.0, 30.1, 503, True)
    assert broken(calls=[unready], faults=[HOLE]) == ["P5"]
    assert not broken(calls=[Call("GET /readyz", "r0", 23.0, 23.1, 503, True)], faults=[HOLE])


def test_a_machine_that_stood_still_explains_that_a_replica_is_not_ready() -> None:
    """A stall explains an unready replica and a deaf guard, and no token that is accepted."""
    stall = Fault(STALL, None, 29.0, 30.0, undone=30.0)
    unready = Call("GET /readyz", "r0", 30.0, 30.1, 503, True)
    deaf = [by_guard(BOB, 2), by_guard(BOB, 30, "unavailable")]
    assert not broken(GUARDED, calls=[unready], checks=deaf, faults=[stall])
    assert broken(logouts=[logout()], checks=[check(ADA, 30)], faults=[stall]) == ["P1"]


# ---- Guards ----

GUARDED = msgspec.structs.replace(LIMITS, staleness=3.0)


def by_guard(token: Token, start: float, result: str = "accepted") -> Check:
    """Return a check by a guard."""
    made = check(token, start, result, "guard token")
    made.replica = "g0"
    return made


def test_a_guard_may_be_as_old_as_it_is_allowed_to() -> None:
    """What it accepts so long after the answer is wrong, and not before; a replica has no time."""
    assert not broken(GUARDED, logouts=[logout()], checks=[by_guard(ADA, 13.0)])
    assert broken(GUARDED, logouts=[logout()], checks=[by_guard(ADA, 13.2)]) == ["P1"]
    assert broken(GUARDED, logouts=[logout()], checks=[check(ADA, 11)]) == ["P1"]


def test_a_guard_refuses_nobody_without_a_logout() -> None:
    """It is held to that as a replica is, whatever it does not know."""
    assert not broken(GUARDED, logouts=[logout()], checks=[by_guard(ADA, 11, "token_revoked")])
    assert broken(GUARDED, checks=[by_guard(BOB, 11, "token_revoked")]) == ["P3"]
    assert broken(GUARDED, checks=[by_guard(BOB, 11, "failed: KeyError()")]) == ["P3"]


@pytest.mark.parametrize("target", ["g0", "r2", None])
def test_a_guard_hears_the_hub_when_nothing_is_wrong(target: str | None) -> None:
    """A guard may be stale only near a fault, or right after its start."""
    checks = [by_guard(BOB, 2), by_guard(BOB, 30, "unavailable")]
    assert broken(GUARDED, checks=checks) == ["P5"]
    assert not broken(GUARDED, checks=checks, faults=[Fault("any", target, 24, 25)])
    assert not broken(GUARDED, checks=[by_guard(BOB, 2), by_guard(BOB, 3, "unavailable")])


def test_a_wrong_clock_of_a_guard_explains_nothing() -> None:
    """A guard must use only the store's clock."""
    checks = [by_guard(BOB, 2), by_guard(BOB, 30, "unavailable")]
    faults = [Fault("guard_clock", "g0", 28, 32)]
    assert broken(GUARDED, checks=checks, faults=faults) == ["P5"]


def test_a_guard_answers() -> None:
    """A guard that does not answer is reported."""
    silent = by_guard(BOB, 20)
    silent.end = NEVER
    assert broken(GUARDED, checks=[silent]) == ["P4"]
    silent.start = 90
    assert not broken(GUARDED, checks=[silent])
