"""A real OpenID provider: the hub takes its tokens as they are, and a logout ends logins.

The hub has two settings, the issuer and the audience; everything else it finds out.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import jwt
import pytest
import socketio

from hub.doctor.examination import examine
from hub.environment import load_settings
from tests.patience import PATIENCE
from tests.providers.provider import RESOURCE, Browser, Provider, Tokens, running_provider
from tests.site import Replica, running
from tests.test_cli import command


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    """A provider that runs."""
    with running_provider() as made:
        yield made


@pytest.fixture
async def hub(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Replica]:
    """A hub that was told of the provider by the two variables."""
    monkeypatch.setenv("HUB_JWT_ISSUER", provider.issuer)
    monkeypatch.setenv("HUB_JWT_AUDIENCE", RESOURCE)
    async with running(load_settings({"port": 0})) as replica:
        yield replica


@pytest.fixture
async def ada(provider: Provider) -> AsyncIterator[Browser]:
    """Ada's browser."""
    async with provider.browser() as browser:
        yield browser


@pytest.fixture
async def eve(provider: Provider) -> AsyncIterator[Browser]:
    """Another person's browser."""
    async with provider.browser() as browser:
        yield browser


async def verdict(hub: Replica, tokens: Tokens) -> str:
    """Return what the hub says of an access token: ok, or the code."""
    answer = await hub.call("GET", "/verify", tokens.access)
    listed = await hub.call("GET", "/session", tokens.access)
    if answer.status == 204:
        assert listed.status == 200
        return "ok"
    assert (answer.status, listed.code) == (401, answer.code)
    return answer.code


async def sid_of(hub: Replica, tokens: Tokens) -> str:
    """Return the session that the hub sees in an access token."""
    answer = await hub.call("GET", "/verify", tokens.access)
    assert (answer.status, answer.headers["X-Auth-User"]) == (204, "ada")
    sid: str = answer.headers["X-Auth-Session"]
    return sid


async def next_second() -> None:
    """Wait until a token has another whole-second time than what was done before."""
    await asyncio.sleep(1.02 - time.time() % 1)


async def test_a_logout_of_all_ends_the_logins_until_the_person_logs_in_anew(
    hub: Replica, ada: Browser, eve: Browser
) -> None:
    """Neither a refresh nor the provider's live session revives a login; `prompt=login` does."""
    web, phone = await ada.log_in("web"), await ada.log_in("phone")
    other = await eve.log_in("web", "eve")
    sid = await sid_of(hub, web)
    assert sid != await sid_of(hub, phone)
    refreshed = await ada.refresh(web)
    assert refreshed.access != web.access
    assert await sid_of(hub, refreshed) == sid
    listed = await hub.call("GET", "/sessions", refreshed.access)
    assert len(listed.body["sessions"]) <= 2
    assert [s["sid"] for s in listed.body["sessions"] if s["current"]] == [sid]

    answer = await hub.call("POST", "/logout", refreshed.access, json={"scope": "all"})
    assert answer.status == 200
    assert {await verdict(hub, tokens) for tokens in (web, refreshed, phone)} <= {
        "token_revoked",
        "token_too_old",
    }
    await next_second()
    assert await verdict(hub, await ada.refresh(refreshed)) == "login_required"
    assert await verdict(hub, await ada.refresh(phone)) == "login_required"
    silent = await ada.log_in("web")
    assert await verdict(hub, silent) == "login_required"
    refusal = await hub.call("GET", "/session", silent.access)
    assert "insufficient_user_authentication" in refusal.headers["WWW-Authenticate"]

    anew = await ada.log_in("web", prompt="login")
    assert await verdict(hub, anew) == "ok"
    # This provider keeps the id of the login: it was ended up to the logout, not for ever.
    assert await sid_of(hub, anew) == sid
    assert await verdict(hub, await ada.refresh(anew)) == "ok"
    # The person proved who they are, which is good for the other client of this provider too.
    assert await verdict(hub, await ada.log_in("phone")) == "ok"
    assert await verdict(hub, await ada.refresh(phone)) == "login_required"
    assert await verdict(hub, other) == "ok"


