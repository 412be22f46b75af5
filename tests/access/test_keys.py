"""The issuer's keys, fetched from a real HTTPS server on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import ipaddress
import json
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jwt
import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from hub.access import keys as keys_module
from hub.access.keys import JwksKeys, KeyUncertain, KeyUnknown, StaticKeys
from hub.core.key_schedule import (
    COOL_DOWN,
    FAILED_COOL_DOWN,
    FIRST_COOL_DOWN,
    KEY_SET_LIFETIME,
)
from hub.core.key_set import MAX_BODY_BYTES
from hub.core.model import SECOND
from hub.core.tokens import Header, Rules, read_header, verify
from hub.errors import TokenInvalid, Unavailable
from tests.keys import RSA, rsa_key
from tests.patience import PATIENCE
from tests.realtime.raw import eventually

RULES = Rules(("RS256", "ES256", "EdDSA"), max_lifetime=3600 * SECOND)
CLAIMS = {"sub": "ada", "iat": 1_700_000_000, "exp": 1_700_000_600}

EC = ec.generate_private_key(ec.SECP256R1())
ED = ed25519.Ed25519PrivateKey.generate()
CODECS: dict[str, Any] = {"RS256": RSAAlgorithm, "ES256": ECAlgorithm, "EdDSA": OKPAlgorithm}


def published(private: Any, algorithm: str, kid: str | None = None, **more: Any) -> dict[str, Any]:
    """Return the public key of a private one as an issuer publishes it."""
    key: dict[str, Any] = CODECS[algorithm].to_jwk(private.public_key(), as_dict=True)
    key.pop("key_ops", None)
    return {**key, **({"kid": kid} if kid else {}), **more}


def certificate(folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Return what a server at 127.0.0.1 shows, and what a client needs to believe it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "issuer for tests")])
    today = datetime.datetime.now(datetime.UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(today - datetime.timedelta(days=1))
        .not_valid_after(today + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = folder / "issuer.pem"
    file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + signed.public_bytes(serialization.Encoding.PEM)
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(file)
    return server, ssl.create_default_context(cafile=str(file))


class Issuer:
    """An issuer's server, which answers as it is told and counts."""

    def __init__(self, client: ssl.SSLContext) -> None:
        self.client = client
        self.url = ""
        self.requests = 0
        self.asked = asyncio.Event()
        self.keys: list[Any] = [published(RSA, "RS256", "rsa-1")]
        self.answer: Callable[[web.Request], Awaitable[web.StreamResponse]] = self.good

    async def good(self, request: web.Request) -> web.StreamResponse:
        """Publish the keys."""
        return web.json_response({"keys": self.keys})

    def says(self, body: bytes | str, status: int = 200, **headers: str) -> None:
        """Answer with this from now on."""

        async def say(request: web.Request) -> web.StreamResponse:
            data = body if isinstance(body, bytes) else body.encode()
            return web.Response(body=data, status=status, headers=headers)

        self.answer = say

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Count, and answer."""
        self.requests += 1
        self.asked.set()
        return await self.answer(request)


@pytest.fixture(scope="module")
def contexts(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A certificate for the whole module."""
    return certificate(tmp_path_factory.mktemp("issuer"))


@pytest.fixture
async def issuer(contexts: tuple[ssl.SSLContext, ssl.SSLContext]) -> AsyncIterator[Issuer]:
    """A running issuer."""
    made = Issuer(contexts[1])
    app = web.Application()
    app.router.add_get("/keys", made.serve)
    app.router.add_get("/elsewhere", made.good)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=contexts[0]).start()
    made.url = f"https://127.0.0.1:{runner.addresses[0][1]}/keys"
    yield made
    await runner.cleanup()


