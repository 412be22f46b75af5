"""An issuer, or an administrator, ends all sessions of a user at ``/global-token-revocation``."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import jwt
import pytest

from hub.access.minting import make_credential
from hub.api.services import SERVICES
from hub.core.rate import Rate
from hub.core.rights import Right
from tests.patience import PATIENCE
from tests.realtime.raw import raw_socket
from tests.redis_server import RedisServer
from tests.signals_site import access_token, is_alive, issuer_settings
from tests.signals_table import Sender
from tests.site import ADMIN, Answer, Replica, running

PATH = "/global-token-revocation"
HUB = "https://hub.test/global-token-revocation"
ADA = {"format": "opaque", "id": "ada"}
EMAIL = {"format": "email", "email": "ada@example.com"}
MEMBERS = f'revocation_audience = "{HUB}"\ntitle = "your company\'s sign-in"\n'
COUNTER = iter(range(1_000_000))
READER, READER_ENTRY = make_credential("reader", [Right.READ])


@pytest.fixture(scope="module")
def sender() -> Sender:
    """An issuer with keys."""
    return Sender()


@pytest.fixture
async def hub(tmp_path: Path, sender: Sender) -> AsyncIterator[Replica]:
    """A hub that takes requests of the issuer."""
    async with (
        issuer_settings(tmp_path, sender, MEMBERS, admin_tokens=(READER_ENTRY,)) as given,
        running(given) as replica,
    ):
        yield replica


def assertion(sender: Sender, typ: str = "global-token-revocation+jwt", **changes: Any) -> str:
    """Return a JWT as Okta signs it for Universal Logout."""
    now = int(time.time())
    claims = {
        "jti": f"ul.{next(COUNTER)}", "iss": sender.iss, "sub": "0oa1", "aud": HUB,
        "iat": now, "nbf": now - 300, "exp": now + 300,
    } | changes  # fmt: skip
    return jwt.encode(claims, sender.keys["RS256"], "RS256", {"kid": "RS256", "typ": typ})


async def revoke_all(hub: Replica, bearer: str | None, subject: Any = None, **given: Any) -> Answer:
    """Ask for the revocation of everything of a user, ada by default."""
    body = {"sub_id": ADA if subject is None else subject}
    return await hub.call("POST", PATH, bearer, json=given.pop("body", body), **given)


async def test_an_issuer_ends_all_sessions_of_a_user(hub: Replica, sender: Sender) -> None:
    """Tokens die, sockets are told who it was and cut; other users' live; a new login is let in."""
    mine = [access_token(sender, sid=sid) for sid in ("s1", "s2")]
    other = access_token(sender, "grace")
    async with raw_socket(hub) as raw:
        await raw.connect(mine[0])
        answer = await revoke_all(hub, assertion(sender))
        assert (answer.status, answer.body) == (204, "")
        assert answer.headers["Cache-Control"] == "no-store"
        frames = "".join(await raw.receive_all())
        assert '"scope":"all"' in frames
        assert '"reason":"identity_provider"' in frames
    assert [await is_alive(hub, one) for one in mine] == [False, False]
    assert await is_alive(hub, other)
    page = (await hub.call("GET", "/metrics")).body
    assert 'channel="global"' in page


@pytest.mark.parametrize(
    "body",
    [
        {"sub_id": {"format": "iss_sub", "iss": "ISS", "sub": "ada"}},
        {"subject": {"format": "iss_sub", "iss": "ISS", "sub": "ada"}},
        {"sub_id": ADA, "more": 1},
        {
            "sub_id": {
                "format": "aliases",
                "identifiers": [{"format": "email", "email": "a@b"}, ADA],
            }
        },
        {"subject": {"subject_type": "iss-sub", "iss": "ISS", "sub": "ada"}},
    ],
    ids=["the draft", "Auth0", "unknown members", "aliases", "an old type"],
)
async def test_a_user_is_named_in_several_ways(
    hub: Replica, sender: Sender, body: dict[str, Any]
) -> None:
    """As Okta and Auth0 document it, and as RFC 9493 allows."""
    for subject in body.values():
        if isinstance(subject, dict) and "iss" in subject:
            subject["iss"] = sender.iss
    mine = access_token(sender)
    assert (await revoke_all(hub, assertion(sender), body=body)).status == 204
    assert not await is_alive(hub, mine)


async def test_an_assertion_ends_a_user_once(hub: Replica, sender: Sender) -> None:
    """Sent again, it gets its 204, and spares the login that was begun since."""
    once = assertion(sender)
    assert (await revoke_all(hub, once)).status == 204
    until = time.monotonic() + PATIENCE
    while not await is_alive(hub, again := access_token(sender, sid="s9", iat=int(time.time()))):
        assert time.monotonic() < until
    assert (await revoke_all(hub, once)).status == 204
    assert await is_alive(hub, again)
    assert (await revoke_all(hub, assertion(sender))).status == 204
    assert not await is_alive(hub, again)


