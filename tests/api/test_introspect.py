"""Introspection says whether a token is alive, and whose it is, to those who may ask."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import jwt
import pytest
from multidict import CIMultiDict
from pydantic import SecretStr

from hub.access.minting import make_credential
from hub.core.rate import Rate
from hub.core.rights import Right
from tests.oauth import (
    BANK,
    BANK_SECRET,
    CLIENTS,
    SHOP,
    SHOP_SECRET,
    basic,
    entry,
    introspect,
    is_active,
    revoke,
)
from tests.redis_server import RedisServer
from tests.site import ADMIN, SECRET, Replica, running, settings, signing_key, token

SIGNED = "application/token-introspection+jwt"
HUB = "https://hub.test"
INACTIVE = {"active": False}
NOW = int(time.time())
FULL: dict[str, Any] = {
    "iss": "https://id.test",
    "sub": "ada",
    "sid": "s1",
    "aud": ["api", "web"],
    "azp": "web",
    "preferred_username": "Ada L.",
    "scope": "read write",
    "jti": "j1",
    "acr": "gold",
    "auth_time": NOW - 60,
    "nbf": NOW - 30,
    "iat": NOW - 30,
    "exp": NOW + 3000,
}


def signed(claims: dict[str, Any], secret: str = SECRET, **headers: Any) -> str:
    """Return a token with these claims."""
    present = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(present, secret, "HS256", headers=headers)


@pytest.fixture
async def hub() -> AsyncIterator[Replica]:
    """A hub for one issuer and audience, with two clients."""
    async with running(settings(clients=CLIENTS, jwt_issuer=FULL["iss"], jwt_audience="api")) as it:
        yield it


@pytest.fixture
async def signing_hub() -> AsyncIterator[Replica]:
    """A hub that can sign its answers."""
    key = SecretStr(signing_key())
    async with running(settings(clients=CLIENTS, introspection_key=key, public_url=HUB)) as it:
        yield it


async def test_an_active_token_says_what_it_has(hub: Replica) -> None:
    """In the members that RFC 7662 and RFC 9470 name, with whole seconds."""
    answer = await introspect(hub, signed(FULL))
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Cache-Control"] == "no-store"
    renamed = {"client_id": "web", "username": "Ada L.", "active": True, "token_type": "Bearer"}
    left_out = ("azp", "preferred_username")
    told = {name: value for name, value in FULL.items() if name not in left_out}
    assert answer.body == {**told, **renamed}


async def test_a_token_that_says_little_is_told_with_little(hub: Replica) -> None:
    """Members that it does not have are left out, not null; the session has an id anyway."""
    lean = {name: FULL[name] for name in ("iss", "sub", "aud", "iat", "exp")}
    body = (await introspect(hub, signed(lean))).body
    assert set(body) == {"active", *lean, "sid", "token_type"}
    assert body["sid"].startswith("h-")


async def test_a_token_that_is_bound_to_a_key_says_so(hub: Replica) -> None:
    """A server that serves it has to check the key (RFC 9449 section 6.2)."""
    body = (await introspect(hub, signed({**FULL, "cnf": {"jkt": "0ZcO"}}))).body
    assert (body["token_type"], body["cnf"]) == ("DPoP", {"jkt": "0ZcO"})


def nested(levels: int) -> Any:
    """Return objects and lists within each other."""
    value: Any = "deep"
    for level in range(levels):
        value = [value] if level % 2 else {"a": value}
    return value


@pytest.mark.parametrize("levels", [300, 600, 900])
async def test_a_claim_that_is_not_told_may_be_nested_deeply(hub: Replica, levels: int) -> None:
    """Issuers put into tokens what they like."""
    body = (await introspect(hub, signed({**FULL, "x": nested(levels)}))).body
    assert body["active"] is True


@pytest.mark.parametrize("levels", [200, 500, 900])
async def test_a_token_is_not_told_to_live_without_the_key_that_it_is_bound_to(
    signing_hub: Replica, levels: int
) -> None:
    """If that cannot be encoded: whoever relies on the answer would serve a stolen token."""
    bound = signed({**FULL, "cnf": {"jkt": nested(levels)}})
    for accept in ("application/json", SIGNED):
        headers = {**basic(SHOP, SHOP_SECRET), "Accept": accept}
        answer = await introspect(signing_hub, bound, headers=headers)
        assert answer.status == 200
        told = answer.body
        if accept == SIGNED:
            told = jwt.decode(told, options={"verify_signature": False})["token_introspection"]
        assert told == INACTIVE


LATER = NOW + 30_000
DEAD: dict[str, str] = {
    "opaque": "opaque",
    "malformed": "a.b.c",
    "too long": "x" * 9000,
    "expired": signed({**FULL, "exp": NOW - 1}),
    "forged": signed(FULL, "another secret that is as long as it must be"),
    "of another issuer": signed({**FULL, "iss": "https://other.test"}),
    "of no issuer": signed({**FULL, "iss": None}),
    "for another audience": signed({**FULL, "aud": "shop"}),
    "valid later": signed({**FULL, "nbf": LATER, "exp": LATER + 60}),
    "without a user": signed({**FULL, "sub": None}),
    "without iat": signed({**FULL, "iat": None}),
    "a logout token": signed({**FULL, "events": {}}),
    "a logout token by typ": signed(FULL, typ="logout+jwt"),
    "a refresh token": signed({**FULL, "typ": "Refresh"}),
    "longer than tokens live": signed({**FULL, "exp": NOW + 900_000}),
    "alg none": jwt.encode(FULL, None, "none"),  # type: ignore[arg-type]
    "HUB_ADMIN_TOKEN": ADMIN,
}


@pytest.mark.parametrize("name", DEAD)
async def test_what_is_not_alive_is_inactive_and_nothing_else(hub: Replica, name: str) -> None:
    """Neither why, nor whether there was ever such a token."""
    answer = await introspect(hub, DEAD[name])
    assert (answer.status, answer.body) == (200, INACTIVE)


async def test_a_token_that_is_valid_in_a_moment_is_inactive_until_then(hub: Replica) -> None:
    """Which others are told to wait for."""
    soon = signed({**FULL, "nbf": int(time.time()) + 40})
    assert (await introspect(hub, soon)).body == INACTIVE


async def test_a_revoked_token_is_inactive_at_once(hub: Replica) -> None:
    """And the tokens of other sessions stay active."""
    mine, other = signed(FULL), signed({**FULL, "sid": "s2"})
    assert await is_active(hub, mine)
    assert (await revoke(hub, mine)).status == 200
    assert not await is_active(hub, mine)
    assert await is_active(hub, other)
    await hub.call("POST", "/admin/logout", ADMIN, json={"user": "ada", "reason": "admin"})
    assert not await is_active(hub, other)


async def test_who_may_introspect() -> None:
    """A client by header or form, the admin token, and a credential with that scope."""
    made = {right: make_credential(f"only-{right}", [right]) for right in Right}
    entries = tuple(text for _, text in made.values())
    async with running(settings(clients=CLIENTS, admin_tokens=entries)) as hub:
        mine = token("ada", "s1")

        async def status(given: str | None = None, **more: Any) -> int:
            form = {"token": mine, **more.pop("form", {})}
            return (await hub.call("POST", "/introspect", given, data=form, **more)).status

        assert await status(headers=basic(SHOP, SHOP_SECRET)) == 200
        assert await status(form={"client_id": SHOP, "client_secret": SHOP_SECRET}) == 200
        assert await status(ADMIN) == 200
        assert await status(token("root", scope="hub:admin")) == 200
        for right, (secret, _) in made.items():
            assert await status(secret) == (200 if right is Right.INTROSPECT else 403)
        assert await status() == 401
        assert await status(form={"client_id": SHOP}) == 401
        assert await status(mine) == 403
        assert await status(token("eve", scope="hub:support")) == 403
        assert await status(mine[:-4] + "AAAA") == 401


async def test_refusals_are_as_oauth_has_them(hub: Replica) -> None:
    """The challenge is of the scheme that was used, or else of the one for clients."""
    nobody = await introspect(hub, "x", headers={})
    assert (nobody.status, nobody.body["error"]) == (401, "invalid_client")
    assert nobody.headers["WWW-Authenticate"].startswith("Basic ")
    bearer = await introspect(hub, "x", headers={"Authorization": "Bearer nothing"})
    assert (bearer.status, bearer.body["error"]) == (401, "invalid_token")
    assert bearer.headers["WWW-Authenticate"].startswith("Bearer ")
    user = await introspect(hub, "x", headers={"Authorization": "Bearer " + signed(FULL)})
    assert (user.status, user.body["error"]) == (403, "insufficient_scope")
    empty = await hub.call("POST", "/introspect", data={}, headers=basic(BANK, BANK_SECRET))
    assert (empty.status, empty.body["error"]) == (400, "invalid_request")


async def test_a_store_that_is_down_is_no_inactive_token(own_redis: RedisServer) -> None:
    """503, which no caller can mistake for an answer; a token that cannot be alive stays dead."""
    async with running(settings(redis_url=own_redis.url, clients=CLIENTS)) as hub:
        mine = token("ada", "s1")
        assert await is_active(hub, mine)
        own_redis.pause()
        try:
            answer = await introspect(hub, mine)
            forged = await introspect(hub, mine[:-4] + "AAAA")
        finally:
            own_redis.resume()
        assert (answer.status, answer.body["error"]) == (503, "temporarily_unavailable")
        assert int(answer.headers["Retry-After"]) >= 1
        assert forged.body == INACTIVE


async def test_a_client_asks_at_each_request_of_its_users() -> None:
    """The limits of browsers' calls and of admin calls do not apply, one of its own does."""
    few = Rate(0.01, 3)
    more = {"limit_calls": few, "limit_admin": few, "clients": CLIENTS}
    async with running(settings(**more)) as hub:
        mine = token("ada", "s1")
        for headers in (basic(BANK, BANK_SECRET), {"Authorization": f"Bearer {ADMIN}"}):
            statuses = [(await introspect(hub, mine, headers=headers)).status for _ in range(20)]
            assert statuses == [200] * 20
    async with running(settings(**more, limit_clients=few)) as hub:
        assert [(await introspect(hub, mine)).status for _ in range(5)] == [200] * 3 + [429] * 2
        assert (await introspect(hub, mine, headers=basic(SHOP, SHOP_SECRET))).status == 200


