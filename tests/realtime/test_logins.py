"""Login times, and tokens that do not identify their login, over sockets and HTTP."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import jwt
import pytest

from hub.api.services import SERVICES
from hub.core.model import RevocationState
from hub.store.memory import MemoryStore
from hub.store.values import Registration
from tests.realtime.raw import RawSocket, eventually, raw_socket
from tests.site import ADMIN, SECRET, Replica, running, settings, token

MAX_SESSIONS = 4


@pytest.fixture(params=["memory", "redis"])
async def hub(request: pytest.FixtureRequest) -> AsyncIterator[Replica]:
    """A hub on each of two stores, with room for few sessions of a user."""
    url = None if request.param == "memory" else request.getfixturevalue("redis_url")
    given = settings(redis_url=url, max_sessions=MAX_SESSIONS, notice_grace=0.5)
    async with running(given) as replica:
        yield replica


@pytest.fixture
async def embedded() -> AsyncIterator[Replica]:
    """A hub on the embedded store, whose answers a test may delay."""
    async with running(settings(notice_grace=0.5)) as replica:
        yield replica


def sign(**claims: Any) -> str:
    """Return a token of ada with these claims."""
    now = time.time()
    return jwt.encode({"sub": "ada", "iat": now, "exp": now + 600, **claims}, SECRET)


def loose(name: str) -> str:
    """Return a token of ada that identifies no login: its session is ``name`` and ends with it."""
    return sign(jti=name)


async def listed(hub: Replica, mine: str) -> dict[str, dict[str, Any]]:
    """Return a user's rows in the list of sessions, by session id."""
    answer = await hub.call("GET", "/sessions", mine)
    assert answer.status == 200, answer.body
    return {row["sid"]: row for row in answer.body["sessions"]}


async def refresh(raw: RawSocket, fresh: str) -> dict[str, Any]:
    """Send ``refresh`` and return its acknowledgement."""
    await raw.send("421" + json.dumps(["refresh", {"token": fresh}]))
    return acknowledged(await raw.receive())


def acknowledged(frame: str | None) -> dict[str, Any]:
    """Return the payload of an acknowledgement."""
    assert frame is not None
    assert frame.startswith("431["), frame
    told: dict[str, Any] = json.loads(frame[3:])[0]
    return told


async def is_told(raw: RawSocket) -> dict[str, Any]:
    """Return the payload of the next notification."""
    frame = await raw.receive()
    assert frame is not None
    event, payload = json.loads(frame[frame.index("[") :])
    assert event == "logoutNotification"
    return dict(payload)


async def test_a_refresh_moves_a_socket_to_the_session_of_its_next_token(hub: Replica) -> None:
    """One device stays one row, online, under the id of its newest token."""
    async with raw_socket(hub) as raw:
        await raw.connect(loose("t1"), device="Ada's phone")
        before = await listed(hub, loose("t1"))
        assert (await refresh(raw, loose("t2")))["ok"] is True
        rows = await listed(hub, loose("t2"))
        assert rows.keys() == {"t2"}
        row = rows["t2"]
        assert (row["device"], row["online"], row["per_token"]) == ("Ada's phone", True, True)
        assert row["created_at"] == before["t1"]["created_at"]
    await eventually(lambda: is_offline(hub, loose("t2"), "t2"))


async def test_a_logout_of_the_session_before_spares_a_socket_that_moved(hub: Replica) -> None:
    """A logout ends a socket that moved only by its new id, and the receipt has its answer."""
    async with raw_socket(hub) as raw:
        await raw.connect(loose("t1"))
        await refresh(raw, loose("t2"))
        old = await admin_logout(hub, "t1")
        assert old["sessions"] == [] or old["sessions"][0]["state"] == "offline"
        assert (await refresh(raw, loose("t2")))["ok"] is True
        new = await admin_logout(hub, "t2")
        told = await is_told(raw)
        assert (told["id"], told["sid"]) == (new["id"], "t2")
        assert await raw.receive_all() == ["41"]
    receipt = await hub.call("GET", f"/logouts/{new['id']}?wait=5", ADMIN)
    assert [(row["sid"], row["state"]) for row in receipt.body["sessions"]] == [("t2", "notified")]