class Clock:
    """The clock of the cool-down, which may be moved."""

    def __init__(self) -> None:
        self.offset = 0.0

    def monotonic(self) -> float:
        """Return the time."""
        return time.monotonic() + self.offset


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Give the keys a clock that may be moved, and a busy machine its time to answer."""
    made = Clock()
    monkeypatch.setattr(keys_module, "time", SimpleNamespace(monotonic=made.monotonic))
    monkeypatch.setattr(keys_module, "FETCH_TIMEOUT", PATIENCE)
    return made


@pytest.fixture
async def keys(issuer: Issuer, clock: Clock) -> AsyncIterator[JwksKeys]:
    """The keys of the issuer, not yet fetched."""
    async with contextlib.aclosing(JwksKeys(issuer.url, ssl=issuer.client)) as made:
        yield made


def named(kid: str | None = "rsa-1", alg: str = "RS256") -> Header:
    """Return a header that names a key."""
    return Header(alg=alg, kid=kid)


async def renewed(keys: JwksKeys) -> None:
    """Have keys fetched that are due, and wait until that is done."""
    keys.renew_old()
    if keys._flight is not None:
        await asyncio.wait([keys._flight])


async def test_a_static_key_is_for_every_token() -> None:
    """A secret or public key from the settings has no name."""
    assert await StaticKeys("new", "old").find(named("any")) == ("new", "old")


@pytest.mark.parametrize(("private", "algorithm"), [(RSA, "RS256"), (EC, "ES256"), (ED, "EdDSA")])
async def test_a_token_is_verified_by_the_published_key(
    issuer: Issuer, keys: JwksKeys, private: Any, algorithm: str
) -> None:
    """The key that the token names, of the kind that its algorithm needs, verifies it."""
    issuer.keys = [
        published(rsa_key(1), "RS256", "other"),
        published(private, algorithm, "k"),
    ]
    token = jwt.encode(CLAIMS, private, algorithm=algorithm, headers={"kid": "k"})
    header = read_header(token)
    assert verify(token, (await keys.find(header))[0], RULES).sub == "ada"
    assert issuer.requests == 1


async def test_keys_are_fetched_once_for_many_tokens(issuer: Issuer, keys: JwksKeys) -> None:
    """While they are young, keys are not asked for again."""
    for _ in range(20):
        await keys.find(named())
    assert issuer.requests == 1


async def test_many_calls_at_once_are_one_request(issuer: Issuer, keys: JwksKeys) -> None:
    """A thousand sockets that connect to a cold hub fetch the keys once."""

    async def slow(request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(0.05)
        return await issuer.good(request)

    issuer.answer = slow
    found = await asyncio.gather(*(keys.find(named()) for _ in range(1000)))
    assert {key.key_id for (key,) in found} == {"rsa-1"}
    assert issuer.requests == 1


async def test_a_caller_that_goes_away_does_not_end_the_request_of_the_others(
    issuer: Issuer, keys: JwksKeys
) -> None:
    """Who waits for the same answer still gets it."""
    held = asyncio.Event()

    async def hold(request: web.Request) -> web.StreamResponse:
        await held.wait()
        return await issuer.good(request)

    issuer.answer = hold
    first, second = (asyncio.create_task(keys.find(named())) for _ in range(2))
    await issuer.asked.wait()
    first.cancel()
    await asyncio.sleep(0)
    held.set()
    assert [key.key_id for key in await second] == ["rsa-1"]
    with pytest.raises(asyncio.CancelledError):
        await first
    assert issuer.requests == 1


async def test_a_rotated_key_is_found_after_the_cool_down(
    issuer: Issuer, keys: JwksKeys, clock: Clock
) -> None:
    """A key that the issuer began to use is fetched when a token first names it."""
    await keys.find(named())
    issuer.keys = [published(RSA, "RS256", "rsa-2")]
    clock.offset += COOL_DOWN + 1
    assert (await keys.find(named("rsa-2")))[0].key_id == "rsa-2"
    with pytest.raises(TokenInvalid):
        await keys.find(named("rsa-1"))
    assert issuer.requests == 2


async def test_a_key_that_is_newer_than_the_last_fetch_is_found_at_once(
    issuer: Issuer, keys: JwksKeys, clock: Clock
) -> None:
    """For the first token that names it, unless a name was made up during the cool-down."""
    await keys.find(named())
    issuer.keys = [published(RSA, "RS256", "rsa-2")]
    both = await asyncio.gather(keys.find(named("rsa-2")), keys.find(named("rsa-2")))
    assert [key.key_id for (key,) in both] == ["rsa-2", "rsa-2"]
    assert issuer.requests == 2
    issuer.keys = [published(RSA, "RS256", "rsa-3")]
    assert (await keys.find(named("rsa-2")))[0].key_id == "rsa-2"
    clock.offset += COOL_DOWN + 1
    with pytest.raises(KeyUnknown):
        await keys.find(named("made-up"))
    issuer.keys = [published(RSA, "RS256", "rsa-4")]
    with pytest.raises(KeyUnknown) as caught:
        await keys.find(named("rsa-4"))
    assert not caught.value.is_certain
    clock.offset += COOL_DOWN + 1
    assert (await keys.find(named("rsa-4")))[0].key_id == "rsa-4"
    assert issuer.requests == 4


async def test_a_first_fetch_that_fails_does_not_delay_a_new_key(
    issuer: Issuer, keys: JwksKeys, clock: Clock
) -> None:
    """Nobody has looked for an unknown key as long as none is known."""
    issuer.says("down", status=503)
    with pytest.raises(Unavailable):
        await keys.find(named())
    issuer.answer = issuer.good
    clock.offset += FIRST_COOL_DOWN + 1
    await keys.find(named())
    issuer.keys = [published(RSA, "RS256", "rsa-2")]
    assert (await keys.find(named("rsa-2")))[0].key_id == "rsa-2"


async def test_a_key_is_the_same_wherever_the_settings_have_it_from(
    issuer: Issuer, keys: JwksKeys
) -> None:
    """What the public key in the settings verified, a key set with it verifies, and vice versa."""
    other = rsa_key(1).public_key()
    (fetched,) = await keys.find(named())
    configured = StaticKeys(RSA.public_key())
    assert keys.has(named(), RSA.public_key())
    assert configured.has(named(), fetched)
    assert not keys.has(named(), other)
    assert not keys.has(named(), b"a secret")
    assert not StaticKeys(other).has(named(), fetched)


async def test_unknown_names_cool_down(issuer: Issuer, keys: JwksKeys, clock: Clock) -> None:
    """Made-up names cost the issuer one request in the cool-down, however many they are."""
    for number in range(50):
        with pytest.raises(TokenInvalid, match="does not publish"):
            await keys.find(named(f"made-up-{number}"))
    assert issuer.requests == 1
    clock.offset += COOL_DOWN + 1
    answers = await asyncio.gather(
        *(keys.find(named(f"made-up-{number}")) for number in range(50)), return_exceptions=True
    )
    first, *others = (isinstance(answer, KeyUnknown) and answer.is_certain for answer in answers)
    assert first
    assert not any(others), "they asked when the issuer might have answered already"
    assert issuer.requests == 2
    with pytest.raises(KeyUnknown) as caught:
        await keys.find(named("made-up"))
    assert not caught.value.is_certain
    with pytest.raises(KeyUnknown) as caught:
        await keys.find(named(alg="ES256"))
    assert caught.value.is_certain
    assert (await keys.find(named()))[0].key_id == "rsa-1"
    assert issuer.requests == 2


async def test_keys_are_fetched_again_when_they_are_old(
    issuer: Issuer, keys: JwksKeys, clock: Clock
) -> None:
    """A key that the issuer withdrew is forgotten within the hour, though nobody asks for it."""
    await renewed(keys)
    assert issuer.requests == 0, "nobody has needed them yet"
    await keys.find(named())
    issuer.keys = [published(RSA, "RS256", "rsa-2")]
    await renewed(keys)
    assert (await keys.find(named()))[0].key_id == "rsa-1"
    clock.offset += KEY_SET_LIFETIME - 1
    await renewed(keys)
    assert keys.generation == 2
    with pytest.raises(TokenInvalid):
        await keys.find(named())


async def test_who_has_a_known_key_waits_for_no_fetch(
    issuer: Issuer, keys: JwksKeys, clock: Clock
) -> None:
    """While an issuer hangs, its tokens are verified by the last keys, and it is asked once."""
    await keys.find(named())
    held = asyncio.Event()

    async def hold(request: web.Request) -> web.StreamResponse:
        await held.wait()
        return await issuer.good(request)

    issuer.answer = hold
    issuer.asked.clear()
    clock.offset += 5 * KEY_SET_LIFETIME
    for _ in range(3):
        assert (await keys.find(named()))[0].key_id == "rsa-1"
    await issuer.asked.wait()
    assert (await keys.find(named()))[0].key_id == "rsa-1"
    assert (issuer.requests, keys.generation) == (2, 1)
    held.set()
    await eventually(lambda: keys.generation == 2)


async def test_a_failed_fetch_is_soon_followed_by_another(
    issuer: Issuer, keys: JwksKeys, clock: Clock
) -> None:
    """The hourly one, as one that an operator asked for: it postpones none by an hour."""
    await keys.find(named())
    for passed in (KEY_SET_LIFETIME, 1):
        clock.offset += passed
        issuer.says("down", status=503)
        await (renewed(keys) if passed > 1 else keys.renew())
        failed = issuer.requests
        await renewed(keys)
        assert issuer.requests == failed, "it has just been asked"
        issuer.answer = issuer.good
        clock.offset += COOL_DOWN + 1
        await renewed(keys)
        assert issuer.requests == failed + 1
    assert keys.generation == 3


async def test_a_key_that_could_not_be_fetched_may_be_a_new_one(
    issuer: Issuer, keys: JwksKeys, clock: Clock
) -> None:
    """It is no refusal, and the issuer is asked again as soon as it may have recovered."""
    await keys.find(named())
    issuer.says("down", status=503)
    for requests in (2, 3):
        for number in range(20):
            with pytest.raises(KeyUncertain) as caught:
                await keys.find(named(f"rsa-2 or made up {number}"))
            assert 0 < (caught.value.retry_after or 0) <= FAILED_COOL_DOWN
        assert issuer.requests == requests
        clock.offset += FAILED_COOL_DOWN + 1
    assert (await keys.find(named()))[0].key_id == "rsa-1"
    issuer.answer, issuer.keys = issuer.good, [published(RSA, "RS256", "rsa-2")]
    assert (await keys.find(named("rsa-2")))[0].key_id == "rsa-2"
    with pytest.raises(KeyUnknown):
        await keys.find(named("rsa-3"))
    assert issuer.requests == 4


async def test_a_key_for_another_purpose_is_refused_also_while_fetching_fails(
    issuer: Issuer, keys: JwksKeys
) -> None:
    """What the issuer published it for is known."""
    await keys.find(named())
    issuer.says("down", status=503)
    with pytest.raises(KeyUnknown) as caught:
        await keys.find(named(alg="ES256"))
    assert caught.value.is_certain


BROKEN: dict[str, tuple[bytes, int]] = {
    "server error": (b"oops", 500),
    "not found": (b"{}", 404),
    "no content": (b"", 204),
    "empty": (b"", 200),
    "not JSON": (b"<html>", 200),
    "not UTF-8": (b'{"keys":["\xff"]}', 200),
    "cut short": (b'{"keys":[{"kty":"RSA"', 200),
    "a list": (b"[]", 200),
    "null": (b"null", 200),
    "without keys": (b"{}", 200),
    "keys of another type": (b'{"keys":{"kty":"RSA"}}', 200),
    "no keys": (b'{"keys":[]}', 200),
    "no usable keys": (b'{"keys":[null,5,"x",[],{},{"kty":"RSA"},{"kty":"EC","crv":"?"}]}', 200),
}


@pytest.mark.parametrize(("body", "status"), BROKEN.values(), ids=BROKEN)
async def test_the_last_good_keys_survive_a_bad_answer(
    issuer: Issuer, keys: JwksKeys, clock: Clock, body: bytes, status: int
) -> None:
    """An issuer that breaks does not log anybody out, and is used again when it works again."""
    await keys.find(named())
    issuer.says(body, status)
    clock.offset += KEY_SET_LIFETIME + 1
    await renewed(keys)
    assert (await keys.find(named()))[0].key_id == "rsa-1"
    assert issuer.requests == 2
    issuer.answer, issuer.keys = issuer.good, [published(RSA, "RS256", "rsa-2")]
    clock.offset += COOL_DOWN + 1
    assert (await keys.find(named("rsa-2")))[0].key_id == "rsa-2"


@pytest.mark.parametrize(("body", "status"), BROKEN.values(), ids=BROKEN)
async def test_without_any_keys_nothing_is_known(
    issuer: Issuer, keys: JwksKeys, clock: Clock, body: bytes, status: int
) -> None:
    """Before the first good answer a token is neither good nor bad: unavailable."""
    issuer.says(body, status)
    for _ in range(5):
        with pytest.raises(Unavailable):
            await keys.find(named())
    assert issuer.requests == 1
    issuer.answer = issuer.good
    clock.offset += COOL_DOWN + 1
    assert (await keys.find(named()))[0].key_id == "rsa-1"


async def test_an_issuer_that_does_not_answer_is_given_up_soon(
    issuer: Issuer, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither silence nor an answer that never ends holds a caller for long; old keys stay."""
    monkeypatch.setattr(keys_module, "FETCH_TIMEOUT", 4.0)  # enough for one good answer
    closing = asyncio.Event()

    async def silence(request: web.Request) -> web.StreamResponse:
        await closing.wait()
        return web.Response()

    async def trickle(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        with contextlib.suppress(ConnectionError):
            while not closing.is_set():
                await answer.write(b" ")
                await asyncio.sleep(0.02)
        return answer

    async with contextlib.aclosing(JwksKeys(issuer.url, ssl=issuer.client)) as keys:
        began = time.monotonic()
        issuer.answer = silence
        with pytest.raises(Unavailable):
            await keys.find(named())
        issuer.answer = issuer.good
        clock.offset += COOL_DOWN + 1
        await keys.find(named())
        for bad in (silence, trickle):
            issuer.answer = bad
            clock.offset += KEY_SET_LIFETIME + 1
            await renewed(keys)
            assert (await keys.find(named()))[0].key_id == "rsa-1"
        assert time.monotonic() - began < PATIENCE
    closing.set()


async def test_leaving_does_not_wait_for_a_silent_issuer(issuer: Issuer, clock: Clock) -> None:
    """A hub that stops while it fetches stops all the same, and lets nobody wait."""
    closing = asyncio.Event()

    async def silence(request: web.Request) -> web.StreamResponse:
        await closing.wait()
        return web.Response()

    issuer.answer = silence
    began = time.monotonic()
    async with contextlib.aclosing(JwksKeys(issuer.url, ssl=issuer.client)) as keys:
        waiting = asyncio.create_task(keys.find(named()))
        await issuer.asked.wait()
    with pytest.raises(Unavailable):
        await waiting
    assert time.monotonic() - began < PATIENCE / 2
    closing.set()


async def test_a_key_that_is_published_during_a_fetch_may_be_a_new_one(
    issuer: Issuer, keys: JwksKeys, clock: Clock
) -> None:
    """The answer that is on its way may be from before, so it does not prove the key made up."""
    await keys.find(named())
    held, answered = asyncio.Event(), web.json_response({"keys": issuer.keys})

    async def hold(request: web.Request) -> web.StreamResponse:
        await held.wait()
        return answered

    issuer.answer = hold
    issuer.asked.clear()
    clock.offset += KEY_SET_LIFETIME + 1
    early = asyncio.create_task(keys.find(named()))
    await issuer.asked.wait()
    late = asyncio.create_task(keys.find(named("rsa-2")))
    await asyncio.sleep(0)
    held.set()
    assert [key.key_id for key in await early] == ["rsa-1"]
    with pytest.raises(KeyUnknown) as caught:
        await late
    assert not caught.value.is_certain


def key_set_of(size: int) -> bytes:
    """Return a good key set of exactly this many bytes."""
    text = json.dumps({"keys": [published(RSA, "RS256", "rsa-1")]}).encode()
    return text + b" " * (size - len(text))


async def test_a_key_set_is_at_most_a_megabyte(
    issuer: Issuer, keys: JwksKeys, clock: Clock
) -> None:
    """The largest that is read is taken; one byte more is not."""
    issuer.says(key_set_of(MAX_BODY_BYTES + 1))
    with pytest.raises(Unavailable):
        await keys.find(named())
    issuer.says(key_set_of(MAX_BODY_BYTES))
    clock.offset += COOL_DOWN + 1
    assert (await keys.find(named()))[0].key_id == "rsa-1"


async def test_an_endless_key_set_is_left(issuer: Issuer, keys: JwksKeys) -> None:
    """An answer without a length is not read further than the limit."""
    sent = 0

    async def endless(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        answer = web.StreamResponse()
        await answer.prepare(request)
        with contextlib.suppress(ConnectionError):
            while sent < 100 * MAX_BODY_BYTES and request.transport is not None:
                await answer.write(b" " * 65536)
                await asyncio.sleep(0)
                sent += 65536
        return answer

    issuer.answer = endless
    with pytest.raises(Unavailable):
        await keys.find(named())
    await asyncio.sleep(0.05)
    assert sent < 20 * MAX_BODY_BYTES


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed(issuer: Issuer, keys: JwksKeys, status: int) -> None:
    """The keys come from the address that was set, and from nowhere else."""
    issuer.says(b"", status, Location=issuer.url.replace("/keys", "/elsewhere"))
    with pytest.raises(Unavailable):
        await keys.find(named())


async def test_a_server_that_is_not_the_issuer_is_not_believed(issuer: Issuer) -> None:
    """A certificate that nobody vouches for is no issuer."""
    async with contextlib.aclosing(JwksKeys(issuer.url)) as keys:
        with pytest.raises(Unavailable):
            await keys.find(named())
    assert issuer.requests == 0


async def test_an_issuer_that_is_not_there_is_unavailable(clock: Clock) -> None:
    """A refused connection is no verdict on the token."""
    async with contextlib.aclosing(JwksKeys("https://127.0.0.1:1/keys")) as keys:
        with pytest.raises(Unavailable):
            await keys.find(named())


async def test_secrets_and_keys_for_encryption_are_ignored(issuer: Issuer, keys: JwksKeys) -> None:
    """A published secret is none, and a key for another use verifies nothing."""
    secret = {"kty": "oct", "k": "AAAA" * 16, "kid": "secret", "alg": "HS256"}
    encrypting = published(RSA, "RS256", "enc", use="enc")
    issuer.keys = [secret, encrypting, published(RSA, "RS256", "good", use="sig")]
    assert (await keys.find(named("good")))[0].key_id == "good"
    for header in (
        named("secret"),
        named("enc"),
        named("secret", "HS256"),
        named("secret", "ES256"),
    ):
        with pytest.raises(TokenInvalid):
            await keys.find(header)


async def test_a_key_set_of_secrets_only_is_none(issuer: Issuer, keys: JwksKeys) -> None:
    """Nothing is verified by what everybody can read."""
    issuer.keys = [{"kty": "oct", "k": "AAAA" * 16, "kid": "rsa-1"}]
    for algorithm in ("RS256", "HS256"):
        with pytest.raises(Unavailable):
            await keys.find(named(alg=algorithm))


async def test_a_key_is_of_the_kind_that_the_algorithm_needs(
    issuer: Issuer, keys: JwksKeys
) -> None:
    """A name alone does not make a key of another kind suit."""
    issuer.keys = [published(RSA, "RS256", "same"), published(EC, "ES256", "same")]
    assert (await keys.find(named("same", "RS256")))[0].key_type == "RSA"
    assert (await keys.find(named("same", "ES256")))[0].key_type == "EC"
    with pytest.raises(TokenInvalid):
        await keys.find(named("same", "EdDSA"))


@pytest.mark.parametrize("algorithm", ["RS256", "RS384", "PS256", "PS512"])
async def test_a_key_without_alg_serves_every_algorithm_of_its_kind(
    issuer: Issuer, keys: JwksKeys, algorithm: str
) -> None:
    """The member alg is optional (RFC 7517 section 4.4); when present it binds."""
    issuer.keys = [published(RSA, "RS256", "any"), published(RSA, "RS256", "bound", alg="RS384")]
    rules = Rules((algorithm,), max_lifetime=3600 * SECOND)
    token = jwt.encode(CLAIMS, RSA, algorithm=algorithm, headers={"kid": "any"})
    header = read_header(token)
    assert verify(token, (await keys.find(header))[0], rules).sub == "ada"
    if algorithm != "RS384":
        with pytest.raises(TokenInvalid):
            await keys.find(named("bound", algorithm))


@pytest.mark.parametrize(
    "odd",
    [
        {"kty": "RSA", "alg": "none", "kid": "odd"},
        {**published(RSA, "RS256", "odd"), "d": "AQAB"},
        {"kty": ["RSA"], "kid": "odd"},
        {"kty": "EC", "crv": "secp256k1", "kid": "odd"},
        "text",
    ],
    ids=["alg none", "private", "kty is a list", "another curve", "no object"],
)
async def test_an_odd_member_does_not_spoil_its_neighbours(
    issuer: Issuer, keys: JwksKeys, odd: Any
) -> None:
    """What the hub has no use for is passed over."""
    issuer.keys = [odd, published(RSA, "RS256", "rsa-1")]
    assert (await keys.find(named()))[0].key_id == "rsa-1"
    with pytest.raises(TokenInvalid):
        await keys.find(named("odd"))


async def test_a_token_that_names_no_key_gets_the_only_one(
    issuer: Issuer, keys: JwksKeys, clock: Clock
) -> None:
    """One key of the kind needs no name; of two, none is guessed."""
    issuer.keys = [published(RSA, "RS256", "rsa-1"), published(EC, "ES256", "ec-1")]
    assert (await keys.find(named(None)))[0].key_id == "rsa-1"
    issuer.keys.append(published(RSA, "RS256", "rsa-2"))
    clock.offset += KEY_SET_LIFETIME + 1
    await renewed(keys)
    with pytest.raises(TokenInvalid):
        await keys.find(named(None))
    assert (await keys.find(named("rsa-2")))[0].key_id == "rsa-2"


async def test_a_damaged_key_does_not_spoil_its_neighbours(issuer: Issuer, keys: JwksKeys) -> None:
    """What the hub cannot read in a key set is passed over."""
    good = published(RSA, "RS256", "rsa-1")
    issuer.keys = [
        None, 5, "key", [], {}, {"kty": "RSA"}, {"kty": 5}, {**good, "n": 5}, {**good, "n": "*"},
        {**good, "kty": "new"}, {**good, "alg": "new"}, {**good, "use": 5}, good,
    ]  # fmt: skip
    assert (await keys.find(named()))[0].key_id == "rsa-1"


async def test_what_was_verified_counts_until_keys_are_fetched(
    issuer: Issuer, keys: JwksKeys, clock: Clock
) -> None:
    """The generation does not change because a fetch is due, or fails."""
    await keys.find(named())
    first = keys.generation
    clock.offset += KEY_SET_LIFETIME + 1
    assert keys.generation == first
    issuer.says("down", status=503)
    await renewed(keys)
    assert keys.generation == first
    issuer.answer = issuer.good
    await keys.renew()
    assert keys.generation != first
