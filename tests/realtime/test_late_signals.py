"""Sockets whose tokens are newer than what a signal reports: their sessions may be older."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from hub.api.services import SERVICES
from hub.core.model import Identity, RevocationState
from hub.errors import Unavailable
from hub.store.memory import MemoryStore
from tests.e2e.people import PythonClient, python_client
from tests.realtime.raw import RawSocket, raw_socket
from tests.signals_site import access_token, issuer_settings, send_logout
from tests.signals_table import Case, Sender
from tests.site import ADMIN, Replica, running

SENDER = Sender()


@pytest.fixture(params=["memory", "redis"])
async def hub(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Replica]:
    """A hub on each of two stores, which takes logout tokens."""
    url = None if request.param == "memory" else request.getfixturevalue("redis_url")
    async with issuer_settings(tmp_path, SENDER, redis_url=url) as given, running(given) as one:
        yield one


@pytest.fixture
async def replicas(redis_url: str, tmp_path: Path) -> AsyncIterator[tuple[Replica, Replica]]:
    """Two hubs on one Redis."""
    async with (
        issuer_settings(tmp_path, SENDER, redis_url=redis_url) as given,
        running(given.model_copy(update={"replica": "one"})) as one,
        running(given.model_copy(update={"replica": "two"})) as two,
    ):
        yield one, two


def issued_now(sid: str, user: str = "ada") -> str:
    """Return a token of a session, issued at this instant."""
    return access_token(SENDER, user, sid, iat=time.time())


@contextlib.asynccontextmanager
async def device(hub: Replica, sid: str, user: str = "ada") -> AsyncIterator[PythonClient]:
    """Connect a stock client by a token that was issued at this instant."""
    async with python_client(hub, issued_now(sid, user)) as person:
        await person.diary.wait("connect")
        yield person


@contextlib.asynccontextmanager
async def silent_device(hub: Replica, sid: str) -> AsyncIterator[RawSocket]:
    """Connect a client that acknowledges nothing."""
    async with raw_socket(hub) as raw:
        assert str(await raw.connect(issued_now(sid))).startswith("40")
        yield raw


async def refresh(person: PythonClient, sid: str, user: str = "ada") -> None:
    """Refresh with a new token, which shows that the socket and its session are alive."""
    answer = await person.emit("refresh", {"token": issued_now(sid, user)})
    assert answer["ok"] is True, answer


async def refresh_silently(raw: RawSocket, sid: str) -> None:
    """Refresh with a new token."""
    await raw.send("421" + json.dumps(["refresh", {"token": issued_now(sid)}]))
    assert '"ok":true' in str(await raw.receive())


async def end_all(hub: Replica, happened: float) -> None:
    """Send a logout token for all of Ada's sessions that began before now."""
    claims = {"sub": "ada", "sid": ..., "iat": happened, "exp": happened + 600}
    answer = await send_logout(hub, SENDER, Case("", None, claims=claims))
    assert answer.status == 200, answer.body


async def states(hub: Replica, logout_id: str) -> dict[str, str]:
    """Return the final state of each session of a logout."""
    receipt: dict[str, Any] = (await hub.call("GET", f"/logouts/{logout_id}?wait=10", ADMIN)).body
    assert receipt["complete"]
    return {row["sid"]: row["state"] for row in receipt["sessions"]}


async def test_a_refresh_does_not_carry_a_session_over_its_end(hub: Replica) -> None:
    """A refreshed socket of an older session is cut; a session that began since goes on."""
    async with device(hub, "old") as old, device(hub, "grace", "grace") as grace:
        happened = time.time()
        await refresh(old, "old")
        async with device(hub, "new") as new:
            await end_all(hub, happened)
            notice = await old.diary.wait("notified")
            assert (notice["reason"], notice["scope"]) == ("identity_provider", "all")
            await old.diary.wait("disconnect")
            assert await states(hub, notice["id"]) == {"old": "acknowledged"}
            for person, sid, user in ((new, "new", "ada"), (grace, "grace", "grace")):
                await refresh(person, sid, user)
                assert person.diary.all("notified") == []
    assert (await hub.call("GET", "/session", issued_now("old"))).code == "token_revoked"


async def test_sockets_with_old_and_with_new_tokens_end_alike(
    replicas: tuple[Replica, Replica],
) -> None:
    """Sockets on two replicas end alike, whether they were refreshed and acknowledge or not."""
    one, two = replicas
    async with (
        device(one, "both") as here,
        device(two, "both") as there,
        device(two, "late") as late,
        silent_device(one, "silent") as silent,
    ):
        happened = time.time()
        await refresh(there, "both")
        await refresh(late, "late")
        await refresh_silently(silent, "silent")
        async with device(one, "new") as new, device(two, "newer") as newer:
            await end_all(two, happened)
            notices = [await person.diary.wait("notified") for person in (here, there, late)]
            assert "logoutNotification" in str(await silent.receive())
            assert await silent.receive_all() == ["41"]
            for person in (here, there, late):
                await person.diary.wait("disconnect")
                assert len(person.diary.all("notified")) == 1
            (logout_id,) = {notice["id"] for notice in notices}
            assert await states(one, logout_id) == {
                "both": "acknowledged",
                "late": "acknowledged",
                "silent": "notified",
            }
            for person, sid in ((new, "new"), (newer, "newer")):
                await refresh(person, sid)
                assert person.diary.all("notified") == []


async def test_a_socket_of_which_the_store_cannot_tell_has_to_come_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A socket that the store cannot check is closed, counts as offline, and is then refused."""
    async with (
        issuer_settings(tmp_path, SENDER) as given,
        running(given) as hub,
        silent_device(hub, "old") as old,
    ):
        happened = time.time()
        await refresh_silently(old, "old")
        async with silent_device(hub, "new") as new:
            look_failing(hub, monkeypatch)
            await end_all(hub, happened)
            for raw in (old, new):
                assert await raw.receive_all() == []
                assert raw.websocket.close_code == 1006
        monkeypatch.undo()
        ended = await hub.call("GET", "/session", issued_now("old"))
        assert ended.code == "token_revoked"
        assert await states(hub, ended.body["id"]) == {"old": "offline"}
        async with device(hub, "new") as back:
            await refresh(back, "new")


def look_failing(hub: Replica, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the store fail whenever it is asked about a session."""
    store = hub.app[SERVICES].store
    assert isinstance(store, MemoryStore)

    async def fail(identity: Identity) -> RevocationState:
        raise Unavailable("not now")

    monkeypatch.setattr(store, "look", fail)