async def admin_logout(hub: Replica, sid: str) -> dict[str, Any]:
    """End one session of ada by name."""
    body = {"user": "ada", "scope": "session", "sid": sid, "reason": "admin"}
    answer = await hub.call("POST", "/admin/logout", ADMIN, json=body)
    assert answer.status == 200, answer.body
    return dict(answer.body)


@pytest.mark.parametrize(
    ("first", "fresh"),
    [
        ({"jti": "t1"}, {"jti": "t2", "sub": "grace"}),
        ({"jti": "t1"}, {"sid": "s1"}),
        ({"sid": "s1"}, {"jti": "t1"}),
        ({"sid": "s1"}, {"sid": "s2"}),
        ({"auth_time": 1000}, {"auth_time": 2000}),
    ],
    ids=["another user", "to a named login", "from a named login", "named logins", "login times"],
)
async def test_a_socket_moves_only_between_tokens_that_name_no_login(
    hub: Replica, first: dict[str, Any], fresh: dict[str, Any]
) -> None:
    """A token of another user or of a login gets `forbidden`, and the socket stays open."""
    mine = sign(**first)
    async with raw_socket(hub) as raw:
        await raw.connect(mine)
        before = await listed(hub, mine)
        answer = await refresh(raw, sign(**fresh))
        assert answer["error"]["code"] == "forbidden"
        after = await listed(hub, mine)
        assert after.keys() == before.keys()
        assert [row["online"] for row in after.values()] == [True]


async def test_another_tab_with_the_token_before_keeps_its_row(hub: Replica) -> None:
    """A row is moved only with the last socket of its session."""
    async with raw_socket(hub) as first, raw_socket(hub) as second:
        await first.connect(loose("t1"))
        await second.connect(loose("t1"))
        await refresh(first, loose("t2"))
        rows = await listed(hub, loose("t2"))
        assert {sid: row["online"] for sid, row in rows.items()} == {"t1": True, "t2": True}
        await refresh(second, loose("t2"))

        async def one_is_online() -> bool:
            rows = await listed(hub, loose("t2"))
            return [sid for sid, row in rows.items() if row["online"]] == ["t2"]

        await eventually(one_is_online)


async def test_two_refreshes_at_once_leave_one_row_online(embedded: Replica) -> None:
    """Refreshes run one after the other, so that no session without sockets stays online."""
    delay_refusal(embedded, asyncio.sleep(0.1))
    async with raw_socket(embedded) as raw:
        await raw.connect(loose("t1"))
        for number, name in enumerate(["t2", "t3"]):
            await raw.send(f"42{number}" + json.dumps(["refresh", {"token": loose(name)}]))
        for _ in range(2):
            assert '"ok":true' in str(await raw.receive())
        rows = await listed(embedded, loose("t3"))
        assert {sid for sid, row in rows.items() if row["online"]} == {"t3"}


def delay_refusal(hub: Replica, *first: Any) -> None:
    """Delay each registration until the next of these tasks is done."""
    store = hub.app[SERVICES].store
    assert isinstance(store, MemoryStore)
    real, waits = store.register, list(first)

    async def late(registration: Registration) -> RevocationState:
        state = await real(registration)
        if registration.replaces is not None and waits:
            await waits.pop(0)
        return state

    store.register = late  # type: ignore[method-assign]


async def test_a_logout_in_the_middle_of_a_refresh_ends_the_socket(embedded: Replica) -> None:
    """A logout of the new session ends the socket, though the store had found it alive."""
    delay_refusal(embedded, admin_logout(embedded, "t2"))
    async with raw_socket(embedded) as raw:
        await raw.connect(loose("t1"))
        await raw.send("421" + json.dumps(["refresh", {"token": loose("t2")}]))
        frames = await raw.receive_all()
    assert frames[-1] == "41"
    assert any("logoutNotification" in frame for frame in frames)
    (answer,) = (frame for frame in frames if frame.startswith("431"))
    assert acknowledged(answer)["error"]["code"] == "token_revoked"


async def test_a_refresh_that_fails_leaves_nobody_online(embedded: Replica) -> None:
    """A socket that closes during a refresh leaves neither session online."""
    closing, done = asyncio.Event(), asyncio.Event()

    async def wait() -> None:
        closing.set()
        await done.wait()

    delay_refusal(embedded, wait())
    async with raw_socket(embedded) as raw:
        await raw.connect(loose("t1"))
        await raw.send("421" + json.dumps(["refresh", {"token": loose("t2")}]))
        await closing.wait()
    done.set()

    async def offline() -> bool:
        rows = await listed(embedded, loose("t2"))
        return not any(row["online"] for row in rows.values())

    await eventually(offline)


