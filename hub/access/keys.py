"""Where the keys come from that tokens are verified with."""

from __future__ import annotations

import asyncio
import time
from types import TracebackType
from typing import Any, Protocol, Self

import aiohttp
import jwt
import msgspec
import structlog

from hub.core.tokens import Header
from hub.errors import TokenInvalid, Unavailable

log = structlog.get_logger(__name__)

MAX_KEY_SET_BYTES = 1_000_000
FETCH_TIMEOUT = 2.0
KEY_SET_LIFETIME = 3600.0
COOL_DOWN = 30.0
FIRST_COOL_DOWN = 1.0

SUITING = {
    "RSA": ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    "P-256": ("ES256",),
    "P-384": ("ES384",),
    "P-521": ("ES512",),
    "Ed25519": ("EdDSA",),
    "Ed448": ("EdDSA",),
}
"""The algorithms by a key's curve, or its type where it has none (RFC 7518, RFC 8037)."""


class Keys(Protocol):
    """Finds the key that a token says it was signed with.

    What was verified under another ``generation`` of keys counts no more.
    """

    @property
    def generation(self) -> int:
        """A number that is another one after the keys have changed, or may have."""
        ...

    async def find(self, header: Header) -> Any:
        """Return a key that suits ``header.alg``.

        Raises:
            TokenInvalid: when there is none.
            Unavailable: when that cannot be known now.
        """
        ...


class StaticKey:
    """One secret or public key, for every token."""

    @property
    def generation(self) -> int:
        """The key does not change."""
        return 0

    def __init__(self, key: Any) -> None:
        self._key = key

    async def find(self, header: Header) -> Any:
        """Return the key."""
        return self._key


class JwksKeys:
    """The keys of an issuer that publishes them (RFC 7517).

    Fetched when first needed and then hourly, one request at a time. A ``kid`` that is not among
    them asks again, but only after a cool-down, so that made-up names cost nothing. Keys once
    fetched stay in use while fetching fails. An asynchronous context manager.
    """

    def __init__(self, url: str, *, ssl: Any = True) -> None:
        self._fetched = 0
        self._url = url
        self._ssl = ssl
        self._keys: list[jwt.PyJWK] = []
        self._tried_at = float("-inf")
        self._flight: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=FETCH_TIMEOUT))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._flight is not None:
            self._flight.cancel()
            await asyncio.gather(self._flight, return_exceptions=True)
        await self._http.close()

    @property
    def generation(self) -> int:
        """How often the keys were fetched, or -1 when it is time to fetch them again."""
        is_old = time.monotonic() - self._tried_at > KEY_SET_LIFETIME
        return -1 if is_old else self._fetched

    async def find(self, header: Header) -> jwt.PyJWK:
        """Return the issuer's key with the header's ``kid``, or its only one that suits."""
        key = self._search(header)
        age = time.monotonic() - self._tried_at
        if age > self._patience(found=key is not None):
            await self._refresh()
            key = self._search(header)
        if key is not None:
            return key
        if not self._keys:
            raise Unavailable("the issuer's keys could not be fetched")
        raise TokenInvalid("signed with a key that the issuer does not publish")

    def _search(self, header: Header) -> jwt.PyJWK | None:
        suiting = [key for key in self._keys if key.algorithm_name == header.alg]
        if header.kid is None:
            return suiting[0] if len(suiting) == 1 else None
        return next((key for key in suiting if key.key_id == header.kid), None)

    def _patience(self, *, found: bool) -> float:
        if found:
            return KEY_SET_LIFETIME
        return COOL_DOWN if self._keys else FIRST_COOL_DOWN

    async def _refresh(self) -> None:
        if self._flight is None:
            self._flight = asyncio.create_task(self._fetch())
            self._flight.add_done_callback(self._land)
        # Shielded: a caller that goes away must not end the flight that others wait for.
        await asyncio.shield(self._flight)

    def _land(self, flight: asyncio.Task[None]) -> None:
        self._flight = None
        self._tried_at = time.monotonic()

    async def _fetch(self) -> None:
        try:
            async with self._http.get(
                self._url, allow_redirects=False, ssl=self._ssl, raise_for_status=True
            ) as answer:
                if answer.status != 200:
                    raise ValueError(f"answered {answer.status}")
                body = await answer.content.read(MAX_KEY_SET_BYTES + 1)
                while len(body) <= MAX_KEY_SET_BYTES and not answer.content.at_eof():
                    body += await answer.content.read(MAX_KEY_SET_BYTES + 1 - len(body))
            if len(body) > MAX_KEY_SET_BYTES:
                raise ValueError("larger than 1 MB")
            self._keys = _read_key_set(body)
            self._fetched += 1
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError, RecursionError) as error:
            log.warning("the issuer's keys could not be fetched", error=str(error))


def _read_key_set(body: bytes) -> list[jwt.PyJWK]:
    document = msgspec.json.decode(body)
    members = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(members, list):
        raise ValueError("not a JSON Web Key Set")
    keys = [key for member in members for key in _read_key(member)]
    if not keys:
        raise ValueError("a JSON Web Key Set without a usable key")
    return keys


def _read_key(member: Any) -> list[jwt.PyJWK]:
    """Return a public key for signatures, once for each algorithm that it may be used with.

    A set may also hold secrets, private keys, keys for encryption and things to come: all of these
    are passed over.
    """
    if not isinstance(member, dict) or member.get("use", "sig") != "sig" or "d" in member:
        return []
    suiting = SUITING.get(str(member.get("crv", member.get("kty"))), ())
    named = member.get("alg")
    try:
        return [jwt.PyJWK(member, name) for name in suiting if named in (None, name)]
    except (jwt.PyJWTError, ValueError, TypeError, KeyError, NotImplementedError):
        return []
