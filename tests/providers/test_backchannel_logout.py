"""A real OpenID provider sends logout tokens: what they end, and what it makes of the answers."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.people import StockClient, stock_client
from tests.providers.front import Front, open_front
from tests.providers.provider import CLIENTS, RESOURCE, Browser, Provider, Tokens, running_provider
from tests.realtime.raw import eventually
from tests.redis_server import RedisServer
from tests.site import ADMIN, Replica, running, settings
from tests.ssf_transmitter import Answer, failing, silent

ENTRY = """[[issuer]]
iss = "{iss}"
audience = "{audience}"
logout_audience = ["web", "phone"]
title = "your company's sign-in"
"""


@dataclass
class Company:
    """A provider whose logout tokens go through a proxy to a hub, and Ada on two computers."""

    hub: Replica
    front: Front
    provider: Provider
    home: Browser
    office: Browser


@contextlib.asynccontextmanager
async def open_company(
    folder: Path, *, names_session: bool = True, redis_url: str | None = None
) -> AsyncIterator[Company]:
    """Open it for the length of the context."""
    async with open_front() as front:
        with running_provider(receiver=front.url, names_session=names_session) as provider:
            file = folder / "issuers.toml"
            file.write_text(ENTRY.format(iss=provider.issuer, audience=RESOURCE))
            given = settings(issuers=str(file), jwt_secret=None, redis_url=redis_url)
            async with (
                running(given) as hub,
                provider.browser() as home,
                provider.browser() as office,
            ):
                front.hub = hub.url
                yield Company(hub, front, provider, home, office)


@pytest.fixture
async def company(tmp_path: Path) -> AsyncIterator[Company]:
    """A company whose logout tokens name the session."""
    async with open_company(tmp_path) as opened:
        yield opened


async def is_taken(hub: Replica, tokens: Tokens) -> bool:
    """Tell whether an access token is accepted, once the hub knows."""
    answers: list[int] = []

    async def is_known() -> bool:
        answers.append((await hub.call("GET", "/verify", tokens.access)).status)
        return answers[-1] in (204, 401)

    await eventually(is_known)
    return answers[-1] == 204


async def are_taken(hub: Replica, *logins: Tokens) -> list[bool]:
    """Tell of each access token whether it is accepted."""
    return [await is_taken(hub, tokens) for tokens in logins]


@contextlib.asynccontextmanager
async def device(hub: Replica, tokens: Tokens) -> AsyncIterator[StockClient]:
    """Connect a stock client."""
    async with stock_client(hub, tokens.access, transports=["websocket"]) as person:
        await person.diary.wait("connect")
        yield person


async def test_a_logout_at_the_provider_ends_the_login_at_both_clients(company: Company) -> None:
    """Each gets a token that names its session, signed its own way; the other computer lives."""
    hub, home, office = company.hub, company.home, company.office
    web, phone = await home.log_in("web"), await home.log_in("phone")
    elsewhere = await office.log_in("web")
    async with device(hub, phone) as there, device(hub, elsewhere) as sibling:
        await home.log_out(web)
        told = await there.diary.wait("notified")
        await there.diary.wait("disconnect")
        assert (told["reason"], told["scope"]) == ("identity_provider", "session")
        assert told["by"] == company.provider.issuer
        answer = await sibling.emit("refresh", {"token": (await office.refresh(elsewhere)).access})
        assert answer["ok"] is True
        assert sibling.diary.all("notified") == []
    came = {token.claims["aud"]: token for token in company.front.tokens}
    assert {name: token.header["alg"] for name, token in came.items()} == CLIENTS
    assert {token.header["typ"] for token in came.values()} == {"logout+jwt"}
    assert {token.claims["exp"] - token.claims["iat"] for token in came.values()} == {120}
    assert {token.status for token in came.values()} == {200}
    assert [event["outcome"] for event in await home.told()] == ["success"] * 2
    assert {event["client"]: event["sid"] for event in await home.told()} == {
        name: token.claims["sid"] for name, token in came.items()
    }
    refreshed = [await home.refresh(tokens) for tokens in (web, phone)]
    assert await are_taken(hub, web, phone, *refreshed) == [False] * 4
    assert await is_taken(hub, elsewhere)
    anew = await home.log_in("web")
    assert await is_taken(hub, anew), "the provider has asked who it is"
    assert await are_taken(hub, await home.refresh(web), await home.refresh(anew)) == [False, True]


async def test_a_receipt_has_what_became_of_the_devices(company: Company) -> None:
    """And who asked for it."""
    hub, home = company.hub, company.home
    web = await home.log_in("web")
    async with device(hub, web) as there:
        await home.log_out(web)
        told = await there.diary.wait("notified")
    receipt = (await hub.call("GET", f"/logouts/{told['id']}?wait=10", ADMIN)).body
    (session,) = receipt["sessions"]
    assert receipt["complete"]
    assert (session["sid"], session["state"]) == (told["sid"], "acknowledged")
    assert (receipt["origin"]["by"], receipt["origin"]["event"]) == (
        company.provider.issuer,
        "backchannel-logout",
    )


async def test_leaving_one_client_spares_the_other(company: Company) -> None:
    """Who stays logged in at the provider loses the session of that client, and no other."""
    hub, home = company.hub, company.home
    web, phone = await home.log_in("web"), await home.log_in("phone")
    await home.log_out(phone, everywhere=False)
    assert [token.claims["aud"] for token in company.front.tokens] == ["phone"]
    assert await are_taken(hub, web, phone) == [True, False]
    assert await are_taken(hub, await home.refresh(web), await home.refresh(phone)) == [True, False]


async def test_a_logout_without_a_session_ends_all_logins_of_the_user(tmp_path: Path) -> None:
    """This library then sends ``sub`` alone, which nobody can hold to one computer."""
    async with open_company(tmp_path, names_session=False) as company:
        hub, home, office = company.hub, company.home, company.office
        web, phone = await home.log_in("web"), await home.log_in("phone")
        elsewhere = await office.log_in("web")
        async with company.provider.browser() as eve:
            other = await eve.log_in("web", "eve")
        async with device(hub, elsewhere) as there, device(hub, other) as stranger:
            await home.log_out(web)
            told = await there.diary.wait("notified")
            assert (told["reason"], told["scope"]) == ("identity_provider", "all")
            await there.diary.wait("disconnect")
            assert stranger.diary.all("notified") == []
        claims = [token.claims for token in company.front.tokens]
        assert [(given["sub"], "sid" in given) for given in claims] == [("ada", False)] * 2
        assert {token.status for token in company.front.tokens} == {200}
        dead = [web, phone, elsewhere, await home.refresh(web), await office.refresh(elsewhere)]
        assert await are_taken(hub, *dead) == [False] * 5
        assert await is_taken(hub, other)


@pytest.mark.parametrize(
    ("instead", "said"),
    [
        (failing(302, location="/backchannel-logout/elsewhere"), "302"),
        (failing(307, location="/backchannel-logout"), "307"),
        (failing(503), "503"),
        (silent(), "timeout"),
    ],
    ids=["a redirect", "a redirect to itself", "503", "nothing"],
)
async def test_what_does_not_reach_the_hub_is_no_success(
    company: Company, instead: Answer, said: str
) -> None:
    """The provider follows no redirect, waits for 2.5 s, and says of each token that it failed."""
    hub, home = company.hub, company.home
    web = await home.log_in("web")
    company.front.instead = instead
    await home.log_out(web)
    (event,) = await home.told()
    assert event["outcome"] == "error"
    assert said in event["error"]
    assert len(company.front.tokens) == 1, "it does not try again"
    assert await is_taken(hub, web)


async def test_an_answer_that_is_lost_is_no_success_either(company: Company) -> None:
    """The hub has written it by then, which the provider cannot know."""
    web = await company.home.log_in("web")
    company.front.after = silent()
    await company.home.log_out(web)
    assert [event["outcome"] for event in await company.home.told()] == ["error"]
    assert [token.status for token in company.front.tokens] == [200]
    assert not await is_taken(company.hub, web)


async def test_a_hub_whose_store_is_down_is_no_success(
    tmp_path: Path, own_redis: RedisServer
) -> None:
    """It answers 503 within the provider's time, and what it did not write is not so."""
    async with open_company(tmp_path, redis_url=own_redis.url) as company:
        web = await company.home.log_in("web")
        assert await is_taken(company.hub, web)
        own_redis.kill()
        await company.home.log_out(web)
        (event,) = await company.home.told()
        assert (event["outcome"], company.front.tokens[0].status) == ("error", 503)
        own_redis.start()
        assert await is_taken(company.hub, web)
        again = await company.home.log_in("web")
        await company.home.log_out(again)
        assert (await company.home.told())[-1]["outcome"] == "success"
        assert not await is_taken(company.hub, again)
