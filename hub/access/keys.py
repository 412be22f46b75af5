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

KINDS = {"RS": "RSA", "PS": "RSA", "ES": "EC", "Ed": "OKP", "HS": "oct"}


class Keys(Protocol):
    """Finds the key that a token says it was signed with."""

    async def find(self, header: Header) -> Any:
        """Return a key that suits ``header.alg``.

        Raises:
            TokenInvalid: when there is none.
            Unavailable: when that cannot be known now.
        """
        ...


class StaticKey:
    """One secret or public key, for every token."""

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

    async def find(self, header: Header) -> jwt.PyJWK:
        """Return the issuer's key with the header's ``kid``, or its only one that suits."""
        key = self._search(header)
        age = time.monotonic() - self._tried_at
        if age > (COOL_DOWN if key is None else KEY_SET_LIFETIME):
            await self._refresh()
            key = self._search(header)
        if key is not None:
            return key
        if not self._keys:
            raise Unavailable("the issuer's keys could not be fetched")
        raise TokenInvalid("signed with a key that the issuer does not publish")

    def _search(self, header: Header) -> jwt.PyJWK | None:
        suiting = [key for key in self._keys if key.key_type == KINDS[header.alg[:2]]]
        if header.kid is None:
            return suiting[0] if len(suiting) == 1 else None
        return next((key for key in suiting if key.key_id == header.kid), None)

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
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            log.warning("the issuer's keys could not be fetched", error=str(error))


def _read_key_set(body: bytes) -> list[jwt.PyJWK]:
    document = msgspec.json.decode(body)
    members = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(members, list):
        raise ValueError("not a JSON Web Key Set")
    keys = []
    for member in members:
        if not isinstance(member, dict) or member.get("use", "sig") != "sig":
            continue
        try:
            key = jwt.PyJWK(member)
        except (jwt.PyJWTError, ValueError, TypeError, KeyError):
            continue
        if key.key_type != "oct":
            keys.append(key)
    if not keys:
        raise ValueError("a JSON Web Key Set without a usable key")
    return keys
