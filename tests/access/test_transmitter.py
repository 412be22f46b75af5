"""The client of a transmitter, against one that was written from the specifications."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator

import jwt
import pytest

from hub.access.transmitter import PUSH, STREAMS, Poll, Polled
from hub.access.transmitter_calls import TransmitterFailed, read_json, read_retry_after
from hub.core.tokens import Header
from hub.core.transmitters import Access
from hub.errors import TokenInvalid, Unavailable
from tests.access.stream_support import client_of, credentials
from tests.ssf_transmitter import (
    SESSION_REVOKED,
    VERIFICATION,
    Transmitter,
    failing,
    huge,
    saying,
    silent,
)


@pytest.fixture(params=["", "/tenant/1"])
async def served(request: pytest.FixtureRequest) -> AsyncIterator[Transmitter]:
    """A running transmitter, whose issuer may have a path."""
    async with Transmitter(path=request.param).serve() as transmitter:
        yield transmitter


@pytest.fixture
async def plain() -> AsyncIterator[Transmitter]:
    """A running transmitter."""
    async with Transmitter().serve() as transmitter:
        yield transmitter


def header_of(token: str) -> Header:
    """Return a token's header."""
    header = jwt.get_unverified_header(token)
    return Header(alg=header["alg"], kid=header["kid"])


async def test_a_stream_is_managed(served: Transmitter) -> None:
    """It is created, listed, verified, paused, resumed and deleted."""
    async with contextlib.aclosing(client_of(served)) as client:
        assert await client.streams() == []
        delivery = {"method": PUSH, "endpoint_url": "https://hub.example/events"}
        made = await client.create(delivery, [SESSION_REVOKED])
        assert [one.stream_id for one in await client.streams()] == [made.stream_id]
        assert not made.delivery.is_poll
        await client.verify(made.stream_id, "a state")
        (token,) = served.streams[made.stream_id].queue.values()
        claims = jwt.decode(token, options={"verify_signature": False})
        assert claims["events"] == {VERIFICATION: {"state": "a state"}}
        await client.change_status(made.stream_id, "paused")
        assert (await client.status(made.stream_id)).status == "paused"
        await client.delete(made.stream_id)
        assert await client.streams() == []


async def test_keys_are_found_by_the_configuration(served: Transmitter) -> None:
    """The key of a token is the one that the transmitter publishes, and no other."""
    async with contextlib.aclosing(client_of(served)) as client:
        token = served.sign({})
        (key,) = await client.keys.find(header_of(token))
        jwt.decode(token, key, ["RS256"])
        served.rotate_keys()
        await client.keys.find(header_of(served.sign({})))
        with pytest.raises(TokenInvalid):
            await client.keys.find(header_of(token))