@pytest.mark.parametrize(
    ("kind", "algorithm"), [("P-256", "ES256"), ("RSA", "RS256"), ("Ed25519", "EdDSA")]
)
async def test_an_answer_is_signed_where_that_is_asked_for(kind: str, algorithm: str) -> None:
    """By the key that the hub publishes, for the caller, with the answer in one claim."""
    key = SecretStr(signing_key(kind))
    async with running(
        settings(clients=CLIENTS, introspection_key=key, public_url=HUB + "/")
    ) as hub:
        mine = token("ada", "s1")
        headers = {**basic(SHOP, SHOP_SECRET), "Accept": SIGNED}
        hub_says = (await hub.call("GET", "/.well-known/logout-hub")).body
        assert hub_says["introspection_signing_alg_values_supported"] == [algorithm]
        assert hub_says["jwks_uri"] == f"{HUB}/.well-known/jwks.json"
        keys = jwt.PyJWKSet.from_dict((await hub.call("GET", "/.well-known/jwks.json")).body)
        for given, active in ((mine, True), ("opaque", False)):
            answer = await introspect(hub, given, headers=headers)
            assert (answer.status, answer.headers["Content-Type"]) == (200, SIGNED)
            assert "Accept" in answer.headers["Vary"]
            header = jwt.get_unverified_header(answer.body)
            assert (header["typ"], header["alg"]) == ("token-introspection+jwt", algorithm)
            claims = jwt.decode(
                answer.body, keys[header["kid"]], [algorithm], audience=SHOP, issuer=HUB
            )
            assert set(claims) == {"iss", "aud", "iat", "token_introspection"}
            assert claims["token_introspection"]["active"] is active
        plain = await introspect(hub, mine, headers=basic(SHOP, SHOP_SECRET))
        assert plain.body["active"] is True


