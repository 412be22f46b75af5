"""Keys that can be factored, or have another purpose: nothing that they sign is accepted.

The bound: RSA keys have 2048 bits or more, a public exponent that is odd and at least 3, and a
modulus that no known shortcut factors. Weak keys of the settings stop the start; those of a key set
are passed over, with one line a fetch.
"""

from __future__ import annotations

import base64
import math
import random
from typing import Any

import msgspec
import pytest
import structlog
from aiohttp import web
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import RSAAlgorithm

from hub.access.keys import JwksKeys
from hub.core.key_set import read_key_set
from hub.core.strength import find_misuse, find_weakness, has_roca_fingerprint
from hub.core.tokens import Header
from hub.core.verification_keys import load_public_key
from hub.environment import load_settings
from hub.errors import Unavailable
from hub.issuers_file import load_entries
from hub.settings import SettingsError
from tests.keys import RSA
from tests.site import settings

GOOD = RSA
N = GOOD.public_key().public_numbers().n
SHORT = rsa.generate_private_key(public_exponent=65537, key_size=1024).public_key()  # noqa: S505
FIRST_PRIMES = [n for n in range(2, 702) if all(n % d for d in range(2, math.isqrt(n) + 1))]
# As the library chooses primes of 1024 bits: k * M + 65537**a mod M, M being of 126 primes.
PRODUCT = math.prod(FIRST_PRIMES)
CHANCE = random.Random(15361)  # noqa: S311 - numbers for a test