async def test_rotated_keys_are_found(plain: Transmitter, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once an unknown key may be asked for again, the new one is there."""
    async with contextlib.aclosing(client_of(plain)) as client:
        await client.keys.find(header_of(plain.sign({})))
        plain.rotate_keys()
        monkeypatch.setattr("hub.core.key_schedule.COOL_DOWN", 0.0)
        token = plain.sign({})
        (key,) = await client.keys.find(header_of(token))
        jwt.decode(token, key, ["RS256"])


async def test_keys_are_taken_from_the_named_address(plain: Transmitter) -> None:
    """A transmitter without a configuration needs none when its key set is named."""
    url = plain.metadata()["jwks_uri"]
    plain.misbehave(".well-known", *[failing(404)] * 3)
    async with contextlib.aclosing(client_of(plain, jwks_url=url)) as client:
        assert await client.keys.find(header_of(plain.sign({})))
    assert plain.count(".well-known") == 0


async def test_the_configuration_of_another_issuer_is_refused(plain: Transmitter) -> None:
    """Neither its keys nor its endpoints are used (SSF 1.0 section 7.2.4)."""
    async with contextlib.aclosing(client_of(plain)) as client:
        plain.iss = "https://other.example"
        with pytest.raises(TransmitterFailed, match=r"about the issuer 'https://other\.example'"):
            await client.streams()
        with pytest.raises(Unavailable):
            await client.keys.find(header_of(plain.sign({})))
    assert plain.count("stream") == plain.count("jwks") == 0


async def test_an_access_token_is_got_once_and_again_after_a_refusal(plain: Transmitter) -> None:
    """Credentials are exchanged when first needed, and once more when the token is refused."""
    async with contextlib.aclosing(client_of(plain, access=credentials(plain))) as client:
        for _ in range(3):
            await client.streams()
        assert plain.count("token") == 1
        plain.revoke_tokens()
        await client.streams()
        assert plain.count("token") == 2
        plain.misbehave("stream", failing(401), failing(401))
        with pytest.raises(TransmitterFailed, match="answered 401"):
            await client.streams()
        assert plain.count("token") == 3


async def test_an_access_token_is_not_used_until_its_last_second(plain: Transmitter) -> None:
    """One that is about to end is replaced before."""
    plain.token_lifetime = 0.0
    async with contextlib.aclosing(client_of(plain, access=credentials(plain))) as client:
        for _ in range(2):
            with pytest.raises(TransmitterFailed):
                await client.streams()
    assert plain.count("token") == 4


async def test_wrong_credentials_are_told_from_a_refusal(plain: Transmitter) -> None:
    """The message says that there was no access token, and no secret."""
    wrong = Access(client_id="x", client_secret="y-secret", token_url=plain.token_url)
    async with contextlib.aclosing(client_of(plain, access=wrong)) as client:
        with pytest.raises(TransmitterFailed, match=r"no access token.*401: invalid") as got:
            await client.streams()
    assert "y-secret" not in str(got.value)
    assert plain.count("stream") == 0


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (failing(500), "answered 500"),
        (failing(302, location="https://elsewhere.example/"), "answered 302"),
        (saying("<html>"), "not understood"),
        (saying('{"sets": []}', "application/json"), "not understood"),
        (saying("[" * 100_000, "application/json"), "not understood"),
        (saying('{"err": "e", "description": "no"}', "application/json", 400), "answered 400: no"),
        (huge(), "larger than 1 MB"),
    ],
)
async def test_a_wrong_answer_is_told_in_one_line(
    plain: Transmitter, answer: object, says: str
) -> None:
    """Whatever is wrong with it; a redirect is not followed."""
    async with contextlib.aclosing(client_of(plain)) as client:
        made = await client.create({"method": "urn:ietf:rfc:8936"}, [])
        plain.misbehave("poll", answer)  # type: ignore[arg-type]
        with pytest.raises(TransmitterFailed, match=says) as got:
            await client.poll(made.delivery.endpoint_url or "", Poll(1, True))
    assert "\n" not in str(got.value)


@pytest.mark.parametrize("text", ['{"sets": null}', '{"sets": {}, "moreAvailable": null}', "{}"])
def test_a_poll_that_brings_nothing_may_say_null(text: str) -> None:
    """As a server in Go writes a map that is empty; what stands for a token is kept as it is."""
    assert read_json(text.encode(), Polled, "POST") == Polled()
    assert read_json(b'{"sets": {"a": null}}', Polled, "POST").sets == {"a": None}


def test_a_stream_may_have_no_events_and_say_null() -> None:
    """That of a transmitter which has yet to choose them."""
    members = (
        b'"stream_id": "s", "delivery": {"method": "m"}, "aud": null, "events_delivered": null'
    )
    text = b"[{" + members + b"}]"
    (stream,) = read_json(text, STREAMS, "GET")
    assert (stream.aud, stream.events_delivered) == ([], [])


async def test_a_transmitter_that_is_silent_is_not_waited_for_without_end(
    plain: Transmitter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The call fails when its time is over."""
    monkeypatch.setattr("hub.access.transmitter.LONG_POLL", 0.5)
    async with contextlib.aclosing(client_of(plain)) as client:
        made = await client.create({"method": "urn:ietf:rfc:8936"}, [])
        plain.misbehave("poll", silent())
        with pytest.raises(TransmitterFailed, match=r"no answer in 0\.5 s") as got:
            await client.poll(made.delivery.endpoint_url or "", Poll(1))
    assert got.value.is_late


async def test_endpoints_without_tls_are_not_called(plain: Transmitter) -> None:
    """Only loopback may be called over http, whatever the configuration says."""
    away = plain.metadata() | {"configuration_endpoint": "http://tr.example/stream"}
    plain.misbehave(".well-known", saying(jsons(away), "application/json"))
    async with contextlib.aclosing(client_of(plain)) as client:
        with pytest.raises(TransmitterFailed, match="neither https"):
            await client.streams()


def test_a_remote_transmitter_names_no_endpoint_on_this_machine() -> None:
    """Else it could have the hub call what only this machine may."""
    remote = client_of(Transmitter(), configuration_url="https://tr.example/configuration")
    remote.check_endpoint("status_endpoint", "https://tr.example/status")
    with pytest.raises(TransmitterFailed, match="not https"):
        remote.check_endpoint("status_endpoint", "http://127.0.0.1:8080/status")


async def test_a_stream_of_another_issuer_is_refused(plain: Transmitter) -> None:
    """Its configuration must name the transmitter (SSF 1.0 section 8.1.1.2)."""
    async with contextlib.aclosing(client_of(plain)) as client:
        await client.create({"method": "urn:ietf:rfc:8936"}, [])
        (stream,) = plain.streams.values()
        shown = plain.show(stream) | {"iss": "https://other.example"}
        plain.misbehave("stream", saying(jsons([shown]), "application/json"))
        with pytest.raises(TransmitterFailed, match=r"is of https://other\.example"):
            await client.streams()


async def test_a_transmitter_without_an_api_says_so(plain: Transmitter) -> None:
    """Its streams are set up by other means."""
    bare = {"issuer": plain.iss, "jwks_uri": plain.metadata()["jwks_uri"]}
    plain.misbehave(".well-known", saying(jsons(bare), "application/json"))
    async with contextlib.aclosing(client_of(plain)) as client:
        with pytest.raises(TransmitterFailed, match="has no configuration_endpoint"):
            await client.streams()


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (None, None),
        ("7", 7.0),
        ("Thu, 01 Jan 1970 00:01:40 GMT", 40.0),
        ("Thu, 01 Jan 1970 00:00:01 GMT", 0.0),
        ("soon", None),
        ("-1", None),
        ("٣", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(text: str | None, seconds: float | None) -> None:
    """Anything else says nothing."""
    assert read_retry_after(text, 60.0) == seconds


def jsons(document: object) -> str:
    """Return a document's JSON."""
    return json.dumps(document)