NOW = int(time.time())
BAD: dict[str, dict[str, Any]] = {
    "another issuer": {"iss": "https://other.test"},
    "another audience": {"aud": "https://other.test"},
    "the audience of access tokens": {"aud": "api"},
    "expired": {"iat": NOW - 900, "exp": NOW - 600},
    "from the future": {"iat": NOW + 9000, "exp": NOW + 9300},
    "without exp": {"exp": None},
    "long-lived": {"exp": NOW + 90_000},
    "without jti": {"jti": None},
    "of no type": {"typ": "JWT", "sub": "ada", "aud": [HUB, "api"]},
    "an access token's type": {"typ": "at+jwt", "sub": "ada", "aud": [HUB, "api"]},
    "a logout token": {"typ": "logout+jwt"},
    "a security event": {"typ": "secevent+jwt"},
}


@pytest.mark.parametrize("name", BAD)
async def test_a_bad_assertion_is_no_credential(hub: Replica, sender: Sender, name: str) -> None:
    """401, or 403 for a user's own access token, and nobody is ended."""
    mine = access_token(sender)
    given = assertion(sender, **BAD[name])
    answer = await revoke_all(hub, given)
    is_users = await is_alive(hub, given)
    assert answer.status == (403 if is_users else 401)
    assert is_users is name.startswith(("of no type", "an access"))
    assert await is_alive(hub, mine)
    if answer.status == 401:
        assert answer.headers["WWW-Authenticate"].startswith("Bearer ")


async def test_forged_and_missing_credentials(hub: Replica, sender: Sender) -> None:
    """Another's key, alg none, the public key as a secret, a user's token, nothing."""
    forged = assertion(Sender(sender.iss))
    claims = jwt.decode(assertion(sender), options={"verify_signature": False})
    headers = {"typ": "global-token-revocation+jwt", "kid": "RS256"}
    none = jwt.encode(claims, None, "none", headers)  # type: ignore[arg-type]
    for bearer in (forged, none, "opaque", None):
        assert (await revoke_all(hub, bearer)).status == 401
    assert (await revoke_all(hub, access_token(sender))).status == 403
    assert (await revoke_all(hub, READER)).status == 403
    assert await is_alive(hub, access_token(sender))


@pytest.mark.parametrize(
    ("subject", "status", "code"),
    [
        ("ada", 400, "invalid_request"),
        ([], 400, "invalid_request"),
        ({}, 400, "invalid_request"),
        ({"format": "opaque"}, 400, "invalid_request"),
        ({"format": "opaque", "id": ""}, 400, "invalid_request"),
        ({"format": "unheard-of", "id": "ada"}, 400, "invalid_request"),
        (EMAIL, 422, "subject_unresolved"),
        ({"format": "iss_sub", "iss": "https://x.test", "sub": "ada"}, 422, "subject_unresolved"),
        ({"format": "jwt_id", "iss": "ISS", "jti": "j"}, 422, "subject_unresolved"),
        ({"format": "complex", "tenant": ADA}, 422, "subject_unresolved"),
        (
            {"format": "complex", "user": ADA, "session": {"format": "opaque", "id": "s1"}},
            422,
            "subject_unresolved",
        ),
    ],
)
async def test_a_subject_that_names_no_user_ends_nobody(
    hub: Replica, sender: Sender, subject: Any, status: int, code: str
) -> None:
    """400 for what is malformed or unheard of, 422 for anybody whom the hub cannot look up."""
    if isinstance(subject, dict) and subject.get("iss") == "ISS":
        subject = {**subject, "iss": sender.iss}
    mine = access_token(sender, sid="s1")
    answer = await revoke_all(hub, assertion(sender), subject)
    assert (answer.status, answer.code) == (status, code)
    assert await is_alive(hub, mine)


async def test_an_administrator_asks_in_the_same_words(hub: Replica, sender: Sender) -> None:
    """With HUB_ADMIN_TOKEN; a format that no issuer has is taken for the user's name."""
    for subject, user in ((ADA, "ada"), ({"format": "email", "email": "a@b.test"}, "a@b.test")):
        mine = access_token(sender, user)
        assert await is_alive(hub, mine)
        assert (await revoke_all(hub, ADMIN, subject)).status == 204
        assert not await is_alive(hub, mine)
    foreign = {"format": "iss_sub", "iss": "https://x.test", "sub": "ada"}
    assert (await revoke_all(hub, ADMIN, foreign)).code == "subject_unresolved"
    answer = await hub.call("POST", PATH, ADMIN, data="x" * 70_000)
    assert answer.code == "payload_too_large"


