"""The two rules: is this token dead, and which sessions does a logout end."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
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
    split_user_key,
    user_key,
)
from hub.core.revocation import ends, identify, issued_until, judge, living, outlives, supersede
from hub.errors import (
    HubError,
    LoginRequired,
    TokenExpired,
    TokenInvalid,
    TokenNotYetValid,
    TokenRevoked,
    TokenTooOld,
    Unauthorized,
)

T = 1_700_000_000 * SECOND
"""A whole second, around which the examples happen."""

USER = user_key("https://id.example", "ada")


def token(
    iat: Micros,
    sid: str = "mine",
    *,
    life: Micros = 3600 * SECOND,
    nbf: Micros = 0,
    login: Micros | None = None,
) -> Identity:
    """Return the identity of a token; ``login`` is when its login began, where it says so."""
    return Identity(
        user=USER, sub="ada", iss="", sid=sid, iat=iat, exp=iat + life, nbf=nbf, login_at=login
    )


def cut(at: Micros, scope: Scope = Scope.ALL, sid: str | None = None, id_: str = "cut") -> Logout:
    """Return a logout that was written at ``at``."""
    return Logout(id=id_, user=USER, scope=scope, reason=Reason.USER, sid=sid, at=at)


def registered(at: Micros, iat: Micros, sid: str = "mine") -> Session:
    """Return a session that registered at ``at`` with a token issued at ``iat``."""
    return Session(
        sid=sid,
        device="",
        ip="",
        created_at=at,
        last_seen_at=at,
        expires_at=iat + 3600 * SECOND,
        registered_at=at,
        begun=iat,
    )


def verdict(
    identity: Identity, state: RevocationState, leeway: Micros = 0
) -> type[Unauthorized] | None:
    """Return the kind of the refusal."""
    refusal = judge(msgspec.structs.replace(identity, leeway=leeway), state)
    return None if refusal is None else type(refusal)


def after(now: Micros, *cutoffs: Logout, session: Session | None = None) -> RevocationState:
    """Return what a store knows that holds these cut-offs."""
    return RevocationState(now=now, session=session, cutoffs=cutoffs)


def test_a_token_of_which_nothing_is_known_is_alive() -> None:
    """Without a logout, a token within its dates is good."""
    assert judge(token(T), after(T + SECOND)) is None


def test_a_tombstone_kills_whatever_else_is_known() -> None:
    """A newer token, the registry, having been kept: nothing saves what was ended by name."""
    tombstone = cut(T, Scope.SESSION, "mine", "by name")
    state = RevocationState(
        now=T + 100 * SECOND,
        tombstone=tombstone,
        session=registered(T + 20 * SECOND, T + 20 * SECOND),
        cutoffs=(cut(T + 10 * SECOND, Scope.OTHERS, "mine"),),
    )
    refusal = judge(token(T + 50 * SECOND), state)
    assert type(refusal) is TokenRevoked
    assert refusal.logout == tombstone


@pytest.mark.parametrize(
    ("iat", "cutoff", "expected"),
    [
        pytest.param(T - SECOND, T, TokenRevoked, id="whole second before"),
        pytest.param(T - 1, T, TokenRevoked, id="one microsecond before"),
        pytest.param(T + 1, T + 1, TokenTooOld, id="the very microsecond"),
        pytest.param(T + 2, T + 1, None, id="one microsecond after"),
        pytest.param(T + 400_000, T + 500_000, TokenRevoked, id="fraction before, same second"),
        pytest.param(T + 600_000, T + 500_000, None, id="fraction after, same second"),
        pytest.param(T, T, TokenTooOld, id="whole second, cut-off at its start"),
        pytest.param(T, T + 500_000, TokenTooOld, id="whole second, cut-off within it"),
        pytest.param(T, T + SECOND - 1, TokenTooOld, id="whole second, cut-off at its end"),
        pytest.param(T, T + SECOND, TokenRevoked, id="whole second, cut-off in the next"),
        pytest.param(T + SECOND, T + SECOND - 1, None, id="whole second after"),
    ],
)
def test_a_token_dies_by_a_cutoff_at_or_after_its_issue(
    iat: Micros, cutoff: Micros, expected: type[HubError] | None
) -> None:
    """Fractions are exact; a whole second counts as all of itself, and is told so."""
    assert verdict(token(iat), after(T + 10 * SECOND, cut(cutoff))) is expected


def test_the_refusal_tells_which_logout_it_was() -> None:
    """Both refusals by a cut-off carry the cut-off."""
    cutoff = cut(T + 500_000)
    for iat in (T, T - 5):
        refusal = judge(token(iat), after(T + 10 * SECOND, cutoff))
        assert refusal is not None
        assert refusal.logout == cutoff


@pytest.mark.parametrize(
    ("now", "wait"),
    [(T + 500_000, 0.5), (T + 900_000, 0.1), (T + SECOND, 0.0), (T + 9 * SECOND, 0.0)],
)
def test_a_token_of_the_same_second_is_told_when_to_get_another(now: Micros, wait: float) -> None:
    """Once the second is over, whatever issuer writes whole seconds writes a later one."""
    refusal = judge(token(T), after(now, cut(T + 300_000)))
    assert type(refusal) is TokenTooOld
    assert refusal.retry_after == pytest.approx(wait)
    later = msgspec.structs.replace(token(T), iat=(now + round(wait * SECOND)) // SECOND * SECOND)
    assert judge(later, after(now + SECOND, cut(T + 300_000))) is None


def test_others_keeps_the_session_that_asked_and_no_other() -> None:
    """The kept session lives on with its old token; its neighbour's old token dies."""
    state = after(T + SECOND, cut(T, Scope.OTHERS, "mine"))
    assert judge(token(T - 60 * SECOND), state) is None
    assert verdict(token(T - 60 * SECOND, "other"), state) is TokenRevoked


