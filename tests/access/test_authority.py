"""A token in, the caller or an error out, over the embedded store."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec
import pytest

from hub.access.authority import Authority
from hub.access.client import Client
from hub.access.issuers import Issuers
from hub.access.minting import mint_token
from hub.core.issuers import Entry, KeySource, Source
from hub.core.model import (
    SECOND,
    Identity,
    Logout,
    Micros,
    Reason,
    RevocationState,
    Scope,
    user_key,
)
from hub.core.tokens import Rules
from hub.errors import (
    RateLimited,
    TokenExpired,
    TokenInvalid,
    TokenNotYetValid,
    TokenRevoked,
    TokenTooOld,
    Unavailable,
)
from hub.store.memory import MemoryStore, system_clock
from hub.store.values import Command, Presence, Registration

SECRET = "a secret for tests that is long enough"
ADA = user_key("", "ada")
LAPTOP = Client(name=None, user_agent="curl/8.0", ip="192.0.2.1")


class Clock:
    """The store's clock, which may be moved; it starts at the time of this machine."""

    def __init__(self) -> None:
        self.offset = 0

    def __call__(self) -> Micros:
        """Return the time."""
        return system_clock() + self.offset


@pytest.fixture
def clock() -> Clock:
    """The clock of the store."""
    return Clock()


@pytest.fixture
def store(clock: Clock) -> MemoryStore:
    """An empty store with room for three sessions a user."""
    return MemoryStore(lifetime=3600 * SECOND, max_sessions=3, clock=clock)


def authority_over(store: MemoryStore, leeway: Micros = 0) -> Authority:
    """Return an authority that takes tokens by the tests' secret."""
    return Authority(store, Issuers([entry(SECRET, leeway)]))


def entry(secret: str, leeway: Micros = 0) -> Entry:
    """Return an issuer entry that takes tokens by a secret."""
    rules = Rules(algorithms=("HS256",), max_lifetime=3600 * SECOND, leeway=leeway)
    return Entry(rules, KeySource(Source.SECRET, (secret,)))


@pytest.fixture
def authority(store: MemoryStore) -> Authority:
    """An authority without leeway."""
    return authority_over(store)


def token(
    user: str = "ada", sid: str = "s-1", lifetime: float = 600, secret: str = SECRET, **more: str
) -> str:
    """Return a token that was issued just now."""
    return mint_token(secret, user, sid=sid, lifetime=lifetime, **more)


async def logged_out(
    store: MemoryStore, scope: Scope = Scope.ALL, sid: str | None = None
) -> Logout:
    """Log Ada out."""
    logout = Logout(id="id", user=ADA, scope=scope, reason=Reason.ADMIN, sid=sid, message="Bye")
    also = sid if scope is Scope.SESSION else None
    return (await store.end(Command(logout, also=also))).logout


class Rotating(Issuers):
    """An issuer whose key is asked for and may be replaced."""

    def __init__(self) -> None:
        super().__init__([entry(SECRET)])
        self.asked = 0
        self.meanwhile: list[Callable[[], Awaitable[object]]] = []
        """What happens while the next token is verified."""

    async def verify(self, token: str) -> Identity:
        """Count, and verify."""
        self.asked += 1
        identity = await super().verify(token)
        while self.meanwhile:
            await self.meanwhile.pop()()
        return identity


async def test_a_verified_token_is_remembered_until_the_keys_change(store: MemoryStore) -> None:
    """A token that comes again costs no signature; a withdrawn key verifies nothing any more."""
    keys = Rotating()
    authority = Authority(store, keys)
    mine = token()
    first = await authority.identify(mine)
    assert await authority.identify(mine) == first
    assert keys.asked == 1
    await keys.replace([entry(SECRET[::-1])])
    with pytest.raises(TokenInvalid):
        await authority.identify(mine)


async def test_an_issuer_that_goes_meanwhile_verifies_nothing_for_later(
    store: MemoryStore,
) -> None:
    """A token whose verification began before is answered, and not remembered."""
    keys = Rotating()
    authority = Authority(store, keys)
    mine, other = token(), token(secret=SECRET[::-1])

    async def change() -> None:
        await keys.replace([entry(SECRET[::-1])])
        await authority.identify(other)

    keys.meanwhile.append(change)
    assert (await authority.identify(mine)).user == ADA
    with pytest.raises(TokenInvalid):
        await authority.identify(mine)
    await authority.identify(other)
    assert keys.asked == 3


