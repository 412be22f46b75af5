"""What the scripts repeat of a rule in Python decides as the rule does, on the real server."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hub.core.model import (
    SECOND,
    Identity,
    Logout,
    Micros,
    Reason,
    RevocationState,
    Scope,
    Session,
    user_key,
)
from hub.core.rate import Rate, take
from hub.core.revocation import (
    apply_leeway,
    ends,
    ends_registered,
    is_surely_alive,
    judge,
    may_register,
    outlives,
    supersede,
)
from hub.core.wire import decode_logout, encode_logout
from hub.store.script import pack_values, read_lua
from tests.redis_server import RedisServer

ADA = user_key("", "ada")
T = 1_700_000_000 * SECOND
"""Some instant; all times lie a little before or after it, so that many of them are equal."""

RULES = "local given = cmsgpack.unpack(ARGV[1])\n" + read_lua("rules")

often = settings(
    max_examples=300,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
times = st.integers(-3, 3).map(lambda step: T + step)
sids = st.sampled_from(["a", "b", 'odd " \\ é \x01'])


@st.composite
def logouts(draw: st.DrawFn, scopes: tuple[Scope, ...] = (Scope.ALL, Scope.OTHERS)) -> Logout:
    """Return a logout of Ada that was written."""
    scope = draw(st.sampled_from(scopes))
    sid = None if scope is Scope.ALL else draw(sids)
    return Logout(
        "id",
        ADA,
        scope,
        Reason.USER,
        sid,
        draw(st.none() | sids | st.just('"before":1')),
        at=draw(times),
        before=draw(st.none() | times),
    )


@st.composite
def identities(draw: st.DrawFn) -> Identity:
    """Return an identity of Ada, whose times may go together or not."""
    return Identity(
        ADA,
        "",
        "",
        draw(sids),
        iat=draw(times),
        exp=draw(times),
        nbf=draw(times | st.just(0)),
        login_at=draw(st.none() | times),
        leeway=draw(st.sampled_from([0, 1, SECOND])),
    )


class Lua:
    """Calls a rule of ``rules.lua``."""

    def __init__(self, server: RedisServer) -> None:
        self._client = server.client()

    def ask(self, expression: str, **values: Any) -> Any:
        """Return what an expression is, for these values by name; true is 1, false is None."""
        return self._client.eval(f"{RULES}\nreturn {expression}", 0, pack_values(values))


@pytest.fixture(scope="module")
def lua(redis_server: RedisServer) -> Lua:
    """The rules on a real server."""
    return Lua(redis_server)


def record(logout: Logout | None) -> str | bool:
    """Return a logout as scripts hold it."""
    return False if logout is None else f"{logout.at} {encode_logout(logout).decode()}"


def records(cutoffs: tuple[Logout, ...]) -> list[str | bool]:
    """Return cut-offs as scripts hold them."""
    return [record(cutoff) for cutoff in cutoffs]


@often
@given(logout=logouts(tuple(Scope)), sid=sids)
def test_which_sessions_are_in_the_scope(lua: Lua, logout: Logout, sid: str) -> None:
    """As `ends` says."""
    found = lua.ask(
        "is_in_scope(given.only, given.kept, given.sid)",
        only=logout.sid if logout.scope is Scope.SESSION else None,
        kept=logout.sid if logout.scope is Scope.OTHERS else None,
        sid=sid,
    )
    assert bool(found) is ends(logout, sid)


@often
@given(who=identities(), tombstone=logouts((Scope.SESSION,)))
def test_which_login_outlives_a_tombstone(lua: Lua, who: Identity, tombstone: Logout) -> None:
    """As `outlives` says."""
    found = lua.ask(
        "outlives(given.login_at, given.tombstone)",
        login_at=who.login_at,
        tombstone=record(tombstone),
    )
    assert (found == 1) is outlives(who, tombstone)


@often
@given(who=identities(), cutoffs=st.lists(logouts(), max_size=3).map(tuple))
def test_which_session_may_register(lua: Lua, who: Identity, cutoffs: tuple[Logout, ...]) -> None:
    """As `may_register` says."""
    found = lua.ask(
        "may_register(given.sid, given.begun, given.cutoffs)",
        sid=who.sid,
        begun=who.begun,
        cutoffs=records(cutoffs),
    )
    assert (found == 1) is may_register(who, cutoffs)


@often
@given(history=st.lists(logouts(), min_size=1, max_size=6))
def test_which_cutoffs_are_kept(lua: Lua, history: list[Logout]) -> None:
    """After any history of one user's logouts, as `supersede` says."""
    rule: tuple[Logout, ...] = ()
    cutoff: str | bool = False
    kept: str | bool = False
    for step, made in enumerate(history):
        logout = msgspec.structs.replace(made, at=T + step)
        answer = lua.ask(
            "{supersede(given.record, given.cutoff, given.kept)}",
            record=record(logout),
            cutoff=cutoff,
            kept=kept,
        )
        cutoff, kept = (one.decode() if one else False for one in answer)
        rule = supersede(logout, rule)
        found = [one for one in (cutoff, kept) if not isinstance(one, bool)]
        assert [decode_logout(one.encode()) for one in found] == [*rule]


