"""The keys that tokens are verified with, and where they come from."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, Protocol, TypeAlias

import aiohttp
import jwt
import msgspec
import structlog

from hub.core.key_set import (
    COOL_DOWN,
    FIRST_COOL_DOWN,
    KEY_SET_LIFETIME,
    MAX_BODY_BYTES,
    discovery_addresses,
    find_key,
    read_key_set,
    read_metadata,
)
from hub.core.tokens import Header
from hub.errors import TokenInvalid, Unavailable

log = structlog.get_logger(__name__)

FETCH_TIMEOUT = 2.0


class KeyUnknown(TokenInvalid):
    """A token is signed with a key that its issuer does not publish.

    ``is_certain`` if the keys were fetched after the token arrived, or the key is published for
    another purpose; otherwise it may be a new key.
    """

    def __init__(self, *, is_certain: bool) -> None:
        super().__init__("signed with a key that the issuer does not publish")
        self.is_certain = is_certain


Locate: TypeAlias = Callable[[aiohttp.ClientSession, str, Any], Awaitable[str]]
"""Returns the address of a key set, from the address to begin with and the TLS to use; may raise
what `fetch_keys` may."""


class Keys(Protocol):
    """Finds the key that a token was signed with, by the token's header.

    A verification is void once ``generation`` has changed.
    """

    @property
    def generation(self) -> int:
        """A number that changes whenever the keys have changed, or may have."""
        ...

    async def find(self, header: Header) -> Sequence[Any]:
        """Return the keys for ``header.alg``, at least one.

        Raises:
            TokenInvalid: when there is none.
            Unavailable: when the keys cannot be fetched now.
        """
        ...

    def has(self, header: Header, key: Any) -> bool:
        """Return whether ``find`` would return this key, by what is known without fetching."""
        ...


def _material(key: Any) -> Any:
    """Return a key as the settings have it, since an issuer's keys may be in them next time."""
    return key.key if isinstance(key, jwt.PyJWK) else key


class StaticKeys:
    """Secrets or a public key from the settings; two secrets while one replaces the other."""

    @property
    def generation(self) -> int:
        """The keys do not change."""
        return 0

    def __init__(self, *keys: Any) -> None:
        self._keys = keys

    async def find(self, header: Header) -> Sequence[Any]:
        """Return the keys."""
        return self._keys

    def has(self, header: Header, key: Any) -> bool:
        """Return whether this is one of the keys."""
        return _material(key) in self._keys


class JwksKeys:
    """The published keys of an issuer (RFC 7517).

    ``url`` is the address of the key set; with ``discovers`` it is the issuer, and with ``locate``
    it is whatever that function finds the address by.
    The set is fetched when first needed and then hourly, one request at a time. An unknown ``kid``
    makes it fetch again, unless one did during the cool-down, so that made-up ones cost nothing.
    While fetching fails, the last keys stay in use. Call `aclose` in the end.
    """

    def __init__(
        self,
        url: str,
        *,
        discovers: bool = False,
        locate: Locate | None = None,
        ssl: Any = True,
    ) -> None:
        self._fetched = 0
        self._url = url
        self._locate = discover if discovers else locate
        self._ssl = ssl
        self._keys: list[jwt.PyJWK] = []
        self._tried_at = float("-inf")
        self._missed_at = float("-inf")
        """When a key was last fetched for and not found."""
        self._flight: asyncio.Task[None] | None = None
        self._http: aiohttp.ClientSession | None = None

    async def aclose(self) -> None:
        """Close the connection that the keys are fetched over."""
        if self._flight is not None:
            self._flight.cancel()
            await asyncio.gather(self._flight, return_exceptions=True)
        if self._http is not None:
            await self._http.close()

    @property
    def generation(self) -> int:
        """How often the keys were fetched, or -1 when it is time to fetch them again."""
        is_old = time.monotonic() - self._tried_at > KEY_SET_LIFETIME
        return -1 if is_old else self._fetched

    async def find(self, header: Header) -> Sequence[jwt.PyJWK]:
        """Return the key with the header's ``kid``; without one, the only key for its ``alg``."""
        key, fetched = find_key(self._keys, header), self._fetched
        # A fetch that is under way may have been answered before the key was published.
        is_late = self._flight is not None
        if self._is_due(found=key is not None):
            if key is None and self._keys:
                self._missed_at = time.monotonic()
            await self._refresh()
            key = find_key(self._keys, header)
            # Without any keys, nothing is known about this one.
            if key is None and self._keys:
                self._missed_at = time.monotonic()
        if key is not None:
            return (key,)
        if not self._keys:
            raise Unavailable("the issuer's keys could not be fetched")
        is_known = header.kid is not None and header.kid in {one.key_id for one in self._keys}
        raise KeyUnknown(is_certain=is_known or (self._fetched > fetched and not is_late))

    def has(self, header: Header, key: Any) -> bool:
        """Return whether this key was published for the header when keys were last fetched."""
        found = find_key(self._keys, header)
        return found is not None and bool(found.key == _material(key))

    async def renew(self) -> None:
        """Fetch the keys again if they were ever needed, and at once; see `find` for failures.

        Raises:
            Unavailable: when they are closed meanwhile.
        """
        if not self._fetched:
            return
        if self._flight is not None:
            # It may have been answered before what is to be learned now.
            await asyncio.wait([self._flight])
        await self._refresh()

    def _is_due(self, *, found: bool) -> bool:
        """Return whether to fetch now, or to wait for what is being fetched."""
        now = time.monotonic()
        if found:
            return now - self._tried_at > KEY_SET_LIFETIME
        if self._flight is not None:
            return True
        if not self._keys:
            return now - self._tried_at > FIRST_COOL_DOWN
        return now - self._missed_at > COOL_DOWN

    async def _refresh(self) -> None:
        if self._flight is None:
            self._flight = asyncio.create_task(self._fetch())
            self._flight.add_done_callback(self._land)
        flight = self._flight
        # Not awaited itself: a caller that is cancelled must not cancel the fetch that others wait
        # for, and the end of a fetch, when the settings are read again, must not cancel callers.
        await asyncio.wait([flight])
        if flight.cancelled():
            raise Unavailable("the issuer's keys were replaced in the settings")
        flight.result()

    def _land(self, flight: asyncio.Task[None]) -> None:
        self._flight = None
        self._tried_at = time.monotonic()

    async def _fetch(self) -> None:
        if self._http is None:
            self._http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=FETCH_TIMEOUT))
        try:
            self._keys = await fetch_keys(self._http, self._url, self._locate, self._ssl)
            self._fetched += 1
        except FETCH_FAILURES as error:
            log.warning(
                "the issuer's keys could not be fetched", issuer=self._url, error=str(error)
            )


