"""``POST /events``: what a transmitter of Shared Signals ends by a push, and what it answers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from hub.api.events import EVENT_TYPE
from hub.core.event_types import CAEP, RISC
from hub.core.refusal import SET_ERRORS
from tests import ssf_transmitter
from tests.api.test_answers import check_answer
from tests.redis_server import RedisServer
from tests.signals_site import access_token, is_alive, issuer_settings
from tests.signals_table import (
    CLIENT,
    ISSUER,
    SECURITY_EVENTS,
    SESSION_REVOKED,
    Case,
    Sender,
    event_token,
)
from tests.site import ADMIN, Answer, Replica, running

SENDER = Sender()
HEADER = "Bearer the stream's own secret"
TRANSMITTER = f"""[[transmitter]]
iss = "{ISSUER}"
aud = "{CLIENT}"
jwks_url = "{{jwks}}"
delivery = "push"
title = "the device manager"
authorization = "{HEADER}"
token = "of its API, without which anybody may have asked for a verification"
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hub(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Replica]:
    """A hub with its own store, to which one transmitter pushes."""
    folder = tmp_path_factory.mktemp("hub")
    async with (
        issuer_settings(folder, SENDER, "", TRANSMITTER, limit_refused=None) as given,
        running(given) as replica,
    ):
        yield replica


def subject(user: str, sid: str | None = None) -> dict[str, Any]:
    """Return the subject identifier of a user, or of a session of theirs."""
    who = {"format": "iss_sub", "iss": ISSUER, "sub": user}
    if sid is None:
        return who
    return {"format": "complex", "user": who, "session": {"format": "opaque", "id": sid}}


async def push(hub: Replica, token: str, **headers: str) -> Answer:
    """Push an event as the transmitter does."""
    given = {"Content-Type": EVENT_TYPE, "Authorization": HEADER, **headers}
    answer = await hub.call("POST", "/events", data=token.encode(), headers=given)
    check_answer("POST /events", answer)
    return answer


async def send(hub: Replica, uri: str, about: dict[str, Any], **members: Any) -> Answer:
    """Push an event of a kind about somebody, which happened just now unless it says when."""
    members = {"event_timestamp": time.time()} | members
    claims = {"events": {uri: members}, "sub_id": about}
    return await push(hub, event_token(Case("", None, claims=claims), SENDER, time.time()))