async def test_a_browser_with_a_new_session_at_each_page_never_meets_the_limit(
    hub: Replica,
) -> None:
    """Rows without sockets make room for new ones; those with sockets stay."""
    async with raw_socket(hub) as desktop:
        await desktop.connect(token("ada", "desktop"))
        for number in range(5 * MAX_SESSIONS):
            mine = loose(f"page-{number}")
            async with raw_socket(hub) as raw:
                answer = await raw.connect(mine)
                assert str(answer).startswith("40{"), answer
            assert (await hub.call("GET", "/verify", mine)).status == 204
            await eventually(lambda mine=mine, sid=f"page-{number}": is_offline(hub, mine, sid))
        rows = await listed(hub, token("ada", "desktop"))
    assert len(rows) <= MAX_SESSIONS
    assert rows["desktop"]["online"]
    assert f"page-{5 * MAX_SESSIONS - 1}" in rows


async def is_offline(hub: Replica, mine: str, sid: str) -> bool:
    """Tell whether a session has no sockets any more."""
    return not (await listed(hub, mine))[sid]["online"]


async def test_who_needs_a_new_login_is_told_so(hub: Replica) -> None:
    """A refresh for an ended login is refused with `reauthenticate`, over HTTP as RFC 9470 says."""
    began = int(time.time()) - 60
    ended = await hub.call("POST", "/logout", sign(auth_time=began, sid="s1"))
    assert ended.status == 200
    refreshed = sign(auth_time=began, sid="s1")
    async with raw_socket(hub) as raw:
        refusal = await raw.closing_refusal(await raw.connect(refreshed))
    data = refusal["data"]
    assert refusal["message"] == data["code"] == "login_required"
    assert (data["retryable"], data["reauthenticate"]) == (False, True)
    assert data["logout"]["id"] == ended.body["id"]
    assert data["logout"]["reauthenticate"] is True

    for path in ("/verify", "/session"):
        answer = await hub.call("GET", path, refreshed)
        assert (answer.status, answer.code) == (401, "login_required")
        assert answer.body["reauthenticate"] is True
        assert answer.body["id"] == ended.body["id"]
        challenge = answer.headers["WWW-Authenticate"]
        assert 'error="insufficient_user_authentication"' in challenge
        max_age = int(challenge.partition('max_age="')[2].partition('"')[0])
        assert 0 <= max_age <= 30
        assert "Retry-After" not in answer.headers

    again = sign(auth_time=time.time(), sid="s1")
    async with raw_socket(hub) as raw:
        assert str(await raw.connect(again)).startswith("40{")
        assert (await hub.call("GET", "/verify", again)).status == 204


async def test_a_revoked_token_of_the_login_itself_is_not_sent_to_log_in_anew(hub: Replica) -> None:
    """A token issued before the logout may only be stale: its code stays `token_revoked`."""
    mine = sign(auth_time=int(time.time()) - 60, sid="s1", iat=time.time() - 30)
    await hub.call("POST", "/logout", mine)
    answer = await hub.call("GET", "/verify", mine)
    assert (answer.status, answer.code) == (401, "token_revoked")
    assert "reauthenticate" not in answer.body


@pytest.mark.parametrize("claim", ["nbf", "iat"])
async def test_a_token_that_is_a_little_early_is_told_how_long_to_wait(
    hub: Replica, claim: str
) -> None:
    """A token from a clock that is ahead gets `token_not_yet_valid` and the time to wait."""
    early = sign(**{claim: time.time() + 31})  # dates may lie a second ahead
    async with raw_socket(hub) as raw:
        refusal = await raw.closing_refusal(await raw.connect(early))
    data = refusal["data"]
    assert refusal["message"] == data["code"] == "token_not_yet_valid"
    assert data["retryable"] is True
    assert 10 < data["retry_after"] <= 30
    answer = await hub.call("GET", "/verify", early)
    assert (answer.status, answer.code) == (401, "token_not_yet_valid")
    assert answer.body["retryable"] is True
    assert 10 < int(answer.headers["Retry-After"]) <= 30
    far = sign(**{claim: time.time() + 3000}, exp=time.time() + 3600)
    assert (await hub.call("GET", "/verify", far)).code == "token_invalid"