class TooLarge(ValueError):
    """An answer is larger than the hub reads."""


FETCH_FAILURES = (aiohttp.ClientError, TimeoutError, OSError, ValueError, RecursionError)
"""What `fetch_keys` may raise."""


async def renew_all(sources: Iterable[Keys]) -> None:
    """Fetch again those keys that are fetched at all, side by side; see `JwksKeys.renew`."""
    renewing = [keys.renew() for keys in sources if isinstance(keys, JwksKeys)]
    # The end of a fetch, when the settings are read again, is no failure.
    await asyncio.gather(*renewing, return_exceptions=True)


async def fetch_keys(
    http: aiohttp.ClientSession, url: str, locate: Locate | None = None, ssl: Any = True
) -> list[jwt.PyJWK]:
    """Return the keys of the set at ``url``, or at the address that ``locate`` finds by it.

    Raises:
        ClientError, TimeoutError, OSError, ValueError, RecursionError: when that fails.
    """
    if locate is not None:
        url = await locate(http, url, ssl)
    keys, passed_over = read_key_set(await fetch_bytes(http, url, ssl))
    if passed_over:
        log.warning("ignoring weak keys of an issuer", issuer=url, because=passed_over)
    return keys


async def discover(http: aiohttp.ClientSession, issuer: str, ssl: Any = True) -> str:
    """Return the address of an issuer's key set, from its metadata.

    That is by OpenID Connect Discovery 1.0 section 4, else by RFC 8414 section 3. Metadata of
    another issuer is refused (sections 4.3 and 3.3).

    Raises:
        ClientError, TimeoutError, OSError, ValueError, RecursionError: when that fails.
    """
    failures = []
    for url in discovery_addresses(issuer):
        try:
            document = msgspec.json.decode(await fetch_bytes(http, url, ssl))
        except FETCH_FAILURES as error:
            failures.append(f"{url}: {str(error) or type(error).__name__}")
            continue
        return read_metadata(document, issuer, url)
    raise ValueError("; ".join(failures))


async def fetch_bytes(http: aiohttp.ClientSession, url: str, ssl: Any = True) -> bytes:
    """Fetch an address: at most 1 MB, without following redirects.

    Raises:
        ClientError, TimeoutError, OSError, ValueError: when the answer is anything but 200.
    """
    async with http.get(url, allow_redirects=False, ssl=ssl, raise_for_status=True) as answer:
        if answer.status != 200:
            raise ValueError(f"answered {answer.status}")
        return await read_body(answer)


async def read_body(answer: aiohttp.ClientResponse) -> bytes:
    """Return the body of an answer: at most 1 MB.

    Raises:
        ClientError, TimeoutError, OSError, TooLarge: when that fails.
    """
    body = await answer.content.read(MAX_BODY_BYTES + 1)
    while len(body) <= MAX_BODY_BYTES and not answer.content.at_eof():
        body += await answer.content.read(MAX_BODY_BYTES + 1 - len(body))
    if len(body) > MAX_BODY_BYTES:
        raise TooLarge("larger than 1 MB")
    return body