def roca_modulus() -> int:
    """Return a modulus of 2048 bits whose factors have the form that can be factored.

    They need not be prime here: the fingerprint does not ask.
    """
    shift = CHANCE.getrandbits(1024 - PRODUCT.bit_length() + 1) | 1 << 60
    factors = []
    for _ in range(2):
        power = pow(65537, CHANCE.randrange(1, PRODUCT), PRODUCT)
        factors.append(((1 << 1023) // PRODUCT + shift) * PRODUCT + power)
    return math.prod(factors)


def with_small_factor(prime: int) -> int:
    """Return an odd modulus of 2048 bits that a small prime divides."""
    modulus = N - N % prime
    return modulus if modulus % 2 else modulus + prime


WEAK = {
    "1024 bits": (SHORT.public_numbers().n, 65537, "1024 bits"),
    "2047 bits": (N >> 1 | 1, 65537, "2047 bits"),
    "no bits": (0, 65537, "0 bits"),
    "exponent 1": (N, 1, "exponent"),
    "exponent 2": (N, 2, "exponent"),
    "even exponent": (N, 65536, "exponent"),
    "even modulus": (N - 1, 65537, "small factor"),
    "3 in the modulus": (with_small_factor(3), 65537, "small factor"),
    "751 in the modulus": (with_small_factor(751), 65537, "small factor"),
    "ROCA": (roca_modulus(), 65537, "CVE-2017-15361"),
    "another ROCA": (roca_modulus(), 65537, "CVE-2017-15361"),
}
weak = pytest.mark.parametrize(("modulus", "exponent", "reason"), WEAK.values(), ids=WEAK)


def number(value: int) -> str:
    """Return a number as a JWK has it."""
    raw = value.to_bytes(max(1, (value.bit_length() + 7) // 8), "big")
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def jwk(modulus: int = N, exponent: int = 65537, **members: Any) -> dict[str, Any]:
    """Return a public RSA key as a key set has it."""
    return {"kty": "RSA", "n": number(modulus), "e": number(exponent), **members}


def der(tag: int, content: bytes) -> bytes:
    """Return an element of DER."""
    size = len(content)
    if size < 0x80:
        return bytes([tag, size]) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + content


def pem(modulus: int, exponent: int) -> str:
    """Return a public RSA key in PEM, written by hand since no library makes weak ones."""
    parts = b"".join(
        der(2, v.to_bytes(v.bit_length() // 8 + 1, "big")) for v in (modulus, exponent)
    )
    kind = bytes.fromhex("300d06092a864886f70d0101010500")
    whole = der(0x30, kind + der(3, b"\0" + der(0x30, parts)))
    text = base64.encodebytes(whole).decode()
    return f"-----BEGIN PUBLIC KEY-----\n{text}-----END PUBLIC KEY-----\n"


def public_pem(private: Any) -> str:
    """Return the public key of a private one, in PEM."""
    text: bytes = private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return text.decode()


@weak
def test_a_weak_key_is_found(modulus: int, exponent: int, reason: str) -> None:
    """Each kind of weak key is recognized and named."""
    assert reason in (find_weakness(modulus, exponent) or "")


def test_good_keys_are_no_weak_ones() -> None:
    """No key of a sound generator is called weak; an exponent of 3 is allowed."""
    assert find_weakness(N, 3) is None
    for _ in range(5):
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048).public_key()
        assert find_weakness(key.public_numbers().n, 65537) is None


def test_the_fingerprint_is_of_the_product_and_of_each_factor() -> None:
    """A single remainder outside the group means that a modulus has no fingerprint."""
    modulus = roca_modulus()
    assert has_roca_fingerprint(modulus)
    assert has_roca_fingerprint(PRODUCT + 1)
    # 65537 is 10 modulo 11, whose powers are 1 and 10.
    step = PRODUCT // 11
    assert not has_roca_fingerprint(modulus + step)


@weak
def test_a_weak_key_in_the_settings_stops_the_start(
    monkeypatch: pytest.MonkeyPatch, modulus: int, exponent: int, reason: str
) -> None:
    """The hub will not start, and names the variable in one line."""
    monkeypatch.setenv("HUB_JWT_PUBLIC_KEY", pem(modulus, exponent))
    with pytest.raises(SettingsError) as caught:
        load_settings()
    text = str(caught.value)
    assert text.startswith("HUB_JWT_PUBLIC_KEY: ")
    # The library itself reads no key with such an exponent.
    assert ("not a public key in PEM" if "exponent" in reason or not modulus else reason) in text


def test_a_weak_key_in_the_issuers_file_stops_the_start(tmp_path: Any) -> None:
    """The hub will not start, and names the file, the entry and the member in one line."""
    file = tmp_path / "issuers.toml"
    file.write_text(
        f'[[issuer]]\niss = "https://a"\npublic_key = """{pem(SHORT.public_numbers().n, 65537)}"""'
    )
    given = settings(issuers=str(file), jwt_secret=None)
    with pytest.raises(SettingsError, match=r"issuers.toml: issuer 1 .*public_key: .*1024 bits"):
        load_entries(given)


@pytest.mark.parametrize(
    "private", [GOOD, ec.generate_private_key(ec.SECP256R1()), ed25519.Ed25519PrivateKey.generate()]
)
def test_good_keys_in_pem_are_read(private: Any) -> None:
    """Good keys of each kind in PEM are read."""
    assert load_public_key(public_pem(private)) is not None


MISUSED: list[dict[str, Any]] = [
    {"use": "enc"},
    {"use": ""},
    {"use": None},
    {"key_ops": []},
    {"key_ops": ["sign"]},
    {"key_ops": ["encrypt", "wrapKey"]},
    {"key_ops": "verify"},
    {"key_ops": None},
    {"use": "enc", "key_ops": ["verify"]},
]


@pytest.mark.parametrize("members", MISUSED, ids=str)
def test_a_key_for_something_else_verifies_nothing(members: dict[str, Any]) -> None:
    """A key whose use or key_ops is not verification is ignored."""
    assert find_misuse(jwk(**members))
    good = jwk(kid="good", use="sig", key_ops=["verify"])
    keys, reasons = read_key_set(msgspec.json.encode({"keys": [jwk(kid="bad", **members), good]}))
    assert {key.key_id for key in keys} == {"good"}
    assert reasons == []


@weak
def test_a_weak_key_of_a_set_is_passed_over(modulus: int, exponent: int, reason: str) -> None:
    """The other keys are used; the reason is logged once, however many weak ones there are."""
    bad = [jwk(modulus, exponent, kid=f"bad-{number}") for number in range(3)]
    keys, reasons = read_key_set(msgspec.json.encode({"keys": [*bad, jwk(kid="good")]}))
    assert {key.key_id for key in keys} == {"good"}
    assert len(reasons) == 1
    assert reason in reasons[0]


@pytest.mark.parametrize(
    "members", [{"n": 5}, {"n": None}, {"n": "é"}, {"e": []}, {"n": ""}], ids=str
)
def test_what_is_no_key_is_passed_over(members: dict[str, Any]) -> None:
    """Malformed keys are ignored, and the rest of the set is used."""
    keys, _ = read_key_set(msgspec.json.encode({"keys": [jwk(**members), jwk(kid="good")]}))
    assert {key.key_id for key in keys} == {"good"}


async def serve_keys(keys: list[dict[str, Any]]) -> tuple[web.AppRunner, str]:
    """Serve a key set on loopback."""

    async def answer(request: web.Request) -> web.Response:
        return web.json_response({"keys": keys})

    app = web.Application()
    app.router.add_get("/keys", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return runner, f"http://127.0.0.1:{runner.addresses[0][1]}/keys"


async def test_a_fetch_tells_of_weak_keys_in_one_line() -> None:
    """Each fetch logs one line about weak keys, and tokens by a good key are accepted."""
    bad = RSAAlgorithm.to_jwk(SHORT, as_dict=True) | {"key_ops": ["verify"]}
    runner, url = await serve_keys([{**bad, "kid": "a"}, {**bad, "kid": "b"}, jwk(kid="good")])
    keys = JwksKeys(url)
    try:
        with structlog.testing.capture_logs() as lines:
            (found,) = await keys.find(Header("RS256", "good"))
        assert found.key_id == "good"
        assert [line["event"] for line in lines] == ["ignoring weak keys of an issuer"]
        assert "1024 bits" in str(lines[0]["because"])
    finally:
        await keys.aclose()
        await runner.cleanup()


async def test_a_set_of_weak_keys_alone_has_none() -> None:
    """If all keys are weak, tokens get `unavailable`, and the log says why."""
    runner, url = await serve_keys([jwk(SHORT.public_numbers().n, kid="a")])
    keys = JwksKeys(url)
    try:
        with structlog.testing.capture_logs() as lines, pytest.raises(Unavailable):
            await keys.find(Header("RS256", "a"))
        assert "1024 bits" in str(lines)
    finally:
        await keys.aclose()
        await runner.cleanup()