def test_only_others_keeps() -> None:
    """A session that a logout of all names is not kept by it."""
    state = after(T + SECOND, cut(T, Scope.ALL, "mine"))
    assert verdict(token(T - SECOND), state) is TokenRevoked


def test_a_kept_session_dies_by_a_newer_cutoff() -> None:
    """What others kept is no shield against a later logout."""
    kept, later = cut(T, Scope.OTHERS, "mine"), cut(T + SECOND, id_="later")
    refusal = judge(token(T - SECOND), after(T + 2 * SECOND, kept, later))
    assert type(refusal) is TokenRevoked
    assert refusal.logout == later


@pytest.mark.parametrize(
    ("registered_at", "iat", "expected"),
    [
        pytest.param(T + 7, T + 6, None, id="registered and issued afterwards"),
        pytest.param(T + 7, T + 5, TokenTooOld, id="registered afterwards by a token from before"),
        pytest.param(T + 5, T + 6, TokenTooOld, id="issued by a fast clock, seen before"),
        pytest.param(T + 1, T + 1, TokenTooOld, id="registered and issued before"),
    ],
)
def test_in_the_second_of_a_cutoff_the_registry_decides(
    registered_at: Micros, iat: Micros, expected: type[HubError] | None
) -> None:
    """A whole-second token is let in when its session is known to be newer than the cut-off."""
    state = after(T + SECOND, cut(T + 5), session=registered(registered_at, iat))
    assert verdict(token(T), state) is expected


def test_a_certainly_older_token_stays_dead_whatever_its_session_does() -> None:
    """A session that shows a newer token does not bring back the one that was logged out."""
    state = after(T + SECOND, cut(T), session=registered(T + 2, T + 1))
    for iat in (T - 60 * SECOND, T - 5):
        assert verdict(token(iat), state) is TokenRevoked
    assert judge(token(T + 1), state) is None


def test_a_registration_between_two_cutoffs_does_not_count() -> None:
    """A session that was new after the older cut-off is not newer than the newer one."""
    newer = cut(T + 20 * SECOND + 5)
    state = after(T + 60 * SECOND, cut(T), newer, session=registered(T + 11, T + 10))
    assert verdict(token(T + 20 * SECOND), state) is TokenTooOld


def test_being_kept_does_not_undo_an_older_logout() -> None:
    """A session that a logout had ended is not revived by a later one that keeps it."""
    state = after(T + 9, cut(T, id_="ended it"), cut(T + 5, Scope.OTHERS, "mine"))
    refusal = judge(token(T - SECOND), state)
    assert type(refusal) is TokenRevoked
    assert refusal.logout is not None
    assert refusal.logout.id == "ended it"


@pytest.mark.parametrize("newest_first", [True, False])
def test_the_newest_of_the_users_and_everyones_cutoff_wins(newest_first: bool) -> None:
    """Whichever of the two is newer decides, in whatever order the store names them."""
    users, everyones = cut(T, id_="user's"), cut(T + SECOND, id_="everyone's")
    both = (everyones, users) if newest_first else (users, everyones)
    state = after(T + 9 * SECOND, *both)
    refusal = judge(token(T + 1), state)
    assert refusal is not None
    assert refusal.logout == everyones
    assert judge(token(T + SECOND + 1), state) is None