@pytest.mark.parametrize(
    ("accept", "is_signed"),
    [
        (SIGNED.upper(), True),
        (f"{SIGNED}, application/json", True),
        (f"application/json;q=0.5, {SIGNED};q=0.8", True),
        (f"application/json; q=0.9 , {SIGNED} ; q=0.1", False),
        (f"application/json, {SIGNED};q=0", False),
        (f"{SIGNED};q=0.000", False),
        (f"{SIGNED}x", False),
        ("*/*", False),
        ("application/*", False),
        (";,;q=,", False),
    ],
)
async def test_an_answer_has_the_form_that_is_preferred(
    signing_hub: Replica, accept: str, is_signed: bool
) -> None:
    """By the weights of Accept (RFC 9110 section 12.5.1); nobody gets it without naming it."""
    headers = {**basic(BANK, BANK_SECRET), "Accept": accept}
    answer = await introspect(signing_hub, token("ada", "s1"), headers=headers)
    assert answer.status == 200
    assert (answer.headers["Content-Type"] == SIGNED) is is_signed


async def test_a_preference_may_take_two_lines(signing_hub: Replica) -> None:
    """Which mean the same as one (RFC 9110 section 5.2)."""
    one = ("Accept", "application/json;q=0.5")
    headers = CIMultiDict([*basic(BANK, BANK_SECRET).items(), one, ("Accept", SIGNED)])
    async with (
        aiohttp.ClientSession() as http,
        http.post(
            f"{signing_hub.url}/introspect", data={"token": token("ada", "s1")}, headers=headers
        ) as answer,
    ):
        assert answer.headers["Content-Type"] == SIGNED