async def seen(hub: Replica, user: str, sid: str, **claims: Any) -> str:
    """Return a token of a session that has shown itself."""
    token = access_token(SENDER, user, sid, **claims)
    assert (await hub.call("GET", "/session", token)).status == 200
    return token


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("case", SECURITY_EVENTS, ids=str)
async def test_an_odd_event_changes_nothing_and_its_twin_ends_one_session(
    hub: Replica, case: Case
) -> None:
    """What is refused is 400 with an err of RFC 8935; what is odd but good is 202."""
    name = ascii(case.name)[:99]
    mine, other = access_token(SENDER, name, "s-1"), access_token(SENDER, name, "s-2")
    twin = {"sub_id": subject(name, "s-1")}
    answer = await push(hub, event_token(case, SENDER, time.time(), **twin))
    if case.reason is None:
        assert (answer.status, answer.body) == (202, ""), answer.body
        return
    assert answer.status == 400, answer.body
    assert answer.body["err"] == SET_ERRORS.get(case.reason, "invalid_request")
    assert answer.body["description"]
    assert await is_alive(hub, mine)
    good = event_token(Case("", None), SENDER, time.time(), **twin)
    assert (await push(hub, good)).status == 202
    assert not await is_alive(hub, mine)
    assert await is_alive(hub, other)


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("headers", "status", "err"),
    [
        ({"Authorization": "Bearer another"}, 401, "authentication_failed"),
        ({"Authorization": ""}, 401, "authentication_failed"),
        ({"Authorization": HEADER + " "}, 202, None),
        ({"Content-Type": "application/json"}, 400, "invalid_request"),
        ({"Content-Type": "application/jwt"}, 400, "invalid_request"),
        ({"Content-Type": f"{EVENT_TYPE}; charset=utf-8"}, 202, None),
    ],
)
async def test_a_push_is_one_by_its_headers(
    hub: Replica, headers: dict[str, str], status: int, err: str | None
) -> None:
    """The media type, and the Authorization that the transmitter was told to send."""
    twin = {"sub_id": subject("headers", "h")}
    answer = await push(hub, event_token(Case("", None), SENDER, time.time(), **twin), **headers)
    assert answer.status == status
    assert status == 202 or answer.body["err"] == err
    assert ("WWW-Authenticate" in answer.headers) is (status == 401)


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("uri", "members", "reason"),
    [
        (CAEP + "session-revoked", {}, "identity_provider"),
        (CAEP + "credential-change", {"change_type": "update"}, "password_changed"),
        (CAEP + "device-compliance-change", {"current_status": "not-compliant"}, "policy"),
        (CAEP + "assurance-level-change", {"change_direction": "decrease"}, "policy"),
        (CAEP + "risk-level-change", {"current_level": "HIGH"}, "suspicious"),
        (RISC + "account-disabled", {"reason": "hijacking"}, "identity_provider"),
        (RISC + "account-purged", {}, "identity_provider"),
        (RISC + "credential-compromise", {"credential_type": "password"}, "suspicious"),
        (RISC + "sessions-revoked", {}, "identity_provider"),
    ],
)
async def test_an_event_about_a_user_ends_all_of_their_sessions(
    hub: Replica, uri: str, members: dict[str, Any], reason: str
) -> None:
    """With the reason of the table; nobody else's, and a login after it is alive."""
    user = uri.rpartition("/")[2]
    one, two = await seen(hub, user, "one"), await seen(hub, user, "two")
    other = await seen(hub, f"not {user}", "three")
    happened = time.time()
    answer = await send(hub, uri, subject(user), event_timestamp=happened, **members)
    assert answer.status == 202, answer.body
    refusal = await hub.call("GET", "/session", one)
    assert (refusal.code, refusal.body["reason"]) == ("token_revoked", reason)
    assert not await is_alive(hub, two)
    assert await is_alive(hub, other)
    assert await is_alive(hub, access_token(SENDER, user, "new", iat=happened + 0.001))


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("uri", "members"),
    [
        (CAEP + "credential-change", {"change_type": "create"}),
        (CAEP + "device-compliance-change", {"current_status": "compliant"}),
        (CAEP + "assurance-level-change", {"change_direction": "increase"}),
        (CAEP + "risk-level-change", {"current_level": "LOW"}),
        (RISC + "identifier-changed", {"new-value": "new@example.com"}),
        ("https://example.com/unheard-of", {"a": [1]}),
    ],
)
async def test_some_events_end_nothing(hub: Replica, uri: str, members: dict[str, Any]) -> None:
    """They are accepted all the same."""
    token = await seen(hub, "calm", "c")
    assert (await send(hub, uri, subject("calm"), **members)).status == 202
    assert await is_alive(hub, token)


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("body", "status"),
    [
        ('{{"payload": "{token}"}}', 202),
        ('{{"payload": "{token}", "more": 1}}', 400),
        ('{{"payload": ["{token}"]}}', 400),
        ('"{token}"', 400),
        ("{token}", 400),
        ('{{"payload": "x", "payload": "{token}"}}', 400),
        ("[" * 60_000, 400),
    ],
)
async def test_an_event_may_come_in_json_as_apple_sends_it(
    hub: Replica, body: str, status: int
) -> None:
    """Any other JSON is refused."""
    twin = {"sub_id": subject("apple", "a")}
    token = event_token(Case("", None), SENDER, time.time(), **twin)
    headers = {"Content-Type": "application/json", "Authorization": HEADER}
    sent = body.format(token=token) if "{" in body else body
    answer = await hub.call("POST", "/events", data=sent.encode(), headers=headers)
    assert answer.status == status


@pytest.mark.asyncio(loop_scope="module")
async def test_an_event_from_before_the_newest_login_does_not_end_that(hub: Replica) -> None:
    """Events come late and out of order; one that is older changes nothing that a newer one did."""
    now = time.time()
    old = await seen(hub, "order", "old", iat=now - 60)
    new = await seen(hub, "order", "new", iat=now - 5)
    await send(hub, CAEP + "session-revoked", subject("order"), event_timestamp=now - 10)
    assert [await is_alive(hub, token) for token in (old, new)] == [False, True]
    await send(hub, CAEP + "session-revoked", subject("order"), event_timestamp=now - 2)
    await send(hub, CAEP + "session-revoked", subject("order"), event_timestamp=now - 30)
    assert not await is_alive(hub, new)


@pytest.mark.asyncio(loop_scope="module")
async def test_keycloaks_logout_of_all_sessions_ends_them_all(hub: Replica) -> None:
    """It names the user, and "ALL" for the session."""
    tokens = [await seen(hub, "keycloak", sid) for sid in ("one", "two")]
    other = await seen(hub, "not keycloak", "ALL")
    said = {"initiating_entity": "user", "reason_admin": {"en": "User logout"}}
    about = subject("keycloak", "ALL")
    assert (await send(hub, CAEP + "session-revoked", about, **said)).status == 202
    assert [await is_alive(hub, token) for token in tokens] == [False, False]
    assert await is_alive(hub, other)


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("is_seen", [False, True], ids=["unseen", "seen"])
async def test_a_revoked_session_may_be_named_by_its_id_alone(
    hub: Replica, *, is_seen: bool
) -> None:
    """As in CAEP's own example, whoever its user is; the id may be that of a user as well."""
    name = f"dMTlD|1600802906337.16|{is_seen}"
    session = access_token(SENDER, "somebody", name)
    others = [access_token(SENDER, user, sid) for user, sid in ((name, "a"), (name, name))]
    stranger = access_token(SENDER, "somebody", "of somebody")
    for token in (session, *others, stranger) if is_seen else ():
        assert (await hub.call("GET", "/session", token)).status == 200
    about = {"format": "opaque", "id": name}
    assert (await send(hub, CAEP + "session-revoked", about)).status == 202
    for token in (session, *others):
        refusal = await hub.call("GET", "/session", token)
        assert (refusal.code, refusal.body["reason"]) == ("token_revoked", "identity_provider")
    assert await is_alive(hub, stranger)