async def test_an_unknown_user_is_an_error_only_where_that_is_asked_for(
    tmp_path: Path, sender: Sender
) -> None:
    """404 then, and the user's tokens that show up later are refused all the same."""
    members = MEMBERS + 'unknown_user = "error"\n'
    async with issuer_settings(tmp_path, sender, members) as given, running(given) as hub:
        mine, unseen = access_token(sender), access_token(sender, "grace")
        await hub.call("GET", "/session", mine)
        for bearer in (assertion(sender), ADMIN):
            stranger = await revoke_all(hub, bearer, {"format": "opaque", "id": "grace"})
            assert (stranger.status, stranger.code) == (404, "not_found")
        again = assertion(sender)
        for _ in range(3):
            stranger = await revoke_all(hub, again, {"format": "opaque", "id": "henry"})
            assert (stranger.status, stranger.code) == (404, "not_found")
        assert not await is_alive(hub, unseen)
        known = assertion(sender)
        for _ in range(3):
            assert (await revoke_all(hub, known)).status == 204
        assert not await is_alive(hub, mine)


async def test_an_organization_may_speak_for_the_users_of_another_issuer(
    tmp_path: Path, sender: Sender
) -> None:
    """Okta's organization signs; the tokens are of its authorization server; names are emails."""
    own = Sender("https://acme.okta.test/oauth2/default")
    named = (
        f'revocation_audience = "{HUB}"\nrevocation_users = "{own.iss}"\n'
        'revocation_subjects = ["email", "iss_sub"]\n'
    )
    key = own.pem().decode()
    users = f'[[issuer]]\niss = "{own.iss}"\npublic_key = """{key}"""\naudience = "api"\n'
    async with issuer_settings(tmp_path, sender, named, users) as given, running(given) as hub:
        for subject in (
            {"format": "email", "email": "ada@acme.test"},
            {"format": "iss_sub", "iss": sender.iss, "sub": "ada@acme.test"},
            {"format": "iss_sub", "iss": own.iss, "sub": "ada@acme.test"},
        ):
            now = int(time.time())
            claims = {"iss": own.iss, "aud": "api", "sub": "ada@acme.test", "exp": now + 600}
            claims |= {"iat": now - 2, "sid": f"s{next(COUNTER)}"}
            mine = jwt.encode(claims, own.keys["RS256"], "RS256")
            namesake = access_token(sender, "ada@acme.test")
            until = time.monotonic() + PATIENCE
            while not await is_alive(hub, mine):  # newer than the logout before
                assert time.monotonic() < until
                claims["iat"] = int(time.time())
                mine = jwt.encode(claims, own.keys["RS256"], "RS256")
            assert (await revoke_all(hub, assertion(sender), subject)).status == 204
            assert not await is_alive(hub, mine)
            assert await is_alive(hub, namesake)


async def test_a_store_that_is_down_gets_no_success(
    tmp_path: Path, sender: Sender, own_redis: RedisServer
) -> None:
    """503 with the time to wait; then the same assertion ends the user."""
    changes = {"redis_url": own_redis.url}
    async with (
        issuer_settings(tmp_path, sender, MEMBERS, **changes) as given,
        running(given) as hub,
    ):
        mine, once = access_token(sender), assertion(sender)
        assert await is_alive(hub, mine)
        own_redis.pause()
        try:
            answer = await revoke_all(hub, once)
        finally:
            own_redis.resume()
        assert (answer.status, answer.code) == (503, "unavailable")
        assert int(answer.headers["Retry-After"]) >= 1
        until = time.monotonic() + PATIENCE
        while (await revoke_all(hub, once)).status != 204:
            assert time.monotonic() < until
        assert not await is_alive(hub, mine)


async def test_administrators_keep_to_their_listener(tmp_path: Path, sender: Sender) -> None:
    """With a second listener the public one takes issuers' assertions only."""
    async with (
        issuer_settings(tmp_path, sender, MEMBERS, admin_port=0) as given,
        running(given) as hub,
    ):
        (port,) = hub.app[SERVICES].admin_ports
        assert (await revoke_all(hub, ADMIN)).status == 403
        assert (await revoke_all(hub.beside(port), ADMIN)).status == 204
        assert (await revoke_all(hub, assertion(sender))).status == 204


async def test_guesses_are_limited(tmp_path: Path, sender: Sender) -> None:
    """Bad assertions count against the address; good ones from it are taken."""
    few = Rate(0.01, 3)
    async with (
        issuer_settings(tmp_path, sender, MEMBERS, limit_refused=few) as given,
        running(given) as hub,
    ):
        forged = assertion(Sender(sender.iss))
        statuses = [(await revoke_all(hub, forged)).status for _ in range(5)]
        assert statuses == [401, 401, 401, 429, 429]
        assert (await revoke_all(hub, assertion(sender))).status == 204


async def test_the_hub_names_those_who_may_ask(hub: Replica, sender: Sender) -> None:
    """At its well-known address."""
    told = (await hub.call("GET", "/.well-known/logout-hub")).body
    assert told["global_token_revocation_endpoint"] == PATH
    assert told["global_token_revocation_issuers"] == [sender.iss]
    assert told["backchannel_logout_issuers"] == []