@pytest.mark.parametrize(
    ("claims", "told"),
    [
        ({"preferred_username": "Ada \ud800"}, {"username": "Ada \ufffd"}),
        ({"azp": "\udfff"}, {"client_id": "\ufffd"}),
        ({"scope": "read \ud800"}, {"scope": "read \ufffd"}),
        ({"aud": ["api", "\ud800"]}, {"aud": ["api", "\ufffd"]}),
        ({"cnf": {"jkt": "\ud800", "deep": [{"\ud800": 1}]}}, {"token_type": "DPoP"}),
        ({"preferred_username": "\U0001f600"}, {"username": "\U0001f600"}),
    ],
)
async def test_what_utf8_cannot_hold_is_told_all_the_same(
    hub: Replica, claims: dict[str, Any], told: dict[str, Any]
) -> None:
    """A name with half a character makes the token no less alive, and the hub does not fail."""
    answer = await introspect(hub, signed({**FULL, **claims}))
    assert answer.status == 200
    assert answer.body["active"] is True
    assert {name: answer.body[name] for name in told} == told


async def test_a_signed_answer_is_no_access_token() -> None:
    """Even a hub that trusts its own key takes it for none."""
    key = SecretStr(signing_key())
    async with running(settings(clients=CLIENTS, introspection_key=key, public_url=HUB)) as hub:
        headers = {**basic(BANK, BANK_SECRET), "Accept": SIGNED}
        answer = await introspect(hub, token("ada", "s1"), headers=headers)
        assert (await hub.call("GET", "/verify", answer.body)).status == 401


async def test_without_a_key_the_answer_is_plain(hub: Replica) -> None:
    """Whoever asked for a signature sees by the type that there is none."""
    headers = {**basic(BANK, BANK_SECRET), "Accept": SIGNED}
    answer = await introspect(hub, signed(FULL), headers=headers)
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.body["active"] is True
    assert (await hub.call("GET", "/.well-known/jwks.json")).body == {"keys": []}


async def test_clients_stand_in_the_issuers_file_too(tmp_path: Path) -> None:
    """Those of the file and those of HUB_CLIENTS are the same to the hub; the file is reread."""
    file = tmp_path / "issuers.toml"
    _, _, digest = entry(BANK, BANK_SECRET).rpartition(":")
    file.write_text(
        f'[[issuer]]\nsecret = "{SECRET}"\n[[client]]\nid = "{BANK}"\nsecret_sha256 = "{digest}"\n'
    )
    given = settings(jwt_secret=None, issuers=str(file), clients=CLIENTS[:1])
    async with running(given) as hub:
        mine = token("ada", "s1")
        for headers in (basic(BANK, BANK_SECRET), basic(SHOP, SHOP_SECRET)):
            assert (await introspect(hub, mine, headers=headers)).body["active"] is True
        file.write_text(f'[[issuer]]\nsecret = "{SECRET}"\n')
        await hub.reload()
        assert (await introspect(hub, mine)).status == 401
        assert (await introspect(hub, mine, headers=basic(SHOP, SHOP_SECRET))).status == 200