@often
@given(logout=logouts((Scope.ALL, Scope.SESSION)), begun=times, seen=times, login=st.none() | times)
def test_which_registered_session_ends(
    lua: Lua, logout: Logout, begun: Micros, seen: Micros, login: Micros | None
) -> None:
    """As `ends_registered` says."""
    session = Session("a", "", "", seen, seen, seen, seen, begun, login_at=login)
    row = {"begun": str(begun), "created_at": str(seen), "login_at": login and str(login)}
    found = lua.ask(
        "ends_registered(given.before, given.is_named, given.row)",
        before=logout.before,
        is_named=logout.scope is Scope.SESSION,
        row={name: value for name, value in row.items() if value is not None},
    )
    assert (found == 1) is ends_registered(logout, session)


@often
@given(
    who=identities(),
    now=times,
    tombstone=st.none() | logouts((Scope.SESSION,)),
    cutoffs=st.lists(logouts(), max_size=2).map(tuple),
)
def test_which_caller_is_surely_alive(
    lua: Lua,
    who: Identity,
    now: Micros,
    tombstone: Logout | None,
    cutoffs: tuple[Logout, ...],
) -> None:
    """As `is_surely_alive` says, which lets nobody pass whom `judge` would not."""
    caller = apply_leeway(who)
    state = RevocationState(now=now, tombstone=tombstone, cutoffs=cutoffs)
    found = lua.ask(
        "is_surely_alive(given.caller, given.now, given.is_ended, given.cutoffs)",
        caller={"begun": caller.begun, "nbf": caller.nbf, "exp": caller.exp},
        now=now,
        is_ended=tombstone is not None,
        cutoffs=records(cutoffs),
    )
    assert (found == 1) is is_surely_alive(caller, state)
    assert found != 1 or judge(who, state) is None


@often
@given(
    per_second=st.sampled_from([0.5, 1.0, 3.0, 50.0]),
    burst=st.integers(1, 6),
    debt=st.floats(-3, 3),
)
def test_how_long_a_user_waits(lua: Lua, per_second: float, burst: int, debt: float) -> None:
    """As `take` says, whatever was taken before."""
    rate, before = Rate(per_second, burst), T + round(debt * SECOND)
    found = lua.ask(
        "string.format('%.0f', select(2, take(given.pace, given.before, given.now)))",
        pace={"cost": round(SECOND / per_second), "window": round(rate.window * SECOND)},
        before=before,
        now=T,
    )
    _, wait = take(rate, before / SECOND, T / SECOND)
    assert int(found) / SECOND == pytest.approx(wait, abs=1e-5)
