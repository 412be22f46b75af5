"""Tokens that an issuer signs for other purposes, with the same keys, authenticate nobody.

The bound: a logout token or another security event never speaks for its user, whatever its ``typ``;
an ID token does only where an operator named its audience. HTTP, `/verify` and sockets agree.
"""

from __future__ import annotations

from typing import Any

import jwt
import pytest

from tests.realtime.raw import raw_socket
from tests.site import SECRET, Replica, running, settings
from tests.site import token as plain_token

LOGOUT: dict[str, Any] = {"http://schemas.openid.net/event/backchannel-logout": {}}
ID_CLAIMS: list[dict[str, Any]] = [
    {"nonce": "n-1"},
    {"nonce": ""},
    {"at_hash": "x"},
    {"c_hash": "x"},
    {"s_hash": "x"},
    {"typ": "ID"},
    {"token_use": "id"},
]


def token(header: dict[str, Any] | None = None, **claims: Any) -> str:
    """Return a token of Ada's that the issuer signed, with additional claims."""
    usual = jwt.decode(plain_token("ada", "s-1"), options={"verify_signature": False})
    return jwt.encode({**usual, **claims}, SECRET, algorithm="HS256", headers=header)


async def refusals(hub: Replica, given: str) -> set[str]:
    """Return how a token is refused in each way of authenticating; empty if it is accepted."""
    said = set()
    for path in ("/verify", "/session"):
        answer = await hub.call("GET", path, given)
        said.add(answer.body["detail"] if answer.status >= 400 else "")
    async with raw_socket(hub) as raw:
        packet = str(await raw.connect(given))
    said.add("" if packet.startswith("40{") else packet)
    return said


async def check_refused(hub: Replica, given: str, *words: str) -> None:
    """Check that a token is refused everywhere, for a reason with these words."""
    told = await refusals(hub, given)
    assert all(word in text for text in told for word in words), told


@pytest.mark.parametrize("typ", ["JWT", "at+jwt", None])
@pytest.mark.parametrize("events", [LOGOUT, {}, [], "x", 0], ids=str)
async def test_a_logout_token_logs_nobody_in(typ: str | None, events: Any) -> None:
    """It is recognized by its events, even if its issuer sets no typ."""
    async with running(settings(jwt_audience="app")) as hub:
        await check_refused(hub, token({"typ": typ}, aud="app", events=events), "events")


@pytest.mark.parametrize("typ", ["logout+jwt", "secevent+jwt", "application/logout+jwt", "ID"])
async def test_a_typ_that_is_not_an_access_tokens_is_refused(typ: str) -> None:
    """Only two values of typ are accepted."""
    async with running(settings()) as hub:
        await check_refused(hub, token({"typ": typ}), "typ")


@pytest.mark.parametrize("claims", ID_CLAIMS, ids=str)
async def test_an_id_token_is_for_nobody_where_any_audience_will_do(claims: dict[str, Any]) -> None:
    """Without an audience, an ID token of any app of the issuer would be accepted: refused."""
    async with running(settings()) as hub:
        await check_refused(hub, token(**claims), "ID token", "set an audience", "access token")


@pytest.mark.parametrize("claims", ID_CLAIMS, ids=str)
async def test_an_id_token_for_a_named_audience_is_taken(claims: dict[str, Any]) -> None:
    """With an audience, an ID token for it is accepted, since some issuers offer no other."""
    async with running(settings(jwt_audience="app")) as hub:
        assert await refusals(hub, token(aud="app", **claims)) == {""}


@pytest.mark.parametrize(
    "claims",
    [
        {"nonce": "n-1", "typ": "Bearer"},
        {"nonce": "n-1", "token_use": "access"},
        {"nonce": None, "events": None},
    ],
    ids=str,
)
async def test_an_access_token_with_a_nonce_is_one(claims: dict[str, Any]) -> None:
    """An access token may have a nonce, which some issuers copy; null counts as absent."""
    async with running(settings()) as hub:
        assert await refusals(hub, token(**claims)) == {""}