def test_a_token_dies_at_its_exp() -> None:
    """The instant of exp is too late, the one before is not (RFC 7519 section 4.1.4)."""
    short = token(T, life=10 * SECOND)
    assert judge(short, after(T + 10 * SECOND - 1)) is None
    assert verdict(short, after(T + 10 * SECOND)) is TokenExpired


def test_leeway_stretches_exp_and_never_a_logout() -> None:
    """The issuer's clock may be forgiven; a cut-off is by the store's clock and is exact."""
    short = token(T, life=10 * SECOND)
    assert (
        judge(msgspec.structs.replace(short, leeway=2 * SECOND), after(T + 12 * SECOND - 1)) is None
    )
    assert verdict(short, after(T + 12 * SECOND), leeway=2 * SECOND) is TokenExpired
    old = after(T + SECOND, cut(T + 100))
    assert verdict(token(T + 50), old, leeway=300 * SECOND) is TokenRevoked


@pytest.mark.parametrize("date", ["iat", "nbf"])
def test_a_token_from_the_future_is_not_valid_yet(date: str) -> None:
    """A date may lie ahead by the leeway and one second for rounding, and no more."""
    ahead = T + 3 * SECOND
    early = token(ahead) if date == "iat" else token(T, nbf=ahead)
    assert judge(msgspec.structs.replace(early, leeway=2 * SECOND), after(T)) is None
    assert verdict(early, after(T - 1), leeway=2 * SECOND) is TokenNotYetValid


def test_who_is_a_little_early_is_told_how_long_to_wait() -> None:
    """Up to a minute the token will do; beyond that its issuer's clock is wrong."""
    refusal = judge(token(T + 5 * SECOND), after(T))
    assert isinstance(refusal, TokenNotYetValid)
    assert refusal.retryable
    assert refusal.retry_after == 4
    assert verdict(token(T + 61 * SECOND), after(T)) is TokenNotYetValid
    assert verdict(token(T + 61 * SECOND + 1), after(T)) is TokenInvalid


def test_a_revoked_token_that_is_also_expired_is_told_of_the_logout() -> None:
    """Who comes back late learns that the session was logged out, which says more than expired."""
    assert verdict(token(T, life=SECOND), after(T + 60 * SECOND, cut(T + 1))) is TokenTooOld
    assert verdict(token(T - 5, life=SECOND), after(T + 60 * SECOND, cut(T))) is TokenRevoked


# Login times

LATER = T + 300 * SECOND


def test_a_refresh_does_not_make_a_login_younger() -> None:
    """A token that was issued after a logout is dead when its login is older: log in anew."""
    refreshed = token(LATER, login=T - 60 * SECOND)
    refusal = judge(refreshed, after(LATER, cut(T)))
    assert isinstance(refusal, LoginRequired)
    assert not refusal.retryable
    assert refusal.logout == cut(T)
    assert refusal.max_age == 300
    old = token(T - 30 * SECOND, login=T - 60 * SECOND)
    assert verdict(old, after(LATER, cut(T))) is TokenRevoked


def test_a_login_after_the_logout_lives_under_the_same_session_id() -> None:
    """A provider's session goes on when a person logs in again within it."""
    again = token(LATER, login=T + 60 * SECOND)
    ended = cut(T, Scope.SESSION, "mine")
    state = msgspec.structs.replace(after(LATER, cut(T)), tombstone=ended)
    assert judge(again, state) is None
    refreshed = token(LATER, login=T - 60 * SECOND)
    assert verdict(refreshed, state) is LoginRequired
    assert verdict(token(T - 30 * SECOND, login=T - 60 * SECOND), state) is TokenRevoked
    assert verdict(token(LATER), state) is TokenRevoked, "without a login time it is for ever"