@pytest.mark.asyncio(loop_scope="module")
async def test_what_the_event_says_comes_through(hub: Replica) -> None:
    """To the person by the message, to administrators by the receipt, to people by the title."""
    token = await seen(hub, "told", "t")
    said = {
        "initiating_entity": "policy",
        "reason_admin": {"en": "Landspeed Policy Violation: C076E82F"},
        "reason_user": {"de": "Zu schnell", "en": "Access attempt from multiple regions."},
        "event_timestamp": int(time.time()),
    }
    await send(hub, CAEP + "session-revoked", subject("told", "t"), **said)
    refusal = (await hub.call("GET", "/session", token)).body
    assert refusal["message"] == "Access attempt from multiple regions."
    assert refusal["by"] == ISSUER
    receipt = (await hub.call("GET", f"/logouts/{refusal['id']}", ADMIN)).body
    assert receipt["origin"] == {
        "by": ISSUER,
        "event": "session-revoked",
        "event_timestamp": said["event_timestamp"],
        "initiating_entity": "policy",
        "reason_admin": "Landspeed Policy Violation: C076E82F",
    }
    page = await hub.call("GET", f"/signed-out?reason=identity_provider&by={ISSUER}")
    assert "the device manager" in page.body


@pytest.mark.asyncio(loop_scope="module")
async def test_a_verification_that_nobody_asked_for_is_refused(hub: Replica) -> None:
    """Unless it has no state: a transmitter may send one of itself."""
    uri = ssf_transmitter.VERIFICATION
    stream = {"format": "opaque", "id": "stream"}
    answer = await send(hub, uri, stream, state="never asked")
    assert (answer.status, answer.body["err"]) == (400, "invalid_state")
    assert (await send(hub, uri, stream)).status == 202


async def test_success_is_never_said_of_what_may_not_be_written(
    tmp_path: Path, own_redis: RedisServer
) -> None:
    """503 while the store is down; the same event then ends the session."""
    async with (
        issuer_settings(tmp_path, SENDER, "", TRANSMITTER, redis_url=own_redis.url) as given,
        running(given) as hub,
    ):
        token = await seen(hub, "ada", "s-1")
        event = event_token(Case("", None), SENDER, time.time())
        own_redis.kill()
        answer = await push(hub, event)
        assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
        own_redis.start()
        while (answer := await push(hub, event)).status == 503:  # noqa: ASYNC110 - the test's limit
            await asyncio.sleep(0.2)
        assert answer.status == 202
        assert not await is_alive(hub, token)


POLLED = """[[transmitter]]
iss = "{iss}"
aud = "https://hub.example"
delivery = "poll"
issuer = "{issuer}"
token = "{bearer}"
poll_interval = 1
"""


async def test_what_a_transmitter_says_is_heard_by_poll_and_by_push(tmp_path: Path) -> None:
    """From one written apart from the hub: a session ends, and the event is acknowledged."""
    served = ssf_transmitter.Transmitter()
    async with served.serve():
        stream = served.open_polled()
        table = POLLED.format(iss=served.iss, issuer=ISSUER, bearer=served.bearer)
        async with issuer_settings(tmp_path, SENDER, "", table) as given, running(given) as hub:
            token = await seen(hub, "ada", "s-1")
            jti = await served.emit(
                SESSION_REVOKED, {"event_timestamp": time.time()}, sub_id=subject("ada")
            )
            await served.wait_until(lambda: jti in stream.acknowledged)
            assert not await is_alive(hub, token)
        pushed = ssf_transmitter.Stream(
            "p", {"method": ssf_transmitter.PUSH, "authorization_header": HEADER}, []
        )
        served.streams = {"p": pushed}
        table = table.replace('"poll"', '"push"') + f'authorization = "{HEADER}"\n'
        async with issuer_settings(tmp_path, SENDER, "", table) as given, running(given) as hub:
            pushed.delivery["endpoint_url"] = f"{hub.url}/events"
            token = await seen(hub, "ada", "s-2")
            await served.emit(
                SESSION_REVOKED, {"event_timestamp": time.time()}, sub_id=subject("ada", "s-2")
            )
            assert await served.push(pushed) == [202]
            assert not await is_alive(hub, token)