async def test_an_issuer_that_goes_while_a_session_is_registered_admits_nobody(
    store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The caller is to ask again, as for a socket's connect or refresh: then it is refused."""
    issuers = Issuers([entry(SECRET)])
    authority = Authority(store, issuers)
    identity, register = await authority.identify(token()), store.register

    async def go_meanwhile(registration: Registration) -> RevocationState:
        state = await register(registration)
        await issuers.replace([entry(SECRET[::-1])])
        return state

    monkeypatch.setattr(store, "register", go_meanwhile)
    with pytest.raises(Unavailable):
        await authority.register(identity, LAPTOP)
    with pytest.raises(TokenInvalid):
        await authority.identify(token())


async def test_a_remembered_token_is_still_asked_after(
    authority: Authority, store: MemoryStore
) -> None:
    """Remembering says who signed, never that the session lives."""
    mine = token()
    await authority.admit(mine)
    await logged_out(store)
    with pytest.raises(TokenRevoked):
        await authority.admit(mine)


async def test_only_so_many_tokens_are_remembered(
    store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The oldest makes room, and what is no token is not remembered at all."""
    monkeypatch.setattr("hub.access.authority.MAX_VERIFIED", 2)
    keys = Rotating()
    authority = Authority(store, keys)
    tokens = [token(sid=str(number)) for number in range(3)]
    for each in (*tokens, tokens[2], tokens[0]):
        await authority.identify(each)
    assert keys.asked == 4
    for _ in range(2):
        with pytest.raises(TokenInvalid):
            await authority.identify(tokens[0][:-4] + "AAAA")
    assert keys.asked == 6


async def test_a_living_token_is_admitted(authority: Authority, store: MemoryStore) -> None:
    """The caller is who the token says; nothing is entered in the registry."""
    caller = await authority.admit(token())
    assert (caller.identity.user, caller.identity.sid) == (ADA, "s-1")
    assert not caller.is_admin
    assert (await store.sessions(ADA)).sessions == ()


async def test_a_forged_token_is_refused_before_the_store_is_asked(authority: Authority) -> None:
    """Neither admitting nor identifying takes what another secret signed."""
    forged = mint_token(SECRET[::-1], "ada", lifetime=600)
    for take in (authority.admit, authority.identify):
        with pytest.raises(TokenInvalid):
            await take(forged)


async def test_identify_does_not_ask_whether_the_token_is_alive(
    authority: Authority, store: MemoryStore
) -> None:
    """Who signed is one question, whether it still counts is another."""
    old = token()
    await logged_out(store)
    assert (await authority.identify(old)).user == ADA


async def test_a_revoked_token_is_refused_with_its_logout(
    authority: Authority, store: MemoryStore
) -> None:
    """The refusal names the logout, so that the app can say why."""
    old = token()
    logout = await logged_out(store)
    with pytest.raises(TokenRevoked) as caught:
        await authority.admit(old)
    assert caught.value.logout == logout
    assert (await authority.admit(token(sid="s-2"))).identity.sid == "s-2"


async def test_registering_a_revoked_token_is_refused_too(
    authority: Authority, store: MemoryStore
) -> None:
    """Connecting is no way around a logout, and does not show up among the sessions."""
    old = await authority.identify(token())
    await logged_out(store)
    with pytest.raises(TokenRevoked):
        await authority.register(old, LAPTOP)
    assert await authority.sessions(ADA) == []
    with pytest.raises(TokenRevoked):
        await authority.register(old, LAPTOP)


async def test_a_whole_second_token_of_the_second_of_a_logout_is_too_old(
    authority: Authority, store: MemoryStore
) -> None:
    """A login in the very second of a logout is told to get a fresh token."""
    identity = await authority.identify(token())
    logout = await logged_out(store)
    whole = msgspec.structs.replace(identity, iat=logout.at // SECOND * SECOND, sid="new")
    assert isinstance(await authority.find_refusal(whole), TokenTooOld)


async def test_expiry_is_by_the_stores_clock(authority: Authority, clock: Clock) -> None:
    """Neither this process's clock nor the token's word counts."""
    short = token(lifetime=60)
    await authority.admit(short)
    clock.offset = 61 * SECOND
    with pytest.raises(TokenExpired):
        await authority.admit(short)
    clock.offset = -30 * SECOND
    with pytest.raises(TokenNotYetValid):
        await authority.admit(short)
    clock.offset = -90 * SECOND
    with pytest.raises(TokenInvalid, match="not valid yet"):
        await authority.admit(short)


async def test_leeway_forgives_the_issuers_clock(store: MemoryStore, clock: Clock) -> None:
    """Within the leeway a token is taken early and late."""
    forgiving, short = authority_over(store, leeway=30 * SECOND), token(lifetime=60)
    for offset in (-25, 85):
        clock.offset = offset * SECOND
        await forgiving.admit(short)
    clock.offset = 95 * SECOND
    with pytest.raises(TokenExpired):
        await forgiving.admit(short)


async def test_a_registered_session_is_listed_with_device_and_address(
    authority: Authority,
) -> None:
    """What the session showed of itself is what its owner sees."""
    phone = Client(name=" Ada's  phone ", user_agent="curl/8.0", ip="192.0.2.2")
    await authority.register(await authority.identify(token()), phone)
    await authority.register(await authority.identify(token(sid="s-2")), LAPTOP)
    listed = {s.sid: (s.device, s.ip) for s in await authority.sessions(ADA)}
    assert listed == {"s-1": ("Ada's phone", "192.0.2.2"), "s-2": ("curl", "192.0.2.1")}


@pytest.mark.parametrize("name", [None, "", "  ", "\u200b"])
async def test_a_given_name_stays_until_another_is_given(
    authority: Authority, name: str | None
) -> None:
    """A later visit without a name does not rename the device to its program."""
    identity = await authority.identify(token())
    await authority.register(identity, Client("Ada's phone", "curl/8.0", "192.0.2.1"))
    await authority.register(identity, Client(name, "curl/8.0", "192.0.2.1"))
    assert [s.device for s in await authority.sessions(ADA)] == ["Ada's phone"]
    await authority.register(identity, Client("Tablet", "curl/8.0", "192.0.2.1"))
    assert [s.device for s in await authority.sessions(ADA)] == ["Tablet"]


async def test_a_session_with_a_socket_is_online(authority: Authority, store: MemoryStore) -> None:
    """The presence of a socket is passed on to the store."""
    await store.renew("replica-1")
    identity = await authority.identify(token())
    await authority.register(identity, LAPTOP, Presence("replica-1", 1))
    assert [s.online for s in await authority.sessions(ADA)] == [True]


async def test_only_living_sessions_are_listed(authority: Authority, store: MemoryStore) -> None:
    """A logout of everyone finds no session by name, and yet none from before it is listed."""
    await authority.register(await authority.identify(token(sid="old")), LAPTOP)
    everyone = Logout(id="id", user=None, scope=Scope.ALL, reason=Reason.POLICY)
    await store.end(Command(everyone))
    await authority.register(await authority.identify(token(sid="new")), LAPTOP)
    assert [s.sid for s in (await store.sessions(ADA)).sessions] == ["old", "new"]
    assert [s.sid for s in await authority.sessions(ADA)] == ["new"]


async def test_doubt_finds_nothing_until_the_session_ends(
    authority: Authority, store: MemoryStore
) -> None:
    """An accepted session can be asked after at any time."""
    identity = await authority.identify(token())
    assert await authority.find_refusal(identity) is None
    logout = await logged_out(store, Scope.SESSION, "s-1")
    found = await authority.find_refusal(identity)
    assert isinstance(found, TokenRevoked)
    assert found.logout == logout
    other = await authority.identify(token(sid="s-2"))
    assert await authority.find_refusal(other) is None


async def test_a_full_registry_refuses_the_next_session(authority: Authority) -> None:
    """The limit on sessions reaches the caller as such."""
    for sid in ("a", "b", "c"):
        await authority.register(await authority.identify(token(sid=sid)), LAPTOP)
    one_more = await authority.identify(token(sid="d"))
    with pytest.raises(RateLimited):
        await authority.register(one_more, LAPTOP)


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        ("hub:admin", True),
        ("openid hub:admin email", True),
        ("hub:administrator", False),
        ("HUB:ADMIN", False),
        ("hub: admin", False),
        ("", False),
    ],
)
async def test_an_administrator_has_the_scope(
    authority: Authority, scope: str, expected: bool
) -> None:
    """One whole word of the scope, letter by letter."""
    assert (await authority.admit(token(scope=scope))).is_admin is expected


async def test_a_store_that_cannot_answer_admits_nobody(
    authority: Authority, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A good token is unavailable, never valid, while nothing is known."""

    async def fail(*_: object) -> None:
        raise Unavailable("down")

    identity = await authority.identify(token())
    for name in ("look", "register", "sessions"):
        monkeypatch.setattr(store, name, fail)
    with pytest.raises(Unavailable):
        await authority.admit(token())
    with pytest.raises(Unavailable):
        await authority.register(identity, LAPTOP)
    with pytest.raises(Unavailable):
        await authority.find_refusal(identity)
    with pytest.raises(Unavailable):
        await authority.sessions(ADA)