@pytest.mark.parametrize(
    ("login", "iat", "code"),
    [
        (T, T, TokenTooOld),  # the whole second of the logout
        (T, LATER, LoginRequired),  # a fresh token does not help
        (T + SECOND, T + SECOND, None),
        (T + SECOND // 2, T + SECOND // 2, TokenTooOld),  # the instant itself
        (T + SECOND // 2 + 1, T + SECOND // 2 + 1, None),  # a fraction is exact
        (T - SECOND, T, TokenRevoked),
    ],
)
def test_a_login_in_the_second_of_a_logout(
    login: Micros, iat: Micros, code: type[Unauthorized] | None
) -> None:
    """The rule of the same second is that of ``iat``, but for tokens that came later."""
    cutoff = cut(T + SECOND // 2)
    assert verdict(token(iat, login=login), after(LATER, cutoff)) is code
    other = registered(T + 9 * SECOND, T + 9 * SECOND)
    known = msgspec.structs.replace(after(LATER, cutoff), session=other)
    assert verdict(token(iat, login=login), known) is code


def test_a_session_that_others_kept_lives_on_whatever_its_login_time() -> None:
    """Who logs the others out stays, with refreshed tokens as well."""
    kept = after(LATER, cut(T, Scope.OTHERS, "mine"))
    assert judge(token(LATER, login=T - 60 * SECOND), kept) is None
    assert verdict(token(LATER, sid="other", login=T - 60 * SECOND), kept) is LoginRequired


def test_a_login_outlives_tombstones_of_earlier_logins_only() -> None:
    """The registry takes it in again; one without a login time, or of that time, it does not."""
    ended = cut(T, Scope.SESSION, "mine")
    assert outlives(token(LATER, login=T + 1), ended)
    assert not outlives(token(LATER, login=T), ended)
    assert not outlives(token(LATER), ended)


def test_living_lists_by_the_same_rule_as_tokens() -> None:
    """A registered session is listed when its newest token is alive."""
    kept, new, old = (
        registered(T - 9, T - 10, "kept"),
        registered(T + 2, T + 1, "new"),
        registered(T + 2, T - 1, "old, seen again"),
    )
    state = after(T + 10, cut(T, Scope.OTHERS, "kept"))
    assert living(USER, [kept, new, old], state) == [kept, new]


def test_living_lists_a_session_whose_issuer_is_ahead() -> None:
    """A session that was let in with a date ahead, within its leeway, is not hidden by it."""
    ahead = registered(T, T + 60 * SECOND)
    assert living(USER, [ahead], after(T)) == [ahead]


def test_identify_speaks_for_the_newest_token_of_a_session() -> None:
    """The dates of a registered session are those that it is judged by."""
    session = registered(T + 5, T)
    found = identify(USER, session)
    assert (found.user, found.sid, found.iat, found.exp) == (
        USER,
        "mine",
        T,
        session.expires_at,
    )


# Times close together, so that they often meet; whole seconds among them.
instants = st.one_of(
    st.integers(0, 6).map(lambda n: T + n * SECOND), st.integers(T, T + 6 * SECOND)
)
sids = st.sampled_from(["mine", "other", "third"])


@st.composite
def cutoffs(draw: st.DrawFn) -> tuple[Logout, ...]:
    """Up to four cut-offs, no two of one instant."""
    times = draw(st.lists(instants, unique=True, max_size=4))
    return tuple(
        cut(at, scope, draw(sids) if scope is Scope.OTHERS else None)
        for at in times
        for scope in [draw(st.sampled_from([Scope.ALL, Scope.OTHERS]))]
    )


sessions = st.none() | st.builds(registered, instants, instants)
identities = st.builds(
    token,
    instants,
    life=st.integers(1, 8 * SECOND),
    nbf=st.just(0) | instants,
    login=st.none() | instants,
).map(
    lambda identity: msgspec.structs.replace(
        identity, login_at=identity.login_at and min(identity.login_at, identity.iat)
    )
)
states = st.builds(
    RevocationState,
    now=instants,
    tombstone=st.none() | instants.map(lambda at: cut(at, Scope.SESSION, "mine")),
    session=sessions,
    cutoffs=cutoffs(),
)


@given(identities, states)
def test_what_was_issued_by_any_cutoff_is_dead_unless_kept_or_registered(
    identity: Identity, state: RevocationState
) -> None:
    """No order of cut-offs, dates or clocks lets an old token through."""
    if not any(identity.begun <= cutoff.at for cutoff in state.cutoffs):
        return
    ending = [c for c in state.cutoffs if identity.begun <= c.at and ends(c, identity.sid)]
    certain = [cutoff for cutoff in ending if issued_until(identity.begun) < cutoff.at]
    session = state.session
    if certain or (ending and session is None):
        assert isinstance(judge(identity, state), TokenRevoked | TokenTooOld)


@given(identities, states)
def test_a_cutoff_kills_nothing_that_came_after_it(
    identity: Identity, state: RevocationState
) -> None:
    """A token issued after the newest cut-off is refused for its dates or its name only."""
    if state.tombstone is None and all(identity.begun > c.at for c in state.cutoffs):
        refusal = judge(identity, state)
        assert not isinstance(refusal, TokenRevoked | TokenTooOld)


@given(identities, states, st.integers(1, SECOND), st.none() | sids)
def test_a_newer_cutoff_revives_nothing(
    identity: Identity, state: RevocationState, later: Micros, keep: str | None
) -> None:
    """One logout more never makes a dead token alive, also when it keeps its session."""
    newest = max((cutoff.at for cutoff in state.cutoffs), default=T)
    scope = Scope.ALL if keep is None else Scope.OTHERS
    more = msgspec.structs.replace(
        state, cutoffs=(*state.cutoffs, cut(newest + later, scope, keep))
    )
    if judge(identity, state) is not None:
        assert judge(identity, more) is not None


@given(identities, states)
def test_the_order_in_which_cutoffs_are_told_does_not_matter(
    identity: Identity, state: RevocationState
) -> None:
    """The verdict depends on what is known, not on where it was found."""
    turned = msgspec.structs.replace(state, cutoffs=state.cutoffs[::-1])
    assert verdict(identity, state) is verdict(identity, turned)


@given(identities, states)
def test_superseded_cutoffs_need_not_be_remembered(
    identity: Identity, state: RevocationState
) -> None:
    """What `supersede` leaves of all cut-offs, one after the other, gives the same verdict."""
    remembered: tuple[Logout, ...] = ()
    for cutoff in sorted(state.cutoffs, key=lambda cutoff: cutoff.at):
        remembered = supersede(cutoff, remembered)
    assert len(remembered) <= 2
    little = msgspec.structs.replace(state, cutoffs=remembered)
    assert verdict(identity, little) is verdict(identity, state)


@given(identities, states)
def test_a_tombstone_always_kills(identity: Identity, state: RevocationState) -> None:
    """Nothing that a store may know outweighs a tombstone, but a login that began after it."""
    tombstone = state.tombstone
    if tombstone is not None and not (identity.login_at or 0) > tombstone.at:
        assert verdict(identity, state) in (TokenRevoked, LoginRequired)


@given(identities, states, st.integers(0, 20 * SECOND), st.integers(0, 5 * SECOND))
def test_time_revives_nothing_but_what_was_not_valid_yet(
    identity: Identity, state: RevocationState, passed: Micros, leeway: Micros
) -> None:
    """With the same facts, a token that is dead now is dead later, and for the same reason."""
    now = verdict(identity, state, leeway)
    later = msgspec.structs.replace(state, now=state.now + passed)
    if now is not None and now not in (TokenInvalid, TokenNotYetValid):
        assert verdict(identity, later, leeway) is now


@given(identities, states, st.integers(0, 5 * SECOND))
def test_no_token_outlives_its_exp_by_more_than_the_leeway(
    identity: Identity, state: RevocationState, leeway: Micros
) -> None:
    """Whatever is known, an expired token is not alive."""
    if state.now >= identity.exp + leeway:
        assert judge(msgspec.structs.replace(identity, leeway=leeway), state) is not None


@given(st.integers(0, 10 * SECOND))
def test_a_token_is_issued_within_the_second_that_it_names(offset: Micros) -> None:
    """The last instant of issue lies in the second of iat, and is iat itself for a fraction."""
    last = issued_until(T + offset)
    assert last // SECOND == (T + offset) // SECOND
    assert last == T + offset or offset % SECOND == 0


@given(st.text(), st.text())
def test_session_and_others_part_all_sessions_in_two(named: str, sid: str) -> None:
    """Of one name, scope session ends exactly what scope others keeps; scope all ends both."""
    one, rest = cut(T, Scope.SESSION, named), cut(T, Scope.OTHERS, named)
    assert ends(one, sid) is (sid == named)
    assert ends(one, sid) is not ends(rest, sid)
    assert ends(cut(T), sid)


@pytest.mark.parametrize("scope", [Scope.SESSION, Scope.OTHERS])
def test_a_scope_that_names_nothing_matches_no_session_by_name(scope: Scope) -> None:
    """A logout without a session neither ends nor keeps one of an empty name."""
    assert ends(cut(T, scope, None), "") is (scope is Scope.OTHERS)


@given(st.text(), st.text())
def test_a_user_key_holds_issuer_and_subject(iss: str, sub: str) -> None:
    """Issuer and subject come back from the key as they went in."""
    assert split_user_key(user_key(iss, sub)) == (iss, sub)


parts = st.text(alphabet="a|%7C/:{}é", max_size=6)


@given(parts, parts, parts, parts)
def test_two_users_have_two_keys(iss: str, sub: str, iss2: str, sub2: str) -> None:
    """No choice of issuer and subject, separators and escapes included, gives another's key."""
    same = (iss, sub) == (iss2, sub2)
    assert (user_key(iss, sub) == user_key(iss2, sub2)) is same


@given(st.text(), st.text())
def test_a_user_key_is_plain_text_with_one_separator(iss: str, sub: str) -> None:
    """A key can stand in the name of a Redis key, and be split without doubt."""
    key = user_key(iss, sub)
    assert key.isascii()
    assert key.count("|") == 1
    assert not set(key) & set(":{} \n")