async def test_a_logout_of_one_client_spares_the_other(hub: Replica, ada: Browser) -> None:
    """Also after both have refreshed their tokens; with `others` it is the other way round."""
    web, phone = await ada.log_in("web"), await ada.log_in("phone")
    assert (await hub.call("GET", "/session", phone.access)).status == 200
    answer = await hub.call("POST", "/logout", web.access, json={"scope": "session"})
    assert answer.status == 200
    assert await verdict(hub, web) == "token_revoked"
    assert await verdict(hub, phone) == "ok"
    await next_second()
    assert await verdict(hub, await ada.refresh(web)) == "login_required"
    refreshed = await ada.refresh(phone)
    assert await verdict(hub, refreshed) == "ok"
    anew = await ada.log_in("web", prompt="login")
    answer = await hub.call("POST", "/logout", anew.access, json={"scope": "others"})
    assert answer.status == 200
    await next_second()
    assert await verdict(hub, await ada.refresh(anew)) == "ok"
    assert await verdict(hub, await ada.refresh(refreshed)) == "login_required"


async def test_a_socket_of_the_other_client_is_told_and_cut(hub: Replica, ada: Browser) -> None:
    """What is ended at the web client ends on the phone, live."""
    web, phone = await ada.log_in("web"), await ada.log_in("phone")
    told: asyncio.Queue[str] = asyncio.Queue()
    socket = socketio.AsyncClient(reconnection=False)
    socket.on("logoutNotification", lambda notice: told.put_nowait(notice["scope"]))
    socket.on("disconnect", lambda reason: told.put_nowait("cut"))
    await socket.connect(hub.url, auth={"token": phone.access}, wait_timeout=30)
    await hub.call("POST", "/logout", web.access, json={"scope": "all"})
    async with asyncio.timeout(PATIENCE):
        assert await told.get() == "all"
        assert await told.get() == "cut"
    await socket.shutdown()


async def test_a_token_for_another_app_does_not_act_here(
    provider: Provider, hub: Replica, ada: Browser
) -> None:
    """The same provider, the same key, the same person; only not for us."""
    tokens = await ada.log_in("web")
    claims = jwt.decode(tokens.access, options={"verify_signature": False})
    assert claims["aud"] == RESOURCE
    assert (await hub.call("GET", "/verify", tokens.id_token)).code == "token_invalid"


async def test_inspect_explains_its_tokens(hub: Replica, ada: Browser, tmp_path: Path) -> None:
    """The command finds the keys by the same two variables, and names what the hub reads."""
    tokens = await ada.log_in("phone")
    file = tmp_path / "token.txt"
    file.write_text(tokens.access)
    ended = await command("inspect", "--json", "--token-file", str(file))
    told = json.loads(ended.out)
    assert (ended.code, told["taken"]) == (0, True)
    assert told["user"] == {"value": "ada", "claim": "sub"}
    assert (told["session"]["value"], told["session"]["claim"]) == (
        await sid_of(hub, tokens),
        "sid",
    )
    assert told["login_time"]["claim"] == "auth_time"
    assert {check["verdict"] for check in told["checks"]} == {"good"}


async def test_a_provider_that_names_no_login_is_pointed_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its tokens are taken, each as a session of its own, and `doctor` says so of a running hub."""
    with running_provider(names_login=False) as bare:
        monkeypatch.setenv("HUB_JWT_ISSUER", bare.issuer)
        monkeypatch.setenv("HUB_JWT_AUDIENCE", RESOURCE)
        settings = load_settings({"port": 0})
        async with running(settings) as hub, bare.browser() as ada:
            tokens = await ada.log_in("web")
            assert await sid_of(hub, tokens) != await sid_of(hub, await ada.refresh(tokens))
            found = {finding.check: finding for finding in await examine(settings, hub.url)}
    assert found[f"keys {bare.issuer}"].level == "good"
    assert found[f"audience {bare.issuer}"].level == "good"
    seen = found[f"tokens {bare.issuer}"]
    assert (seen.level, seen.detail[:6]) == ("fair", "2 of 2")
