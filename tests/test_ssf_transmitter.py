"""The transmitter for tests does what the specifications say, and what it is told instead."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import jwt
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.ssf_transmitter import (
    POLL,
    PUSH,
    SESSION_REVOKED,
    VERIFICATION,
    Transmitter,
    failing,
    huge,
)


@pytest.fixture
async def transmitter() -> AsyncIterator[Transmitter]:
    """A running transmitter."""
    async with Transmitter(path="/tenant").serve() as served:
        served.long_poll = 0.1
        yield served


@pytest.fixture
async def http(transmitter: Transmitter) -> AsyncIterator[aiohttp.ClientSession]:
    """A client that it lets in."""
    headers = {"Authorization": f"Bearer {transmitter.bearer}"}
    async with aiohttp.ClientSession(headers=headers) as session:
        yield session


async def create(http: aiohttp.ClientSession, transmitter: Transmitter, **asked: Any) -> Any:
    """Create a stream and return its configuration."""
    url = transmitter.metadata()["configuration_endpoint"]
    async with http.post(url, json=asked) as answer:
        assert answer.status == 201
        return await answer.json()


async def test_its_streams_are_created_read_changed_and_deleted(
    transmitter: Transmitter, http: aiohttp.ClientSession
) -> None:
    """Each step of a stream's life, found through the configuration of an issuer with a path."""
    base = transmitter.iss.removesuffix("/tenant")
    async with http.get(f"{base}/.well-known/ssf-configuration/tenant") as answer:
        found = await answer.json()
    assert found["issuer"] == transmitter.iss
    made = await create(http, transmitter, events_requested=[SESSION_REVOKED])
    assert made["delivery"]["method"] == POLL
    url, status_url = found["configuration_endpoint"], found["status_endpoint"]
    async with http.post(url, json={}) as answer:
        assert answer.status == 409
    async with http.get(url) as answer:
        assert await answer.json() == [made]
    async with http.patch(url, json={"stream_id": made["stream_id"], "description": "d"}) as answer:
        assert (await answer.json())["description"] == "d"
    paused = {"stream_id": made["stream_id"], "status": "paused"}
    async with http.post(status_url, json=paused) as answer:
        assert await answer.json() == paused
    async with http.delete(url, params={"stream_id": made["stream_id"]}) as answer:
        assert answer.status == 204
    assert transmitter.streams == {}


async def test_polls_return_what_is_not_acknowledged(
    transmitter: Transmitter, http: aiohttp.ClientSession
) -> None:
    """At most as many as are asked for, signed with the published key; errors are recorded."""
    url = (await create(http, transmitter))["delivery"]["endpoint_url"]
    sent = [await transmitter.emit() for _ in range(3)]
    async with http.post(url, json={"maxEvents": 2}) as answer:
        got = await answer.json()
    assert list(got["sets"]) == sent[:2]
    assert got["moreAvailable"]
    async with http.get(transmitter.metadata()["jwks_uri"]) as answer:
        (key,) = (await answer.json())["keys"]
    claims = jwt.decode(got["sets"][sent[0]], jwt.PyJWK(key), ["RS256"], audience=transmitter.aud)
    assert claims["jti"] == sent[0]
    error = {"err": "invalid_key", "description": "?"}
    asked = {"ack": sent[:1], "setErrs": {sent[1]: error}, "returnImmediately": True}
    async with http.post(url, json=asked) as answer:
        assert await answer.json() == {
            "sets": {sent[2]: transmitter.streams[url.split("/")[-1]].queue[sent[2]]},
            "moreAvailable": False,
        }
    (stream,) = transmitter.streams.values()
    assert (stream.acknowledged, stream.errors) == (sent[:1], {sent[1]: error})


async def test_pushes_end_with_202_or_400(
    transmitter: Transmitter, http: aiohttp.ClientSession
) -> None:
    """Other answers are tried again; the stream's own header is sent."""
    statuses = [503, 202, 400]

    async def receive(request: web.Request) -> web.Response:
        assert request.headers["Authorization"] == "Bearer b"
        assert request.content_type == "application/secevent+jwt"
        status = statuses.pop(0)
        return web.json_response({"err": "invalid_request"}, status=status)

    app = web.Application()
    app.router.add_post("/events", receive)
    async with TestServer(app) as server:
        delivery = {"method": PUSH, "authorization_header": "Bearer b"}
        url = str(server.make_url("/events"))
        await create(http, transmitter, delivery={**delivery, "endpoint_url": url})
        (stream,) = transmitter.streams.values()
        sent = [await transmitter.emit() for _ in range(2)]
        assert await transmitter.push(stream, attempts=2) == [503, 202, 400]
    assert stream.acknowledged == sent[:1]
    assert stream.errors == {sent[1]: {"err": "invalid_request"}}


async def test_a_verification_returns_the_state(
    transmitter: Transmitter, http: aiohttp.ClientSession
) -> None:
    """As an event on the stream."""
    made = await create(http, transmitter, events_requested=[SESSION_REVOKED])
    asked = {"stream_id": made["stream_id"], "state": "s"}
    async with http.post(transmitter.metadata()["verification_endpoint"], json=asked) as answer:
        assert answer.status == 204
    (stream,) = transmitter.streams.values()
    (token,) = stream.queue.values()
    events = jwt.decode(token, options={"verify_signature": False})["events"]
    assert events == {VERIFICATION: {"state": "s"}}


async def test_access_tokens_end(transmitter: Transmitter) -> None:
    """A token that was got for the client's credentials lets in until it is revoked."""
    url = transmitter.metadata()["configuration_endpoint"]
    form = {"grant_type": "client_credentials", "client_id": transmitter.client_id}
    async with aiohttp.ClientSession() as session:
        async with session.post(transmitter.token_url, data=form) as answer:
            assert answer.status == 401
        form["client_secret"] = transmitter.client_secret
        async with session.post(transmitter.token_url, data=form) as answer:
            token = (await answer.json())["access_token"]
        headers = {"Authorization": f"Bearer {token}"}
        async with session.get(url, headers=headers) as answer:
            assert answer.status == 200
        transmitter.revoke_tokens()
        async with session.get(url, headers=headers) as answer:
            assert answer.status == 401


async def test_it_misbehaves_as_it_is_told(
    transmitter: Transmitter, http: aiohttp.ClientSession
) -> None:
    """Each wrong answer is given once."""
    transmitter.misbehave("stream", failing(429, retry_after="2"), huge())
    url = transmitter.metadata()["configuration_endpoint"]
    async with http.get(url) as answer:
        assert (answer.status, answer.headers["Retry-After"]) == (429, "2")
    async with http.get(url) as answer:
        assert len(await answer.read()) > 1_000_000
    async with http.get(url) as answer:
        assert await answer.json() == []
